//! What a command does to blocks, as far as that decides what is kept of it.

use pulsefield_scsi::opcode;
use pulsefield_scsi::parameter::UnmapList;
use pulsefield_units::{Cdb, LbaRange};

use crate::entry::IMAGE_BYTES_MAX;

/// Of an UNMAP parameter list so many bytes are kept: its header and 31 descriptors.
pub(crate) const UNMAP_LIST_BYTES_MAX: usize = 504;

/// What a command does to the blocks it claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing.
    Reads,
    /// Replaces them if they hold what it expects.
    ComparesAndWrites,
    /// Writes its data to them.
    Writes,
    /// Writes one block to each of them.
    Repeats,
    /// Gives up their space: they read as zeros.
    Unmaps,
    /// Changes all of the medium.
    ChangesAll,
}

impl Effect {
    /// What the command does. A table by operation code, since it is asked of every command.
    pub(crate) fn of(cdb: &Cdb) -> Self {
        match cdb.opcode().unwrap_or_default() {
            opcode::COMPARE_AND_WRITE => Self::ComparesAndWrites,
            // WRITE (6), (10), (12), (16); WRITE AND VERIFY; ORWRITE; WRITE ATOMIC.
            0x0a | 0x2a | 0xaa | 0x8a | 0x2e | 0xae | 0x8e | 0x8b | opcode::WRITE_ATOMIC_16 => {
                Self::Writes
            }
            // WRITE SAME (10), (16); WRITE LONG marks a block as bad.
            0x41 | 0x93 | 0x3f | 0x9f => Self::Repeats,
            opcode::UNMAP => Self::Unmaps,
            opcode::FORMAT_UNIT | opcode::SANITIZE => Self::ChangesAll,
            opcode::VARIABLE_LENGTH => match cdb.as_bytes().get(8..10) {
                // WRITE (32), WRITE AND VERIFY (32), ORWRITE (32), WRITE ATOMIC (32).
                Some([0, 0x0b | 0x0c | 0x0e | 0x0f]) => Self::Writes,
                Some([0, 0x0d]) => Self::Repeats,
                Some(_) | None => Self::Reads,
            },
            _ => Self::Reads,
        }
    }
}

/// The part of so many bytes that is kept, if not all of them are: at least the block in which the byte at
/// `around` is. As where it starts, and how long it is.
pub(crate) fn window(length: usize, around: usize, block_bytes: usize) -> (usize, usize) {
    if length <= IMAGE_BYTES_MAX {
        return (0, length);
    }
    let start = around.min(length - 1) / block_bytes * block_bytes;
    (start, (length - start).min(IMAGE_BYTES_MAX))
}

/// The first of the ranges that an UNMAP parameter list names for which `wanted` says so.
pub(crate) fn unmapped(list: &[u8], wanted: impl Fn(LbaRange) -> bool) -> Option<LbaRange> {
    let list = UnmapList::parse_unlimited(list).ok()?;
    let mut ranges = list.extents().filter_map(|extent| LbaRange::new(extent.lba, extent.blocks));
    ranges.find(|range| wanted(*range))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_is_long_the_block_in_question_is_kept() {
        assert_eq!(window(512, 17, 512), (0, 512));
        assert_eq!(window(4096, 4095, 512), (0, 4096));
        assert_eq!(window(8192, 0, 512), (0, 4096));
        assert_eq!(window(8192, 700, 512), (512, 4096));
        assert_eq!(window(8192, 8191, 512), (7680, 512));
        assert_eq!(window(8192, 99_999, 4096), (4096, 4096));
    }

    #[test]
    fn every_opcode_of_the_standard_that_changes_blocks_is_known() {
        let effect = |cdb: &[u8]| Effect::of(&Cdb::new(cdb));
        for opcode in [0x0a, 0x2a, 0xaa, 0x8a, 0x2e, 0xae, 0x8e, 0x8b, 0x9c] {
            assert_eq!(effect(&[opcode]), Effect::Writes, "{opcode:#x}");
        }
        assert_eq!(effect(&[0x89]), Effect::ComparesAndWrites);
        assert_eq!(effect(&[0x93]), Effect::Repeats);
        assert_eq!(effect(&[0x42]), Effect::Unmaps);
        assert_eq!(effect(&[0x48]), Effect::ChangesAll);
        let long = |action| effect(&[0x7f, 0, 0, 0, 0, 0, 0, 0x18, 0, action]);
        assert_eq!([0x09, 0x0b, 0x0d].map(long), [Effect::Reads, Effect::Writes, Effect::Repeats]);
        for opcode in [0x00, 0x12, 0x28, 0x88, 0x2f, 0x83] {
            assert_eq!(effect(&[opcode]), Effect::Reads, "{opcode:#x}");
        }
    }
}
