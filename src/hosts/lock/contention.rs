//! What is done about that which is in the way of taking locks: back off, ask after the owner, give up.

use std::time::Duration;

use pulsefield_units::Instant;
use pulsefield_vmfs::{LEASE, LockHolder, PULSE_PERIOD};

use super::change::Obstacle;
use super::image::InTheWay;
use super::owner::Inquiry;
use crate::LockOutcome;
use crate::operation::{Input, Operation, Step, View};

/// How long locks are tried to be taken. Longer than a lease and the time until it is asked after, so that
/// the lock of a dead owner is taken in the end.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long to stay away from what others want, too, the first time; at least half of it.
const BACK_OFF: Duration = Duration::from_millis(10);

/// The same after many times.
const BACK_OFF_MAX: Duration = Duration::from_secs(1);

/// How long to leave a device alone that does not answer as it should.
const BROKEN: Duration = Duration::from_secs(1);

/// That it is worth trying again, or how the order ends.
pub(super) type Met = Result<(), LockOutcome>;

/// The contention of one operation.
#[derive(Debug)]
pub(super) struct Contention {
    patient_until: Instant,
    back_off: Duration,
    rival: Option<Rival>,
    inquiry: Option<Inquiry>,
    /// Whether the lock is full, and an inquiry is the last that can help.
    full: bool,
    dead: Vec<LockHolder>,
}

/// Who was in the way last.
#[derive(Debug)]
struct Rival {
    owner: LockHolder,
    token: u64,
    /// From then on it is worth finding out whether it is alive.
    suspect: Instant,
}

impl Contention {
    /// Of an operation that begins `now`.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            patient_until: now.after(PATIENCE),
            back_off: BACK_OFF,
            rival: None,
            inquiry: None,
            full: false,
            dead: Vec::new(),
        }
    }

    /// Those of whom it is known that they are dead.
    pub(super) fn dead(&self) -> &[LockHolder] {
        &self.dead
    }

    /// Meets what is in the way.
    pub(super) fn meet(&mut self, view: &mut View<'_>, obstacle: Obstacle) -> Step<Met> {
        let give_up = view.now >= self.patient_until;
        match obstacle {
            Obstacle::Failed if give_up => Step::Finished(Err(LockOutcome::Failed)),
            Obstacle::Failed => Step::Wait(BROKEN),
            Obstacle::InTheWay(InTheWay::Full(holders)) => {
                self.full = true;
                self.inquire(view, Inquiry::glance(holders))
            }
            Obstacle::Changed | Obstacle::InTheWay(InTheWay::Held { .. }) if give_up => {
                Step::Finished(Err(LockOutcome::Contended))
            }
            Obstacle::Changed => self.pause(view),
            Obstacle::InTheWay(InTheWay::Held { by, token }) => self.held(view, by, token),
        }
    }

    /// Stays away for a while, each time for longer.
    pub(super) fn pause<End>(&mut self, view: &mut View<'_>) -> Step<End> {
        let pause = view.ledger.back_off(self.back_off);
        self.back_off = (self.back_off * 2).min(BACK_OFF_MAX);
        Step::Wait(pause)
    }

    fn held(&mut self, view: &mut View<'_>, owner: LockHolder, token: u64) -> Step<Met> {
        let known =
            self.rival.as_mut().filter(|rival| (rival.owner, rival.token) == (owner, token));
        match known {
            None => {
                let suspect = view.now.after(PULSE_PERIOD);
                self.rival = Some(Rival { owner, token, suspect });
                self.inquire(view, Inquiry::glance(vec![owner]))
            }
            Some(rival) if view.now >= rival.suspect => {
                // If it proves to be alive, it is so for a lease.
                rival.suspect = view.now.after(LEASE);
                self.inquire(view, Inquiry::thorough(owner))
            }
            Some(_) => self.pause(view),
        }
    }

    fn inquire(&mut self, view: &mut View<'_>, inquiry: Inquiry) -> Step<Met> {
        self.inquiry = Some(inquiry);
        self.next(view, Input::Begin)
    }

    fn learned(&mut self, view: &mut View<'_>, dead: Vec<LockHolder>) -> Step<Met> {
        self.inquiry = None;
        let full = std::mem::take(&mut self.full);
        if dead.is_empty() {
            return if full {
                Step::Finished(Err(LockOutcome::TooManyHolders))
            } else {
                self.pause(view)
            };
        }
        self.dead.extend(dead);
        Step::Finished(Ok(()))
    }
}

impl Operation for Contention {
    type End = Met;

    fn next(&mut self, view: &mut View<'_>, input: Input) -> Step<Met> {
        match &mut self.inquiry {
            Some(inquiry) => inquiry.next(view, input).or_then(|dead| self.learned(view, dead)),
            None => Step::Finished(Ok(())),
        }
    }
}
