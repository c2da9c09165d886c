//! REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS (SPC-4).

use crate::field::{Flag, Number};
use crate::{Command, Sense};

/// REPD: the extended data is wanted.
const REPD: Flag = Flag::new(2, 7);
const ALLOCATION_LENGTH: Number<4> = Number::at(6);

/// REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportSupportedTaskManagementFunctions {
    /// REPD: the answer is the extended one.
    pub extended: bool,
    /// How many bytes the initiator takes.
    pub allocation_length: u32,
}

pub(crate) fn parse(cdb: &[u8]) -> Result<Command, Sense> {
    let allocation_length = ALLOCATION_LENGTH.read(cdb);
    let extended = REPD.read(cdb);
    Ok(Command::ReportSupportedTaskManagementFunctions(ReportSupportedTaskManagementFunctions {
        extended,
        allocation_length,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_bytes;

    #[test]
    fn repd_chooses_the_form() {
        for (byte_2, extended) in [(0, false), (0x80, true)] {
            let command =
                ReportSupportedTaskManagementFunctions { extended, allocation_length: 0x10 };
            assert_eq!(
                parse_bytes(&[0xa3, 0x0d, byte_2, 0, 0, 0, 0, 0, 0, 0x10, 0, 0]),
                Ok(Command::ReportSupportedTaskManagementFunctions(command))
            );
        }
    }
}
