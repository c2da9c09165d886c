//! The heartbeat while there is one: pulses on the host's grid, the lease, and the recovery.

use std::time::Duration;

use pulsefield_units::Instant;
use pulsefield_vmfs::PULSE_PERIOD;

use super::{Moment, Next, Phase, Volume, expiry};
use crate::heartbeat::{Finding, Held, Pulse, Pulsed, RETRY, RETRY_RESERVED, Recovered, Recovery};
use crate::operation::Input;
use crate::task::Task;
use crate::{Access, HeartbeatMode, Notice, Outcome};

/// Where the grid of pulses begins: stamps that were read off volumes are all so long after a multiple of the
/// period.
const GRID_PHASE: Duration = Duration::from_millis(42);

/// Up to this version there are heartbeats by ATS only if a user asks for them (`UseATSForHBOnVMFS3`).
const VMFS_3: u32 = 4;

impl Moment<'_> {
    /// The first moment after `earlier`, at which the host was up already, when all volumes pulse.
    pub(super) fn tick_after(&self, earlier: Instant) -> Instant {
        let uptime = self.uptime.saturating_sub(self.now.since(earlier));
        let period = PULSE_PERIOD.as_nanos();
        let since_tick = (uptime + PULSE_PERIOD - GRID_PHASE).as_nanos() % period;
        let rest = u64::try_from(period - since_tick).expect("it is at most three seconds");
        earlier.after(Duration::from_nanos(rest))
    }
}

impl Volume {
    /// How the host pulses here.
    fn heartbeat_mode(&self, moment: &Moment<'_>) -> HeartbeatMode {
        if self.has_ats && self.facts.geometry.version.major > VMFS_3 {
            moment.config.heartbeat
        } else {
            HeartbeatMode::ReadWrite
        }
    }

    /// Begins the next pulse.
    pub(super) fn pulse(&mut self, moment: &mut Moment<'_>) {
        let mode = self.heartbeat_mode(moment);
        if let Phase::Pulsing { held, next } = &mut self.phase {
            let pulse = Pulse::new(mode, held.clone());
            *next = Next::Pulse(Task::begin(pulse, &mut self.facts.view(moment)));
        }
    }

    /// Hears what became of an I/O of the pulse.
    pub(super) fn on_pulsing(&mut self, moment: &mut Moment<'_>, outcome: Outcome) {
        let Phase::Pulsing { held, next: Next::Pulse(task) } = &mut self.phase else { return };
        // When the lease is over, nothing is written any more that was looked at before.
        if expiry(held) <= moment.now && task.operation().is_reading() {
            self.recover(moment);
            return self.on_late_pulse(moment, outcome);
        }
        let view = &mut self.facts.view(moment);
        let Some(pulsed) = task.hear(view, Input::Done(outcome)) else { return };
        self.tell_pulse(moment, &pulsed);
        if pulsed.outcome.is_unsupported() && self.told.locking.may_reserve() {
            self.do_without_ats(moment);
        }
        // At once, if this one took so long that the next has been due meanwhile.
        let tick = moment.tick_after(pulsed.asked);
        let next = match (pulsed.finding, &pulsed.outcome) {
            (Finding::Alive | Finding::Changed, _) => tick,
            (Finding::Nothing, Outcome::ReservationConflict) => moment.now.after(RETRY_RESERVED),
            (Finding::Nothing, _) => tick.min(moment.now.after(RETRY)),
        };
        self.phase = Phase::Pulsing { held: pulsed.held, next: Next::At(next) };
        if pulsed.finding == Finding::Changed {
            self.recover(moment);
        } else {
            self.expire(moment);
        }
    }

    /// Recovers the heartbeat if its lease is over.
    pub(super) fn expire(&mut self, moment: &mut Moment<'_>) {
        if let Phase::Pulsing { held, .. } = &self.phase
            && expiry(held) <= moment.now
        {
            self.recover(moment);
        }
    }

    /// Halts everything and finds out what became of the heartbeat.
    fn recover(&mut self, moment: &mut Moment<'_>) {
        self.tell_access(moment, Access::Lost);
        self.works.suspend();
        self.look(moment);
    }

