//! A transaction on metadata: several locks, taken optimistically and made one's own at the end, all or none
//! (operation 2 of VMFS's list; Hogan; US8700585).
//!
//! At first each lock is only noted: its image is read, and it must be one that can be had. When the
//! transaction commits, each is taken, provided that it still has the noted image: by ATS one after the other in
//! the order of addresses, without ATS all under one reservation. If one has not, another host won it:
//! those that were taken are let go of again, what was built in memory is dropped, and the transaction begins
//! anew, until it has been stolen from too often.

use std::mem;

use pulsefield_units::Instant;
use pulsefield_vmfs::DiskLock;

use super::change::{Change, Changed, Obstacle, settle};
use super::contention::{Contention, Met};
use super::image::{self, Aim};
use super::release::{Release, Released};
use super::section::{Section, Target};
use super::{lock_in, request, sector_read};
use crate::operation::{Input, Operation, Step, View};
use crate::swap::Swapped;
use crate::{LockOutcome, Sector};

/// How often a transaction begins before it is given up as stolen: the retries that vmkernel.log shows
/// ("Max retries (10) exceeded").
const ROUNDS_MAX: u32 = 10;

/// The locks as they were taken, all of them, or why none was.
type Upgraded = Result<Vec<DiskLock>, LockOutcome>;

/// Locks that are being taken together.
#[derive(Debug)]
pub(super) struct Upgrade {
    /// Where they are, in bytes from the start of the volume, in ascending order.
    addresses: Vec<u64>,
    /// The images of the first of them, as they were noted.
    noted: Vec<Sector>,
    /// The first of them as they were taken.
    taken: Vec<DiskLock>,
    rounds: u32,
    contention: Contention,
    stage: Stage,
}

#[derive(Debug)]
// It is made where it stays: a box would be one more allocation for every lock.
#[allow(clippy::large_enum_variant)]
enum Stage {
    Noting,
    Committing(Change),
    CommittingTogether(Section),
    /// What was taken is let go of, because of this.
    RollingBack(Release, Obstacle),
    Contending,
    /// The next round is waited for.
    Pausing,
}

impl Upgrade {
    /// Of the locks at `addresses`, beginning `now`.
    pub(super) fn new(mut addresses: Vec<u64>, now: Instant) -> Self {
        addresses.sort_unstable();
        addresses.dedup();
        Self {
            addresses,
            noted: Vec::new(),
            taken: Vec::new(),
            rounds: 0,
            contention: Contention::new(now),
            stage: Stage::Noting,
        }
    }

    /// Begins a round.
    fn begin(&mut self, view: &mut View<'_>) -> Step<Upgraded> {
        self.noted.clear();
        self.stage = Stage::Noting;
        self.note_next(view)
    }

    fn note_next(&mut self, view: &mut View<'_>) -> Step<Upgraded> {
        match self.addresses.get(self.noted.len()) {
            Some(address) => request(view.geometry.read(*address)),
            None if view.locking.tries_ats() => self.commit_next(view),
            None => self.commit_together(view),
        }
    }

    fn note(&mut self, view: &mut View<'_>, sector: Option<Sector>) -> Step<Upgraded> {
        let address = self.addresses[self.noted.len()];
        let seen = sector.and_then(|sector| Some((sector, lock_in(&sector, address)?)));
        let Some((sector, lock)) = seen else { return self.contend(view, Obstacle::Failed) };
        // Only whether it could be had: what is put there is made at the end.
        match image::take(&lock, Aim::Exclusive, view.own, 0, self.contention.dead()) {
            Err(in_the_way) => self.contend(view, Obstacle::InTheWay(in_the_way)),
            Ok(_) => {
                self.noted.push(sector);
                self.note_next(view)
            }
        }
    }

    fn commit_next(&mut self, view: &mut View<'_>) -> Step<Upgraded> {
        let next = self.taken.len();
        let Some((address, image)) = self.addresses.get(next).zip(self.noted.get(next)) else {
            return Step::Finished(Ok(mem::take(&mut self.taken)));
        };
        let change = Change::new(*address, Aim::Exclusive, self.contention.dead().to_vec());
        self.stage = Stage::Committing(change.of_image(*image));
        self.next(view, Input::Begin)
    }

