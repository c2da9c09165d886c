//! LIO's part of a target with one logical unit: what initiators speak to.
//!
//! Sources: `drivers/target/target_core_{transport,tmr,ua,pr}.c`; what the ring's kernel side does is
//! [`pulsefield_ring::simulated_kernel`].

use std::collections::{BTreeSet, VecDeque};
use std::io;

use pulsefield_daemon::embedded::{EmbeddedConductor, EmbeddedError};
use pulsefield_ring::simulated_kernel::{
    Data, Finished, Options, Refused, Reset, SimulatedKernel, Submitted,
};
use pulsefield_ring::{AttachError, Ring, TmrKind};
use pulsefield_scsi::{Asc, SENSE_BUFFER_LENGTH, Sense, SenseFormat, SenseKey, Status};
use pulsefield_units::{Cdb, Instant};

use crate::attention::{Attentions, RESET_OCCURRED};
use crate::reservation::Reservation;
use crate::task::{Hears, Nexus, Tag, Task, Tasks};

/// What LIO tells initiators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A command is answered.
    Answered {
        /// Whose it was.
        nexus: Nexus,
        /// Which.
        tag: Tag,
        /// How.
        status: Status,
        /// With CHECK CONDITION.
        sense: Option<[u8; SENSE_BUFFER_LENGTH]>,
        /// As much as was transferred.
        data_in: Vec<u8>,
    },
    /// A task management function is complete: of what it ended, the unit does nothing any more.
    Managed {
        /// Whose it was.
        nexus: Nexus,
        /// Which.
        tag: Tag,
    },
}

/// Why a daemon serves a target no longer.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The daemon has ended.
    #[error(transparent)]
    Unit(#[from] EmbeddedError),
    /// The kernel cannot make sense of what the daemon wrote into the ring.
    #[error("an answer broke the ring")]
    Broken,
}

/// A target with one logical unit.
pub struct Target {
    kernel: SimulatedKernel,
    tasks: Tasks,
    reservation: Reservation,
    attentions: Attentions,
    /// All that ever sent something and are not lost.
    nexuses: BTreeSet<Nexus>,
    events: VecDeque<Event>,
    /// The kernel's count of events when a daemon last looked.
    served: u32,
}

impl Target {
    /// A target whose backstore nobody serves yet. Task management is notified of, as the daemon has it
    /// whatever `options` say.
    ///
    /// # Errors
    /// What `mmap(2)` answers.
    pub fn new(options: Options) -> io::Result<Self> {
        let kernel = SimulatedKernel::new(Options { tmr_notification: true, ..options })?;
        Ok(Self {
            kernel,
            tasks: Tasks::default(),
            reservation: Reservation::default(),
            attentions: Attentions::default(),
            nexuses: BTreeSet::new(),
            events: VecDeque::new(),
            served: 0,
        })
    }

    /// Has a daemon begin: the ring for its unit. What an earlier one has left there is answered BUSY,
    /// although it may have been done.
    ///
    /// # Errors
    /// If the ring is none that this daemon can use.
    pub fn take_over(&mut self, now: Instant) -> Result<Ring, AttachError> {
        let mut finished = self.kernel.block();
        finished.extend(self.kernel.reset_ring(now, Reset::Busy));
        let ring = Ring::attach(self.kernel.mapping());
        self.kernel.unblock();
        self.take(finished);
        ring
    }

    /// Sends a command; [`Event::Answered`] tells its end, unless it is aborted.
    pub fn submit(&mut self, now: Instant, nexus: Nexus, cdb: &Cdb, data: Data) -> Tag {
        self.nexuses.insert(nexus);
        let tag = self.tasks.tag();
        if let Some(sense) = self.attentions.report(nexus, cdb.opcode()) {
            self.refuse(nexus, tag, Status::CheckCondition, Some(sense));
        } else if let Some(status) = self.reservation.admit(nexus, cdb.opcode()) {
            self.refuse(nexus, tag, status, None);
        } else {
            match self.kernel.submit(now, cdb.as_bytes(), data) {
                Ok(command) => self.tasks.begin(command, tag, nexus),
                Err(refused) => {
                    let (status, sense) = answer_of(refused);
                    self.refuse(nexus, tag, status, sense);
                }
            }
        }
        tag
    }

    /// Sends ABORT TASK for a command of this nexus. It is answered to nobody if it was not by now;
    /// [`Event::Managed`] says when the unit has let go of it.
    pub fn abort(&mut self, nexus: Nexus, command: Tag) -> Tag {
        let ended = self.tasks.those(|task| task.tag == command && task.nexus == nexus);
        self.manage(nexus, TmrKind::AbortTask, &ended)
    }

