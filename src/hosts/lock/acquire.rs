//! Taking one lock, however long it takes: operations 1 and 8 of VMFS's list, and sharing a lock.

use pulsefield_units::Instant;
use pulsefield_vmfs::DiskLock;

use super::change::{Change, Changed};
use super::contention::{Contention, Met};
use super::image::Aim;
use crate::LockOutcome;
use crate::operation::{Input, Operation, Step, View};

/// The lock as it was taken, or why it was not.
type Acquired = Result<DiskLock, LockOutcome>;

/// A lock that is being taken.
#[derive(Debug)]
pub(super) struct Acquire {
    address: u64,
    aim: Aim,
    change: Change,
    contention: Contention,
    contending: bool,
}

impl Acquire {
    /// Of the lock at `address`, in bytes from the start of the volume, beginning `now`.
    pub(super) fn new(address: u64, aim: Aim, now: Instant) -> Self {
        Self {
            address,
            aim,
            change: Change::new(address, aim, Vec::new()),
            contention: Contention::new(now),
            contending: false,
        }
    }

    fn changed(&mut self, view: &mut View<'_>, step: Step<Changed>) -> Step<Acquired> {
        step.or_then(|end| match end {
            Ok(lock) => Step::Finished(Ok(lock)),
            Err(obstacle) => {
                self.contending = true;
                let step = self.contention.meet(view, obstacle);
                self.contended(view, step)
            }
        })
    }

    fn contended(&mut self, view: &mut View<'_>, step: Step<Met>) -> Step<Acquired> {
        step.or_then(|end| match end {
            Err(outcome) => Step::Finished(Err(outcome)),
            Ok(()) => {
                self.contending = false;
                self.change = Change::new(self.address, self.aim, self.contention.dead().to_vec());
                let step = self.change.next(view, Input::Begin);
                self.changed(view, step)
            }
        })
    }
}

impl Operation for Acquire {
    type End = Acquired;

    fn next(&mut self, view: &mut View<'_>, input: Input) -> Step<Acquired> {
        if self.contending {
            let step = self.contention.next(view, input);
            self.contended(view, step)
        } else {
            let step = self.change.next(view, input);
            self.changed(view, step)
        }
    }
}
