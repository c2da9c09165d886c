//! Coming to a slot: read it, and put one's own image where nobody has one.
//!
//! A device that does not answer is asked again every second, for as long as it takes.

use pulsefield_units::Instant;
use pulsefield_vmfs::{Heartbeat, HeartbeatState, LEASE};

use super::image::{Author, cleared};
use super::slot::choices;
use super::{Held, RETRY};
use crate::geometry::sector_of;
use crate::operation::{Input, Operation, Step, View};
use crate::swap::{IO_TIMEOUT, Swap, Swapped};
use crate::{Outcome, Sector};

/// How often a slot is looked at before it is left to whoever changes it all the time, or replays what the host
/// had in it: with a second between, such a replay has a lease to come to its end.
const LOOKS_MAX: u64 = LEASE.as_secs() + 1;

/// A host on its way to a heartbeat.
#[derive(Debug)]
pub(crate) struct Acquire {
    author: Author,
    /// The how-manieth choice is looked at.
    choice: u64,
    looks: u64,
    stage: Stage,
}

#[derive(Debug)]
// There are few of these, and they are not moved about: a box would be an allocation for each pulse.
#[allow(clippy::large_enum_variant)]
enum Stage {
    /// The slot is read, or will be soon.
    Read,
    /// What the host had before it crashed is cleared.
    ClearOwn(Swap),
    /// The slot is taken.
    Take { swap: Swap, image: Sector, asked: Instant },
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
// There are few of these, and they are not moved about: a box would be an allocation for each pulse.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Acquired {
    /// There is a heartbeat.
    Heartbeat(Held),
    /// No slot was clear.
    NoSlot,
}

impl Acquire {
    /// Of a slot for `author`.
    pub(crate) const fn new(author: Author) -> Self {
        Self { author, choice: 0, looks: 0, stage: Stage::Read }
    }

    fn read(&mut self, view: &View<'_>) -> Step<Acquired> {
        self.stage = Stage::Read;
        match self.address(view) {
            Some(address) => Step::Do { io: view.geometry.read(address), timeout: IO_TIMEOUT },
            None => Step::Finished(Acquired::NoSlot),
        }
    }

    /// Counts a look at a slot.
    const fn may_look_again(&mut self) -> bool {
        self.looks += 1;
        self.looks < LOOKS_MAX
    }

    const fn look_later(&mut self) -> Step<Acquired> {
        self.stage = Stage::Read;
        Step::Wait(RETRY)
    }

    /// At once, but only once: a device that miscompares time after time, where a slot is clear time after time,
    /// does not become better by being asked often, and would use up all slots within a minute.
    fn look_again(&mut self, view: &View<'_>) -> Step<Acquired> {
        if !self.may_look_again() {
            self.next_choice(view)
        } else if self.looks == 1 {
            self.read(view)
        } else {
            self.look_later()
        }
    }

    fn next_choice(&mut self, view: &View<'_>) -> Step<Acquired> {
        self.choice += 1;
        self.looks = 0;
        self.read(view)
    }

    /// Where the slot is that is looked at; `None` when all were.
    fn address(&self, view: &View<'_>) -> Option<u64> {
        let heartbeats = view.geometry.heartbeats;
        choices(heartbeats, self.author.host)(self.choice).and_then(|slot| heartbeats.address(slot))
    }

    fn after_read(&mut self, view: &mut View<'_>, outcome: Outcome) -> Step<Acquired> {
        let Outcome::Good(block) = outcome else { return Step::Wait(RETRY) };
        let Some(seen) = sector_of(&block) else { return self.next_choice(view) };
        // What is damaged, or lies elsewhere than it says, is left to whoever repairs it.
        let heartbeat = Heartbeat::decode(&seen)
            .filter(|heartbeat| Some(heartbeat.address) == self.address(view));
        let Some(heartbeat) = heartbeat else { return self.next_choice(view) };
        let own = heartbeat.owner == Some(self.author.host);
        match heartbeat.state {
            HeartbeatState::Clear => self.take(view, &heartbeat, seen),
            HeartbeatState::InUse if own => self.clear_own(view, &heartbeat, seen),
            // KB 52879: wait for the replay to finish.
            HeartbeatState::Replaying if own => {
                if self.may_look_again() {
                    Step::Wait(RETRY)
                } else {
                    self.next_choice(view)
                }
            }
            HeartbeatState::InUse | HeartbeatState::Replaying => self.next_choice(view),
        }
    }

    fn take(&mut self, view: &mut View<'_>, clear: &Heartbeat, seen: Sector) -> Step<Acquired> {
        let image = self.author.acquired(clear, view.uptime).encode();
        let swap = Swap::new(clear.address, seen, image);
        self.stage = Stage::Take { swap, image, asked: view.now };
        self.next(view, Input::Begin)
    }

    fn clear_own(&mut self, view: &mut View<'_>, own: &Heartbeat, seen: Sector) -> Step<Acquired> {
        self.stage = Stage::ClearOwn(Swap::new(own.address, seen, cleared(own).encode()));
        self.next(view, Input::Begin)
    }

    fn after_take(
        &mut self,
        view: &View<'_>,
        swapped: Swapped,
        image: Sector,
        asked: Instant,
    ) -> Step<Acquired> {
        match swapped {
            Swapped::Done => {
                let held = Held { image, doubt: None, pulsed: asked };
                Step::Finished(Acquired::Heartbeat(held))
            }
            // Somebody took it first, as a look will show; or what was aborted was done all the same.
            Swapped::Differs => self.look_again(view),
            Swapped::Failed => self.look_later(),
        }
    }
}

impl Operation for Acquire {
    type End = Acquired;

    fn next(&mut self, view: &mut View<'_>, input: Input) -> Step<Acquired> {
        match &mut self.stage {
            Stage::Read => match input {
                Input::Begin | Input::Time => self.read(view),
                Input::Done(outcome) => self.after_read(view, outcome),
                Input::HeartbeatLost => unreachable!("there is none yet"),
            },
            Stage::ClearOwn(swap) => {
                let step = swap.next(view, input);
                step.or_then(|swapped| match swapped {
                    Swapped::Done | Swapped::Differs => self.look_again(view),
                    Swapped::Failed => self.look_later(),
                })
            }
            Stage::Take { swap, image, asked } => {
                let step = swap.next(view, input);
                let (image, asked) = (*image, *asked);
                step.or_then(|swapped| self.after_take(view, swapped, image, asked))
            }
        }
    }
}
