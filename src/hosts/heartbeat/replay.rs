//! Clearing the heartbeat of a host that is taken for dead: its slot is watched for a lease, its journal
//! replayed, and the slot cleared.
//!
//! There is no journal here to replay. The order of the steps is inferred from KB 52879 and the fields there are.

use std::time::Duration;

use pulsefield_units::Instant;
use pulsefield_vmfs::{Heartbeat, HeartbeatState, LEASE};

use super::{RETRY, image};
use crate::geometry::sector_of;
use crate::operation::{Input, Operation, Step, View};
use crate::swap::{IO_TIMEOUT, Swap, Swapped};
use crate::{Notice, Outcome, Sector};

/// How many I/Os in a row may fail before the slot is left to others: longer than a lease, with the time between.
const FAILURES_MAX: u32 = 20;

/// A heartbeat being watched, and then cleared.
#[derive(Debug)]
pub(crate) struct Replay {
    address: u64,
    failures: u32,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The slot is read now and then: what it held when it was read first, and since when it has.
    Watch(Option<(Sector, Instant)>),
    /// It is marked as being replayed.
    Mark { swap: Swap, marked: Heartbeat, silent: Duration },
    /// The mark is cleared.
    Clear { swap: Swap, marked: Heartbeat, silent: Duration },
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replayed {
    /// The host was dead, and its heartbeat is clear.
    Cleared,
    /// The slot is another now than it was in the beginning: cleared by somebody else, or used anew.
    Changed,
    /// The host lives: its stamp moved.
    Alive,
    /// The device refused or broke.
    Failed,
}

impl Replay {
    /// Of the slot at `address`, in bytes from the start of the volume.
    pub(crate) const fn new(address: u64) -> Self {
        Self { address, failures: 0, stage: Stage::Watch(None) }
    }

    fn read(&self, view: &View<'_>) -> Step<Replayed> {
        Step::Do { io: view.geometry.read(self.address), timeout: IO_TIMEOUT }
    }

    fn after_read(&mut self, view: &mut View<'_>, outcome: Outcome) -> Step<Replayed> {
        let block = if let Outcome::Good(block) = outcome { block } else { Vec::new() };
        let Some(seen) = sector_of(&block) else {
            self.failures += 1;
            let give_up = self.failures >= FAILURES_MAX;
            return if give_up { Step::Finished(Replayed::Failed) } else { Step::Wait(RETRY) };
        };
        self.failures = 0;
        let heartbeat = Heartbeat::decode(&seen).filter(|now| now.state != HeartbeatState::Clear);
        let Some(heartbeat) = heartbeat else { return Step::Finished(Replayed::Changed) };
        let Stage::Watch(watched) = &mut self.stage else {
            unreachable!("it is read while it is watched");
        };
        // The first image was there when its READ had ended at the latest, and the owner's lease runs from
        // before it was written.
        let (first, since) = *watched.get_or_insert((seen, view.now));
        let silent = view.now.since(since);
        if seen != first {
            Step::Finished(what_moved(&first, &heartbeat))
        } else if silent < LEASE {
            Step::Wait(RETRY)
        } else {
            self.mark(view, seen, &heartbeat, silent)
        }
    }

    fn mark(
        &mut self,
        view: &mut View<'_>,
        seen: Sector,
        dead: &Heartbeat,
        silent: Duration,
    ) -> Step<Replayed> {
        let marked = image::replaying(dead, view.own);
        let swap = Swap::new(self.address, seen, marked.encode());
        self.stage = Stage::Mark { swap, marked, silent };
        self.next(view, Input::Begin)
    }

    fn clear(
        &mut self,
        view: &mut View<'_>,
        marked: Heartbeat,
        silent: Duration,
    ) -> Step<Replayed> {
        let cleared = image::cleared(&marked).encode();
        let swap = Swap::new(self.address, marked.encode(), cleared);
        self.stage = Stage::Clear { swap, marked, silent };
        self.next(view, Input::Begin)
    }
}

/// What it means that `first` has become `now`.
fn what_moved(first: &Sector, now: &Heartbeat) -> Replayed {
    let same_life = Heartbeat::decode(first).is_some_and(|first| {
        (first.generation, first.owner, first.state) == (now.generation, now.owner, now.state)
    });
    if same_life { Replayed::Alive } else { Replayed::Changed }
}

impl Operation for Replay {
    type End = Replayed;

    fn next(&mut self, view: &mut View<'_>, input: Input) -> Step<Replayed> {
        if input == Input::HeartbeatLost {
            return Step::Finished(Replayed::Failed);
        }
        let (swap, marked, silent) = match &mut self.stage {
            Stage::Watch(_) => {
                return match input {
                    Input::Done(outcome) => self.after_read(view, outcome),
                    Input::Begin | Input::Time | Input::HeartbeatLost => self.read(view),
                };
            }
            Stage::Mark { swap, marked, silent } | Stage::Clear { swap, marked, silent } => {
                (swap, marked.clone(), *silent)
            }
        };
        swap.next(view, input).or_then(|swapped| match swapped {
            Swapped::Done if matches!(self.stage, Stage::Mark { .. }) => {
                self.clear(view, marked, silent)
            }
            Swapped::Done => {
                let volume = view.volume;
                let slot = marked.slot();
                let owner = marked.owner;
                let notice = Notice::Replayed { volume, slot, owner, silent };
                view.ledger.notice(view.now, notice);
                Step::Finished(Replayed::Cleared)
            }
            // It moved after all, or another host was quicker.
            Swapped::Differs => Step::Finished(Replayed::Changed),
            Swapped::Failed => Step::Finished(Replayed::Failed),
        })
    }
}
