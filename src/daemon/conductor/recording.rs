//! The conductor's part in recording: what it tells the recorder, if there is one.

use std::time::Duration;

use pulsefield_data::Buffer;
use pulsefield_engine::{Event, Lane, Outcome};
use pulsefield_faults::Hit;
use pulsefield_record::{Finished, Origin, Reason, Recorder, Stop};
use pulsefield_ring::Tmr;
use pulsefield_units::{Cdb, Instant, LbaRange};

use super::latency::Watch;
use super::{Conductor, End};
use crate::latency::Passage;
use crate::recording::RecordOrders;

/// The least time between two copies of the record because of late heartbeats, of those that are answered
/// and of those that are not: they come together.
pub(super) const DUMP_PERIOD: Duration = Duration::from_secs(60);

const WRITE_16: u8 = 0x8a;
const WRITE_SAME_10: u8 = 0x41;
const WRITE_SAME_16: u8 = 0x93;

impl Conductor<'_> {
    /// Says what is recorded, by whom.
    pub(crate) fn recorded(
        mut self,
        orders: RecordOrders,
        recorder: Option<Box<Recorder>>,
    ) -> Self {
        self.record_orders = Some(orders);
        self.server.observer_mut().recorder = recorder;
        self
    }

    /// Records as these say from now on.
    pub(super) fn order_recording(&mut self, orders: RecordOrders) {
        let before = self.record_orders.replace(orders.clone());
        let Some(detail) = orders.detail else {
            self.stop_recording(Stop::Told);
            return;
        };
        let recorder = self.server.observer_mut().recorder.as_mut();
        match (recorder, before) {
            (Some(recorder), Some(before)) if orders.same_file(&before) => {
                recorder.set_detail(detail)
            }
            // It was tried.
            (None, Some(before)) if orders == before => {}
            _ => {
                // Only one may write into a file.
                self.stop_recording(Stop::Told);
                self.surroundings.open_record(orders, self.server.geometry());
            }
        }
    }

    /// Takes a recorder that was asked for.
    pub(super) fn take_recorder(&mut self, orders: &RecordOrders, recorder: Box<Recorder>) {
        // What was ordered meanwhile is another matter.
        if self.record_orders.as_ref() == Some(orders) {
            self.server.observer_mut().recorder = Some(recorder);
        }
    }

    /// Tells that the conductor ends.
    pub(super) fn record_end(&mut self, end: &End) {
        self.stop_recording(match end {
            End::Stopped | End::StoppedBusy { .. } => Stop::Told,
            End::Gone => Stop::DeviceGone,
            End::Broken(_) | End::Failed(_) => Stop::Breakdown,
        });
    }

    fn stop_recording(&mut self, reason: Stop) {
        let now = self.station.clock.now();
        if let Some(mut recorder) = self.server.observer_mut().recorder.take() {
            recorder.stop(now, reason);
        }
    }

    /// Tells of an initiator's command whose answer is ready.
    pub(super) fn record_answer(
        &mut self,
        command_id: u16,
        lane: Option<Lane>,
        outcome: &Outcome,
        data: &Buffer,
    ) {
        if self.server.observer_mut().recorder.is_none() {
            return;
        }
        let now = self.time_of_answer(lane);
        let Watch { commands, recorder, .. } = self.server.observer_mut();
        let (Some(recorder), Some(passage)) = (recorder, commands.passage(command_id)) else {
            return;
        };
        let Passage { cdb, arrived, served, lane, .. } = passage;
        let served = served.as_ref();
        let finished = Finished {
            origin: Origin::Initiator { command_id },
            cdb,
            arrived: *arrived,
            started: served.and_then(|served| served.started),
            ended: served.map(|served| served.ended),
            waited: served.map(|served| served.waited).unwrap_or_default(),
            lane: *lane,
            blocks: served.and_then(|served| served.blocks),
            status: outcome.status,
            sense: outcome.sense.as_ref(),
            data,
        };
        recorder.command(now, &finished);
    }

    /// When an answer that is being recorded was ready. A heartbeat's is known exactly: its doorbell rings next
    /// and needs to know as well. For bulk that the medium has done at once the last tick will do, so that not
    /// every command costs a look at a clock that may be a system call; what took long shows all the same.
    fn time_of_answer(&mut self, lane: Option<Lane>) -> Instant {
        if lane == Some(Lane::Heartbeat) {
            self.look_if_out_of_time();
            return self.now;
        }
        if self.server.observer().commands.is_out_of_time() {
            return self.now.max(self.station.clock.coarse());
        }
        self.now
    }

    /// Tells of a task management function.
    pub(super) fn record_task_management(&mut self, tmr: &Tmr) {
        let watch = self.server.observer_mut();
        if let Some(recorder) = &mut watch.recorder {
            let commands = &watch.commands;
            let in_flight = |id| commands.awaits_answer(id);
            recorder.task_management(self.now, tmr.kind.code(), &tmr.command_ids, in_flight);
        }
    }

    /// Tells of the hits of faults from number `since` on: all of them are of the command that has just
    /// come.
    pub(super) fn record_hits(&mut self, since: u64, command_id: u16) {
        let (Some(recorder), Some(saboteur)) =
            (&mut self.server.observer_mut().recorder, &self.station.saboteur)
        else {
            return;
        };
        for Hit { number, rule, opcode, delay, .. } in saboteur.hits(since) {
            recorder.fault_hit(self.now, *number, rule, command_id, *opcode, *delay);
        }
    }

    /// Does what is due when a doorbell has rung: looks at the wall clock now and then, and has the record
    /// copied if a heartbeat was too late.
    pub(super) fn tend_record(&mut self) {
        let clock = self.station.clock;
        let Some(recorder) = &mut self.server.observer_mut().recorder else { return };
        if recorder.wants_anchor(self.now) {
            recorder.anchor(clock.now(), clock.wall());
        }
        if self.station.latency.has_late_heartbeat() {
            self.keep_record(Reason::LateHeartbeat);
        }
    }

    /// Has the record copied because of a heartbeat, unless that was done for the same reason just now.
    pub(super) fn keep_record(&mut self, reason: Reason) {
        let rate = match reason {
            Reason::UnansweredHeartbeat => &mut self.unanswered_dump_rate,
            Reason::LateHeartbeat | Reason::Breakdown => &mut self.dump_rate,
        };
        if self.server.observer().recorder.is_some()
            && let Some(orders) = &self.record_orders
            && rate.admit(self.now).is_some()
        {
            self.surroundings.dump_record(orders.clone(), reason);
        }
    }
}

