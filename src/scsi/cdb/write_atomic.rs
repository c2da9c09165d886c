//! WRITE ATOMIC (16) and (32) (SBC-4).

use super::{Extent, dpo, extent_32, fua, refuse_protection};
use crate::field::Number;
use crate::{Command, Sense};

const LBA: Number<8> = Number::at(2);
/// ATOMIC BOUNDARY: it would allow the write to be torn at multiples of so many blocks.
const ATOMIC_BOUNDARY_16: Number<2> = Number::at(10);
const ATOMIC_BOUNDARY_32: Number<2> = Number::at(4);
/// TRANSFER LENGTH: the right half of where WRITE (16) has it.
const TRANSFER_LENGTH: Number<2> = Number::at(12);

/// WRITE ATOMIC: all of it or, whatever happens, nothing. Zero blocks write nothing and are no error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteAtomic {
    /// Where to write.
    pub extent: Extent,
    /// DPO: the blocks need not be kept in the cache.
    pub dpo: bool,
    /// FUA: the data must be on stable storage before the answer.
    pub fua: bool,
}

pub(crate) fn parse_16(cdb: &[u8]) -> Result<Command, Sense> {
    let extent = Extent::new(LBA.read(cdb), TRANSFER_LENGTH.read(cdb));
    write_atomic(cdb, extent, ATOMIC_BOUNDARY_16)
}

pub(crate) fn parse_32(cdb: &[u8]) -> Result<Command, Sense> {
    write_atomic(cdb, extent_32(cdb), ATOMIC_BOUNDARY_32)
}

fn write_atomic(cdb: &[u8], extent: Extent, atomic_boundary: Number<2>) -> Result<Command, Sense> {
    refuse_protection(cdb)?;
    // MAXIMUM ATOMIC BOUNDARY SIZE of the Block Limits page is 0: none can be chosen.
    if atomic_boundary.read(cdb) != 0 {
        return Err(atomic_boundary.invalid_in_cdb());
    }
    Ok(Command::WriteAtomic(WriteAtomic { extent, dpo: dpo(cdb), fua: fua(cdb) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{long_cdb, parse_bytes};

    #[test]
    fn the_transfer_length_has_two_bytes() {
        assert_eq!(
            parse_bytes(&[0x9c, 0x10, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 1, 2, 0x1f, 0]),
            Ok(Command::WriteAtomic(WriteAtomic {
                extent: Extent::new(0x1_0000_0002_u64, 0x0102_u16),
                dpo: true,
                fua: false,
            }))
        );
    }

    #[test]
    fn a_boundary_and_protection_are_refused() {
        let cdb = |bits, boundary| {
            parse_bytes(&[0x9c, bits, 0, 0, 0, 0, 0, 0, 0, 0, 0, boundary, 0, 1, 0, 0])
        };
        assert_eq!(cdb(0, 8), Err(Sense::invalid_field_in_cdb(10, None)));
        assert_eq!(cdb(0x20, 0), Err(Sense::invalid_field_in_cdb(1, Some(7))));
    }

    #[test]
    fn thirty_two_bytes_have_a_longer_transfer_length() {
        let mut cdb = long_cdb(0x0f, 0x08);
        cdb[28] = 0x01;
        assert_eq!(
            parse_bytes(&cdb),
            Ok(Command::WriteAtomic(WriteAtomic {
                extent: Extent::new(0x0102_0304_0506_0708_u64, 0x0100_000a_u32),
                dpo: false,
                fua: true,
            }))
        );
        cdb[5] = 1;
        assert_eq!(parse_bytes(&cdb), Err(Sense::invalid_field_in_cdb(4, None)));
    }
}
