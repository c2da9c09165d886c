//! COMPARE AND WRITE (SBC-4), VMware's ATS.

use super::{DPO, Extent, FUA, refuse_protection};
use crate::field::Number;
use crate::{Command, Sense};

const LBA: Number<8> = Number::at(2);
/// NUMBER OF LOGICAL BLOCKS: one byte, the last of where other CDBs have four.
const BLOCKS: Number<1> = Number::at(13);

/// COMPARE AND WRITE. Data-Out holds twice `extent`: what must be there, then what to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompareAndWrite {
    /// What to compare and write, up to 255 blocks; zero blocks are no error.
    pub extent: Extent,
    /// DPO: the blocks need not be kept in the cache.
    pub dpo: bool,
    /// FUA: the data must be on stable storage before the answer.
    pub fua: bool,
}

impl CompareAndWrite {
    /// 05h/24h/00h for more blocks than the Block Limits page allows, or than came with the command.
    pub const INVALID_BLOCK_COUNT: Sense = BLOCKS.invalid_in_cdb();
}

pub(crate) fn parse(cdb: &[u8]) -> Result<Command, Sense> {
    refuse_protection(cdb)?;
    Ok(Command::CompareAndWrite(CompareAndWrite {
        extent: Extent::new(LBA.read(cdb), BLOCKS.read(cdb)),
        dpo: DPO.read(cdb),
        fua: FUA.read(cdb),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_bytes;

    #[test]
    fn a_heartbeat_parses() {
        assert_eq!(
            parse_bytes(&[0x89, 0, 0, 0, 0, 0, 0, 0, 0xa8, 0x40, 0, 0, 0, 1, 0, 0]),
            Ok(Command::CompareAndWrite(CompareAndWrite {
                extent: Extent::new(43_072_u32, 1_u8),
                dpo: false,
                fua: false,
            }))
        );
    }

    #[test]
    fn the_reserved_bytes_before_the_length_do_not_count() {
        assert_eq!(
            parse_bytes(&[0x89, 0x18, 1, 2, 3, 4, 5, 6, 7, 8, 0xff, 0xff, 0xff, 255, 0, 0]),
            Ok(Command::CompareAndWrite(CompareAndWrite {
                extent: Extent::new(0x0102_0304_0506_0708_u64, 255_u8),
                dpo: true,
                fua: true,
            }))
        );
    }

    #[test]
    fn protection_information_is_refused() {
        assert_eq!(
            parse_bytes(&[0x89, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]),
            Err(Sense::invalid_field_in_cdb(1, Some(7)))
        );
    }

    #[test]
    fn too_many_blocks_point_at_the_length() {
        assert_eq!(CompareAndWrite::INVALID_BLOCK_COUNT, Sense::invalid_field_in_cdb(13, None));
    }
}
