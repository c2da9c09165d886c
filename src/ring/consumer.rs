//! Reading the ring: from the private cursor to the head, one entry at a time.
//!
//! Everything read here was written by the other side and is believed only after it was compared
//! with the bounds of the ring and of the entry. The one thing that cannot be survived is a length
//! or a head that makes no sense, since then nobody knows where the next entry starts; that is a
//! [`RingError`]. A command that is wrong in itself is [`Malformed`]: it can be answered, so it is.

use std::sync::Arc;

use pulsefield_data::Buffer;
use pulsefield_units::Cdb;
use thiserror::Error;

use crate::abi::{
    COMMAND_ENTRY_SIZE, COMMAND_IOV, CommandRequest, ENTRY_BODY, ENTRY_UFLAGS, EntryHeader, Iovec,
    OP_ALIGN_SIZE, OP_CMD, OP_PAD, OP_TMR, TMR_ENTRY_SIZE, TmrBody, UFLAG_UNKNOWN_OP,
};
use crate::token::{CommandRef, Lease};
use crate::usage::area_bytes;
use crate::{CommandToken, Ring, Tmr, TmrKind};

/// What the kernel posted.
#[derive(Debug)]
pub enum Entry {
    /// A command to be executed and answered.
    Command(RingCommand),
    /// News that commands were aborted; no answer is possible.
    Tmr(Tmr),
}

/// A SCSI command, copied or borrowed out of the ring.
///
/// Nothing in it depends on the command's slot, which may be overwritten by another command's
/// answer at any time.
#[derive(Debug)]
pub struct RingCommand {
    /// The duty to answer.
    pub token: CommandToken,
    /// The CDB with what padding follows it; empty if the entry has none.
    pub cdb: Cdb,
    /// The data of the only direction, or Data-Out of a bidirectional command. Its length is the
    /// initiator's expected data transfer length. Data-In bytes are those of whoever had the blocks
    /// last: fill them all, or answer with [`crate::DataIn::Short`].
    pub data: Buffer,
    /// Data-In of a bidirectional command, zeroed; empty for any other.
    pub data_in: Buffer,
    /// Why the command cannot be executed; `data` and `data_in` are then empty. It is still to be
    /// answered (CHECK CONDITION).
    pub malformed: Option<Malformed>,
}

/// What is wrong with one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// The CDB does not lie between the vectors and the end of the entry.
    #[error("the CDB at byte {cdb_off} of the region lies outside its entry")]
    CdbOutsideEntry {
        /// Where it is said to be, in bytes from the start of the region.
        cdb_off: u64,
    },
    /// More vectors than the entry can hold.
    #[error("{count} vectors do not fit into the entry")]
    TooManyVectors {
        /// How many there are said to be, over both directions.
        count: u64,
    },
    /// Vectors of protection information, which TCMU does not define.
    #[error("there are {count} vectors of protection information")]
    ProtectionInformation {
        /// How many.
        count: u32,
    },
    /// A vector that leaves the data area.
    #[error("a vector of {len} bytes at byte {base} of the region lies outside the data area")]
    VectorOutsideDataArea {
        /// Its first byte, counted from the start of the region.
        base: u64,
        /// Its length in bytes.
        len: u64,
    },
    /// All vectors together are longer than the data area.
    #[error("the data is longer than the data area")]
    DataTooLong,
}

/// The ring makes no sense any more. Nothing further can be read from it, and the same error comes
/// again; commands in flight can still be answered, but the device must be reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RingError {
    /// The head lies outside the ring, off an entry boundary, or beyond slots that were not given
    /// back yet.
    #[error("the head jumped to {head} from {cursor}, with the tail at {tail}")]
    Head {
        /// Where the kernel's head is now, in bytes from the start of the ring.
        head: u32,
        /// Where it was before.
        cursor: u32,
        /// The tail last published.
        tail: u32,
    },
    /// An entry that is empty, or that passes the head or the end of the ring.
    #[error("the entry at {offset} is {len} bytes long, where {available} are available")]
    EntryLength {
        /// Where the entry starts, in bytes from the start of the ring.
        offset: u32,
        /// Its length in bytes.
        len: u32,
        /// How many bytes there are up to the head or the end of the ring.
        available: u32,
    },
    /// An entry too short for what it is said to hold.
    #[error("the entry at {offset} is {len} bytes long and would have to be {needed}")]
    EntryTooShort {
        /// Where the entry starts, in bytes from the start of the ring.
        offset: u32,
        /// Its length in bytes.
        len: u32,
        /// The least length it would need.
        needed: u64,
    },
    /// A command with the id 0, or with that of a command in flight: an answer to it would make the
    /// kernel give the device up.
    #[error("the command at {offset} has the id {cmd_id}, which is zero or in flight already")]
    CommandId {
        /// Where the entry starts, in bytes from the start of the ring.
        offset: u32,
        /// The id.
        cmd_id: u16,
    },
}

