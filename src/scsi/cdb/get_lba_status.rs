//! GET LBA STATUS (16) (SBC-4).

use pulsefield_units::Lba;

use crate::field::Number;
use crate::{Command, Sense};

const STARTING_LBA: Number<8> = Number::at(2);
const ALLOCATION_LENGTH: Number<4> = Number::at(10);
/// REPORT TYPE: 0 asks for every block, the others for blocks in some condition.
const REPORT_TYPE: Number<1> = Number::at(14);

/// GET LBA STATUS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetLbaStatus {
    /// The first block asked about.
    pub start: Lba,
    /// How many bytes the initiator takes.
    pub allocation_length: u32,
}

pub(crate) fn parse(cdb: &[u8]) -> Result<Command, Sense> {
    if REPORT_TYPE.read(cdb) != 0 {
        return Err(REPORT_TYPE.invalid_in_cdb());
    }
    Ok(Command::GetLbaStatus(GetLbaStatus {
        start: Lba::new(STARTING_LBA.read(cdb)),
        allocation_length: ALLOCATION_LENGTH.read(cdb),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_bytes;

    #[test]
    fn a_status_of_every_block_is_given_and_no_other() {
        let cdb = |report_type| {
            parse_bytes(&[0x9e, 0x12, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 24, report_type, 0])
        };
        assert_eq!(
            cdb(0),
            Ok(Command::GetLbaStatus(GetLbaStatus {
                start: Lba::new(0x1_0000_0002),
                allocation_length: 24,
            }))
        );
        assert_eq!(cdb(2), Err(Sense::invalid_field_in_cdb(14, None)));
    }
}
