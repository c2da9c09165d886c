//! SEND DIAGNOSTIC and RECEIVE DIAGNOSTIC RESULTS (SPC-4).

use crate::field::{Bits, Flag, Number};
use crate::{Command, Sense};

const SELF_TEST_CODE: Bits = Bits::new(1, 7, 5);
/// SELFTEST: the default self-test.
const SELFTEST: Flag = Flag::new(1, 2);
const PARAMETER_LIST_LENGTH: Number<2> = Number::at(3);

/// PCV: PAGE CODE means something.
const PCV: Flag = Flag::new(1, 0);
const PAGE_CODE: Number<1> = Number::at(2);
const ALLOCATION_LENGTH: Number<2> = Number::at(3);

/// PAGE CODE of the Supported Diagnostic Pages page, the only one there is.
pub(crate) const SUPPORTED_PAGES: u8 = 0x00;

/// RECEIVE DIAGNOSTIC RESULTS of the Supported Diagnostic Pages page, which is also what is left of
/// the last SEND DIAGNOSTIC (PCV = 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiveDiagnosticResults {
    /// How many bytes the initiator takes.
    pub allocation_length: u32,
}

pub(crate) fn parse_receive(cdb: &[u8]) -> Result<Command, Sense> {
    if PCV.read(cdb) && PAGE_CODE.read(cdb) != SUPPORTED_PAGES {
        return Err(PAGE_CODE.invalid_in_cdb());
    }
    let allocation_length = ALLOCATION_LENGTH.read(cdb).into();
    Ok(Command::ReceiveDiagnosticResults(ReceiveDiagnosticResults { allocation_length }))
}

/// The default self-test, and a SEND DIAGNOSTIC that asks for nothing. No pages can be sent, and
/// there are no short, extended or background self-tests.
pub(crate) fn parse_send(cdb: &[u8]) -> Result<Command, Sense> {
    if SELF_TEST_CODE.read(cdb) != 0 {
        return Err(SELF_TEST_CODE.invalid_in_cdb());
    }
    if PARAMETER_LIST_LENGTH.read(cdb) != 0 {
        return Err(PARAMETER_LIST_LENGTH.invalid_in_cdb());
    }
    Ok(match SELFTEST.read(cdb) {
        true => Command::DefaultSelfTest,
        false => Command::SendNoDiagnostic,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_bytes;

    #[test]
    fn the_default_self_test_is_the_only_one() {
        let send = |byte_1| parse_bytes(&[0x1d, byte_1, 0, 0, 0, 0]);
        assert_eq!(send(0x04), Ok(Command::DefaultSelfTest));
        assert_eq!(send(0x00), Ok(Command::SendNoDiagnostic));
        assert_eq!(send(0x20), Err(Sense::invalid_field_in_cdb(1, Some(7))));
        let page = parse_bytes(&[0x1d, 0x10, 0, 0, 4, 0]);
        assert_eq!(page, Err(Sense::invalid_field_in_cdb(3, None)));
    }

    #[test]
    fn one_page_can_be_received() {
        let receive = |byte_1, page| parse_bytes(&[0x1c, byte_1, page, 0x01, 0x02, 0]);
        let command = ReceiveDiagnosticResults { allocation_length: 0x102 };
        for (byte_1, page) in [(1, 0), (0, 0x40)] {
            assert_eq!(receive(byte_1, page), Ok(Command::ReceiveDiagnosticResults(command)));
        }
        assert_eq!(receive(1, 0x40), Err(Sense::invalid_field_in_cdb(2, None)));
    }
}
