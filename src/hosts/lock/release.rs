//! Letting go of locks: of those of one's own alone, and of those that are shared (operation 3 of VMFS's
//! list, and its counterpart for exclusive locks).
//!
//! What a host has alone it puts back from memory, without a look: nobody may have touched it. What it
//! shares the others change, too, so that is read and contended for. On VMFS 3 under ESX 4.1 it is done under
//! a reservation, since ATS is only for taking locks there (Hogan, VMFS Locking Uncovered).
//!
//! Once begun it does not cease to try before the locks are free, short of [`TRIES_MAX`]: a lock that nobody
//! believes to have, but that names a living host, is nobody's to take.

use std::time::Duration;

use pulsefield_vmfs::{DiskLock, LockMode};

use super::{claim_of, image, lock_in, request, sector_read};
use crate::operation::{Input, Operation, Step, View};
use crate::swap::{Swap, Swapped};
use crate::{Locking, Outcome, Sector};

/// How long to wait before a lock is read again that another host changed meanwhile; half of it at least.
const CONTENDED: Duration = Duration::from_millis(20);

/// How long to leave a device alone that does not answer as it should.
const BROKEN: Duration = Duration::from_secs(1);

/// How often a lock is tried to be left. A swap that fails has tried for a while itself.
const TRIES_MAX: u32 = 30;

/// Locks to let go of.
#[derive(Debug)]
pub(super) struct Release {
    /// As they were taken; the last one is at hand.
    locks: Vec<DiskLock>,
    stage: Stage,
    tries: u32,
    /// Whether an I/O by which the lock at hand may have been left was not answered.
    doubtful: bool,
    worst: Released,
}

#[derive(Debug)]
// It is made where it stays: a box would be one more allocation for every lock.
#[allow(clippy::large_enum_variant)]
enum Stage {
    Swapping(Swap),
    Reading,
    Pausing,
}

/// What became of them; if not of all the same, the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Released {
    /// The host let go of them.
    Done,
    /// It had not got one of them any more, although its heartbeat was valid.
    Gone,
    /// The device did not do what it was asked to for as long as was tried: one may still name the host.
    Failed,
}

impl Release {
    /// Of these, which the host took.
    pub(super) const fn new(locks: Vec<DiskLock>) -> Self {
        Self { locks, stage: Stage::Reading, tries: 0, doubtful: false, worst: Released::Done }
    }

    /// Begins with the lock at hand.
    fn begin(&mut self, view: &mut View<'_>) -> Step<Released> {
        (self.tries, self.doubtful) = (0, false);
        match self.locks.last() {
            None => Step::Finished(self.worst),
            Some(lock) if lock.mode == LockMode::Exclusive => {
                let sector = lock.encode();
                self.leave(view, &sector)
            }
            Some(lock) => {
                self.stage = Stage::Reading;
                request(view.geometry.read(lock.address))
            }
        }
    }

    /// Is done with the lock at hand.
    fn settle(&mut self, view: &mut View<'_>, how: Released) -> Step<Released> {
        self.worst = self.worst.max(how);
        self.locks.pop();
        self.begin(view)
    }

    fn leave(&mut self, view: &mut View<'_>, sector: &Sector) -> Step<Released> {
        let address = self.address();
        let Some(lock) = lock_in(sector, address) else {
            return self.pause(view, BROKEN);
        };
        match image::leave(&lock, view.own) {
            Some(left) => {
                self.stage = Stage::Swapping(Swap::new(address, *sector, left.encode()));
                self.swap(view, Input::Begin)
            }
            None if self.doubtful => self.settle(view, Released::Done),
            None => self.settle(view, Released::Gone),
        }
    }

    fn swap(&mut self, view: &mut View<'_>, input: Input) -> Step<Released> {
        let Stage::Swapping(swap) = &mut self.stage else {
            unreachable!("what a swap asked for is answered while it lasts");
        };
        self.doubtful |= matches!(
            input,
            Input::Done(Outcome::TimedOut | Outcome::Lost | Outcome::Failed { .. })
        );
        swap.next(view, input).or_then(|end| match end {
            Swapped::Done => self.settle(view, Released::Done),
            Swapped::Differs => self.pause(view, CONTENDED),
            Swapped::Failed => self.pause(view, BROKEN),
        })
    }

    fn pause(&mut self, view: &mut View<'_>, duration: Duration) -> Step<Released> {
        self.tries += 1;
        if self.tries >= TRIES_MAX {
            return self.settle(view, Released::Failed);
        }
        self.stage = Stage::Pausing;
        Step::Wait(view.ledger.back_off(duration))
    }

    /// Where the lock at hand is.
    fn address(&self) -> u64 {
        self.locks.last().expect("one is at hand until the end").address
    }
}

impl Operation for Release {
    type End = Released;

    fn next(&mut self, view: &mut View<'_>, input: Input) -> Step<Released> {
        let view = &mut view_for_leaving(view);
        match (&self.stage, input) {
            (_, Input::Begin) => {
                for lock in &self.locks {
                    view.ledger.leave(view.now, &claim_of(view.volume, lock));
                }
                self.begin(view)
            }
            (Stage::Swapping(_), input) => self.swap(view, input),
            (Stage::Reading, Input::Done(outcome)) => match sector_read(&outcome) {
                Some(sector) => self.leave(view, &sector),
                None => self.pause(view, BROKEN),
            },
            (Stage::Reading | Stage::Pausing, _) => {
                self.stage = Stage::Reading;
                request(view.geometry.read(self.address()))
            }
        }
    }
}

/// The same view, but of a volume whose locks are left as its hosts' release does it.
fn view_for_leaving<'a>(view: &'a mut View<'_>) -> View<'a> {
    View {
        now: view.now,
        uptime: view.uptime,
        volume: view.volume,
        geometry: view.geometry,
        locking: match view.locking {
            Locking::AtsUncontended => Locking::Reservations,
            other @ (Locking::AtsOnly | Locking::AtsAndScsi | Locking::Reservations) => other,
        },
        own: view.own,
        ledger: view.ledger,
    }
}
