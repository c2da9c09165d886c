//! REPORT TARGET PORT GROUPS (SPC-4).

use crate::field::{Bits, Number};
use crate::{Command, Sense};

const PARAMETER_DATA_FORMAT: Bits = Bits::new(1, 7, 5);
const ALLOCATION_LENGTH: Number<4> = Number::at(6);

/// REPORT TARGET PORT GROUPS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportTargetPortGroups {
    /// PARAMETER DATA FORMAT 001b: the answer starts with the extended header.
    pub extended_header: bool,
    /// How many bytes the initiator takes.
    pub allocation_length: u32,
}

pub(crate) fn parse(cdb: &[u8]) -> Result<Command, Sense> {
    let extended_header = match PARAMETER_DATA_FORMAT.read(cdb) {
        0b000 => false,
        0b001 => true,
        _ => return Err(PARAMETER_DATA_FORMAT.invalid_in_cdb()),
    };
    let allocation_length = ALLOCATION_LENGTH.read(cdb);
    Ok(Command::ReportTargetPortGroups(ReportTargetPortGroups {
        extended_header,
        allocation_length,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_bytes;

    #[test]
    fn two_formats_are_known() {
        let cdb = |byte| parse_bytes(&[0xa3, byte, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
        for (byte, extended_header) in [(0x0a, false), (0x2a, true)] {
            assert_eq!(
                cdb(byte),
                Ok(Command::ReportTargetPortGroups(ReportTargetPortGroups {
                    extended_header,
                    allocation_length: 256,
                }))
            );
        }
        assert_eq!(cdb(0x4a), Err(Sense::invalid_field_in_cdb(1, Some(7))));
    }
}
