//! REPORT and SET IDENTIFYING INFORMATION (SPC-4).

use crate::field::{Bits, Number};
use crate::{Command, Sense};

const ALLOCATION_LENGTH: Number<4> = Number::at(6);
const PARAMETER_LIST_LENGTH: Number<4> = Number::at(6);
const INFORMATION_TYPE: Bits = Bits::new(10, 7, 1);
/// INFORMATION TYPE: which types there are.
const SUPPORTED_TYPES: u8 = 0x7f;

/// What REPORT IDENTIFYING INFORMATION asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InformationType {
    /// What SET IDENTIFYING INFORMATION has set: bytes that mean something to initiators alone.
    Peripheral,
    /// Which types there are, and how long they may be.
    SupportedTypes,
}

/// REPORT IDENTIFYING INFORMATION.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportIdentifyingInformation {
    /// INFORMATION TYPE.
    pub information: InformationType,
    /// How many bytes the initiator takes.
    pub allocation_length: u32,
}

/// SET IDENTIFYING INFORMATION of the peripheral device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetIdentifyingInformation {
    /// How many bytes it shall have; none deletes what there is.
    pub parameter_list_length: u16,
}

impl SetIdentifyingInformation {
    /// The most bytes of identifying information that SPC-4 allows.
    pub const LENGTH_MAX: u16 = 512;
}

pub(crate) fn parse_report(cdb: &[u8]) -> Result<Command, Sense> {
    let information = match INFORMATION_TYPE.read(cdb) {
        0 => InformationType::Peripheral,
        SUPPORTED_TYPES => InformationType::SupportedTypes,
        _ => return Err(INFORMATION_TYPE.invalid_in_cdb()),
    };
    let allocation_length = ALLOCATION_LENGTH.read(cdb);
    Ok(Command::ReportIdentifyingInformation(ReportIdentifyingInformation {
        information,
        allocation_length,
    }))
}

pub(crate) fn parse_set(cdb: &[u8]) -> Result<Command, Sense> {
    if INFORMATION_TYPE.read(cdb) != 0 {
        return Err(INFORMATION_TYPE.invalid_in_cdb());
    }
    let length = u16::try_from(PARAMETER_LIST_LENGTH.read(cdb)).ok();
    let allowed = length.filter(|length| *length <= SetIdentifyingInformation::LENGTH_MAX);
    let parameter_list_length = allowed.ok_or(PARAMETER_LIST_LENGTH.invalid_in_cdb())?;
    Ok(Command::SetIdentifyingInformation(SetIdentifyingInformation { parameter_list_length }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_bytes;

    #[test]
    fn two_types_can_be_reported() {
        let cdb = |kind| parse_bytes(&[0xa3, 0x05, 0, 0, 0, 0, 0, 0, 0x02, 0, kind, 0]);
        for (kind, information) in
            [(0x00, InformationType::Peripheral), (0xfe, InformationType::SupportedTypes)]
        {
            let command = ReportIdentifyingInformation { information, allocation_length: 0x200 };
            assert_eq!(cdb(kind), Ok(Command::ReportIdentifyingInformation(command)));
        }
        assert_eq!(cdb(0x04), Err(Sense::invalid_field_in_cdb(10, Some(7))));
    }

    #[test]
    fn one_type_can_be_set_to_a_limited_length() {
        let cdb = |[high, low]: [u8; 2], kind| {
            parse_bytes(&[0xa4, 0x06, 0, 0, 0, 0, 0, 0, high, low, kind, 0])
        };
        let command = SetIdentifyingInformation { parameter_list_length: 512 };
        assert_eq!(cdb([2, 0], 0), Ok(Command::SetIdentifyingInformation(command)));
        assert_eq!(cdb([2, 1], 0), Err(Sense::invalid_field_in_cdb(6, None)));
        assert_eq!(cdb([0, 0], 0xfe), Err(Sense::invalid_field_in_cdb(10, Some(7))));
    }
}
