//! ORWRITE (16) (SBC-4).

use super::{Extent, dpo, extent_16, fua, refuse_protection};
use crate::{Command, Sense};

/// ORWRITE: every bit that is one in Data-Out becomes one on the medium. Zero blocks change nothing
/// and are no error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrWrite {
    /// Which blocks.
    pub extent: Extent,
    /// DPO: the blocks need not be kept in the cache.
    pub dpo: bool,
    /// FUA: the result must be on stable storage before the answer.
    pub fua: bool,
}

pub(crate) fn parse(cdb: &[u8]) -> Result<Command, Sense> {
    // ORPROTECT stands where the others have RDPROTECT.
    refuse_protection(cdb)?;
    Ok(Command::OrWrite(OrWrite { extent: extent_16(cdb), dpo: dpo(cdb), fua: fua(cdb) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_bytes;

    #[test]
    fn the_layout_is_that_of_a_write() {
        assert_eq!(
            parse_bytes(&[0x8b, 0x08, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 1, 0, 0, 0]),
            Ok(Command::OrWrite(OrWrite {
                extent: Extent::new(0x1_0000_0002_u64, 0x100_u16),
                dpo: false,
                fua: true,
            }))
        );
    }

    #[test]
    fn protection_information_is_refused() {
        for orprotect in 1..=7 {
            assert_eq!(
                parse_bytes(&[0x8b, orprotect << 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]),
                Err(Sense::invalid_field_in_cdb(1, Some(7)))
            );
        }
    }
}
