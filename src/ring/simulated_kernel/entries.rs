//! Producing: commands, padding and notifications onto the ring.

use pulsefield_units::Instant;

use super::{Command, Data, Posted, Refused, SimulatedKernel};
use crate::TmrKind;
use crate::abi::{
    COMMAND_ENTRY_SIZE, COMMAND_IOV, CommandRequest, ENTRY_BODY, EntryHeader, Iovec, MAILBOX_SIZE,
    OP_ALIGN_SIZE, OP_CMD, OP_PAD, OP_TMR, TMR_ENTRY_SIZE, TmrBody,
};

impl SimulatedKernel {
    /// Posts a command (`queue_cmd_ring`), or hands it back if it must wait for room.
    pub(super) fn post(
        &mut self,
        now: Instant,
        command: Command,
    ) -> Result<Option<Command>, Refused> {
        if self.blocked {
            return Err(Refused::Busy);
        }
        if self.broken {
            return Err(Refused::CommunicationFailure);
        }
        if !self.waiting.is_empty() {
            return Ok(Some(command));
        }
        let first = self.blocks.needed(command.data.first_len());
        let count = first + self.blocks.needed(command.data.second_len());
        if !self.blocks.could_hold(count) {
            return Err(Refused::InvalidFieldInCdb);
        }
        let Some(blocks) = self.blocks.take(count) else {
            return Ok(Some(command));
        };
        let (first_blocks, second_blocks) = blocks.split_at(first);
        let vectors = self.blocks.vectors(first_blocks, command.data.first_len());
        let bidi_vectors = self.blocks.vectors(second_blocks, command.data.second_len());

        let vectors_len = (vectors.len() + bidi_vectors.len()) * size_of::<Iovec>();
        let base_len = (COMMAND_IOV + vectors_len).max(COMMAND_ENTRY_SIZE);
        let cdb_len = scsi_command_size(&command.cdb);
        let len = aligned(base_len + cdb_len);
        if len > self.circle.size() / 2 {
            self.blocks.free(blocks);
            return Err(Refused::InvalidFieldInCdb);
        }
        if !self.has_room(len) {
            self.blocks.free(blocks);
            return Ok(Some(command));
        }
        let Some(cmd_id) = self.ids.lowest_free() else {
            self.blocks.free(blocks);
            return Err(Refused::TaskSetFull);
        };
        self.ids.insert(cmd_id);
        self.fill(&command.data, first_blocks, second_blocks);

        let start = self.begin(OP_CMD, cmd_id, len);
        let cdb_off = start + base_len;
        self.mapping.write(
            start + ENTRY_BODY,
            &CommandRequest {
                iov_cnt: count_of(&vectors),
                iov_bidi_cnt: count_of(&bidi_vectors),
                iov_dif_cnt: 0,
                _padding: 0,
                cdb_off: cdb_off as u64,
            },
        );
        for (nth, vector) in vectors.iter().chain(&bidi_vectors).enumerate() {
            self.mapping.write(start + COMMAND_IOV + nth * size_of::<Iovec>(), vector);
        }
        let present = command.cdb.len().min(cdb_len);
        self.mapping.copy_in(cdb_off, &command.cdb[..present]);
        self.finish(len);

        let Command { handle, data, cdb: _ } = command;
        let deadline = self.options.command_time_out.map(|time_out| now.after(time_out));
        let posted = Posted { handle, data, blocks, deadline, expired: false, kept: false };
        self.commands.insert(cmd_id, posted);
        Ok(None)
    }

    /// Posts a notification (`queue_tmr_ring`), or lets it wait for room.
    pub(super) fn notify(&mut self, kind: TmrKind, ids: Vec<u16>) {
        if self.broken {
            return;
        }
        let len = aligned(TMR_ENTRY_SIZE + ids.len() * size_of::<u16>());
        if !self.waiting_tmrs.is_empty() || !self.has_room(len) {
            self.waiting_tmrs.push_back((kind, ids));
            return;
        }
        let start = self.begin(OP_TMR, 0, len);
        self.mapping.write(
            start + ENTRY_BODY,
            &TmrBody {
                tmr_type: kind.code(),
                _pad1: 0,
                _pad2: 0,
                cmd_cnt: count_of(&ids),
                _pad3: 0,
                _pad4: 0,
            },
        );
        for (nth, id) in ids.iter().enumerate() {
            self.mapping.write(start + TMR_ENTRY_SIZE + nth * size_of::<u16>(), id);
        }
        self.finish(len);
    }

