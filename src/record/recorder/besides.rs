//! What is told to a recorder besides commands.

use std::time::Duration;

use pulsefield_scsi::Asc;
use pulsefield_units::{Cdb, Instant};

use super::{KEPT, Recorder, nanos};
use crate::event::{Overdue, Stop, stage_code};
use crate::format::{
    AttentionRaisedLayout, FaultHitLayout, Kind, OverdueLayout, StopLayout, TaskManagementLayout,
    TaskManagementOverLayout,
};
use crate::functions::{Places, Waiting};

/// Commands that a record of a task management function lists.
const LISTED_MAX: usize = 256;

/// The longest name of a rule that is kept, in bytes.
const RULE_BYTES_MAX: usize = 128;

impl Recorder {
    /// Takes a task management function that aborts these commands; `in_flight` says which of them are not
    /// answered yet.
    pub fn task_management(
        &mut self,
        now: Instant,
        function: u8,
        command_ids: &[u16],
        in_flight: impl Fn(u16) -> bool,
    ) {
        let aborted = || command_ids.iter().filter(|id| in_flight(**id));
        let unanswered = aborted().count();
        // Without either, it is not told when the function is over.
        let place = self.functions.free_place().filter(|_| self.marks.has_room_for(unanswered));
        aborted().for_each(|id| self.marks.abort(*id, now, place.unwrap_or(0)));
        let commands = u32::try_from(command_ids.len()).unwrap_or(u32::MAX);
        let listed = &command_ids[..command_ids.len().min(LISTED_MAX)];
        let bytes_max = size_of::<TaskManagementLayout>() + 2 * LISTED_MAX;
        self.write(KEPT, now, Kind::TaskManagement, bytes_max, |entry| {
            entry.put(&TaskManagementLayout {
                function,
                reserved: 0,
                listed: u16::try_from(listed.len()).expect("at most LISTED_MAX").into(),
                commands: commands.into(),
            });
            let mut ids = [0; 2 * LISTED_MAX];
            for (bytes, id) in ids.as_chunks_mut().0.iter_mut().zip(listed) {
                *bytes = id.to_le_bytes();
            }
            entry.put_bytes(&ids[..2 * listed.len()]);
        });
        let waiting = Waiting { function, asked: now, commands, unanswered };
        match (unanswered, place) {
            (0, _) => self.function_over(now, &waiting),
            (_, Some(place)) => self.functions.wait(place, waiting),
            (_, None) => {}
        }
    }

    /// Takes that a command is answered that the functions at `places` wait for.
    #[cold]
    pub(super) fn end_functions(&mut self, now: Instant, places: Places) {
        let mut functions = std::mem::take(&mut self.functions);
        functions.answered(places).for_each(|over| self.function_over(now, &over));
        self.functions = functions;
    }

    fn function_over(&mut self, now: Instant, over: &Waiting) {
        let bytes_max = size_of::<TaskManagementOverLayout>();
        self.write(KEPT, now, Kind::TaskManagementOver, bytes_max, |entry| {
            entry.put(&TaskManagementOverLayout {
                asked_ns: over.asked.as_nanos().into(),
                function: over.function,
                reserved: [0; 3],
                commands: over.commands.into(),
            });
        });
    }

    /// Takes that the unit has raised a unit attention condition, which is reported with this code.
    pub fn attention_raised(&mut self, now: Instant, asc: Asc) {
        let bytes_max = size_of::<AttentionRaisedLayout>();
        self.write(KEPT, now, Kind::AttentionRaised, bytes_max, |entry| {
            entry.put(&AttentionRaisedLayout {
                asc: asc.asc(),
                ascq: asc.ascq(),
                reserved: [0; 6],
            });
        });
    }

    /// Takes that a heartbeat is not answered yet and too late.
    pub fn overdue(&mut self, now: Instant, overdue: &Overdue) {
        let Overdue { command_id, cdb, arrived, stage, blocks } = overdue;
        let bytes_max = size_of::<OverdueLayout>() + Cdb::CAPACITY;
        self.write(KEPT, now, Kind::Overdue, bytes_max, |entry| {
            entry.put(&OverdueLayout {
                arrived_ns: arrived.as_nanos().into(),
                since_ns: stage.map_or(0, |(_, since)| since.as_nanos()).into(),
                lba: blocks.map_or(0, |blocks| blocks.start().as_u64()).into(),
                blocks: blocks.map_or(0, |blocks| blocks.blocks().as_u64()).into(),
                command_id: (*command_id).into(),
                stage: stage_code(stage.map(|(stage, _)| stage)),
                cdb_bytes: u8::try_from(cdb.as_bytes().len()).expect("at most 32"),
                reserved: 0.into(),
            });
            entry.put_bytes(cdb.as_bytes());
        });
    }

    /// Takes that a rule has hit a command that has just come: the hit with this number in the unit's log.
    pub fn fault_hit(
        &mut self,
        now: Instant,
        number: u64,
        rule: &str,
        command_id: u16,
        opcode: u8,
        delay: Duration,
    ) {
        self.marks.hit(command_id, number);
        let name = &rule.as_bytes()[..rule.floor_char_boundary(RULE_BYTES_MAX)];
        let bytes_max = size_of::<FaultHitLayout>() + RULE_BYTES_MAX;
        self.write(KEPT, now, Kind::FaultHit, bytes_max, |entry| {
            entry.put(&FaultHitLayout {
                number: number.into(),
                delay_ns: nanos(delay).into(),
                command_id: command_id.into(),
                opcode,
                reserved: 0,
                name_bytes: u32::try_from(name.len()).expect("at most RULE_BYTES_MAX").into(),
            });
            entry.put_bytes(name);
        });
    }

    /// Takes the unit's end.
    pub fn stop(&mut self, now: Instant, reason: Stop) {
        self.write(KEPT, now, Kind::Stop, size_of::<StopLayout>(), |entry| {
            entry.put(&StopLayout { reason: reason.code().into(), reserved: 0.into() });
        });
    }
}
