//! WRITE LONG (10) and (16) (SBC-4).

use pulsefield_units::{BlockCount, Lba};

use super::Extent;
use crate::field::{Flag, Number};
use crate::{Command, Sense};

/// WR_UNCOR: mark the block. Without it the command would write user data with error correction bytes
/// of the initiator's own, which SBC-4 has made obsolete, as it has COR_DIS and PBLOCK beside it.
const WR_UNCOR: Flag = Flag::new(1, 6);
const LBA_10: Number<4> = Number::at(2);
const LBA_16: Number<8> = Number::at(2);

/// WRITE LONG: the block cannot be read any more until it is written again (SBC-4, pseudo unrecovered
/// error with correction disabled).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteLong {
    /// The block, one.
    pub extent: Extent,
}

pub(crate) fn parse_10(cdb: &[u8]) -> Result<Command, Sense> {
    write_long(cdb, Lba::new(LBA_10.read(cdb).into()))
}

pub(crate) fn parse_16(cdb: &[u8]) -> Result<Command, Sense> {
    write_long(cdb, Lba::new(LBA_16.read(cdb)))
}

fn write_long(cdb: &[u8], lba: Lba) -> Result<Command, Sense> {
    if !WR_UNCOR.read(cdb) {
        return Err(WR_UNCOR.invalid_in_cdb());
    }
    Ok(Command::WriteLong(WriteLong { extent: Extent { lba, blocks: BlockCount::new(1) } }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_bytes;

    #[test]
    fn both_lengths_have_their_layout() {
        let write_long =
            |lba: u64| Ok(Command::WriteLong(WriteLong { extent: Extent::new(lba, 1_u8) }));
        assert_eq!(parse_bytes(&[0x3f, 0x40, 1, 2, 3, 4, 0, 2, 0, 0]), write_long(0x0102_0304));
        assert_eq!(
            parse_bytes(&[0x9f, 0x51, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0]),
            write_long(0x1_0000_0002)
        );
    }

    #[test]
    fn to_write_data_is_refused() {
        assert_eq!(
            parse_bytes(&[0x3f, 0x80, 0, 0, 0, 0, 0, 2, 8, 0]),
            Err(Sense::invalid_field_in_cdb(1, Some(6)))
        );
    }
}
