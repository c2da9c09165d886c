//! LOG SELECT (SPC-4).

use crate::field::{Bits, Flag, Number};
use crate::log_page::LogPage;
use crate::{Command, Sense};

/// PCR: reset the parameters of the pages that the CDB names.
const PCR: Flag = Flag::new(1, 1);
/// SP: save the parameters.
const SP: Flag = Flag::new(1, 0);
const PAGE_CODE: Bits = Bits::new(2, 5, 0);
const SUBPAGE_CODE: Number<1> = Number::at(3);
const PARAMETER_LIST_LENGTH: Number<2> = Number::at(7);

/// SUBPAGE CODE FFh: all subpages of a page.
const ALL_SUBPAGES: u8 = 0xff;

/// LOG SELECT. PC is not kept, as in LOG SENSE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSelect {
    /// PCR: what can be reset of the pages that the CDB names, which are the General Statistics and
    /// Performance page or all pages, is reset.
    pub reset: bool,
    /// The length of the parameter list in bytes. A list and `reset` exclude one another.
    pub parameter_list_length: u32,
}

pub(crate) fn parse(cdb: &[u8]) -> Result<Command, Sense> {
    // GLTSD is 1 and DS is 0: nothing is saved.
    if SP.read(cdb) {
        return Err(SP.invalid_in_cdb());
    }
    let reset = PCR.read(cdb);
    let parameter_list_length = PARAMETER_LIST_LENGTH.read(cdb).into();
    let (code, subpage) = (PAGE_CODE.read(cdb), SUBPAGE_CODE.read(cdb));
    if parameter_list_length == 0 {
        check_pages(reset, code, subpage)?;
    } else if reset {
        // SPC-4, table 349: what is sent and what is reset cannot be told apart.
        return Err(PCR.invalid_in_cdb());
    } else if code != 0 {
        // The pages of a list say themselves which they are.
        return Err(PAGE_CODE.invalid_in_cdb());
    } else if subpage != 0 {
        return Err(SUBPAGE_CODE.invalid_in_cdb());
    }
    Ok(Command::LogSelect(LogSelect { reset, parameter_list_length }))
}

/// Checks that the page that the CDB names is there, and has something to be reset if it shall be.
fn check_pages(reset: bool, code: u8, subpage: u8) -> Result<(), Sense> {
    if (code, subpage) == (0, 0) {
        // All pages.
        return Ok(());
    }
    let of_code = || LogPage::ALL.into_iter().filter(|page| page.code() == code);
    if of_code().next().is_none() {
        return Err(PAGE_CODE.invalid_in_cdb());
    }
    let named =
        || of_code().filter(|page| matches!(subpage, ALL_SUBPAGES) || page.subpage() == subpage);
    if named().next().is_none() {
        return Err(SUBPAGE_CODE.invalid_in_cdb());
    }
    if reset && !named().any(LogPage::is_resettable) {
        return Err(PAGE_CODE.invalid_in_cdb());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_bytes;

    fn cdb(byte_1: u8, page: u8, subpage: u8, length: u8) -> Result<Command, Sense> {
        parse_bytes(&[0x4c, byte_1, page, subpage, 0, 0, 0, 0, length, 0])
    }

    fn select(reset: bool, parameter_list_length: u32) -> Result<Command, Sense> {
        Ok(Command::LogSelect(LogSelect { reset, parameter_list_length }))
    }

    #[test]
    fn statistics_are_reset_by_name_or_with_all_pages() {
        for (page, subpage) in [(0, 0), (0x19, 0), (0x19, 0xff), (0xc0 | 0x19, 0)] {
            assert_eq!(cdb(0x02, page, subpage, 0), select(true, 0));
            assert_eq!(cdb(0x00, page, subpage, 0), select(false, 0));
        }
        assert_eq!(cdb(0, 0x40, 0, 16), select(false, 16));
    }

    #[test]
    fn what_there_is_not_is_pointed_at() {
        let refused = |byte, bit| Err(Sense::invalid_field_in_cdb(byte, bit));
        assert_eq!(cdb(1, 0x40, 0, 0), refused(1, Some(0)), "nothing is saved");
        assert_eq!(cdb(2, 0x40, 0, 16), refused(1, Some(1)), "a reset with a list");
        assert_eq!(cdb(0, 0x40 | 0x19, 0, 16), refused(2, Some(5)), "a page with a list");
        assert_eq!(cdb(0, 0x40, 1, 16), refused(3, None), "a subpage with a list");
        assert_eq!(cdb(2, 0x40 | 0x10, 0, 0), refused(2, Some(5)), "no such page");
        assert_eq!(cdb(2, 0x40 | 0x19, 0x20, 0), refused(3, None), "no such subpage");
        assert_eq!(cdb(2, 0x40 | 0x0d, 0, 0), refused(2, Some(5)), "nothing to be reset");
        assert_eq!(cdb(2, 0x40, 0xff, 0), refused(2, Some(5)), "nor here");
    }
}
