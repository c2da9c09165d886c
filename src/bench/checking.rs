//! The checkers of a soak alone: what they take of an operation, and the memory they keep of a block.
//!
//! Sixteen hosts, each with one command in flight, so that the panel always hears of a beginning while fifteen
//! others are open. The history holds: what is measured is what a run costs in which nothing goes wrong.

use std::sync::Arc;
use std::time::Instant as Clock;

use anyhow::{Context as _, Result, ensure};
use pulsefield_checkers::{
    Begun, Ending, Event, HostId, Operation, OperationId, OperationKind, Panel, UnitId,
};
use pulsefield_units::{BlockCount, Instant, Lba, LbaRange};

use crate::figure::{Figure, Report};
use crate::stopwatch::fastest_tenth;

/// What the name of each figure starts with.
pub(crate) const NAME: &str = "checkers";

/// Operations of a round, and rounds.
pub(crate) const OPERATIONS: u32 = 20_000;
const ROUNDS: usize = 25;

const HOSTS: u64 = 16;

/// Operations a second that the panel must manage, if each is on one block.
const TARGET: f64 = 1e6;

/// Bytes a block that the checkers may keep, all together.
const BYTES_MAX: f64 = 512.0;

/// Blocks whose memory is measured.
const BLOCKS: u64 = 500_000;

/// What hosts do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// COMPARE AND WRITE of one of a few thousand locks, which matches.
    Swaps,
    /// WRITE of 4 KiB of blocks of 512 bytes.
    Writes,
}

impl Work {
    /// All work that is measured.
    pub(crate) const ALL: [Self; 2] = [Self::Swaps, Self::Writes];

    /// What it is called.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Swaps => "checkers.caw",
            Self::Writes => "checkers.write",
        }
    }

    /// The work of this name.
    pub(crate) fn called(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|work| work.name() == name)
    }

    const fn blocks(self) -> u64 {
        match self {
            Self::Swaps => 1,
            Self::Writes => 8,
        }
    }

    /// How many places are worked on in turns.
    const fn places(self) -> u64 {
        match self {
            Self::Swaps => 4096,
            Self::Writes => 16_384,
        }
    }
}

/// Measures time and memory.
///
/// # Errors
/// If the checkers see a breach where there is none, or the process does not know its memory.
pub(crate) fn measure(report: &mut Report) -> Result<()> {
    for work in Work::ALL {
        let mut history = History::new(work);
        let mut panel = Panel::default();
        let mut rounds = [0.0; ROUNDS];
        for round in &mut rounds {
            let events = history.next(OPERATIONS.into());
            let started = Clock::now();
            counted_round(&mut panel, &events);
            *round = started.elapsed().as_secs_f64() * 1e9 / f64::from(OPERATIONS);
        }
        ensure_held(&panel)?;
        let nanos = fastest_tenth(&mut rounds);
        report.add(Figure::new(format!("{}.time", work.name()), nanos, "ns/operation"));
        let speed = Figure::new(format!("{}.speed", work.name()), 1e9 / nanos, "operations/s");
        report.add(speed.at_least(TARGET / work.blocks() as f64));
    }
    let before = resident()?;
    let panel = filled()?;
    let kept = resident()?.saturating_sub(before);
    ensure_held(&panel)?;
    let bytes = Figure::new(format!("{NAME}.memory"), kept as f64 / BLOCKS as f64, "bytes/block");
    report.add(bytes.at_most(BYTES_MAX));
    Ok(())
}

/// Has a panel hear one round of this work.
///
/// # Errors
/// If it sees a breach where there is none.
pub(crate) fn run(work: Work) -> Result<()> {
    let mut history = History::new(work);
    let mut panel = Panel::default();
    // The first image of each place has another price.
    history.next(work.places()).iter().for_each(|event| panel.observe(event));
    counted_round(&mut panel, &history.next(OPERATIONS.into()));
    ensure_held(&panel)
}

/// What callgrind counts: what the panel hears.
#[inline(never)]
fn counted_round(panel: &mut Panel, events: &[Event]) {
    events.iter().for_each(|event| panel.observe(event));
}

