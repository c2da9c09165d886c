//! VERIFY (10), (12), (16) and (32) (SBC-4).

use super::{Extent, extent_10, extent_12, extent_16, extent_32, flags_byte, refuse_protection};
use crate::field::Bits;
use crate::{Command, Sense};

/// BYTCHK.
const BYTE_CHECK: Bits = Bits::new(1, 2, 1);

/// What a verified block is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteCheck {
    /// Nothing: the block is only read. There is no Data-Out.
    None,
    /// The block of the Data-Out buffer that stands in its place.
    Compare,
    /// The one block of the Data-Out buffer.
    CompareOne,
}

impl ByteCheck {
    /// BYTCHK of this CDB.
    pub(super) const fn field(cdb: &[u8]) -> Bits {
        BYTE_CHECK.in_byte(flags_byte(cdb))
    }

    pub(super) fn parse(cdb: &[u8]) -> Result<Self, Sense> {
        let field = Self::field(cdb);
        match field.read(cdb) {
            0b00 => Ok(Self::None),
            0b01 => Ok(Self::Compare),
            0b11 => Ok(Self::CompareOne),
            _ => Err(field.invalid_in_cdb()),
        }
    }
}

/// VERIFY. Zero blocks verify nothing and are no error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verify {
    /// What to verify.
    pub extent: Extent,
    /// What to compare it with.
    pub byte_check: ByteCheck,
}

pub(crate) fn parse_10(cdb: &[u8]) -> Result<Command, Sense> {
    verify(cdb, extent_10(cdb))
}

pub(crate) fn parse_12(cdb: &[u8]) -> Result<Command, Sense> {
    verify(cdb, extent_12(cdb))
}

pub(crate) fn parse_16(cdb: &[u8]) -> Result<Command, Sense> {
    verify(cdb, extent_16(cdb))
}

pub(crate) fn parse_32(cdb: &[u8]) -> Result<Command, Sense> {
    verify(cdb, extent_32(cdb))
}

fn verify(cdb: &[u8], extent: Extent) -> Result<Command, Sense> {
    refuse_protection(cdb)?;
    Ok(Command::Verify(Verify { extent, byte_check: ByteCheck::parse(cdb)? }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{long_cdb, parse_bytes};

    fn verify(lba: u64, blocks: u32, byte_check: ByteCheck) -> Result<Command, Sense> {
        Ok(Command::Verify(Verify { extent: Extent::new(lba, blocks), byte_check }))
    }

    #[test]
    fn every_length_has_its_layout() {
        assert_eq!(
            parse_bytes(&[0x2f, 0x00, 0, 0, 0, 1, 0, 0x12, 0x34, 0]),
            verify(1, 0x1234, ByteCheck::None)
        );
        assert_eq!(
            parse_bytes(&[0xaf, 0x02, 0, 0, 0, 2, 0, 1, 0, 0, 0, 0]),
            verify(2, 0x1_0000, ByteCheck::Compare)
        );
        assert_eq!(
            parse_bytes(&[0x8f, 0x06, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0]),
            verify(0x1_0000_0000, 3, ByteCheck::CompareOne)
        );
    }

    #[test]
    fn a_reserved_byte_check_and_protection_are_refused() {
        let refused = |byte: u8| parse_bytes(&[0x2f, byte, 0, 0, 0, 1, 0, 0, 1, 0]);
        assert_eq!(refused(0x04), Err(Sense::invalid_field_in_cdb(1, Some(2))));
        assert_eq!(refused(0x60), Err(Sense::invalid_field_in_cdb(1, Some(7))));
    }

    #[test]
    fn thirty_two_bytes_have_their_flags_in_byte_10() {
        let extent = Extent::new(0x0102_0304_0506_0708_u64, 10_u8);
        let byte_check = ByteCheck::CompareOne;
        assert_eq!(
            parse_bytes(&long_cdb(0x0a, 0x06)),
            Ok(Command::Verify(Verify { extent, byte_check }))
        );
        assert_eq!(
            parse_bytes(&long_cdb(0x0a, 0x04)),
            Err(Sense::invalid_field_in_cdb(10, Some(2)))
        );
    }
}
