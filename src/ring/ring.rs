//! One device's command ring, seen from the handler's side.

use std::collections::VecDeque;
use std::sync::Arc;

use thiserror::Error;

use crate::Mapping;
use crate::abi::{
    COMMAND_ENTRY_SIZE, FLAG_CAP_KEEP_BUF, FLAG_CAP_OOOC, FLAG_CAP_READ_LEN, FLAG_CAP_TMR,
    MAILBOX_SIZE, MAILBOX_VERSION, OP_ALIGN_SIZE,
};
use crate::circle::Circle;
use crate::command_ids::CommandIds;
use crate::completion::{Held, Slot};
use crate::data_area::DataArea;
use crate::mailbox::Mailbox;
use crate::token::{Lease, LostCommands};
use crate::usage::Level;

/// What this kernel can do, as its mailbox says. Nothing is ever concluded from kernel versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// Commands may be answered in any order; otherwise the ring holds answers until their turn.
    pub out_of_order: bool,
    /// A short Data-In is reported to the initiator; otherwise it is filled up with zeros.
    pub read_length: bool,
    /// Task management notifications can be had (attribute `tmr_notification`).
    pub task_management: bool,
    /// Data blocks can outlive their command. Not used by this room.
    pub keep_buffer: bool,
}

impl Features {
    const fn from_flags(flags: u16) -> Self {
        Self {
            out_of_order: flags & FLAG_CAP_OOOC != 0,
            read_length: flags & FLAG_CAP_READ_LEN != 0,
            task_management: flags & FLAG_CAP_TMR != 0,
            keep_buffer: flags & FLAG_CAP_KEEP_BUF != 0,
        }
    }

    #[cfg(any(test, feature = "simulated-kernel"))]
    pub(crate) const fn to_flags(self) -> u16 {
        let mut flags = 0;
        if self.out_of_order {
            flags |= FLAG_CAP_OOOC;
        }
        if self.read_length {
            flags |= FLAG_CAP_READ_LEN;
        }
        if self.task_management {
            flags |= FLAG_CAP_TMR;
        }
        if self.keep_buffer {
            flags |= FLAG_CAP_KEEP_BUF;
        }
        flags
    }
}

/// Why a region is not a ring that can be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AttachError {
    /// Not even a mailbox fits.
    #[error("a region of {len} bytes is too short for a mailbox")]
    NoMailbox {
        /// Length of the region in bytes.
        len: usize,
    },
    /// A mailbox of another version than 2.
    #[error("mailbox version {version} is not served, only 2 is")]
    Version {
        /// The version found.
        version: u16,
    },
    /// The ring overlaps the mailbox, leaves the region, is misaligned, or is too small for a
    /// command.
    #[error("a command ring of {size} bytes at {offset} makes no sense in a region of {len} bytes")]
    Ring {
        /// `cmdr_off`: where it is said to start, in bytes.
        offset: u32,
        /// `cmdr_size`: its length in bytes.
        size: u32,
        /// Length of the region in bytes.
        len: usize,
    },
    /// Head or tail outside the ring or off an entry boundary.
    #[error("head {head} and tail {tail} make no sense in a command ring of {size} bytes")]
    Cursors {
        /// `cmd_head`, in bytes from the start of the ring.
        head: u32,
        /// `cmd_tail`, in bytes from the start of the ring.
        tail: u32,
        /// `cmdr_size` in bytes.
        size: u32,
    },
}

