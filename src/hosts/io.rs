//! What a host asks a device for, and what becomes of it.

use std::time::Duration;

use pulsefield_scsi::{Asc, Sense, SenseKey, Status};
use pulsefield_units::{BlockCount, Instant, Lba, LbaRange};

use crate::Notice;

/// One of the volumes that a host has mounted, counted from 0 in the order in which it was told of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VolumeId(pub u32);

/// An I/O of one host. Never used again by that host, also not after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IoId(pub u64);

/// What a host wants done next. Its driver takes actions until there are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Do this, and tell its outcome exactly once.
    Submit {
        /// What the outcome is told with.
        id: IoId,
        /// Which volume's device.
        volume: VolumeId,
        /// What.
        io: Io,
        /// Abort it if it has not been answered for so long, and tell [`Outcome::TimedOut`] when the abort
        /// has been.
        timeout: Duration,
    },
    /// Tell whoever watches.
    Notice {
        /// When it was so.
        at: Instant,
        /// What.
        notice: Notice,
    },
}

/// An input or output of a host. Blocks are the device's; data is of whole blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Io {
    /// READ (16).
    Read(LbaRange),
    /// WRITE (16) of as many blocks as there is data for.
    Write {
        /// The first block.
        lba: Lba,
        /// What.
        data: Vec<u8>,
    },
    /// COMPARE AND WRITE of one block.
    CompareAndWrite {
        /// Which.
        lba: Lba,
        /// What must be there.
        test: Vec<u8>,
        /// What is to be there.
        set: Vec<u8>,
    },
    /// RESERVE (6) of the logical unit.
    Reserve,
    /// RELEASE (6) of it.
    Release,
    /// TEST UNIT READY.
    TestUnitReady,
    /// INQUIRY for VPD page B0h, Block Limits: what tells whether there is ATS.
    BlockLimits,
    /// UNMAP.
    Unmap(LbaRange),
    /// WRITE SAME (16) of zeros.
    WriteZeros(LbaRange),
    /// GET LBA STATUS of one block.
    LbaStatus(Lba),
    /// EXTENDED COPY within the logical unit.
    Copy {
        /// From where.
        from: Lba,
        /// To where.
        to: Lba,
        /// How much.
        blocks: BlockCount,
    },
    /// The task management function LOGICAL UNIT RESET, by which a host halts what is in flight.
    LogicalUnitReset,
}

/// What became of an I/O.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done; with what was read, or the parameter data.
    Good(Vec<u8>),
    /// 0Eh/1Dh/00h: nothing was written. With INFORMATION, the offset of the first byte that differs, if
    /// it was valid.
    Miscompare(Option<u64>),
    /// RESERVATION CONFLICT: nothing was done.
    ReservationConflict,
    /// BUSY or TASK SET FULL: nothing was done, says SAM; but a target that was started again may answer
    /// like that what it had done before.
    Busy,
    /// Any other status.
    Failed {
        /// Which.
        status: Status,
        /// With it, if any came.
        sense: Option<Sense>,
    },
    /// Not answered in time, and aborted: nobody knows whether it was done.
    TimedOut,
    /// The way to the device broke, or the device was reset under it: nobody knows whether it was done.
    Lost,
}

impl Outcome {
    /// Whether the device has no such command (05h/20h/00h, or 05h/24h/00h from one that knows the operation
    /// code but not this use of it): what makes ESXi do without a primitive.
    pub(crate) fn is_unsupported(&self) -> bool {
        let Self::Failed { sense: Some(sense), .. } = self else { return false };
        sense.key == SenseKey::IllegalRequest
            && [Asc::INVALID_COMMAND_OPERATION_CODE, Asc::INVALID_FIELD_IN_CDB].contains(&sense.asc)
    }
}
