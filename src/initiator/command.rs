//! What a host asks for, as what goes to a logical unit. Pure: whoever has a way to a unit sends it.

use pulsefield_hosts::Io;
use pulsefield_units::{BlockCount, BlockLength, Cdb, Lba, LbaRange};
use thiserror::Error;

use crate::cdb;
use crate::naa::Naa;
use crate::parameter::{COPY_BLOCKS_MAX, copy_list, unmap_list};

/// A request to a logical unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A command.
    Command(Command),
    /// The task management function LOGICAL UNIT RESET.
    LogicalUnitReset,
}

/// A command with its data phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The CDB.
    pub cdb: Cdb,
    /// What goes with it.
    pub data: Data,
}

/// The data phase of a command. Directions are the initiator's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// There is none.
    None,
    /// Data-In: at most so many bytes come.
    In(usize),
    /// Data-Out: these go.
    Out(Vec<u8>),
}

/// What a host asks for cannot be said in one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CommandError {
    /// The field for the number of blocks is too narrow.
    #[error("{blocks} blocks are too many for one command: {max} are the most")]
    TooManyBlocks {
        /// How many.
        blocks: BlockCount,
        /// How many there may be.
        max: u32,
    },
    /// Data is not of whole blocks, or for COMPARE AND WRITE not of one.
    #[error("{bytes} bytes are no number of blocks of {block_bytes} that can be written")]
    Partial {
        /// How many there are.
        bytes: usize,
        /// The length of a block in bytes.
        block_bytes: u32,
    },
}

impl Request {
    /// What carries out `io` on a unit with blocks of `block_length`. `naa` names the unit to EXTENDED COPY; without
    /// it the copy is within "the unit that received the command", which not every target understands.
    ///
    /// # Errors
    /// [`CommandError`]: it is more than one command can do.
    pub fn new(io: Io, block_length: BlockLength, naa: Option<&Naa>) -> Result<Self, CommandError> {
        let block_bytes = block_length.bytes();
        let partial = |bytes| CommandError::Partial { bytes, block_bytes };
        let whole_blocks = |data: &[u8]| {
            let whole = block_length.divides(data.len() as u64) && !data.is_empty();
            let blocks = block_length.blocks_in(data.len() as u64);
            if whole { in_u32(blocks) } else { Err(partial(data.len())) }
        };
        let (cdb, data) = match io {
            Io::Read(range) => {
                let blocks = in_u32(range.blocks())?;
                let bytes = block_length.bytes_in(range).and_then(|it| usize::try_from(it).ok());
                let bytes = bytes.ok_or(too_many(range.blocks(), u32::MAX))?;
                (cdb::read_16(range.start(), blocks), Data::In(bytes))
            }
            Io::Write { lba, data } => (cdb::write_16(lba, whole_blocks(&data)?), Data::Out(data)),
            Io::CompareAndWrite { lba, test, set } => {
                for half in [&test, &set] {
                    if half.len() != block_bytes as usize {
                        return Err(partial(half.len()));
                    }
                }
                (cdb::compare_and_write(lba, 1), Data::Out([test, set].concat()))
            }
            Io::Reserve => (cdb::reserve_6(), Data::None),
            Io::Release => (cdb::release_6(), Data::None),
            Io::TestUnitReady => (cdb::test_unit_ready(), Data::None),
            Io::BlockLimits => (cdb::inquiry_vpd(0xb0), Data::In(cdb::ALLOCATION_LENGTH.into())),
            Io::Unmap(range) => unmap(range)?,
            Io::WriteZeros(range) => {
                let zeros = vec![0; block_bytes as usize];
                let blocks = in_u32(range.blocks())?;
                (cdb::write_same_16(range.start(), blocks), Data::Out(zeros))
            }
            Io::LbaStatus(lba) => {
                (cdb::get_lba_status(lba), Data::In(cdb::LBA_STATUS_BYTES as usize))
            }
            Io::Copy { from, to, blocks } => copy(from, to, blocks, block_length, naa)?,
            Io::LogicalUnitReset => return Ok(Self::LogicalUnitReset),
        };
        Ok(Self::Command(Command { cdb, data }))
    }
}

impl Command {
    /// TEST UNIT READY.
    pub fn test_unit_ready() -> Self {
        Self { cdb: cdb::test_unit_ready(), data: Data::None }
    }

    /// A command that asks for up to [`cdb::ALLOCATION_LENGTH`] bytes.
    pub(crate) fn asking(cdb: Cdb) -> Self {
        Self { cdb, data: Data::In(cdb::ALLOCATION_LENGTH.into()) }
    }
}

fn unmap(range: LbaRange) -> Result<(Cdb, Data), CommandError> {
    let list = unmap_list(range.start(), in_u32(range.blocks())?);
    let length = u16::try_from(list.len()).unwrap_or(u16::MAX);
    Ok((cdb::unmap(length), Data::Out(list.to_vec())))
}

fn copy(
    from: Lba,
    to: Lba,
    blocks: BlockCount,
    block_length: BlockLength,
    naa: Option<&Naa>,
) -> Result<(Cdb, Data), CommandError> {
    let blocks =
        u16::try_from(blocks.as_u64()).map_err(|_| too_many(blocks, COPY_BLOCKS_MAX.into()))?;
    let list = copy_list(from, to, blocks, block_length, naa);
    let length = u32::try_from(list.len()).unwrap_or(u32::MAX);
    Ok((cdb::extended_copy(length), Data::Out(list)))
}

fn in_u32(blocks: BlockCount) -> Result<u32, CommandError> {
    u32::try_from(blocks.as_u64()).map_err(|_| too_many(blocks, u32::MAX))
}

const fn too_many(blocks: BlockCount, max: u32) -> CommandError {
    CommandError::TooManyBlocks { blocks, max }
}

#[cfg(test)]
mod tests;