/// The handler's end of one device's ring: [`Ring::next_entry`] yields what the kernel posted,
/// [`Ring::complete`] answers, [`Ring::publish`] hands a batch of answers over.
///
/// One thread owns it. Tokens and buffers of its commands may travel to other threads. Drop the
/// ring before tokens that will never be completed.
pub struct Ring {
    pub(crate) mapping: Arc<Mapping>,
    pub(crate) mailbox: Mailbox,
    pub(crate) features: Features,
    /// Where the ring starts, in bytes from the start of the region.
    ring_start: usize,
    pub(crate) circle: Circle,
    /// The kernel's head when it was last looked at.
    pub(crate) head: u32,
    /// The next entry to read; everything before it was copied out.
    pub(crate) cursor: u32,
    /// The tail the kernel was last given.
    pub(crate) published: u32,
    /// Ids of the commands in flight.
    pub(crate) ids: CommandIds,
    /// Slots of commands read and not passed by the tail, oldest first.
    pub(crate) slots: VecDeque<Slot>,
    /// Sequence number of the command that was read from the first of `slots`.
    pub(crate) first_sequence: u64,
    /// Commands read and not answered.
    pub(crate) in_flight: usize,
    pub(crate) data_area: DataArea,
    /// Bytes of the data area that commands in flight have.
    pub(crate) data_in_use: Level,
    /// Bytes of the ring between the tail that was published and the head.
    pub(crate) ring_in_use: Level,
    /// Leases that nobody else holds, for the next commands.
    pub(crate) leases: Vec<Arc<Lease>>,
    /// Answers to commands whose data is still in somebody's hands.
    pub(crate) held: VecDeque<Held>,
    pub(crate) lost: Arc<LostCommands>,
    pub(crate) lost_count: u64,
}

/// A ring can be handed to the thread that will own it.
const _: fn(Ring) -> Box<dyn Send> = |ring| Box::new(ring);

impl Ring {
    /// Starts serving the ring in `mapping`, at its tail.
    ///
    /// Unless the device is new, the caller has reset the ring before: what a handler before us
    /// answered out of order cannot be read again.
    ///
    /// # Errors
    /// If the mailbox makes no sense; nothing was written.
    pub fn attach(mapping: Arc<Mapping>) -> Result<Self, AttachError> {
        let len = mapping.len();
        if len < MAILBOX_SIZE {
            return Err(AttachError::NoMailbox { len });
        }
        let mailbox = Mailbox::new(Arc::clone(&mapping));
        let header = mailbox.header();
        if header.version != MAILBOX_VERSION {
            return Err(AttachError::Version { version: header.version });
        }
        let (offset, size) = (header.cmdr_off, header.cmdr_size);
        let nonsense = AttachError::Ring { offset, size, len };
        let ring_start = offset as usize;
        let ring_end = ring_start.checked_add(size as usize).ok_or(nonsense)?;
        let aligned = offset.is_multiple_of(OP_ALIGN_SIZE) && size.is_multiple_of(OP_ALIGN_SIZE);
        let fits = ring_start >= MAILBOX_SIZE && ring_end <= len;
        if !aligned || !fits || (size as usize) < COMMAND_ENTRY_SIZE {
            return Err(nonsense);
        }
        let (head, tail) = (mailbox.head(), mailbox.tail());
        let sane = |cursor: u32| cursor < size && cursor.is_multiple_of(OP_ALIGN_SIZE);
        if !sane(head) || !sane(tail) {
            return Err(AttachError::Cursors { head, tail, size });
        }
        Ok(Self {
            features: Features::from_flags(header.flags),
            ring_start,
            circle: Circle::new(size),
            head: tail,
            cursor: tail,
            published: tail,
            ids: CommandIds::new(),
            slots: VecDeque::new(),
            first_sequence: 0,
            in_flight: 0,
            data_area: DataArea::new(Arc::clone(&mapping), ring_end..len),
            data_in_use: Level::default(),
            ring_in_use: Level::default(),
            leases: Vec::new(),
            held: VecDeque::new(),
            lost: Arc::default(),
            lost_count: 0,
            mailbox,
            mapping,
        })
    }

    /// What the kernel can do.
    pub fn features(&self) -> Features {
        self.features
    }

    /// An offset into the ring as an offset into the region.
    pub(crate) fn region_offset(&self, offset: u32) -> usize {
        // Never saturates: `attach` saw that the whole ring lies inside the region.
        self.ring_start.saturating_add(offset as usize)
    }
}
