//! REQUEST SENSE (SPC-4).

use crate::field::{Flag, Number};
use crate::{Command, Sense};

const DESC: Flag = Flag::new(1, 0);
const ALLOCATION_LENGTH: Number<1> = Number::at(4);

/// REQUEST SENSE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestSense {
    /// Whether descriptor format is asked for.
    pub descriptor: bool,
    /// How many bytes the initiator takes.
    pub allocation_length: u32,
}

pub(crate) fn parse(cdb: &[u8]) -> Result<Command, Sense> {
    Ok(Command::RequestSense(RequestSense {
        descriptor: DESC.read(cdb),
        allocation_length: ALLOCATION_LENGTH.read(cdb).into(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_bytes;

    #[test]
    fn desc_chooses_the_format() {
        for (byte, descriptor) in [(0, false), (1, true)] {
            assert_eq!(
                parse_bytes(&[0x03, byte, 0, 0, 252, 0]),
                Ok(Command::RequestSense(RequestSense { descriptor, allocation_length: 252 }))
            );
        }
    }
}
