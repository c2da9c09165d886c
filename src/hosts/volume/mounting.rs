//! Coming to a volume and leaving it, and what is decided about it in between: whether the device has ATS, and
//! what follows for how the host locks.

use pulsefield_vmfs::Heartbeat;

use super::{Extension, Moment, Next, Phase, Probe, Volume};
use crate::heartbeat::{Acquire, Acquired, Author, Clear, Held, RETRY};
use crate::operation::Input;
use crate::swap::IO_TIMEOUT;
use crate::task::Task;
use crate::{Access, Io, Locking, MountError, NoAts, Notice, Outcome, VolumeId};

impl Volume {
    /// Mounts the volume if the host is to have it.
    pub(crate) fn mount(&mut self, moment: &mut Moment<'_>) {
        if self.wanted {
            self.probe(moment);
        }
    }

    /// Lets go of the volume: takes no more orders, begins none that waits, and gives the heartbeat back when
    /// those that are under way have ended.
    pub(crate) fn unmount(&mut self, moment: &mut Moment<'_>) {
        self.wanted = false;
        self.works.begin_no_more(&mut self.facts.view(moment));
        if let Phase::Probing(_) = self.phase {
            self.phase = Phase::Away;
        }
        self.leave_if_idle(moment);
    }

    /// Asks the device whether it has ATS.
    pub(super) fn probe(&mut self, moment: &mut Moment<'_>) {
        let io = moment.ledger.submit(self.facts.id, Io::BlockLimits, IO_TIMEOUT);
        self.phase = Phase::Probing(Probe::Asked(io));
    }

    pub(super) fn on_probe(&mut self, moment: &mut Moment<'_>, outcome: Outcome) {
        let Some(has_ats) = has_ats(&outcome) else {
            self.phase = Phase::Probing(Probe::Again(moment.now.after(RETRY)));
            return;
        };
        self.has_ats = has_ats;
        match self.told.locking.on_device(has_ats) {
            Some(locking) => {
                self.facts.locking = locking;
                self.acquire(moment, None);
            }
            None => self.fail(moment, MountError::NoAts),
        }
    }

    /// Sets out for a slot.
    pub(super) fn acquire(&mut self, moment: &mut Moment<'_>, access: Option<Access>) {
        let author = Author {
            host: moment.config.uuid,
            management_address: moment.config.management_address,
            version: self.facts.geometry.version,
            locking: self.facts.locking,
        };
        let task = Task::begin(Acquire::new(author), &mut self.facts.view(moment));
        self.phase = Phase::Acquiring { task, access };
    }

    pub(super) fn on_acquiring(&mut self, moment: &mut Moment<'_>, input: Input) {
        let Phase::Acquiring { task, access } = &mut self.phase else { return };
        match task.hear(&mut self.facts.view(moment), input) {
            None => {}
            Some(Acquired::NoSlot) => self.fail(moment, MountError::NoSlot),
            Some(Acquired::Heartbeat(held)) => {
                let access = *access;
                self.settle(moment, held, access);
            }
        }
    }

    /// The host has a heartbeat.
    fn settle(&mut self, moment: &mut Moment<'_>, held: Held, access: Option<Access>) {
        let volume = self.facts.id;
        let heartbeat = Heartbeat::decode(&held.image).expect("it was just made");
        self.facts.own.heartbeat_address = heartbeat.address;
        self.facts.own.heartbeat_generation = heartbeat.generation;
        let (slot, generation) = (heartbeat.slot(), heartbeat.generation);
        moment.ledger.notice(moment.now, Notice::HeartbeatAcquired { volume, slot, generation });
        self.tell_written(moment, held.pulsed);
        if let Some(access) = access {
            self.tell_access(moment, access);
        }
        self.phase = Phase::Pulsing { held, next: Next::At(moment.tick_after(moment.now)) };
        self.expire(moment);
    }

    fn fail(&mut self, moment: &mut Moment<'_>, error: MountError) {
        self.phase = Phase::Away;
        moment.ledger.notice(moment.now, Notice::NotMounted { volume: self.facts.id, error });
    }

    /// Gives the heartbeat back if the volume is to be left, and nothing is under way any more.
    pub(super) fn leave_if_idle(&mut self, moment: &mut Moment<'_>) {
        if let Phase::Pulsing { held, next: Next::At(_) } = &self.phase
            && !self.wanted
            && self.works.is_idle()
        {
            let clear = Clear::new(self.facts.own.heartbeat_address, held);
            self.phase = Phase::Clearing(Task::begin(clear, &mut self.facts.view(moment)));
        }
    }

    pub(super) fn on_clearing(&mut self, moment: &mut Moment<'_>, input: Input) {
        let Phase::Clearing(task) = &mut self.phase else { return };
        let Some(is_clear) = task.hear(&mut self.facts.view(moment), input) else { return };
        self.phase = Phase::Away;
        let volume = self.facts.id;
        let notice = match is_clear {
            true => Notice::HeartbeatCleared { volume },
            false => Notice::HeartbeatLeft { volume },
        };
        moment.ledger.notice(moment.now, notice);
    }

    /// Locks like that from now on (`esxcli storage vmfs lockmode set`).
    ///
    /// # Errors
    /// If ATS alone is wanted of a device without it.
    pub(crate) fn set_locking(
        &mut self,
        moment: &mut Moment<'_>,
        locking: Locking,
    ) -> Result<(), NoAts> {
        // Before the device was asked it will be, with the new mode in mind.
        let known = matches!(self.phase, Phase::Away | Phase::Probing(_));
        if !known && locking.on_device(self.has_ats).is_none() {
            return Err(NoAts);
        }
        self.told.locking = locking;
        self.settle_locking(moment);
        Ok(())
    }

    /// Works out what remains of the mode on this device, and tells it if that is another one now.
    pub(super) fn settle_locking(&mut self, moment: &mut Moment<'_>) {
        let locking = self.told.locking.on_device(self.has_ats).unwrap_or(self.told.locking);
        if self.facts.locking != locking {
            self.facts.locking = locking;
            let notice = Notice::LockingChanged { volume: self.facts.id, locking };
            moment.ledger.notice(moment.now, notice);
        }
    }

    /// Asks the device of `by` whether the volume could extend to it.
    pub(crate) fn extend(&mut self, moment: &mut Moment<'_>, by: VolumeId) {
        let io = moment.ledger.submit_to(by, self.facts.id, Io::BlockLimits, IO_TIMEOUT);
        self.extension = Some(Extension { by, io });
    }

    pub(super) fn on_extension(&mut self, moment: &mut Moment<'_>, outcome: Outcome) {
        let Some(Extension { by, .. }) = self.extension.take() else { return };
        let locking = self.told.locking;
        let permitted = has_ats(&outcome).is_some_and(|ats| locking.on_device(ats).is_some());
        let notice = Notice::Extension { volume: self.facts.id, by, permitted };
        moment.ledger.notice(moment.now, notice);
    }
}

/// Whether the device has ATS, from what became of the question; `None` if that does not tell.
fn has_ats(outcome: &Outcome) -> Option<bool> {
    match outcome {
        // SBC-4, Block Limits VPD page: MAXIMUM COMPARE AND WRITE LENGTH.
        Outcome::Good(page) => Some(page.get(5).is_some_and(|length| *length > 0)),
        // A device that does not have the page.
        outcome if outcome.is_unsupported() => Some(false),
        Outcome::Miscompare(_)
        | Outcome::ReservationConflict
        | Outcome::Busy
        | Outcome::Failed { .. }
        | Outcome::TimedOut
        | Outcome::Lost => None,
    }
}
