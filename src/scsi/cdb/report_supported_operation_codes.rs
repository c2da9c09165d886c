//! REPORT SUPPORTED OPERATION CODES (SPC-4).

use crate::field::{Bits, Flag, Number};
use crate::{Command, Sense};

/// RCTD: command timeouts descriptors are wanted.
const RCTD: Flag = Flag::new(2, 7);
pub(crate) const REPORTING_OPTIONS: Bits = Bits::new(2, 2, 0);
const REQUESTED_OPERATION_CODE: Number<1> = Number::at(3);
const REQUESTED_SERVICE_ACTION: Number<2> = Number::at(4);
const ALLOCATION_LENGTH: Number<4> = Number::at(6);

/// REPORTING OPTIONS: which commands are asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// 000b: all of them.
    All,
    /// 001b: the one with this operation code, which must not have service actions.
    One(u8),
    /// 010b: the one with this operation code and service action, which must have one.
    OneServiceAction(u8, u16),
    /// 011b: the one with this operation code and service action; the latter is 0 if it has none.
    OneMaybe(u8, u16),
}

/// REPORT SUPPORTED OPERATION CODES.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportSupportedOperationCodes {
    /// RCTD: the answer has command timeouts descriptors.
    pub return_timeouts: bool,
    /// Which commands.
    pub selection: Selection,
    /// How many bytes the initiator takes.
    pub allocation_length: u32,
}

pub(crate) fn parse(cdb: &[u8]) -> Result<Command, Sense> {
    let opcode = REQUESTED_OPERATION_CODE.read(cdb);
    let service_action = REQUESTED_SERVICE_ACTION.read(cdb);
    let selection = match REPORTING_OPTIONS.read(cdb) {
        0b000 => Selection::All,
        0b001 => Selection::One(opcode),
        0b010 => Selection::OneServiceAction(opcode, service_action),
        0b011 => Selection::OneMaybe(opcode, service_action),
        _ => return Err(REPORTING_OPTIONS.invalid_in_cdb()),
    };
    Ok(Command::ReportSupportedOperationCodes(ReportSupportedOperationCodes {
        return_timeouts: RCTD.read(cdb),
        selection,
        allocation_length: ALLOCATION_LENGTH.read(cdb),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_bytes;

    fn cdb(options: u8) -> Result<Command, Sense> {
        parse_bytes(&[0xa3, 0x0c, options, 0x9e, 0, 0x10, 0, 0, 2, 0, 0, 0])
    }

    #[test]
    fn four_selections_are_known() {
        for (options, selection) in [
            (0, Selection::All),
            (1, Selection::One(0x9e)),
            (2, Selection::OneServiceAction(0x9e, 0x10)),
            (3, Selection::OneMaybe(0x9e, 0x10)),
        ] {
            for (rctd, return_timeouts) in [(0, false), (0x80, true)] {
                assert_eq!(
                    cdb(options | rctd),
                    Ok(Command::ReportSupportedOperationCodes(ReportSupportedOperationCodes {
                        return_timeouts,
                        selection,
                        allocation_length: 0x200,
                    }))
                );
            }
        }
    }

    #[test]
    fn the_other_selections_are_refused() {
        for options in 4..=7 {
            assert_eq!(cdb(options), Err(Sense::invalid_field_in_cdb(2, Some(2))));
        }
    }
}
