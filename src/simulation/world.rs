//! One cluster in virtual time: hosts, the fabric, the target and its daemon, and the checkers that listen.

use pulsefield_checkers::HostId;
use pulsefield_cluster::{Cluster, Effect, Ticket};
use pulsefield_embedded::{EmbeddedConductor, ServeError, Target};
use pulsefield_hosts::{Notice, Outcome};
use pulsefield_units::Instant;

use crate::fabric::Fabric;
use crate::judge::Judge;
use crate::trace::Trace;

/// Nothing does so much at one moment: whatever does waits for itself.
const STEPS_AT_ONCE_MAX: u32 = 1_000_000;

/// Why a run cannot go on: a bug, wherever it is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stuck {
    /// The daemon ended.
    #[error(transparent)]
    Daemon(#[from] ServeError),
    /// Time stands still.
    #[error("there is no end to what happens at {0:?}")]
    Still(Instant),
    /// The run is not over, and nothing is left to happen.
    #[error("at {0:?} everybody waits for nothing")]
    Idle(Instant),
}

/// The world of one run.
pub(crate) struct World {
    pub(crate) now: Instant,
    /// When hosts are told to stop.
    pub(crate) end: Instant,
    pub(crate) target: Target,
    pub(crate) fabric: Fabric<Ticket>,
    pub(crate) cluster: Cluster,
    pub(crate) judge: Judge,
    pub(crate) trace: Trace,
    /// Commands that hosts have sent.
    pub(crate) commands: u64,
}

impl World {
    /// Goes on until that moment, if there is one, or until the run is over; says whether it is.
    ///
    /// # Errors
    /// [`Stuck`]
    pub(crate) fn go_on(
        &mut self,
        mut daemon: Option<&mut EmbeddedConductor<'_>>,
        until: Option<Instant>,
    ) -> Result<bool, Stuck> {
        loop {
            self.do_what_is_due(daemon.as_deref_mut())?;
            if self.cluster.is_over() {
                return Ok(true);
            }
            let end = self.cluster.is_working().then_some(self.end);
            let served = daemon.as_deref_mut().and_then(EmbeddedConductor::wake_at);
            let wakes =
                [end, served, self.fabric.wake_at(), self.cluster.wake_at(), self.target.wake_at()];
            let next = wakes.into_iter().flatten().min();
            match (next, until) {
                (Some(next), _) if until.is_none_or(|until| next <= until) => {
                    self.now = self.now.max(next);
                }
                (_, Some(until)) => {
                    self.now = until;
                    return Ok(false);
                }
                (_, None) => return Err(Stuck::Idle(self.now)),
            }
        }
    }

    /// Does all that happens now.
    fn do_what_is_due(
        &mut self,
        mut daemon: Option<&mut EmbeddedConductor<'_>>,
    ) -> Result<(), Stuck> {
        let now = self.now;
        if self.cluster.is_working() && self.end <= now {
            self.cluster.stop(now);
        }
        for _ in 0..STEPS_AT_ONCE_MAX {
            if self.cluster.wake_at().is_some_and(|at| at <= now) {
                self.cluster.on_time(now);
            }
            self.take_effects();
            while let Some((ticket, outcome)) = self.fabric.step(now, &mut self.target) {
                self.trace.note(&(now, ticket.0, told(&outcome)));
                self.cluster.on_done(now, ticket, outcome);
                self.take_effects();
            }
            if self.target.wake_at().is_some_and(|at| at <= now) {
                self.target.tick(now);
            }
            if let Some(daemon) = &mut daemon
                && (self.target.wants_service() || daemon.wake_at().is_some_and(|at| at <= now))
            {
                self.target.serve(now, daemon)?;
            }
            while let Some(event) = self.target.event() {
                self.fabric.take(now, event);
            }
            let dues = [self.fabric.wake_at(), self.cluster.wake_at()];
            if dues.into_iter().flatten().all(|at| at > now) {
                return Ok(());
            }
        }
        Err(Stuck::Still(now))
    }

    /// Carries out what hosts want, and has the checkers hear of it.
    fn take_effects(&mut self) {
        while let Some(effect) = self.cluster.poll() {
            match effect {
                Effect::Submit { ticket, host, io, timeout } => {
                    self.commands += 1;
                    self.trace.note(&(self.now, ticket.0, host.0));
                    self.fabric.send(self.now, host, ticket, io, timeout);
                }
                Effect::Event(event) => self.judge.hear(&event),
                Effect::Noticed { host, notice: Notice::Crashed, .. } => self.lose(host),
                Effect::Noticed { .. } | Effect::OrderEnded { .. } => {}
            }
        }
    }

    /// A host is gone: nobody knows what becomes of what it has sent.
    fn lose(&mut self, host: HostId) {
        for ticket in self.fabric.lose(host, &mut self.target) {
            self.cluster.on_done(self.now, ticket, Outcome::Lost);
        }
    }
}

/// What of an outcome goes into the trace: which it is, what it says, and the data that came with it.
fn told(outcome: &Outcome) -> (u8, Option<u64>, &[u8]) {
    match outcome {
        Outcome::Good(data) => (0, None, data),
        Outcome::Miscompare(offset) => (1, *offset, &[]),
        Outcome::ReservationConflict => (2, None, &[]),
        Outcome::Busy => (3, None, &[]),
        Outcome::Failed { status, sense } => {
            let sense = sense.map(|sense| u16::from_be_bytes(sense.asc.to_be_bytes()));
            (4 + status.as_u8(), sense.map(u64::from), &[])
        }
        Outcome::TimedOut => (u8::MAX - 1, None, &[]),
        Outcome::Lost => (u8::MAX, None, &[]),
    }
}
