//! RECEIVE COPY RESULTS: what became of an EXTENDED COPY, and what one may ask for (SPC-4, RECEIVE
//! COPY STATUS, RECEIVE COPY OPERATING PARAMETERS, RECEIVE COPY FAILURE DETAILS).

use crate::field::Number;
use crate::{Command, Sense};

const LIST_IDENTIFIER_LID1: Number<1> = Number::at(2);
const LIST_IDENTIFIER_LID4: Number<4> = Number::at(2);
const ALLOCATION_LENGTH: Number<4> = Number::at(10);

/// What is asked about copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyResults {
    /// RECEIVE COPY STATUS (LID1): how far the copy with this list identifier has come.
    StatusLid1(u8),
    /// RECEIVE COPY OPERATING PARAMETERS: the limits.
    OperatingParameters,
    /// RECEIVE COPY FAILURE DETAILS (LID1): the sense data of the copy with this list identifier.
    FailureDetails(u8),
    /// RECEIVE COPY STATUS (LID4): status and sense data.
    StatusLid4(u32),
}

/// RECEIVE COPY RESULTS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiveCopyResults {
    /// What is asked.
    pub results: CopyResults,
    /// How many bytes the initiator takes.
    pub allocation_length: u32,
}

impl ReceiveCopyResults {
    /// 05h/24h/00h for a list identifier that no copy is known by.
    pub const UNKNOWN_LIST_IDENTIFIER: Sense = LIST_IDENTIFIER_LID4.invalid_in_cdb();
}

pub(crate) fn parse_status_lid1(cdb: &[u8]) -> Result<Command, Sense> {
    Ok(command(CopyResults::StatusLid1(LIST_IDENTIFIER_LID1.read(cdb)), cdb))
}

pub(crate) fn parse_operating_parameters(cdb: &[u8]) -> Result<Command, Sense> {
    Ok(command(CopyResults::OperatingParameters, cdb))
}

pub(crate) fn parse_failure_details(cdb: &[u8]) -> Result<Command, Sense> {
    Ok(command(CopyResults::FailureDetails(LIST_IDENTIFIER_LID1.read(cdb)), cdb))
}

pub(crate) fn parse_status_lid4(cdb: &[u8]) -> Result<Command, Sense> {
    Ok(command(CopyResults::StatusLid4(LIST_IDENTIFIER_LID4.read(cdb)), cdb))
}

fn command(results: CopyResults, cdb: &[u8]) -> Command {
    let allocation_length = ALLOCATION_LENGTH.read(cdb);
    Command::ReceiveCopyResults(ReceiveCopyResults { results, allocation_length })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_bytes;

    #[test]
    fn four_questions_are_known() {
        for (byte_1, results) in [
            (0x00, CopyResults::StatusLid1(0x12)),
            (0x03, CopyResults::OperatingParameters),
            (0x04, CopyResults::FailureDetails(0x12)),
            (0x05, CopyResults::StatusLid4(0x1234_5678)),
        ] {
            let cdb = [0x84, byte_1, 0x12, 0x34, 0x56, 0x78, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0];
            assert_eq!(
                parse_bytes(&cdb),
                Ok(Command::ReceiveCopyResults(ReceiveCopyResults {
                    results,
                    allocation_length: 1024,
                }))
            );
        }
        let receive_copy_data = [0x84, 0x01, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0];
        assert_eq!(
            parse_bytes(&receive_copy_data),
            Err(Sense::invalid_field_in_cdb(1, Some(4))),
            "no data is ever held"
        );
    }
}