/// Tells of what only the device server knows: what a COMPARE AND WRITE has found, and what was done that
/// no initiator waits for.
#[cold]
pub(super) fn record_event(recorder: &mut Recorder, now: Instant, event: Event<'_>) {
    if let Event::Miscompared { tag, blocks, offset, found, .. } = event {
        recorder.found(now, tag, blocks, offset, found);
    }
    if let Event::AttentionRaised { condition } = event {
        recorder.attention_raised(now, condition.asc());
    }
    if let Event::Retired {
        tag: None,
        blocks: Some(blocks),
        lane,
        opcode,
        status,
        sense,
        arrived,
        started,
        waited,
        copies,
        data,
        ..
    } = event
        && let Some(cdb) = writing(opcode, blocks)
    {
        let finished = Finished {
            origin: if copies { Origin::Copy } else { Origin::Fault },
            cdb: &cdb,
            arrived,
            started,
            ended: Some(now),
            waited,
            lane,
            blocks: Some(blocks),
            status,
            sense: sense.as_ref(),
            data,
        };
        recorder.command(now, &finished);
    }
}

/// The CDB of 16 bytes for a command of the unit's own that writes these blocks; `None` if it does not
/// write.
fn writing(opcode: u8, blocks: LbaRange) -> Option<Cdb> {
    let opcode = match opcode {
        0x0a | 0x2a | 0xaa | WRITE_16 | 0x2e | 0xae | 0x8e | 0x8b | 0x9c => WRITE_16,
        WRITE_SAME_10 | WRITE_SAME_16 => WRITE_SAME_16,
        pulsefield_scsi::opcode::COMPARE_AND_WRITE => opcode,
        _ => return None,
    };
    let mut cdb = [0; 16];
    cdb[0] = opcode;
    cdb[2..10].copy_from_slice(&blocks.start().as_u64().to_be_bytes());
    let count = u32::try_from(blocks.blocks().as_u64()).unwrap_or(u32::MAX);
    match opcode {
        pulsefield_scsi::opcode::COMPARE_AND_WRITE => {
            cdb[13] = u8::try_from(count).unwrap_or(u8::MAX)
        }
        _ => cdb[10..14].copy_from_slice(&count.to_be_bytes()),
    }
    Some(Cdb::new(&cdb))
}
