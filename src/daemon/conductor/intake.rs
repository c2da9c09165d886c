//! What comes in by itself: commands and task management functions from the ring, completions from the medium.

use pulsefield_backstore::Completion;
use pulsefield_engine::{Incoming, Outcome};
use pulsefield_faults::Saboteur;
use pulsefield_ring::{Entry, RingCommand, RingError, Tmr};
use pulsefield_scsi::{Asc, Sense, SenseKey, Status, opcode};
use tracing::{debug, error, trace};

use super::at_once::{Allowance, AtOnce};
use super::changing::FLUSH_TAG;
use super::{Conductor, Interruption, Origin};

/// What came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Intake {
    /// Nothing.
    Nothing,
    /// Something, and perhaps more is there.
    Part,
    /// Something, and that is all.
    All,
}

impl Conductor<'_> {
    /// Hands the device server what came from the ring and from the medium, and answers what is over with that.
    pub(super) fn take_in(&mut self) -> Result<Intake, Interruption> {
        let mut any = false;
        let mut allowance = Allowance::default();
        while let Some(completion) = self.station.completions().take(&**self.backstore) {
            self.note_time(&mut any);
            self.take_completion(completion);
        }
        while let Some(answer) = self.server.next_answer() {
            self.answer(answer)?;
        }
        while allowance.is_left() {
            // Matched where it is: with `?` each command would be moved once more.
            match self.next_entry() {
                Ok(Some(Entry::Command(command))) => {
                    self.note_time(&mut any);
                    self.take_command(command, &mut allowance)?;
                }
                Ok(Some(Entry::Tmr(tmr))) => {
                    self.note_time(&mut any);
                    self.take_tmr(&tmr);
                }
                Ok(None) => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.just_looked = false;
        Ok(match any {
            _ if !allowance.is_left() => Intake::Part,
            true => Intake::All,
            false => Intake::Nothing,
        })
    }

    /// The next entry of the ring, if the unit is restored and is not about to change its medium.
    fn next_entry(&mut self) -> Result<Option<Entry>, RingError> {
        if self.changing.is_some() {
            return Ok(None);
        }
        if self.restored {
            if self.held.is_some() {
                return Ok(self.held.take());
            }
            return self.ring.next_entry();
        }
        if self.held.is_none() {
            self.held = self.ring.next_entry()?;
            if self.held.is_some() && self.held_requests.is_empty() {
                self.surroundings.load();
            }
        }
        Ok(None)
    }

    fn take_command(
        &mut self,
        command: RingCommand,
        allowance: &mut Allowance,
    ) -> Result<(), Interruption> {
        let RingCommand { token, cdb, data, data_in: _, malformed } = command;
        self.counters.count_command();
        self.server.observer_mut().commands.take(self.now, token.cmd_id(), &cdb);
        if self.late_due.is_none() {
            self.late_due = self.station.latency.first_deadline(self.now);
        }
        if let Some(malformed) = malformed {
            error!(cmd_id = token.cmd_id(), %malformed, "a ring entry makes no sense");
            self.counters.count_malformed();
            let sense = Sense::new(SenseKey::HardwareError, Asc::INTERNAL_TARGET_FAILURE);
            let (status, sense) = (Status::CheckCondition, Some(sense));
            self.answer_ring(token, None, Outcome { status, sense, data_in: None }, data);
            return Ok(());
        }
        let tag = token.cmd_id();
        trace!(cmd_id = tag, command = opcode::name_of(&cdb), ?cdb, data_bytes = data.len());
        let incoming = Incoming { token: Origin::Ring(token), tag: Some(tag), cdb, data };
        if self.station.saboteur.as_ref().is_some_and(Saboteur::looks_on) {
            return self.show_saboteur(incoming, tag, allowance);
        }
        self.carry_out(incoming, allowance)
    }

    /// Has the device server take a command, and the medium do what it does at once.
    #[inline(always)]
    fn carry_out(
        &mut self,
        incoming: Incoming<Origin>,
        allowance: &mut Allowance,
    ) -> Result<(), Interruption> {
        let (medium, station, now) = (&**self.backstore, &*self.station, self.now);
        let mut medium = AtOnce { medium, station, allowance, now, has_worked: false };
        let answer = self.server.on_command_before(self.now, incoming, &mut medium);
        if medium.has_worked {
            self.lose_sight_of_time();
        }
        let Some(answer) = answer else { return Ok(()) };
        let look = allowance.spend(answer.data.len(), answer.lane);
        self.answer(answer)?;
        if look {
            let now = self.station.clock.now();
            allowance.see_time(now);
            if self.unannounced.wants_doorbell(now) {
                self.ring_doorbell()?;
            }
        }
        Ok(())
    }

    /// Shows a command to the saboteur, and goes on with it unless he keeps it.
    #[inline(never)]
    fn show_saboteur(
        &mut self,
        incoming: Incoming<Origin>,
        tag: u16,
        allowance: &mut Allowance,
    ) -> Result<(), Interruption> {
        let Some(saboteur) = &mut self.station.saboteur else { return Ok(()) };
        let hits = saboteur.next_hit();
        let incoming = saboteur.on_command(self.now, incoming, self.ring.in_flight());
        self.record_hits(hits, tag);
        match incoming {
            Some(incoming) => self.carry_out(incoming, allowance),
            None => Ok(()),
        }
    }

    fn take_tmr(&mut self, tmr: &Tmr) {
        debug!(kind = ?tmr.kind, commands = ?tmr.command_ids, "task management");
        self.record_task_management(tmr);
        self.counters.task_management.count(tmr.kind);
        if let Some(saboteur) = &mut self.station.saboteur {
            saboteur.on_abort(self.now, &tmr.command_ids);
        }
        self.server.on_abort(self.now, &tmr.command_ids);
        if tmr.kind.is_reset() {
            self.server.on_reset();
        }
    }

    pub(super) fn take_completion(&mut self, completion: Completion) {
        let Completion { tag, result, buffer } = completion;
        match tag {
            FLUSH_TAG => self.flushed(result),
            _ => self.server.on_op_done(self.now, tag, result, buffer),
        }
    }

    /// Looks at the clock for the first of several things that came in together.
    pub(super) fn note_time(&mut self, any: &mut bool) {
        if !*any {
            if !self.just_looked {
                self.look_at_clock();
            }
            self.station.polling.end_rest(self.now);
            self.station.precedence.work(self.now);
            *any = true;
        }
    }
}