    /// Posts the notifications that wait; `false` if some still do (`tcmu_run_tmr_queue`).
    pub(super) fn run_waiting_tmrs(&mut self) -> bool {
        for (kind, ids) in std::mem::take(&mut self.waiting_tmrs) {
            self.notify(kind, ids);
        }
        self.waiting_tmrs.is_empty()
    }

    /// Whether an entry fits, with padding before it if it would wrap (`is_ring_space_avail`). One
    /// byte stays free, or a full ring would look empty.
    fn has_room(&self, len: u32) -> bool {
        let to_end = self.circle.to_end(self.head);
        let needed = if to_end >= len { len } else { len + to_end };
        self.circle.size() - self.circle.distance(self.cleaned, self.head) > needed
    }

    /// Starts a zeroed entry at the head, behind padding if need be (`ring_insert_padding`), and
    /// says where in the region it lies.
    fn begin(&mut self, opcode: u32, cmd_id: u16, len: u32) -> usize {
        let to_end = self.circle.to_end(self.head);
        if to_end < len {
            self.header(OP_PAD, 0, to_end);
            self.head = self.circle.advance(self.head, to_end);
            self.mailbox.publish_head(self.head);
        }
        let start = self.slot_start();
        self.mapping.copy_in(start, &vec![0; len as usize]);
        self.header(opcode, cmd_id, len);
        start
    }

    /// Shows the entry at the head to the handler.
    fn finish(&mut self, len: u32) {
        self.head = self.circle.advance(self.head, len);
        self.mailbox.publish_head(self.head);
        self.events = self.events.wrapping_add(1);
    }

    fn header(&self, opcode: u32, cmd_id: u16, len: u32) {
        let header = EntryHeader { len_op: len | opcode, cmd_id, kflags: 0, uflags: 0 };
        self.mapping.write(self.slot_start(), &header);
    }

    fn slot_start(&self) -> usize {
        MAILBOX_SIZE + self.head as usize
    }

    /// Data-Out into the blocks, dirt into those of Data-In.
    fn fill(&self, data: &Data, first_blocks: &[u32], second_blocks: &[u32]) {
        self.blocks.scatter(&self.mapping, first_blocks, data.out());
        let (blocks, expected) = match data {
            Data::In(expected) => (first_blocks, *expected),
            Data::Bidirectional { expected, .. } => (second_blocks, *expected),
            Data::None | Data::Out(_) => return,
        };
        if let Some(dirt) = self.options.dirt {
            self.blocks.scatter(&self.mapping, blocks, &vec![dirt; expected]);
        }
    }
}

/// An entry's length: a multiple of 8.
fn aligned(len: usize) -> u32 {
    let len = len.next_multiple_of(OP_ALIGN_SIZE as usize);
    u32::try_from(len).expect("an entry is far shorter than 4 GiB")
}

fn count_of<T>(items: &[T]) -> u32 {
    u32::try_from(items.len()).expect("bounded by the data area")
}

/// How many bytes of CDB the kernel copies (`scsi_command_size`): by group code, or by the
/// ADDITIONAL CDB LENGTH field of a variable-length CDB.
fn scsi_command_size(cdb: &[u8]) -> usize {
    const BY_GROUP: [usize; 8] = [6, 10, 10, 12, 16, 12, 10, 10];
    let byte = |at: usize| cdb.get(at).copied().unwrap_or(0);
    match byte(0) {
        0x7f => 8 + usize::from(byte(7)),
        opcode => BY_GROUP[usize::from(opcode >> 5)],
    }
}