    fn committed(&mut self, view: &mut View<'_>, end: Changed) -> Step<Upgraded> {
        match end {
            Ok(lock) => {
                self.taken.push(lock);
                self.commit_next(view)
            }
            Err(obstacle) => {
                let release = Release::new(mem::take(&mut self.taken));
                self.stage = Stage::RollingBack(release, obstacle);
                self.next(view, Input::Begin)
            }
        }
    }

    fn commit_together(&mut self, view: &mut View<'_>) -> Step<Upgraded> {
        let noted = self.addresses.iter().zip(&self.noted);
        let targets = noted.map(|(address, image)| {
            let modification_time = view.ledger.next_modification_time();
            let found = lock_in(image, *address).expect("what is noted is a lock");
            let dead = self.contention.dead();
            let taken = image::take(&found, Aim::Exclusive, view.own, modification_time, dead);
            Target { found, image: *image, taken: taken.expect("what is noted can be had") }
        });
        self.stage = Stage::CommittingTogether(Section::new(targets.collect()));
        self.next(view, Input::Begin)
    }

    fn committed_together(&mut self, view: &mut View<'_>, how: Swapped) -> Step<Upgraded> {
        if let Stage::CommittingTogether(section) = mem::replace(&mut self.stage, Stage::Noting) {
            for Target { found, taken, .. } in section.into_taken() {
                settle(view, &found, &taken, self.contention.dead());
                self.taken.push(taken);
            }
        }
        match how {
            Swapped::Done => Step::Finished(Ok(mem::take(&mut self.taken))),
            Swapped::Differs => self.committed(view, Err(Obstacle::Changed)),
            Swapped::Failed => self.committed(view, Err(Obstacle::Failed)),
        }
    }

    fn rolled_back(
        &mut self,
        view: &mut View<'_>,
        how: Released,
        obstacle: Obstacle,
    ) -> Step<Upgraded> {
        if how == Released::Failed {
            return Step::Finished(Err(LockOutcome::Failed));
        }
        if obstacle != Obstacle::Changed {
            return self.contend(view, obstacle);
        }
        self.rounds += 1;
        if self.rounds >= ROUNDS_MAX {
            return Step::Finished(Err(LockOutcome::Stolen));
        }
        self.stage = Stage::Pausing;
        self.contention.pause(view)
    }

    fn contend(&mut self, view: &mut View<'_>, obstacle: Obstacle) -> Step<Upgraded> {
        self.stage = Stage::Contending;
        let step = self.contention.meet(view, obstacle);
        self.contended(view, step)
    }

    fn contended(&mut self, view: &mut View<'_>, step: Step<Met>) -> Step<Upgraded> {
        step.or_then(|end| match end {
            Ok(()) => self.begin(view),
            Err(outcome) => Step::Finished(Err(outcome)),
        })
    }
}

impl Operation for Upgrade {
    type End = Upgraded;

    fn next(&mut self, view: &mut View<'_>, input: Input) -> Step<Upgraded> {
        match &mut self.stage {
            Stage::Noting => match input {
                Input::Done(outcome) => self.note(view, sector_read(&outcome)),
                Input::Begin | Input::Time | Input::HeartbeatLost => self.note_next(view),
            },
            Stage::Committing(change) => {
                change.next(view, input).or_then(|end| self.committed(view, end))
            }
            Stage::CommittingTogether(section) => {
                section.next(view, input).or_then(|how| self.committed_together(view, how))
            }
            Stage::RollingBack(release, obstacle) => {
                let obstacle = obstacle.clone();
                release.next(view, input).or_then(|how| self.rolled_back(view, how, obstacle))
            }
            Stage::Contending => {
                let step = self.contention.next(view, input);
                self.contended(view, step)
            }
            Stage::Pausing => self.begin(view),
        }
    }
}
