//! A run from its beginning to its end.
//!
//! One thread has all hosts: they are state machines that want a few thousand steps a second, so one loop has
//! time for all of them, what happens has one order without a lock, and a run in virtual time is the same
//! loop. What blocks has threads of its own behind the [`Transport`].

use std::time::Duration;

use pulsefield_cluster::{Cluster, Effect};
use pulsefield_units::Instant;

use crate::collector::Teller;
use crate::faults::{FaultError, Faults, PlanFile, RuleHits};
use crate::progress::Progress;
use crate::signals::Interrupts;
use crate::transport::{Happening, Transport, TransportError};
use crate::witness::Looks;

/// How often it is looked whether somebody wants the run to end.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// For how much longer than a run takes its faults are armed at most. They are disarmed at its end; this is for
/// a soak that does not come to one.
const FAULTS_OUTLAST: Duration = Duration::from_secs(60);

/// When things are to happen.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    /// How long hosts work.
    pub(crate) duration: Duration,
    /// What is armed, and after how long.
    pub(crate) plan: Option<(PlanFile, Duration)>,
}

/// How a run went.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// When nobody asked for anything any more.
    pub(crate) at: Instant,
    /// How it ended.
    pub(crate) end: End,
    /// What the plan did, if it was armed.
    pub(crate) faults: Option<FaultTimes>,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) enum End {
    /// When its time was over.
    Planned,
    /// Before, because somebody wanted it.
    Interrupted,
    /// Before, because it could not go on.
    Broken(BrokenOff),
}

/// Why a run could not go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BrokenOff {
    /// The commands of hosts cannot be carried out.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The plan cannot be armed, or nobody knows what it did.
    #[error(transparent)]
    Faults(#[from] FaultError),
}

/// When a plan was armed, and what it did.
#[derive(Debug)]
pub(crate) struct FaultTimes {
    pub(crate) from: Instant,
    pub(crate) until: Instant,
    pub(crate) hits: Vec<RuleHits>,
}

/// A run.
pub(crate) struct Run<'r, T> {
    pub(crate) transport: T,
    pub(crate) cluster: Cluster,
    pub(crate) teller: Teller,
    /// When the record of the unit is looked at, if there is one.
    pub(crate) looks: Option<Looks>,
    pub(crate) schedule: Schedule,
    pub(crate) interrupts: &'r Interrupts,
    pub(crate) progress: &'r Progress,
}

/// How far the plan is.
enum Arming {
    Never,
    At(Instant),
    Armed(Instant),
    Disarmed(FaultTimes),
}

impl<T: Transport + Faults> Run<'_, T> {
    /// Runs until the cluster is over.
    pub(crate) fn conduct(mut self, began: Instant) -> Outcome {
        let ends = began.after(self.schedule.duration);
        let mut arming = match &self.schedule.plan {
            Some((_, after)) => Arming::At(began.after(*after)),
            None => Arming::Never,
        };
        let mut end = End::Planned;
        while !self.cluster.is_over() {
            if let Err(error) = self.turn(began, ends, &mut arming, &mut end) {
                let now = self.transport.now();
                self.teller.incident(now, None, error.to_string());
                self.cluster.abandon(now);
                end = End::Broken(error);
            }
        }
        self.carry_out();
        if let End::Broken(_) = end {
            // Of a daemon that is not there any more nothing is to be disarmed.
            let now = self.transport.now();
            let _ = self.arm_or_disarm(now, true, ends, &mut arming);
        }
        let faults = match arming {
            Arming::Disarmed(times) => Some(times),
            Arming::Never | Arming::At(_) | Arming::Armed(_) => None,
        };
        Outcome { at: self.transport.now(), end, faults }
    }

    fn turn(
        &mut self,
        began: Instant,
        ends: Instant,
        arming: &mut Arming,
        end: &mut End,
    ) -> Result<(), BrokenOff> {
        let now = self.transport.now();
        self.progress.show(now.since(began), self.cluster.hosts_up());
        if let Some(looks) = &mut self.looks {
            looks.at(now);
        }
        let interrupts = self.interrupts.count();
        if self.cluster.is_working() {
            if interrupts > 0 {
                *end = End::Interrupted;
            }
            let is_over = interrupts > 0 || ends <= now;
            self.arm_or_disarm(now, is_over, ends, arming)?;
            if is_over {
                self.cluster.stop(now);
            }
        } else if interrupts > 1 {
            self.cluster.abandon(now);
        }
        if self.cluster.wake_at().is_some_and(|due| due <= now) {
            self.cluster.on_time(now);
        }
        self.carry_out();
        let mut until = now.after(LOOK_EVERY);
        until = self.cluster.wake_at().map_or(until, |due| due.min(until));
        if let Arming::At(due) = arming {
            until = until.min(*due);
        }
        if self.cluster.is_working() {
            until = until.min(ends);
        }
        if self.cluster.is_over() {
            return Ok(());
        }
        let mut happened = self.transport.wait(until)?;
        while let Some(happening) = happened {
            let now = self.transport.now();
            match happening {
                Happening::Ended { ticket, outcome } => self.cluster.on_done(now, ticket, outcome),
                Happening::Path { at, host, what } => {
                    self.progress.say(at.since(began), host, &what);
                    self.teller.incident(at, Some(host), what);
                }
            }
            happened = self.transport.wait(now)?;
        }
        Ok(())
    }

    fn arm_or_disarm(
        &mut self,
        now: Instant,
        is_over: bool,
        ends: Instant,
        arming: &mut Arming,
    ) -> Result<(), FaultError> {
        let Some((plan, _)) = &self.schedule.plan else { return Ok(()) };
        match arming {
            Arming::At(due) if *due <= now && !is_over => {
                let lasting = ends.since(now) + FAULTS_OUTLAST;
                self.transport.arm(plan, lasting)?;
                self.teller.armed();
                self.teller.incident(now, None, format!("the plan {} is armed", plan.name));
                *arming = Arming::Armed(now);
            }
            Arming::Armed(from) if is_over => {
                let hits = self.transport.disarm(plan)?;
                self.teller.incident(now, None, "the plan is disarmed");
                *arming = Arming::Disarmed(FaultTimes { from: *from, until: now, hits });
            }
            Arming::Never | Arming::At(_) | Arming::Armed(_) | Arming::Disarmed(_) => {}
        }
        Ok(())
    }

    fn carry_out(&mut self) {
        while let Some(effect) = self.cluster.poll() {
            match effect {
                Effect::Submit { ticket, host, io, timeout } => {
                    self.transport.submit(ticket, host, io, timeout);
                    if let Some(looks) = &mut self.looks {
                        looks.command();
                    }
                }
                Effect::Event(event) => self.teller.event(event),
                Effect::Noticed { host, at, notice } => self.teller.noticed(host, at, notice),
                Effect::OrderEnded { kind, outcome, took } => {
                    self.teller.order_ended(kind, outcome, took);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
