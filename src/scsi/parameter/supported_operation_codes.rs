//! REPORT SUPPORTED OPERATION CODES parameter data (SPC-4), straight from the table.

use crate::cdb::report_supported_operation_codes::REPORTING_OPTIONS;
use crate::encode::length_prefixed;
use crate::opcode::{self, OperationCode, TABLE};
use crate::{Selection, Sense};

/// CTDP of a command descriptor, SERVACTV beside it.
const CTDP_ALL: u8 = 0x02;
const SERVACTV: u8 = 0x01;
/// CTDP of the answer about one command.
const CTDP_ONE: u8 = 0x80;
/// SUPPORT: the command is not supported.
const NOT_SUPPORTED: u8 = 0b001;
/// SUPPORT: as the standard has it.
const SUPPORTED: u8 = 0b011;
/// Appends to `out` what is asked about: all commands, those that LIO executes included, or one, of
/// those that `supported` says the logical unit has of an operation code and its service action.
///
/// # Errors
/// ILLEGAL REQUEST, INVALID FIELD IN CDB if the one command has service actions and the selection
/// is for one that has not, or the other way round.
pub fn encode_supported_operation_codes(
    selection: Selection,
    return_timeouts: bool,
    supported: impl Fn(u8, Option<u16>) -> bool,
    out: &mut Vec<u8>,
) -> Result<(), Sense> {
    let supported = |row: &&OperationCode| supported(row.opcode, row.service_action);
    let rows = |code| opcode::rows(code).iter().filter(supported);
    let row = match selection {
        Selection::All => {
            encode_all(TABLE.iter().filter(supported), return_timeouts, out);
            return Ok(());
        }
        Selection::One(code) => match rows(code).next() {
            Some(row) if row.service_action.is_some() => {
                return Err(REPORTING_OPTIONS.invalid_in_cdb());
            }
            row => row,
        },
        Selection::OneServiceAction(code, service_action) => {
            if rows(code).any(|row| row.service_action.is_none()) {
                return Err(REPORTING_OPTIONS.invalid_in_cdb());
            }
            rows(code).find(|row| row.service_action == Some(service_action))
        }
        Selection::OneMaybe(code, service_action) => {
            rows(code).find(|row| row.service_action.unwrap_or(0) == service_action)
        }
    };
    encode_one(row, return_timeouts, out);
    Ok(())
}

/// All commands (reporting options 000b).
fn encode_all(
    rows: impl Iterator<Item = &'static OperationCode>,
    return_timeouts: bool,
    out: &mut Vec<u8>,
) {
    length_prefixed::<4>(out, |out| {
        for row in rows {
            let timeouts = if return_timeouts { CTDP_ALL } else { 0 };
            let action = if row.service_action.is_some() { SERVACTV } else { 0 };
            out.extend_from_slice(&[row.opcode, 0]);
            out.extend_from_slice(&row.service_action.unwrap_or(0).to_be_bytes());
            out.extend_from_slice(&[0, timeouts | action]);
            out.extend_from_slice(&row.cdb_length().to_be_bytes());
            if return_timeouts {
                encode_timeouts(row, out);
            }
        }
    });
}

/// One command, or that there is none (reporting options 001b, 010b and 011b).
fn encode_one(row: Option<&OperationCode>, return_timeouts: bool, out: &mut Vec<u8>) {
    let Some(row) = row else {
        out.extend_from_slice(&[0, NOT_SUPPORTED, 0, 0]);
        return;
    };
    let timeouts = if return_timeouts { CTDP_ONE } else { 0 };
    out.extend_from_slice(&[0, timeouts | SUPPORTED]);
    length_prefixed::<2>(out, |out| out.extend_from_slice(row.usage));
    if return_timeouts {
        encode_timeouts(row, out);
    }
}

