//! LOG SENSE (SPC-4).

use crate::field::{Bits, Flag, Number};
use crate::log_page::LogPage;
use crate::{Command, Sense};

/// SP: save the parameters.
const SP: Flag = Flag::new(1, 0);
const PAGE_CODE: Bits = Bits::new(2, 5, 0);
const SUBPAGE_CODE: Number<1> = Number::at(3);
const PARAMETER_POINTER: Number<2> = Number::at(5);
const ALLOCATION_LENGTH: Number<2> = Number::at(7);

/// LOG SENSE of a page that there is. PC is not kept: it chooses among thresholds and counts, and
/// list parameters, which are all there are, have neither (SPC-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSense {
    /// PAGE CODE and SUBPAGE CODE.
    pub page: LogPage,
    /// PARAMETER POINTER: parameters with smaller codes are left out.
    pub parameter_pointer: u16,
    /// How many bytes the initiator takes.
    pub allocation_length: u32,
}

pub(crate) fn parse(cdb: &[u8]) -> Result<Command, Sense> {
    // GLTSD is 1 and DS is 0: nothing is saved.
    if SP.read(cdb) {
        return Err(SP.invalid_in_cdb());
    }
    let code = PAGE_CODE.read(cdb);
    let page = match LogPage::from_codes(code, SUBPAGE_CODE.read(cdb)) {
        Some(page) => page,
        None if LogPage::ALL.iter().any(|page| page.code() == code) => {
            return Err(SUBPAGE_CODE.invalid_in_cdb());
        }
        None => return Err(unknown_page()),
    };
    let parameter_pointer = PARAMETER_POINTER.read(cdb);
    if page.last_parameter().is_some_and(|last| parameter_pointer > last) {
        return Err(PARAMETER_POINTER.invalid_in_cdb());
    }
    let allocation_length = ALLOCATION_LENGTH.read(cdb).into();
    Ok(Command::LogSense(LogSense { page, parameter_pointer, allocation_length }))
}

/// What LOG SENSE of a page that is not served ends with.
pub(crate) fn unknown_page() -> Sense {
    PAGE_CODE.invalid_in_cdb()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_bytes;

    fn cdb(byte_1: u8, page: u8, subpage: u8, pointer: u8) -> Result<Command, Sense> {
        parse_bytes(&[0x4d, byte_1, page, subpage, 0, 0, pointer, 0x01, 0x02, 0])
    }

    #[test]
    fn a_page_is_asked_for_from_a_parameter_on() {
        let command = LogSense {
            page: LogPage::GeneralStatisticsAndPerformance,
            parameter_pointer: 2,
            allocation_length: 0x102,
        };
        assert_eq!(cdb(0, 0x40 | 0x19, 0, 2), Ok(Command::LogSense(command)));
    }

    #[test]
    fn what_there_is_not_is_pointed_at() {
        let refused = |byte, bit| Err(Sense::invalid_field_in_cdb(byte, bit));
        assert_eq!(cdb(1, 0x40, 0, 0), refused(1, Some(0)), "nothing is saved");
        assert_eq!(cdb(0, 0x40 | 0x10, 0, 0), refused(2, Some(5)));
        assert_eq!(cdb(0, 0x40 | 0x19, 0x20, 0), refused(3, None));
        assert_eq!(cdb(0, 0x40 | 0x19, 0, 4), refused(5, None), "past the last parameter");
    }
}
