//! A run: one seed, from a formatted volume to the verdict.

use std::hash::Hasher as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use pulsefield_embedded::{EmbeddedConductor, EmbeddedUnit, Options, Target};
use pulsefield_engine::LuConfig;
use pulsefield_units::{Instant, Random};

use crate::disk;
use crate::fabric::Fabric;
use crate::judge::Judge;
use crate::mortal::Mortal;
use crate::swarm::{Kills, Swarm};
use crate::trace::Trace;
use crate::world::World;

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// What happened.
    pub(crate) trace: Trace,
    /// How long it lasted, in virtual time.
    pub(crate) lasted: Duration,
    /// Commands that hosts sent.
    pub(crate) commands: u64,
    /// Commands that the fault did something to.
    pub(crate) effects: u64,
    /// How often the daemon was killed.
    pub(crate) kills: u64,
}

/// Runs `seed` twice for so long.
///
/// # Errors
/// What is wrong: with the run, or with its second time, which must be as the first.
pub(crate) fn twice(seed: u64, lasting: Duration) -> Result<Ended> {
    let first = once(seed, lasting)?;
    let second = once(seed, lasting).context("only the second time")?;
    ensure!(
        first == second,
        "it is not the same twice: {} things that hash to {:016x}, then {} and {:016x}",
        first.trace.length,
        first.trace.finish(),
        second.trace.length,
        second.trace.finish(),
    );
    Ok(first)
}

fn once(seed: u64, lasting: Duration) -> Result<Ended> {
    // Whatever is left half done belongs to this run.
    match catch_unwind(AssertUnwindSafe(|| live(Swarm::of(seed), lasting))) {
        Ok(result) => result,
        // The message was printed when it happened.
        Err(_) => bail!("a panic"),
    }
}

/// The ring and the data area: as large as what a cluster has in flight needs, since each is mapped anew.
fn options() -> Options {
    Options { ring_bytes: (256 << 10) - 128, data_blocks: 4096, ..Options::default() }
}

fn live(swarm: Swarm, lasting: Duration) -> Result<Ended> {
    let mut random = swarm.random.clone();
    let medium = Mortal::new(disk::formatted(&swarm, options())?);
    let start = Instant::default();
    let mut world = World {
        now: start,
        end: start.after(lasting),
        target: Target::new(options()).context("map a ring")?,
        fabric: Fabric::new(swarm.weather, swarm.block_length, Random::new(random.any())),
        cluster: disk::cluster(&swarm, random.any(), start)?,
        judge: Judge::new(),
        trace: Trace::default(),
        commands: 0,
    };
    let (mut effects_total, mut kills) = (0, 0);
    loop {
        let mut unit = EmbeddedUnit::new(medium.clone(), LuConfig::default())?;
        let mut daemon = unit.serve(world.target.take_over(world.now)?);
        if let Some(fault) = swarm.fault {
            daemon.arm(fault.plan(random.any()));
        }
        let dies = swarm.kills.map(|kills| world.now.after(draw(&mut random, kills.after)));
        // Hosts that give back what they have are to find somebody who takes it.
        let dies = dies.filter(|dies| *dies < world.end);
        let mut over = world.go_on(Some(&mut daemon), dies)?;
        if let Some(Kills { dying, down, .. }) = swarm.kills.filter(|_| !over) {
            medium.die();
            let killed = world.now.after(draw(&mut random, dying));
            world.go_on(Some(&mut daemon), Some(killed))?;
            effects_total += effects(&daemon);
            drop(daemon);
            medium.bury();
            kills += 1;
            over = world.go_on(None, Some(world.now.after(draw(&mut random, down))))?;
        } else {
            effects_total += effects(&daemon);
        }
        if over {
            break;
        }
    }
    let World { now, judge, trace, commands, .. } = world;
    let objections = judge.judge(now, &swarm, effects_total);
    if !objections.is_empty() {
        bail!("{}", objections.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
    }
    Ok(Ended { trace, lasted: now.since(start), commands, effects: effects_total, kills })
}

fn draw(random: &mut Random, (shortest, longest): (Duration, Duration)) -> Duration {
    random.between(shortest, longest)
}

/// How many commands the run's fault did something to, under this daemon.
fn effects(daemon: &EmbeddedConductor<'_>) -> u64 {
    let plans = daemon.faults(u64::MAX).plans;
    plans.iter().flat_map(|plan| &plan.rules).map(|rule| rule.effects).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_what_they_were_the_first_time() {
        for seed in 1..=6 {
            let ended = twice(seed, Duration::from_secs(60)).unwrap();
            assert!(ended.lasted >= Duration::from_secs(60) && ended.commands > 0, "{ended:?}");
        }
    }
}
