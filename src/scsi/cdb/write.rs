//! WRITE (6), (10), (12), (16), (32) and WRITE AND VERIFY (10), (12), (16), (32) (SBC-4).

use super::verify::ByteCheck;
use super::{
    Extent, dpo, extent_6, extent_10, extent_12, extent_16, extent_32, fua, refuse_protection,
};
use crate::{Command, Sense};

/// WRITE. Zero blocks write nothing and are no error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write {
    /// Where to write.
    pub extent: Extent,
    /// DPO: the blocks need not be kept in the cache.
    pub dpo: bool,
    /// FUA: the data must be on stable storage before the answer.
    pub fua: bool,
}

/// WRITE AND VERIFY: the data is on stable storage, and has been checked, before the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteAndVerify {
    /// Where to write.
    pub extent: Extent,
    /// Whether what was written is compared with the data: [`ByteCheck::None`] or
    /// [`ByteCheck::Compare`].
    pub byte_check: ByteCheck,
}

pub(crate) fn parse_6(cdb: &[u8]) -> Result<Command, Sense> {
    Ok(Command::Write(Write { extent: extent_6(cdb), dpo: false, fua: false }))
}

pub(crate) fn parse_10(cdb: &[u8]) -> Result<Command, Sense> {
    write(cdb, extent_10(cdb))
}

pub(crate) fn parse_12(cdb: &[u8]) -> Result<Command, Sense> {
    write(cdb, extent_12(cdb))
}

pub(crate) fn parse_16(cdb: &[u8]) -> Result<Command, Sense> {
    write(cdb, extent_16(cdb))
}

pub(crate) fn parse_32(cdb: &[u8]) -> Result<Command, Sense> {
    write(cdb, extent_32(cdb))
}

fn write(cdb: &[u8], extent: Extent) -> Result<Command, Sense> {
    refuse_protection(cdb)?;
    Ok(Command::Write(Write { extent, dpo: dpo(cdb), fua: fua(cdb) }))
}

pub(crate) fn parse_and_verify_10(cdb: &[u8]) -> Result<Command, Sense> {
    write_and_verify(cdb, extent_10(cdb))
}

pub(crate) fn parse_and_verify_12(cdb: &[u8]) -> Result<Command, Sense> {
    write_and_verify(cdb, extent_12(cdb))
}

pub(crate) fn parse_and_verify_16(cdb: &[u8]) -> Result<Command, Sense> {
    write_and_verify(cdb, extent_16(cdb))
}

pub(crate) fn parse_and_verify_32(cdb: &[u8]) -> Result<Command, Sense> {
    write_and_verify(cdb, extent_32(cdb))
}

fn write_and_verify(cdb: &[u8], extent: Extent) -> Result<Command, Sense> {
    refuse_protection(cdb)?;
    match ByteCheck::parse(cdb)? {
        // SBC-4: one block for all is a thing of VERIFY; here the value is reserved.
        ByteCheck::CompareOne => Err(ByteCheck::field(cdb).invalid_in_cdb()),
        byte_check @ (ByteCheck::None | ByteCheck::Compare) => {
            Ok(Command::WriteAndVerify(WriteAndVerify { extent, byte_check }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{long_cdb, parse_bytes};

    fn write(lba: u64, blocks: u32, dpo: bool, fua: bool) -> Result<Command, Sense> {
        Ok(Command::Write(Write { extent: Extent::new(lba, blocks), dpo, fua }))
    }

    #[test]
    fn every_length_has_its_layout() {
        assert_eq!(
            parse_bytes(&[0x0a, 0x01, 0x02, 0x03, 0, 0]),
            write(0x1_0203, 256, false, false)
        );
        assert_eq!(
            parse_bytes(&[0x2a, 0x08, 0, 0, 0xa8, 0x40, 0, 0, 1, 0]),
            write(43_072, 1, false, true)
        );
        assert_eq!(
            parse_bytes(&[0xaa, 0x10, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0]),
            write(1, 0x1_0000, true, false)
        );
        assert_eq!(
            parse_bytes(&[0x8a, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0]),
            write(0x1_0000_0000, 8, false, false)
        );
    }

    #[test]
    fn write_and_verify_knows_two_byte_checks() {
        let bytchk = |bits: u8| parse_bytes(&[0x2e, bits << 1, 0, 0, 0, 9, 0, 0, 2, 0]);
        for (bits, byte_check) in [(0, ByteCheck::None), (1, ByteCheck::Compare)] {
            assert_eq!(
                bytchk(bits),
                Ok(Command::WriteAndVerify(WriteAndVerify {
                    extent: Extent::new(9_u8, 2_u8),
                    byte_check,
                }))
            );
        }
        for bits in [2, 3] {
            assert_eq!(bytchk(bits), Err(Sense::invalid_field_in_cdb(1, Some(2))));
        }
    }

    #[test]
    fn protection_information_is_refused() {
        for opcode in [0x2a, 0x2e] {
            assert_eq!(
                parse_bytes(&[opcode, 0x20, 0, 0, 0, 0, 0, 0, 1, 0]),
                Err(Sense::invalid_field_in_cdb(1, Some(7)))
            );
        }
    }

    #[test]
    fn thirty_two_bytes_have_their_flags_in_byte_10() {
        let extent = Extent::new(0x0102_0304_0506_0708_u64, 10_u8);
        let write = |dpo, fua| Ok(Command::Write(Write { extent, dpo, fua }));
        assert_eq!(parse_bytes(&long_cdb(0x0b, 0x10)), write(true, false));
        assert_eq!(parse_bytes(&long_cdb(0x0b, 0x08)), write(false, true));
        let byte_check = ByteCheck::Compare;
        assert_eq!(
            parse_bytes(&long_cdb(0x0c, 0x02)),
            Ok(Command::WriteAndVerify(WriteAndVerify { extent, byte_check }))
        );
        assert_eq!(
            parse_bytes(&long_cdb(0x0c, 0x06)),
            Err(Sense::invalid_field_in_cdb(10, Some(2)))
        );
        for service_action in [0x0b, 0x0c] {
            assert_eq!(
                parse_bytes(&long_cdb(service_action, 0xe0)),
                Err(Sense::invalid_field_in_cdb(10, Some(7)))
            );
        }
    }
}