    /// Sends LOGICAL UNIT RESET. It ends all commands of all nexuses, of which the others hear TASK ABORTED;
    /// then the reservation is gone and each nexus has a unit attention condition.
    pub fn reset(&mut self, nexus: Nexus) -> Tag {
        let ended = self.tasks.those(|_| true);
        self.manage(nexus, TmrKind::LunReset, &ended)
    }

    /// A nexus is no more: it is told nothing of what it has sent, all of which may still be done. Its
    /// reservation stays.
    pub fn lose(&mut self, nexus: Nexus) {
        self.nexuses.remove(&nexus);
        self.attentions.forget(nexus);
        self.tasks.forget(nexus);
        self.events.retain(|event| match event {
            Event::Answered { nexus: whose, .. } | Event::Managed { nexus: whose, .. } => {
                *whose != nexus
            }
        });
    }

    /// Whether the unit has anything that `nexus` sent. As long as it has, LIO lets no new session of the
    /// same initiator begin.
    pub fn is_busy_for(&self, nexus: Nexus) -> bool {
        !self.tasks.those(|task| task.nexus == nexus).is_empty()
    }

    /// Has the daemon do what there is to do, and takes its answers.
    ///
    /// # Errors
    /// [`ServeError`]: a bug of the daemon.
    pub fn serve(
        &mut self,
        now: Instant,
        daemon: &mut EmbeddedConductor<'_>,
    ) -> Result<(), ServeError> {
        loop {
            self.served = self.kernel.event_count();
            daemon.turn_at(now)?;
            let finished = self.kernel.doorbell(now);
            if self.kernel.is_broken() {
                return Err(ServeError::Broken);
            }
            self.take(finished);
            // What waited for room may be on the ring now.
            if !self.wants_service() {
                return Ok(());
            }
        }
    }

    /// Whether something is on the ring that no daemon has looked at.
    pub fn wants_service(&self) -> bool {
        self.kernel.event_count() != self.served
    }

    /// Ends commands that were on the ring for too long; the unit may still do them.
    pub fn tick(&mut self, now: Instant) {
        let finished = self.kernel.tick(now);
        self.take(finished);
    }

    /// When the next [`Self::tick`] is due.
    pub fn wake_at(&self) -> Option<Instant> {
        self.kernel.next_deadline()
    }

    /// The next thing to tell an initiator.
    pub fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn refuse(&mut self, nexus: Nexus, tag: Tag, status: Status, sense: Option<Sense>) {
        let sense = sense.map(|sense| {
            let mut bytes = [0; SENSE_BUFFER_LENGTH];
            sense.encode(SenseFormat::Fixed, &mut bytes);
            bytes
        });
        self.events.push_back(Event::Answered { nexus, tag, status, sense, data_in: Vec::new() });
    }

    fn manage(&mut self, nexus: Nexus, kind: TmrKind, ended: &[Submitted]) -> Tag {
        self.nexuses.insert(nexus);
        let tag = self.tasks.manage(nexus, kind.is_reset(), ended);
        let finished = self.kernel.task_management(kind, ended);
        self.take(finished);
        tag
    }

    /// Tells initiators of what has ended.
    fn take(&mut self, finished: Vec<Finished>) {
        for finished in finished {
            let Some(task) = self.tasks.end(finished.handle) else { continue };
            self.tell(task, finished);
        }
        while let Some(function) = self.tasks.done() {
            if function.is_reset {
                self.reservation.clear();
                for nexus in &self.nexuses {
                    self.attentions.establish(*nexus, RESET_OCCURRED);
                }
            }
            // One that is lost is told nothing.
            if self.nexuses.contains(&function.nexus) {
                let (nexus, tag) = (function.nexus, function.tag);
                self.events.push_back(Event::Managed { nexus, tag });
            }
        }
    }

    fn tell(&mut self, task: Task, finished: Finished) {
        let Task { tag, nexus, hears } = task;
        let Finished { status, sense, data_in, .. } = finished;
        match hears {
            Hears::Nobody => {}
            Hears::Aborted => self.refuse(nexus, tag, Status::TaskAborted, None),
            Hears::Answer => {
                let status = Status::from_u8(status).expect("whoever answered had a Status");
                self.events.push_back(Event::Answered { nexus, tag, status, sense, data_in });
            }
        }
    }
}

/// What an initiator hears when the kernel answers at once.
fn answer_of(refused: Refused) -> (Status, Option<Sense>) {
    let check = |key, asc| (Status::CheckCondition, Some(Sense::new(key, asc)));
    match refused {
        Refused::Busy => (Status::Busy, None),
        Refused::TaskSetFull => (Status::TaskSetFull, None),
        Refused::InvalidFieldInCdb => check(SenseKey::IllegalRequest, Asc::INVALID_FIELD_IN_CDB),
        Refused::CommunicationFailure => {
            check(SenseKey::NotReady, Asc::LOGICAL_UNIT_COMMUNICATION_FAILURE)
        }
    }
}

#[cfg(test)]
mod tests;