/// The command timeouts descriptor. No nominal time is indicated: that is the medium's affair.
fn encode_timeouts(row: &OperationCode, out: &mut Vec<u8>) {
    length_prefixed::<2>(out, |out| {
        // Reserved, and command specific.
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&row.recommended_timeout_s().to_be_bytes());
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(selection: Selection, return_timeouts: bool) -> Result<Vec<u8>, Sense> {
        let mut out = Vec::new();
        encode_supported_operation_codes(selection, return_timeouts, |_, _| true, &mut out)?;
        Ok(out)
    }

    #[test]
    fn all_commands_are_listed_with_their_lengths() {
        let out = encoded(Selection::All, false).unwrap();
        assert_eq!(out.len(), 4 + 8 * TABLE.len());
        assert_eq!(u32::from_be_bytes(out[..4].try_into().unwrap()) as usize, 8 * TABLE.len());
        let has = |descriptor: [u8; 8]| out[4..].as_chunks::<8>().0.contains(&descriptor);
        assert!(has([0x00, 0, 0, 0, 0, 0, 0, 6]), "TEST UNIT READY");
        assert!(has([0x89, 0, 0, 0, 0, 0, 0, 16]), "COMPARE AND WRITE");
        assert!(has([0x9e, 0, 0, 0x10, 0, 1, 0, 16]), "READ CAPACITY(16)");
        assert!(has([0xa0, 0, 0, 0, 0, 0, 0, 12]), "REPORT LUNS is the kernel's");
        assert!(has([0x5f, 0, 0, 0x07, 0, 1, 0, 10]), "so is REGISTER AND MOVE");
    }

    #[test]
    fn all_commands_with_timeouts() {
        let out = encoded(Selection::All, true).unwrap();
        assert_eq!(out.len(), 4 + 20 * TABLE.len());
        assert_eq!(out[4..24], [0, 0, 0, 0, 0, 2, 0, 6, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 60]);
    }

    #[test]
    fn one_command_comes_with_its_usage_map() {
        let unmap = [0, 3, 0, 10, 0x42, 0x01, 0, 0, 0, 0, 0, 0xff, 0xff, 0x04];
        assert_eq!(encoded(Selection::One(0x42), false), Ok(unmap.to_vec()));
        assert_eq!(encoded(Selection::OneMaybe(0x42, 0), false), Ok(unmap.to_vec()));
        let mut with_timeouts = unmap.to_vec();
        with_timeouts[1] |= 0x80;
        with_timeouts.extend([0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 60]);
        assert_eq!(encoded(Selection::One(0x42), true), Ok(with_timeouts));
        let format = encoded(Selection::One(0x04), true).unwrap();
        assert_eq!(format[10..], [0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "as long as it takes");
    }

    #[test]
    fn one_service_action_comes_with_its_usage_map() {
        let itself = [0, 3, 0, 12, 0xa3, 0x0c, 0x87, 255, 255, 255, 255, 255, 255, 255, 0, 4];
        for selection in [Selection::OneServiceAction(0xa3, 0x0c), Selection::OneMaybe(0xa3, 0x0c)]
        {
            assert_eq!(encoded(selection, false), Ok(itself.to_vec()));
        }
    }

    #[test]
    fn what_is_not_there_is_said_not_to_be() {
        for selection in [
            Selection::One(0x8d),
            Selection::OneServiceAction(0x9e, 0x1f),
            Selection::OneServiceAction(0x8d, 0),
            Selection::OneMaybe(0x9e, 0x1f),
            Selection::OneMaybe(0x42, 1),
        ] {
            assert_eq!(encoded(selection, true), Ok(vec![0, 1, 0, 0]), "{selection:?}");
        }
    }

    #[test]
    fn what_a_logical_unit_lacks_is_left_out() {
        let encoded = |selection| {
            let mut out = Vec::new();
            let supported = |opcode, _| opcode != opcode::UNMAP;
            encode_supported_operation_codes(selection, false, supported, &mut out).unwrap();
            out
        };
        assert_eq!(encoded(Selection::All).len(), 4 + 8 * (TABLE.len() - 1));
        assert_eq!(encoded(Selection::One(0x42)), [0, 1, 0, 0]);
    }

    #[test]
    fn a_selection_of_the_wrong_kind_is_refused() {
        for selection in [Selection::One(0x9e), Selection::OneServiceAction(0x42, 0)] {
            let refused = Err(Sense::invalid_field_in_cdb(2, Some(2)));
            assert_eq!(encoded(selection, false), refused, "{selection:?}");
        }
    }
}
