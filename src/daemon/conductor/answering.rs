//! How answers go out: to whoever asked, and to the ring, with a doorbell at once for a heartbeat and one for several
//! of everything else.

use std::time::Duration;

use pulsefield_data::Buffer;
use pulsefield_engine::{Answer, Lane, Outcome};
use pulsefield_ring::{self as ring, CommandToken, DataIn};
use pulsefield_scsi::Status;
use pulsefield_units::Instant;

use super::{Conductor, Interruption, Origin};

/// Answers collected before the doorbell is rung for bulk.
const ANSWERS_PER_DOORBELL: usize = 32;

/// How long an answer may wait for others to share a doorbell with, while there is more to do. That is some times what a doorbell
/// costs, the wake-ups behind it included, also where a command takes a good part of it.
const DOORBELL_DELAY_MAX: Duration = Duration::from_millis(1);

/// Answers written since the doorbell was last rung.
#[derive(Default)]
pub(super) struct Unannounced {
    pub(super) count: usize,
    /// When the doorbell must be rung for the oldest of them.
    due: Option<Instant>,
}

impl Unannounced {
    /// Whether they are to be announced now, although more may follow.
    pub(super) fn wants_doorbell(&self, now: Instant) -> bool {
        self.count >= ANSWERS_PER_DOORBELL || self.due.is_some_and(|due| due <= now)
    }
}

impl Conductor<'_> {
    // Inlined, an answer is not moved for it.
    #[inline(always)]
    pub(super) fn answer(&mut self, answer: Answer<Origin>) -> Result<(), Interruption> {
        let Answer { token, lane, status, sense, data_in, data } = answer;
        let outcome = Outcome { status, sense, data_in };
        match token {
            Origin::Scene(id) => {
                let saboteur = self.station.saboteur.as_mut().expect("whoever asked is there");
                saboteur.on_answer(self.now, id, outcome, data);
                return Ok(());
            }
            Origin::Ring(token) => self.answer_ring(token, lane, outcome, data),
            Origin::Probe(number) => self.station.pass_probe(number),
            Origin::Part(tag) => self.server.on_copy_op_done(self.now, tag, outcome, data),
            Origin::PeerPart(reply) => reply.tell(outcome, data),
        }
        if lane == Some(Lane::Heartbeat) {
            self.ring_doorbell()?;
        }
        Ok(())
    }

    // Inlined, an answer is not moved for it.
    #[inline(always)]
    pub(super) fn answer_ring(
        &mut self,
        token: CommandToken,
        lane: Option<Lane>,
        outcome: Outcome,
        data: Buffer,
    ) {
        let command_id = token.cmd_id();
        let Outcome { status, sense, data_in } = outcome;
        let exchanged = if status == Status::Good { data_in.unwrap_or(data.len()) } else { 0 };
        let commands = &mut self.server.observer_mut().commands;
        commands.answer(self.now, command_id, lane, exchanged as u64);
        self.record_answer(command_id, lane, &outcome, &data);
        self.counters.answers.count(status, sense.map(|sense| sense.key));
        if lane == Some(Lane::Heartbeat) && status == Status::Good && data_in.is_none() {
            self.look_for_pulse(command_id, &data);
        }
        let mut bytes = [0; 96];
        if let Some(sense) = &sense {
            sense.encode(self.server.sense_format(), &mut bytes);
        }
        let valid = outcome.valid_bytes(data.len());
        let data_in = if valid < data.len() {
            DataIn::Short(u32::try_from(valid).expect("shorter than a transfer"))
        } else {
            DataIn::All
        };
        let answer = ring::Answer { status: status.as_u8(), sense: sense.map(|_| &bytes), data_in };
        self.ring.complete(token, answer, data);
        self.unannounced.count += 1;
        self.unannounced.due.get_or_insert_with(|| self.now.after(DOORBELL_DELAY_MAX));
    }

    pub(super) fn ring_doorbell(&mut self) -> Result<(), Interruption> {
        self.unannounced = Unannounced::default();
        if self.ring.publish() {
            self.look_if_out_of_time();
            self.uio.ring_doorbell()?;
            self.settle_latencies();
            self.tend_record();
            self.watch_room();
        }
        Ok(())
    }
}
