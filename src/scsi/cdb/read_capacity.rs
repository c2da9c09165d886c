//! READ CAPACITY (10) and (16) (SBC-4).
//!
//! PMI and the LOGICAL BLOCK ADDRESS that went with it are obsolete and ignored.

use crate::field::Number;
use crate::{Command, Sense};

const ALLOCATION_LENGTH: Number<4> = Number::at(10);

/// READ CAPACITY (16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadCapacity16 {
    /// How many bytes the initiator takes.
    pub allocation_length: u32,
}

pub(crate) const fn parse_10(_cdb: &[u8]) -> Result<Command, Sense> {
    Ok(Command::ReadCapacity10)
}

pub(crate) fn parse_16(cdb: &[u8]) -> Result<Command, Sense> {
    Ok(Command::ReadCapacity16(ReadCapacity16 { allocation_length: ALLOCATION_LENGTH.read(cdb) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_bytes;

    #[test]
    fn both_lengths_parse() {
        assert_eq!(parse_bytes(&[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Ok(Command::ReadCapacity10));
        assert_eq!(
            parse_bytes(&[0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0]),
            Ok(Command::ReadCapacity16(ReadCapacity16 { allocation_length: 32 }))
        );
    }
}
