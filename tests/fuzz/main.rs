//! `pulsefield-fuzz`: random commands for the device server behind a simulated kernel, every answer
//! checked against the standards.
//!
//! Beside the house: `ring` with its simulated kernel, `engine`, and what they speak in; nothing of the
//! daemon. A seed decides everything, so that the line printed with an objection repeats it. Exit code 1
//! is an objection, which a panic is as well.

mod checker;
mod commands;
mod medium;
mod shape;
mod standard;
mod unit;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser;
use pulsefield_engine::UnitAttention;
use pulsefield_ring::simulated_kernel::{Finished, Submitted};
use pulsefield_units::Random;

use checker::{Oracle, Standing};
use commands::Sent;
use shape::{SHAPES, Shape};
use standard::{FORMS, Presence, form_of};
use unit::Unit;

/// Throws random commands at the device server and checks every answer.
#[derive(Parser)]
#[command(name = "pulsefield-fuzz")]
struct Options {
    /// How many commands to send, over all shapes of logical units.
    #[arg(long, default_value_t = 200_000)]
    commands: u64,
    /// What the random numbers start from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Rounds a unit lives: then another one takes its place, with zeros and default modes.
const ROUNDS: u64 = 512;
/// Most commands in flight at once.
const DEPTH: u64 = 24;
/// Commands between two lines of progress.
const PROGRESS: u64 = 1_000_000;

fn main() -> Result<()> {
    let options = Options::parse();
    let started = Instant::now();
    let mut counts = Counts::default();
    let mut life = options.seed;
    let mut reported = 0;
    while counts.commands < options.commands {
        let shape = &SHAPES[usize::try_from(life % SHAPES.len() as u64)?];
        // A panic of the device server is an objection like any other: with the seed that shows it.
        let lived = catch_unwind(AssertUnwindSafe(|| live(shape, life, &mut counts)));
        lived.unwrap_or_else(|_| bail!("a panic")).with_context(|| {
            format!("repeat with `pulsefield-fuzz --commands 1 --seed {life}` ({})", shape.name)
        })?;
        life += 1;
        if counts.commands / PROGRESS > reported {
            reported = counts.commands / PROGRESS;
            println!("{} million commands in {:.0?}", reported, started.elapsed());
        }
    }
    println!("{counts}, seeds {}..{life}, {:.1?}", options.seed, started.elapsed());
    counts.check_coverage()
}

/// What was sent and how it ended.
#[derive(Default)]
struct Counts {
    commands: u64,
    by_status: BTreeMap<u8, u64>,
    /// Operation codes and service actions that were ever answered GOOD.
    good: BTreeSet<(u8, Option<u16>)>,
}

impl Counts {
    fn count(&mut self, sent: &Sent, status: u8) {
        self.commands += 1;
        *self.by_status.entry(status).or_default() += 1;
        if let (0, Some(form)) = (status, form_of(sent.cdb())) {
            self.good.insert((form.opcode, form.service_action));
        }
    }

    /// Objects to a run that was long and still left out a command: it has shown nothing about it.
    fn check_coverage(&self) -> Result<()> {
        const LONG: u64 = 100_000;
        let left_out: Vec<_> = FORMS
            .iter()
            .filter(|form| {
                matches!(form.presence, Presence::Always | Presence::Thin | Presence::Long)
            })
            .filter(|form| !self.good.contains(&(form.opcode, form.service_action)))
            .map(|form| format!("{:02x}h {:?}", form.opcode, form.role))
            .collect();
        ensure!(self.commands < LONG || left_out.is_empty(), "never GOOD: {}", left_out.join(", "));
        Ok(())
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} commands, each answered once, every answer allowed;", self.commands)?;
        for (status, count) in &self.by_status {
            write!(f, " {count} with status {status:02x}h")?;
        }
        Ok(())
    }
}

