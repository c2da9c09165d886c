//! READ (6), (10), (12), (16) and (32) (SBC-4).

use super::{
    Extent, dpo, extent_6, extent_10, extent_12, extent_16, extent_32, fua, refuse_protection,
};
use crate::{Command, Sense};

/// READ. Zero blocks read nothing and are no error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// What to read.
    pub extent: Extent,
    /// DPO: the blocks need not be kept in the cache.
    pub dpo: bool,
    /// FUA: what is read must be on stable storage.
    pub fua: bool,
}

pub(crate) fn parse_6(cdb: &[u8]) -> Result<Command, Sense> {
    Ok(Command::Read(Read { extent: extent_6(cdb), dpo: false, fua: false }))
}

pub(crate) fn parse_10(cdb: &[u8]) -> Result<Command, Sense> {
    read(cdb, extent_10(cdb))
}

pub(crate) fn parse_12(cdb: &[u8]) -> Result<Command, Sense> {
    read(cdb, extent_12(cdb))
}

pub(crate) fn parse_16(cdb: &[u8]) -> Result<Command, Sense> {
    read(cdb, extent_16(cdb))
}

pub(crate) fn parse_32(cdb: &[u8]) -> Result<Command, Sense> {
    read(cdb, extent_32(cdb))
}

fn read(cdb: &[u8], extent: Extent) -> Result<Command, Sense> {
    refuse_protection(cdb)?;
    Ok(Command::Read(Read { extent, dpo: dpo(cdb), fua: fua(cdb) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{long_cdb, parse_bytes};

    fn read(lba: u64, blocks: u32, dpo: bool, fua: bool) -> Result<Command, Sense> {
        Ok(Command::Read(Read { extent: Extent::new(lba, blocks), dpo, fua }))
    }

    #[test]
    fn every_length_has_its_layout() {
        assert_eq!(parse_bytes(&[0x08, 0x1f, 0x12, 0x34, 7, 0]), read(0x1f_1234, 7, false, false));
        assert_eq!(
            parse_bytes(&[0x28, 0x10, 0x12, 0x34, 0x56, 0x78, 0, 0x9a, 0xbc, 0]),
            read(0x1234_5678, 0x9abc, true, false)
        );
        assert_eq!(
            parse_bytes(&[0xa8, 0x08, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 0, 0]),
            read(0xffff_ffff, 0x0102_0304, false, true)
        );
        assert_eq!(
            parse_bytes(&[0x88, 0x18, 1, 2, 3, 4, 5, 6, 7, 8, 0xa, 0xb, 0xc, 0xd, 0, 0]),
            read(0x0102_0304_0506_0708, 0x0a0b_0c0d, true, true)
        );
    }

    #[test]
    fn zero_blocks_are_256_in_six_bytes_and_none_in_more() {
        assert_eq!(parse_bytes(&[0x08, 0, 0, 1, 0, 0]), read(1, 256, false, false));
        assert_eq!(parse_bytes(&[0x28, 0, 0, 0, 0, 1, 0, 0, 0, 0]), read(1, 0, false, false));
    }

    #[test]
    fn the_three_bits_before_a_six_byte_lba_are_reserved() {
        assert_eq!(parse_bytes(&[0x08, 0xe1, 0, 0, 1, 0]), read(0x01_0000, 1, false, false));
    }

    #[test]
    fn protection_information_is_refused() {
        for rdprotect in 1..=7 {
            assert_eq!(
                parse_bytes(&[0x28, rdprotect << 5, 0, 0, 0, 0, 0, 0, 1, 0]),
                Err(Sense::invalid_field_in_cdb(1, Some(7)))
            );
        }
    }

    #[test]
    fn an_end_past_every_address_is_out_of_range() {
        let parsed = parse_bytes(&[
            0x88, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 2, 0, 0,
        ]);
        let Ok(Command::Read(read)) = parsed else { panic!("{parsed:?}") };
        assert_eq!(read.extent.range(), Err(Sense::lba_out_of_range()));
    }

    #[test]
    fn thirty_two_bytes_have_their_flags_in_byte_10() {
        let lba = 0x0102_0304_0506_0708;
        assert_eq!(parse_bytes(&long_cdb(0x09, 0x10)), read(lba, 10, true, false));
        assert_eq!(parse_bytes(&long_cdb(0x09, 0x08)), read(lba, 10, false, true));
        assert_eq!(
            parse_bytes(&long_cdb(0x09, 0x20)),
            Err(Sense::invalid_field_in_cdb(10, Some(7)))
        );
    }
}