fn ensure_held(panel: &Panel) -> Result<()> {
    let broken: Vec<_> = panel.breaches().filter(|(_, breaches)| *breaches > 0).collect();
    ensure!(broken.is_empty(), "the checkers are wrong: {broken:?}");
    Ok(())
}

/// A panel that has heard of many blocks, each written once.
fn filled() -> Result<Panel> {
    let mut history = History::new(Work::Writes);
    history.places = BLOCKS / Work::Writes.blocks();
    let mut panel = Panel::default();
    for _ in 0..history.places.div_ceil(OPERATIONS.into()) {
        history.next(OPERATIONS.into()).iter().for_each(|event| panel.observe(event));
    }
    ensure_held(&panel)?;
    Ok(panel)
}

/// The memory of this process, in bytes.
fn resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().context("VmRSS")?;
    Ok(kib * 1024)
}

/// An endless history that holds: sixteen hosts, each of which ends its command before it begins the next.
struct History {
    work: Work,
    places: u64,
    /// How many operations have begun.
    begun: u64,
    open: Vec<Operation>,
}

impl History {
    fn new(work: Work) -> Self {
        Self { work, places: work.places(), begun: 0, open: Vec::new() }
    }

    /// The beginnings of so many operations, and the ends of as many.
    fn next(&mut self, operations: u64) -> Vec<Event> {
        let mut events = Vec::new();
        for _ in 0..operations {
            let nth = self.begun;
            self.begun += 1;
            let turn = usize::try_from(nth % HOSTS).expect("sixteen");
            if let Some(last) = self.open.get(turn) {
                let returned = Some(moment(2 * nth));
                events.push(Event::Operation(Operation { returned, ..last.clone() }));
            }
            let operation = self.operation(nth);
            let Operation { id, host, unit, blocks, invoked, .. } = operation;
            events.push(Event::Begun(Begun { id, host, unit, at: invoked, blocks }));
            match self.open.get_mut(turn) {
                Some(open) => *open = operation,
                None => self.open.push(operation),
            }
        }
        events
    }

    fn operation(&self, nth: u64) -> Operation {
        let place = nth % self.places;
        let lba = Lba::new(place * self.work.blocks());
        let turn = nth / self.places;
        let kind = match self.work {
            Work::Swaps => OperationKind::CompareAndWrite {
                test: image(place, turn, 1),
                set: image(place, turn + 1, 1),
            },
            Work::Writes => OperationKind::Write { data: image(place, turn, 8) },
        };
        let blocks = BlockCount::new(self.work.blocks());
        Operation {
            id: OperationId(nth),
            host: HostId(u32::try_from(nth % HOSTS).expect("sixteen")),
            unit: UnitId(0),
            blocks: LbaRange::new(lba, blocks).expect("a few blocks"),
            invoked: moment(2 * nth + 1),
            returned: None,
            kind,
            ending: Ending::Done,
        }
    }
}

/// What a place holds after so many turns: blocks of 512 bytes.
fn image(place: u64, turn: u64, blocks: usize) -> Arc<[u8]> {
    let mut data = vec![0x5a; blocks * 512];
    for (nth, block) in (0_u64..).zip(data.chunks_exact_mut(512)) {
        block[..8].copy_from_slice(&(place + 1).to_le_bytes());
        block[8..16].copy_from_slice(&turn.to_le_bytes());
        block[16..24].copy_from_slice(&nth.to_le_bytes());
    }
    Arc::from(data)
}

/// Operations come so densely that it hardly matters.
const fn moment(micros: u64) -> Instant {
    Instant::from_nanos(micros * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_history_holds_and_every_operation_ends() {
        for work in Work::ALL {
            assert_eq!(Work::called(work.name()), Some(work));
            let mut history = History::new(work);
            let mut panel = Panel::default();
            let events = history.next(work.places() * 2 + HOSTS);
            events.iter().for_each(|event| panel.observe(event));
            ensure_held(&panel).unwrap();
            assert_eq!(history.open.len() as u64, HOSTS);
        }
    }
}
