//! A command as the record tells of it, and what can be said of it in words.

use std::fmt;

use pulsefield_record::{Command, ImageRole, Origin, Record};
use pulsefield_scsi::{Command as Meaning, Status, opcode};
use pulsefield_units::{Cdb, Instant, Lba, LbaRange};
use pulsefield_vmfs::{Heartbeat, HeartbeatState, Object};

/// A command, and the record that tells of it.
#[derive(Clone, Copy, Debug)]
pub struct Told<'r> {
    /// The record.
    pub record: &'r Record,
    /// The command.
    pub command: &'r Command,
}

impl PartialEq for Told<'_> {
    /// Whether both are the same command: no two records of a unit have the same sequence number.
    fn eq(&self, other: &Self) -> bool {
        self.record.sequence == other.record.sequence
    }
}

impl Eq for Told<'_> {}

impl<'r> Told<'r> {
    /// When it had its effect, at the latest: the device server holds a command's blocks until it is done
    /// with it, so that of two that overlap one comes after the other.
    pub(crate) fn applied(&self) -> Instant {
        self.command.ended.unwrap_or(self.command.answered)
    }

    /// Whether it was answered GOOD.
    pub fn is_good(&self) -> bool {
        self.command.status == Status::Good.as_u8()
    }

    /// Whether it is a COMPARE AND WRITE.
    pub fn is_ats(&self) -> bool {
        self.command.cdb.opcode() == Some(opcode::COMPARE_AND_WRITE)
    }

    /// The heartbeat in use that it writes.
    pub fn pulse(&self) -> Option<Heartbeat> {
        let image = self.command.image(ImageRole::Written).filter(|image| image.offset == 0)?;
        match Object::decode(&image.bytes)? {
            Object::Heartbeat(it) if it.state == HeartbeatState::InUse => Some(it),
            Object::Heartbeat(_) | Object::Lock(_) => None,
        }
    }

    /// The blocks that it is about: those that it claimed, or else those that a COMPARE AND WRITE or a WRITE
    /// names, as of one that a fault answered.
    pub fn blocks(&self) -> Option<LbaRange> {
        self.command.blocks.or_else(|| self.named())
    }

    /// The blocks that a COMPARE AND WRITE or a WRITE names.
    pub(crate) fn named(&self) -> Option<LbaRange> {
        named_by(&self.command.cdb)
    }

    /// Of the image with this role the part that is the block `lba`, if it is kept.
    pub(crate) fn block(&self, role: ImageRole, lba: Lba, block_bytes: usize) -> Option<&'r [u8]> {
        let first = self.blocks()?.start();
        self.command.image(role)?.block(lba.checked_sub(first)?.as_u64(), block_bytes)
    }

    /// What the block `lba` holds after it; `None` if that is not kept. Only of a command that changes it.
    pub(crate) fn leaves(&self, lba: Lba, block_bytes: usize) -> Option<Left<'r>> {
        match Deed::of(&self.command.cdb) {
            Deed::Writes => self.block(ImageRole::Written, lba, block_bytes).map(Left::Bytes),
            Deed::Repeats => {
                let image = self.command.image(ImageRole::Repeated)?;
                image.block(0, block_bytes).map(Left::Bytes)
            }
            Deed::Zeroes => Some(Left::Zeros),
            Deed::Other => None,
        }
    }
}

/// The blocks that a COMPARE AND WRITE or a WRITE names.
pub(crate) fn named_by(cdb: &Cdb) -> Option<LbaRange> {
    let meaning = opcode::parse(cdb).ok()?;
    let extent = if let Meaning::CompareAndWrite(it) = meaning {
        it.extent
    } else if let Meaning::Write(it) = meaning {
        it.extent
    } else {
        return None;
    };
    extent.range().ok()?
}

/// What a block holds after a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left<'r> {
    Bytes(&'r [u8]),
    Zeros,
}

impl Left<'_> {
    pub(crate) fn is(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Bytes(left) => *left == bytes,
            Self::Zeros => bytes.iter().all(|byte| *byte == 0),
        }
    }
}

/// What a command makes of a block, as far as its data tells.
enum Deed {
    /// It holds the data then.
    Writes,
    /// It holds the one block that came.
    Repeats,
    /// It reads as zeros.
    Zeroes,
    /// What was there matters too, a mark is set, or the medium may do as it likes: ORWRITE, WRITE LONG, UNMAP,
    /// SANITIZE.
    Other,
}

impl Deed {
    fn of(cdb: &Cdb) -> Self {
        let Ok(meaning) = opcode::parse(cdb) else { return Self::Other };
        if let Meaning::WriteSame(it) = meaning {
            return if it.no_data_out { Self::Zeroes } else { Self::Repeats };
        }
        let writes = matches!(
            meaning,
            Meaning::CompareAndWrite(_)
                | Meaning::Write(_)
                | Meaning::WriteAndVerify(_)
                | Meaning::WriteAtomic(_)
        );
        if writes { Self::Writes } else { Self::Other }
    }
}

impl fmt::Display for Told<'_> {
    /// `#7 COMPARE AND WRITE 8704+1`, with the kernel's id of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.command.origin {
            Origin::Initiator { command_id } => write!(f, "#{command_id} ")?,
            Origin::Copy => f.write_str("an EXTENDED COPY's ")?,
            Origin::Fault => f.write_str("a fault's own ")?,
        }
        write_command(&self.command.cdb, self.blocks(), f)
    }
}

/// `COMPARE AND WRITE 8704+1`.
pub(crate) fn write_command(
    cdb: &Cdb,
    blocks: Option<LbaRange>,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    match (opcode::name_of(cdb), cdb.opcode()) {
        (Some(name), _) => f.write_str(name)?,
        (None, Some(code)) => write!(f, "command {code:02X}h")?,
        (None, None) => f.write_str("command without a CDB")?,
    }
    match blocks {
        Some(blocks) => write!(f, " {}+{}", blocks.start(), blocks.blocks()),
        None => Ok(()),
    }
}
