//! Taking several locks in one critical section: RESERVE, READ each, WRITE each, RELEASE.
//!
//! What the transactions of VMFS 3 end with: one reservation for all of their locks (Hogan, VMFS Locking
//! Uncovered), where ATS takes one command for each. Nothing is written before all have been read and found as they
//! were noted. When nobody knows whether a command was done, the section begins anew: what it
//! has written it finds there.

use pulsefield_vmfs::DiskLock;

use super::{request, sector_read};
use crate::operation::{Input, Operation, Step, View};
use crate::swap::{RETRY_AFTER, Swapped, TRIES_MAX};
use crate::{Io, Outcome, Sector};

/// A lock in a critical section.
#[derive(Debug)]
pub(super) struct Target {
    /// The lock as it was noted.
    pub(super) found: DiskLock,
    /// The same as it lay there.
    pub(super) image: Sector,
    /// As it is to be.
    pub(super) taken: DiskLock,
}

/// What lies where a lock is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lies {
    AsNoted,
    AsTaken,
    Otherwise,
}

/// A critical section.
#[derive(Debug)]
pub(super) struct Section {
    targets: Vec<(Target, Lies)>,
    tries: u32,
    /// Whether there may be a reservation to be given back.
    reserved: bool,
    stage: Stage,
}

/// What was asked for last.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Reserve,
    /// One of the targets.
    Read(usize),
    /// One of the targets.
    Write(usize),
    Release(Swapped),
    /// The device is left alone for a while; with the end, if there is nothing left but to release it.
    Pause(Option<Swapped>),
}

impl Section {
    /// Of these locks.
    pub(super) fn new(targets: Vec<Target>) -> Self {
        let targets = targets.into_iter().map(|target| (target, Lies::AsNoted)).collect();
        Self { targets, tries: 0, reserved: false, stage: Stage::Reserve }
    }

    /// The locks that are taken: all when it has ended as [`Swapped::Done`], else those that were written
    /// before it was given up.
    pub(super) fn into_taken(self) -> impl Iterator<Item = Target> {
        let taken = self.targets.into_iter().filter(|(_, lies)| *lies == Lies::AsTaken);
        taken.map(|(target, _)| target)
    }

    fn reserve(&mut self) -> Step<Swapped> {
        self.stage = Stage::Reserve;
        request(Io::Reserve)
    }

    fn reserved(&mut self, view: &View<'_>, outcome: &Outcome) -> Step<Swapped> {
        let good = matches!(outcome, Outcome::Good(_));
        self.reserved |= good || matches!(outcome, Outcome::TimedOut | Outcome::Lost);
        if good { self.read(view, 0) } else { self.pause() }
    }

    fn read(&mut self, view: &View<'_>, nth: usize) -> Step<Swapped> {
        match self.targets.get(nth) {
            Some((target, _)) => {
                self.stage = Stage::Read(nth);
                request(view.geometry.read(target.taken.address))
            }
            None if self.targets.iter().any(|(_, lies)| *lies == Lies::Otherwise) => {
                self.end(Swapped::Differs)
            }
            None => self.write(view),
        }
    }

    fn found(&mut self, view: &View<'_>, nth: usize, sector: &Sector) -> Step<Swapped> {
        let (target, lies) = &mut self.targets[nth];
        *lies = if *sector == target.taken.encode() {
            Lies::AsTaken
        } else if *sector == target.image {
            Lies::AsNoted
        } else {
            Lies::Otherwise
        };
        self.read(view, nth + 1)
    }

    /// Writes the next lock that is not yet written.
    fn write(&mut self, view: &View<'_>) -> Step<Swapped> {
        let next = self.targets.iter().position(|(_, lies)| *lies == Lies::AsNoted);
        let Some(nth) = next else { return self.end(Swapped::Done) };
        let taken = &self.targets[nth].0.taken;
        self.stage = Stage::Write(nth);
        request(view.geometry.write(taken.address, &taken.encode()))
    }

    fn pause(&mut self) -> Step<Swapped> {
        self.tries += 1;
        if self.tries >= TRIES_MAX {
            return self.end(Swapped::Failed);
        }
        self.stage = Stage::Pause(None);
        Step::Wait(RETRY_AFTER)
    }

    /// The end, but for the reservation.
    fn end(&mut self, end: Swapped) -> Step<Swapped> {
        if !self.reserved {
            return Step::Finished(end);
        }
        self.stage = Stage::Release(end);
        request(Io::Release)
    }

    fn released(&mut self, outcome: &Outcome, end: Swapped) -> Step<Swapped> {
        self.tries += 1;
        if matches!(outcome, Outcome::Good(_)) || self.tries >= 2 * TRIES_MAX {
            return Step::Finished(end);
        }
        self.stage = Stage::Pause(Some(end));
        Step::Wait(RETRY_AFTER)
    }
}

impl Operation for Section {
    type End = Swapped;

    fn next(&mut self, view: &mut View<'_>, input: Input) -> Step<Swapped> {
        match (self.stage, input) {
            (Stage::Reserve, Input::Done(outcome)) => self.reserved(view, &outcome),
            (Stage::Read(nth), Input::Done(outcome)) => match sector_read(&outcome) {
                Some(sector) => self.found(view, nth, &sector),
                None => self.pause(),
            },
            (Stage::Write(nth), Input::Done(Outcome::Good(_))) => {
                self.targets[nth].1 = Lies::AsTaken;
                self.write(view)
            }
            (Stage::Write(_), Input::Done(_)) => self.pause(),
            (Stage::Release(end), Input::Done(outcome)) => self.released(&outcome, end),
            (Stage::Pause(Some(end)), _) => self.end(end),
            (_, _) => self.reserve(),
        }
    }
}
