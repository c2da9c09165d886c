//! Putting one image of a sector in the place of another, whatever the device does meanwhile: what every
//! change of a heartbeat comes down to.
//!
//! By COMPARE AND WRITE, or in the way of VMFS 3: RESERVE, READ, compare, WRITE, RELEASE. When nobody knows
//! whether a command was done, the sector is read: it has the one image or the other, or somebody else came.

use std::time::Duration;

use crate::geometry::sector_of;
use crate::operation::{Input, Operation, Step, View};
use crate::{Io, Locking, Outcome, Sector};

/// How long an I/O for metadata may take (KB 2136081).
pub(crate) const IO_TIMEOUT: Duration = Duration::from_secs(8);

/// How long to leave a device alone that refused a command or broke under it: what ESXi's own layers do
/// about BUSY and conflicts is not known in numbers, and this is short beside a pulse.
pub(crate) const RETRY_AFTER: Duration = Duration::from_millis(200);

/// How often that is done before the device is given up. With what commands may take, longer than a lease.
pub(crate) const TRIES_MAX: u32 = 40;

/// One sector, and what is to become of it.
#[derive(Clone, Debug)]
pub(crate) struct Swap {
    address: u64,
    test: Sector,
    set: Sector,
    tries: u32,
    /// Whether ATS is out of the question: not wanted, refused, or somebody came in between.
    reserving: bool,
    /// Whether there may be a reservation to be given back.
    reserved: bool,
    stage: Stage,
}

/// What was asked for last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Swap,
    ReadBack,
    Reserve,
    Read,
    Write,
    Release(Swapped),
    /// The device is left alone for a while; with the end, if there is nothing left but to release it.
    Pause(Option<Swapped>),
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Swapped {
    /// The new image is there.
    Done,
    /// Something else than the old image was there, and still is.
    Differs,
    /// The device refused or broke for as long as was tried.
    Failed,
}

impl Swap {
    /// Of the sector at `address`, in bytes from the start of the volume.
    pub(crate) const fn new(address: u64, test: Sector, set: Sector) -> Self {
        Self { address, test, set, tries: 0, reserving: false, reserved: false, stage: Stage::Swap }
    }

    fn begin(&mut self, view: &View<'_>) -> Step<Swapped> {
        if view.locking.tries_ats() { self.swap(view) } else { self.reserve() }
    }

    fn swap(&mut self, view: &View<'_>) -> Step<Swapped> {
        self.stage = Stage::Swap;
        request(view.geometry.compare_and_write(self.address, &self.test, &self.set))
    }

    fn reserve(&mut self) -> Step<Swapped> {
        self.reserving = true;
        self.stage = Stage::Reserve;
        request(Io::Reserve)
    }

    fn read(&mut self, view: &View<'_>, stage: Stage) -> Step<Swapped> {
        self.stage = stage;
        request(view.geometry.read(self.address))
    }

    fn pause(&mut self) -> Step<Swapped> {
        self.tries += 1;
        if self.tries >= TRIES_MAX {
            return self.end(Swapped::Failed);
        }
        self.stage = Stage::Pause(None);
        Step::Wait(RETRY_AFTER)
    }

    /// A reservation that stays keeps everybody else out: letting go is tried, too, but not for ever.
    fn after_release(&mut self, end: Swapped, outcome: &Outcome) -> Step<Swapped> {
        self.tries += 1;
        if matches!(outcome, Outcome::Good(_)) || self.tries >= 2 * TRIES_MAX {
            return Step::Finished(end);
        }
        self.stage = Stage::Pause(Some(end));
        Step::Wait(RETRY_AFTER)
    }

    /// Nobody knows what has happened meanwhile: a reservation is asked for anew, the sector read.
    fn after_pause(&mut self, view: &View<'_>) -> Step<Swapped> {
        if let Stage::Pause(Some(end)) = self.stage {
            self.end(end)
        } else if self.reserving {
            self.reserve()
        } else {
            self.read(view, Stage::ReadBack)
        }
    }

    /// The end, but for the reservation.
    fn end(&mut self, end: Swapped) -> Step<Swapped> {
        if !self.reserved {
            return Step::Finished(end);
        }
        self.stage = Stage::Release(end);
        request(Io::Release)
    }

    fn after_swap(&mut self, view: &View<'_>, outcome: Outcome) -> Step<Swapped> {
        match outcome {
            Outcome::Good(_) => Step::Finished(Swapped::Done),
            Outcome::Miscompare(_) if view.locking == Locking::AtsUncontended => self.reserve(),
            Outcome::Miscompare(_) => Step::Finished(Swapped::Differs),
            Outcome::TimedOut | Outcome::Lost => self.read(view, Stage::ReadBack),
            refused if refused.is_unsupported() && view.locking.may_reserve() => self.reserve(),
            Outcome::ReservationConflict | Outcome::Busy | Outcome::Failed { .. } => self.pause(),
        }
    }

    fn after_read(&mut self, view: &View<'_>, outcome: Outcome) -> Step<Swapped> {
        let Outcome::Good(block) = outcome else { return self.pause() };
        match sector_of(&block) {
            Some(seen) if seen == self.set => self.end(Swapped::Done),
            Some(seen) if seen != self.test => self.end(Swapped::Differs),
            Some(_) if self.stage == Stage::ReadBack => self.swap(view),
            Some(_) => {
                self.stage = Stage::Write;
                request(view.geometry.write(self.address, &self.set))
            }
            None => self.pause(),
        }
    }
}

fn request(io: Io) -> Step<Swapped> {
    Step::Do { io, timeout: IO_TIMEOUT }
}

impl Operation for Swap {
    type End = Swapped;

    fn next(&mut self, view: &mut View<'_>, input: Input) -> Step<Swapped> {
        let outcome = match input {
            Input::Begin => return self.begin(view),
            Input::HeartbeatLost => return Step::Finished(Swapped::Failed),
            Input::Time => return self.after_pause(view),
            Input::Done(outcome) => outcome,
        };
        match self.stage {
            Stage::Swap => self.after_swap(view, outcome),
            Stage::ReadBack | Stage::Read => self.after_read(view, outcome),
            Stage::Reserve => {
                let good = matches!(outcome, Outcome::Good(_));
                self.reserved |= good || matches!(outcome, Outcome::TimedOut | Outcome::Lost);
                if good { self.read(view, Stage::Read) } else { self.pause() }
            }
            Stage::Write if matches!(outcome, Outcome::Good(_)) => self.end(Swapped::Done),
            Stage::Write => self.pause(),
            Stage::Release(end) => self.after_release(end, &outcome),
            Stage::Pause(_) => unreachable!("a pause ends with time"),
        }
    }
}