/// An entry whose length has been checked.
#[derive(Clone, Copy)]
struct Slot {
    /// In bytes from the start of the ring.
    offset: u32,
    /// In bytes from the start of the region.
    start: usize,
    header: EntryHeader,
}

impl Slot {
    /// The length as an offset into memory.
    const fn len(self) -> usize {
        self.header.len() as usize
    }

    /// # Errors
    /// If the entry is shorter than `needed` bytes.
    fn require(self, needed: u64) -> Result<(), RingError> {
        if u64::from(self.header.len()) >= needed {
            return Ok(());
        }
        Err(RingError::EntryTooShort { offset: self.offset, len: self.header.len(), needed })
    }
}

impl Ring {
    /// The next command or notification; `None` if the kernel has posted nothing more.
    ///
    /// Padding is passed over, and so are entries with an opcode of a future kernel, after they
    /// were marked as unknown. Looks at the kernel's head only when everything before the last known
    /// one was read, so one pass over the ring ends.
    ///
    /// # Errors
    /// See [`RingError`]; nothing was consumed.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, RingError> {
        loop {
            if self.cursor == self.head && !self.look_for_more()? {
                return Ok(None);
            }
            let slot = self.slot_at_cursor()?;
            match slot.header.opcode() {
                OP_CMD => {
                    let command = self.command(slot)?;
                    self.pass(slot);
                    return Ok(Some(Entry::Command(command)));
                }
                OP_TMR => {
                    let tmr = self.tmr(slot)?;
                    self.pass(slot);
                    return Ok(Some(Entry::Tmr(tmr)));
                }
                OP_PAD => self.pass(slot),
                _ => {
                    self.mark_unknown(slot);
                    self.pass(slot);
                }
            }
        }
    }

    /// Goes on behind an entry.
    fn pass(&mut self, slot: Slot) {
        self.cursor = self.circle.advance(self.cursor, slot.header.len());
    }

    /// Asks the kernel for its head; `false` if it has not moved.
    fn look_for_more(&mut self) -> Result<bool, RingError> {
        let head = self.mailbox.head();
        if head == self.head {
            return Ok(false);
        }
        let sane = head < self.circle.size() && head.is_multiple_of(OP_ALIGN_SIZE);
        // The kernel must not write over slots before it has got them back: seen from the tail it
        // last saw, the head only moves forward, and never all the way round.
        let (from, to) = (self.published, self.head);
        if !sane || self.circle.distance(from, head) < self.circle.distance(from, to) {
            return Err(RingError::Head { head, cursor: self.cursor, tail: self.published });
        }
        self.head = head;
        self.ring_in_use.set(self.circle.distance(from, head) as usize);
        Ok(true)
    }

    /// The entry at the cursor, which is not at the head: so eight bytes of it at least are there.
    fn slot_at_cursor(&self) -> Result<Slot, RingError> {
        let offset = self.cursor;
        let start = self.region_offset(offset);
        let header: EntryHeader = self.mapping.read(start);
        let to_head = self.circle.distance(offset, self.head);
        let available = to_head.min(self.circle.to_end(offset));
        if header.len() == 0 || header.len() > available {
            return Err(RingError::EntryLength { offset, len: header.len(), available });
        }
        Ok(Slot { offset, start, header })
    }

    fn command(&mut self, slot: Slot) -> Result<RingCommand, RingError> {
        slot.require(COMMAND_ENTRY_SIZE as u64)?;
        let cmd_id = slot.header.cmd_id;
        if cmd_id == 0 || !self.ids.insert(cmd_id) {
            return Err(RingError::CommandId { offset: slot.offset, cmd_id });
        }
        let lease = self.new_lease();
        let (cdb, buffers) = self.request(slot, &lease);
        let (data, data_in, malformed) = match buffers {
            Ok((data, data_in)) => (data, data_in, None),
            Err(malformed) => (Buffer::empty(), Buffer::empty(), Some(malformed)),
        };
        let sequence = self.push_slot(slot.offset);
        let area_bytes = area_bytes(data.len()).saturating_add(area_bytes(data_in.len()));
        self.data_in_use.add(area_bytes);
        let command = CommandRef { cmd_id, sequence, data_len: data.len(), area_bytes };
        Ok(RingCommand { token: CommandToken::new(command, lease), cdb, data, data_in, malformed })
    }

    /// Copies the CDB and the vectors out of the entry.
    fn request(
        &mut self,
        slot: Slot,
        lease: &Arc<Lease>,
    ) -> (Cdb, Result<(Buffer, Buffer), Malformed>) {
        let request: CommandRequest = self.mapping.read(slot.start.saturating_add(ENTRY_BODY));
        let count = u64::from(request.iov_cnt).saturating_add(u64::from(request.iov_bidi_cnt));
        let vectors_end = usize::try_from(count)
            .ok()
            .and_then(|count| count.checked_mul(size_of::<Iovec>()))
            .and_then(|len| len.checked_add(COMMAND_IOV))
            .filter(|end| *end <= slot.len());
        let Some(vectors_end) = vectors_end else {
            return (Cdb::new(&[]), Err(Malformed::TooManyVectors { count }));
        };
        let cdb = match self.cdb(slot, vectors_end, request.cdb_off) {
            Ok(cdb) => cdb,
            Err(malformed) => return (Cdb::new(&[]), Err(malformed)),
        };
        (cdb, self.buffers(slot, &request, lease))
    }

    /// The CDB, which lies somewhere behind the vectors. Its length is not stated; what is there up
    /// to the end of the entry is copied, at most [`Cdb::CAPACITY`] bytes.
    fn cdb(&self, slot: Slot, vectors_end: usize, cdb_off: u64) -> Result<Cdb, Malformed> {
        let outside = Malformed::CdbOutsideEntry { cdb_off };
        let start = usize::try_from(cdb_off).map_err(|_| outside)?;
        let within = start.checked_sub(slot.start).ok_or(outside)?;
        if within < vectors_end || within >= slot.len() {
            return Err(outside);
        }
        let len = slot.len().saturating_sub(within);
        Ok(Cdb::filled(len, |bytes| self.mapping.copy_out(start, bytes)))
    }

    /// Data of the only direction or Data-Out, and Data-In of a bidirectional command.
    fn buffers(
        &mut self,
        slot: Slot,
        request: &CommandRequest,
        lease: &Arc<Lease>,
    ) -> Result<(Buffer, Buffer), Malformed> {
        if request.iov_dif_cnt != 0 {
            return Err(Malformed::ProtectionInformation { count: request.iov_dif_cnt });
        }
        let (mapping, data_area) = (&self.mapping, &mut self.data_area);
        let first = slot.start.saturating_add(COMMAND_IOV);
        let mut vectors = (first..).step_by(size_of::<Iovec>()).map(|at| mapping.read::<Iovec>(at));
        let data = data_area.buffer(take(&mut vectors, request.iov_cnt), lease)?;
        if request.iov_bidi_cnt == 0 {
            return Ok((data, Buffer::empty()));
        }
        let mut data_in = data_area.buffer(take(&mut vectors, request.iov_bidi_cnt), lease)?;
        // The kernel returns all of it whatever the answer says (READ_LEN does not apply here), so
        // what nobody writes must not be another command's bytes.
        data_in.fill(0, data_in.len(), 0);
        Ok((data, data_in))
    }

    fn tmr(&self, slot: Slot) -> Result<Tmr, RingError> {
        slot.require(TMR_ENTRY_SIZE as u64)?;
        let body: TmrBody = self.mapping.read(slot.start.saturating_add(ENTRY_BODY));
        let ids_len = u64::from(body.cmd_cnt).saturating_mul(size_of::<u16>() as u64);
        slot.require(ids_len.saturating_add(TMR_ENTRY_SIZE as u64))?;
        let first = slot.start.saturating_add(TMR_ENTRY_SIZE);
        let ids = (first..).step_by(size_of::<u16>()).map(|at| self.mapping.read::<u16>(at));
        Ok(Tmr {
            kind: TmrKind::from_code(body.tmr_type),
            command_ids: ids.take(body.cmd_cnt as usize).collect(),
        })
    }

    /// Tells the kernel that this handler cannot do what the entry asks for. The slot is passed over
    /// and never used for another command's answer: the kernel looks at it by its own opcode.
    fn mark_unknown(&self, slot: Slot) {
        let uflags = slot.header.uflags | UFLAG_UNKNOWN_OP;
        self.mapping.write(slot.start.saturating_add(ENTRY_UFLAGS), &uflags);
    }
}

/// The next `count` vectors, leaving the rest where they are.
fn take(vectors: &mut impl Iterator<Item = Iovec>, count: u32) -> impl Iterator<Item = Iovec> {
    vectors.by_ref().take(count as usize)
}