/// The life of one unit: always the same for the same seed.
fn live(shape: &Shape, seed: u64, counts: &mut Counts) -> Result<()> {
    let mut random = Random::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
    let mut unit = Unit::new(shape, &mut random)?;
    let mut standing = Standing::default();
    for _ in 0..ROUNDS {
        if random.one_in(64) {
            let conditions =
                [UnitAttention::CapacityDataHasChanged, UnitAttention::InquiryDataHasChanged];
            unit.raise(random.pick(&conditions));
            standing.attention = true;
        }
        let disturbed = match random.below(4) {
            0 | 1 => alone(shape, &mut standing, &mut unit, &mut random, counts)?,
            2 => together(shape, &mut standing, &mut unit, &mut random, counts)?,
            _ => {
                (unit.failures, standing.failing) = (4, true);
                let disturbed = together(shape, &mut standing, &mut unit, &mut random, counts)?;
                (unit.failures, standing.failing) = (0, false);
                disturbed
            }
        };
        if disturbed {
            unit = Unit::new(shape, &mut random)?;
            standing = Standing::default();
        }
    }
    Ok(())
}

/// One command with nobody beside it: what it does to every block is known. Says whether it may have
/// changed what the unit does.
fn alone(
    shape: &Shape,
    standing: &mut Standing,
    unit: &mut Unit,
    random: &mut Random,
    counts: &mut Counts,
) -> Result<bool> {
    let sent = commands::command(random, shape, unit.medium());
    let oracle = Oracle::new(unit.medium());
    let Ok(handle) = unit.submit(&sent.cdb, sent.data.clone()) else { return Ok(false) };
    let finished = unit.finish(random)?;
    let [finished] = &finished[..] else { bail!("{} answers to {handle:?}", finished.len()) };
    counts.count(&sent, finished.status);
    let check = || -> Result<()> {
        checker::check(shape, *standing, &sent, finished)?;
        oracle.check(shape, &sent, finished, unit.medium())
    };
    check().with_context(|| described(&sent, finished))?;
    standing.marked |= checker::marks(&sent);
    Ok(checker::disturbs(&sent) && finished.status == 0)
}

/// Many commands at once, some of them aborted.
fn together(
    shape: &Shape,
    standing: &mut Standing,
    unit: &mut Unit,
    random: &mut Random,
    counts: &mut Counts,
) -> Result<bool> {
    let mut sent = BTreeMap::new();
    let mut finished = Vec::new();
    for _ in 0..=random.below(DEPTH) {
        let command = commands::command(random, shape, unit.medium());
        if let Ok(handle) = unit.submit(&command.cdb, command.data.clone()) {
            sent.insert(handle, command);
        }
        if random.one_in(4) {
            unit.look()?;
        }
    }
    let disturbed = sent.values().any(checker::disturbs);
    standing.marked |= sent.values().any(checker::marks);
    let aborted: Vec<Submitted> = sent.keys().copied().filter(|_| random.one_in(16)).collect();
    if !aborted.is_empty() {
        finished.extend(unit.abort(&aborted));
    }
    finished.extend(unit.finish(random)?);
    for finished in finished {
        let Some(command) = sent.remove(&finished.handle) else {
            bail!("a second answer to {:?}", finished.handle);
        };
        counts.count(&command, finished.status);
        let aborted = aborted.contains(&finished.handle);
        let standing = Standing { aborted, disturbed, ..*standing };
        checker::check(shape, standing, &command, &finished)
            .with_context(|| described(&command, &finished))?;
    }
    ensure!(sent.is_empty(), "{} commands without an answer", sent.len());
    Ok(disturbed)
}

fn described(sent: &Sent, finished: &Finished) -> String {
    format!(
        "CDB {:02x?}, {} bytes of data, status {:02x}h, {} bytes of Data-In",
        sent.cdb(),
        sent.expected(),
        finished.status,
        finished.data_in.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_of_every_shape_passes() {
        for (seed, shape) in (0..).zip(&SHAPES) {
            live(shape, seed, &mut Counts::default()).expect(shape.name);
        }
    }
}
