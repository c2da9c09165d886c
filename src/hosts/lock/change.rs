//! Taking one lock, once: read it, see whether it can be had, and put there the image with oneself in it.
//!
//! Nothing is tried again here but what nobody knows the end of. What is in the way is for the caller to
//! deal with.

use pulsefield_vmfs::{DiskLock, LockHolder};

use super::image::{self, Aim, InTheWay};
use super::{claim_of, lock_in, request, sector_read};
use crate::Sector;
use crate::operation::{Input, Operation, Step, View};
use crate::swap::{Swap, Swapped};

/// The lock as it was taken, if it was: the host's ledger has it by then.
pub(super) type Changed = Result<DiskLock, Obstacle>;

/// A lock, and what it is to be taken for.
#[derive(Debug)]
pub(super) struct Change {
    address: u64,
    aim: Aim,
    dead: Vec<LockHolder>,
    seen: Option<Sector>,
    grasp: Option<Grasp>,
}

/// The lock as it was, and as it is being made.
#[derive(Debug)]
struct Grasp {
    found: DiskLock,
    taken: DiskLock,
    swap: Swap,
}

/// Why a lock was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// Others have it.
    InTheWay(InTheWay),
    /// Between look and grasp somebody changed it.
    Changed,
    /// The device did not do what it was asked to, or there is no lock at that address.
    Failed,
}

impl Change {
    /// Of the lock at `address`, in bytes from the start of the volume. Of owners that are `dead` it may
    /// be taken away.
    pub(super) const fn new(address: u64, aim: Aim, dead: Vec<LockHolder>) -> Self {
        Self { address, aim, dead, seen: None, grasp: None }
    }

    /// The same, provided that the lock still is as it was `seen`: it is not read again.
    #[must_use]
    pub(super) fn of_image(self, seen: Sector) -> Self {
        Self { seen: Some(seen), ..self }
    }

    fn grasp(&mut self, view: &mut View<'_>, sector: &Sector) -> Step<Changed> {
        let Some(found) = lock_in(sector, self.address) else {
            return Step::Finished(Err(Obstacle::Failed));
        };
        let modification_time = view.ledger.next_modification_time();
        match image::take(&found, self.aim, view.own, modification_time, &self.dead) {
            Err(in_the_way) => Step::Finished(Err(Obstacle::InTheWay(in_the_way))),
            Ok(taken) => {
                let swap = Swap::new(self.address, *sector, taken.encode());
                let grasp = self.grasp.insert(Grasp { found, taken, swap });
                grasp.next(view, Input::Begin, &self.dead)
            }
        }
    }
}

impl Operation for Change {
    type End = Changed;

    fn next(&mut self, view: &mut View<'_>, input: Input) -> Step<Changed> {
        if let Some(grasp) = &mut self.grasp {
            return grasp.next(view, input, &self.dead);
        }
        match (self.seen, input) {
            (Some(seen), _) => self.grasp(view, &seen),
            (None, Input::Done(outcome)) => match sector_read(&outcome) {
                Some(sector) => self.grasp(view, &sector),
                None => Step::Finished(Err(Obstacle::Failed)),
            },
            (None, _) => request(view.geometry.read(self.address)),
        }
    }
}

impl Grasp {
    fn next(&mut self, view: &mut View<'_>, input: Input, dead: &[LockHolder]) -> Step<Changed> {
        self.swap.next(view, input).or_then(|end| {
            Step::Finished(match end {
                Swapped::Done => {
                    settle(view, &self.found, &self.taken, dead);
                    Ok(self.taken.clone())
                }
                Swapped::Differs => Err(Obstacle::Changed),
                Swapped::Failed => Err(Obstacle::Failed),
            })
        })
    }
}

/// A lock is the host's: tells so, and from whom it was taken.
pub(super) fn settle(view: &mut View<'_>, found: &DiskLock, taken: &DiskLock, dead: &[LockHolder]) {
    for owner in found.claims().filter(|claim| dead.contains(claim)) {
        view.ledger.broke(view.now, view.volume, taken.address, Some(owner.host));
    }
    view.ledger.take(view.now, claim_of(view.volume, taken));
}
