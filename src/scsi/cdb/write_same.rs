//! WRITE SAME (10), (16) and (32) (SBC-4).

use super::{Extent, extent_10, extent_16, extent_32, flags_byte, refuse_protection};
use crate::field::Flag;
use crate::{Command, Sense};

/// ANCHOR: keep the space reserved; only with UNMAP.
const ANCHOR: Flag = Flag::new(1, 4);
const UNMAP: Flag = Flag::new(1, 3);
/// PBDATA and LBDATA, obsolete: they would put the address into each block.
const PBDATA: Flag = Flag::new(1, 2);
const LBDATA: Flag = Flag::new(1, 1);
/// NDOB: there is no Data-Out, the block is all zeros; not in (10).
const NDOB: Flag = Flag::new(1, 0);

/// WRITE SAME.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteSame {
    /// Where to write; zero blocks stand for all from the first to the end of the medium, unless
    /// the Block Limits page says WSNZ, or that so many are too many.
    pub extent: Extent,
    /// UNMAP: the space may be given back if the block is all zeros.
    pub unmap: bool,
    /// ANCHOR: the space should stay reserved.
    pub anchor: bool,
    /// NDOB: no block comes with the command; zeros are meant.
    pub no_data_out: bool,
    /// Where the CDB has its flags.
    flags_byte: u16,
}

impl WriteSame {
    /// 05h/24h/00h for an anchor where there are none (ANC_SUP = 0).
    pub const fn anchor_not_supported(&self) -> Sense {
        ANCHOR.in_byte(self.flags_byte).invalid_in_cdb()
    }

    /// 05h/24h/00h for UNMAP where no space is given back.
    pub const fn unmap_not_supported(&self) -> Sense {
        UNMAP.in_byte(self.flags_byte).invalid_in_cdb()
    }
}

pub(crate) fn parse_10(cdb: &[u8]) -> Result<Command, Sense> {
    write_same(cdb, extent_10(cdb), false)
}

pub(crate) fn parse_16(cdb: &[u8]) -> Result<Command, Sense> {
    write_same(cdb, extent_16(cdb), NDOB.read(cdb))
}

pub(crate) fn parse_32(cdb: &[u8]) -> Result<Command, Sense> {
    write_same(cdb, extent_32(cdb), NDOB.in_byte(flags_byte(cdb)).read(cdb))
}

fn write_same(cdb: &[u8], extent: Extent, no_data_out: bool) -> Result<Command, Sense> {
    refuse_protection(cdb)?;
    // Obsolete bits are ignored elsewhere; to ignore these would write other data than asked for.
    let flags_byte = flags_byte(cdb);
    for obsolete in [PBDATA, LBDATA].map(|bit| bit.in_byte(flags_byte)) {
        if obsolete.read(cdb) {
            return Err(obsolete.invalid_in_cdb());
        }
    }
    let [unmap, anchor] = [UNMAP, ANCHOR].map(|bit| bit.in_byte(flags_byte).read(cdb));
    if anchor && !unmap {
        return Err(ANCHOR.in_byte(flags_byte).invalid_in_cdb());
    }
    Ok(Command::WriteSame(WriteSame { extent, unmap, anchor, no_data_out, flags_byte }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{long_cdb, parse_bytes};

    #[test]
    fn both_lengths_have_their_layout() {
        assert_eq!(
            parse_bytes(&[0x41, 0x08, 0, 0, 0, 1, 0, 0x08, 0x00, 0]),
            Ok(Command::WriteSame(WriteSame {
                extent: Extent::new(1_u8, 0x0800_u16),
                unmap: true,
                anchor: false,
                no_data_out: false,
                flags_byte: 1,
            }))
        );
        assert_eq!(
            parse_bytes(&[0x93, 0x19, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0]),
            Ok(Command::WriteSame(WriteSame {
                extent: Extent::new(0x1_0000_0000_u64, 0x0800_u16),
                unmap: true,
                anchor: true,
                no_data_out: true,
                flags_byte: 1,
            }))
        );
    }

    #[test]
    fn ndob_is_reserved_in_ten_bytes() {
        let parsed = parse_bytes(&[0x41, 0x01, 0, 0, 0, 1, 0, 0, 1, 0]);
        let Ok(Command::WriteSame(write_same)) = parsed else { panic!("{parsed:?}") };
        assert!(!write_same.no_data_out);
    }

    #[test]
    fn what_cannot_be_honoured_is_refused() {
        for (byte, bit) in [(0x20, 7), (0x10, 4), (0x04, 2), (0x02, 1)] {
            assert_eq!(
                parse_bytes(&[0x93, byte, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]),
                Err(Sense::invalid_field_in_cdb(1, Some(bit)))
            );
        }
    }

    #[test]
    fn thirty_two_bytes_have_their_flags_in_byte_10() {
        let parsed = parse_bytes(&long_cdb(0x0d, 0x19)).unwrap();
        let Command::WriteSame(write_same) = parsed else { panic!("{parsed:?}") };
        assert_eq!(write_same.extent, Extent::new(0x0102_0304_0506_0708_u64, 10_u8));
        assert!(write_same.unmap && write_same.anchor && write_same.no_data_out);
        let refused = |bit| Sense::invalid_field_in_cdb(10, Some(bit));
        assert_eq!(write_same.anchor_not_supported(), refused(4));
        assert_eq!(write_same.unmap_not_supported(), refused(3));
        for (byte_10, bit) in [(0x10, 4), (0x04, 2), (0x02, 1), (0x20, 7)] {
            assert_eq!(parse_bytes(&long_cdb(0x0d, byte_10)), Err(refused(bit)));
        }
    }
}