    /// Begins to find out what became of the heartbeat, or begins again.
    fn look(&mut self, moment: &mut Moment<'_>) {
        let recovery = Recovery::new(self.heartbeat_mode(moment));
        let recovery = Task::begin(recovery, &mut self.facts.view(moment));
        let before = std::mem::replace(&mut self.phase, Phase::Away);
        let pulse = if let Phase::Pulsing { next: Next::Pulse(pulse), .. } = before {
            Some((pulse, None))
        } else {
            None
        };
        self.phase = Phase::Recovering { recovery, pulse };
    }

    /// Hears what became of the pulse that was in flight when the recovery began. Only then the slot is read:
    /// before, it might still change.
    pub(super) fn on_late_pulse(&mut self, moment: &mut Moment<'_>, outcome: Outcome) {
        let Phase::Recovering { pulse, .. } = &mut self.phase else { return };
        let Some((mut task, kept)) = pulse.take() else { return };
        let pulsed = task.operation().end(outcome);
        self.tell_pulse(moment, &pulsed);
        if let Some(kept) = kept {
            self.on_recovering(moment, Input::Done(kept));
        }
    }

    /// Hears what the recovery waits for.
    pub(super) fn on_recovering(&mut self, moment: &mut Moment<'_>, input: Input) {
        let Phase::Recovering { recovery, pulse } = &mut self.phase else { return };
        if let (Some((_, kept)), Input::Done(outcome)) = (pulse, &input) {
            *kept = Some(outcome.clone());
            return;
        }
        let Some(recovered) = recovery.hear(&mut self.facts.view(moment), input) else { return };
        match recovered {
            Recovered::Resumed(held) => self.resume(moment, held),
            Recovered::Cleared if self.wanted => {
                self.lose_locks(moment);
                self.acquire(moment, Some(Access::Reacquired));
            }
            // Whoever leaves takes no slot to give it back.
            Recovered::Cleared | Recovered::Lost => {
                self.lose_locks(moment);
                self.tell_access(moment, Access::LocksLost);
                match self.wanted {
                    true => self.acquire(moment, None),
                    false => self.phase = Phase::Away,
                }
            }
        }
    }

    /// Ends whatever was under way, and all claims with it.
    fn lose_locks(&mut self, moment: &mut Moment<'_>) {
        self.works.lose(&mut self.facts.view(moment));
        moment.ledger.leave_all(moment.now, self.facts.id);
    }

    fn resume(&mut self, moment: &mut Moment<'_>, held: Held) {
        self.tell_written(moment, held.pulsed);
        // The write may have taken so long that others may take the host for dead again.
        if expiry(&held) <= moment.now {
            return self.look(moment);
        }
        self.phase = Phase::Pulsing { held, next: Next::At(moment.tick_after(moment.now)) };
        self.tell_access(moment, Access::Resumed);
        self.works.resume(&mut self.facts.view(moment));
    }

    /// A device that does not know COMPARE AND WRITE any more: pulses are plain from now on, and locks taken
    /// under reservations.
    fn do_without_ats(&mut self, moment: &mut Moment<'_>) {
        self.has_ats = false;
        self.settle_locking(moment);
    }

    fn tell_pulse(&self, moment: &mut Moment<'_>, pulsed: &Pulsed) {
        let notice = Notice::Pulse {
            volume: self.facts.id,
            took: moment.now.since(pulsed.asked),
            outcome: pulsed.outcome.clone(),
            alive: pulsed.finding == Finding::Alive,
        };
        moment.ledger.notice(moment.now, notice);
    }

    /// Tells that the stamp was written outside the grid.
    pub(super) fn tell_written(&self, moment: &mut Moment<'_>, asked: Instant) {
        let notice = Notice::Pulse {
            volume: self.facts.id,
            took: moment.now.since(asked),
            outcome: Outcome::Good(Vec::new()),
            alive: true,
        };
        moment.ledger.notice(moment.now, notice);
    }

    pub(super) fn tell_access(&self, moment: &mut Moment<'_>, access: Access) {
        moment.ledger.notice(moment.now, Notice::Access { volume: self.facts.id, access });
    }
}
