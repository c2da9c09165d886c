//! INQUIRY (SPC-4).

use crate::field::{Flag, Number};
use crate::vpd::VpdPage;
use crate::{Command, Sense};

/// EVPD: a vital product data page is asked for, not the standard data.
const EVPD: Flag = Flag::new(1, 0);
const PAGE_CODE: Number<1> = Number::at(2);
const ALLOCATION_LENGTH: Number<2> = Number::at(3);

/// INQUIRY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inquiry {
    /// The vital product data page; `None` for standard INQUIRY data.
    pub vpd_page: Option<VpdPage>,
    /// How many bytes the initiator takes.
    pub allocation_length: u32,
}

pub(crate) fn parse(cdb: &[u8]) -> Result<Command, Sense> {
    let code = PAGE_CODE.read(cdb);
    let vpd_page = if EVPD.read(cdb) {
        Some(VpdPage::from_code(code).ok_or(PAGE_CODE.invalid_in_cdb())?)
    } else if code == 0 {
        None
    } else {
        // SPC-4: without EVPD a page code must be zero.
        return Err(PAGE_CODE.invalid_in_cdb());
    };
    let allocation_length = ALLOCATION_LENGTH.read(cdb).into();
    Ok(Command::Inquiry(Inquiry { vpd_page, allocation_length }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_bytes;

    fn inquiry(vpd_page: Option<VpdPage>) -> Result<Command, Sense> {
        Ok(Command::Inquiry(Inquiry { vpd_page, allocation_length: 0x0124 }))
    }

    #[test]
    fn standard_data_and_pages_are_told_apart() {
        assert_eq!(parse_bytes(&[0x12, 0, 0, 1, 0x24, 0]), inquiry(None));
        assert_eq!(
            parse_bytes(&[0x12, 1, 0, 1, 0x24, 0]),
            inquiry(Some(VpdPage::SupportedVpdPages))
        );
        assert_eq!(parse_bytes(&[0x12, 1, 0xb0, 1, 0x24, 0]), inquiry(Some(VpdPage::BlockLimits)));
    }

    #[test]
    fn an_unknown_page_and_a_page_without_evpd_are_refused() {
        let refused = Err(Sense::invalid_field_in_cdb(2, None));
        assert_eq!(parse_bytes(&[0x12, 1, 0xc0, 0, 0x24, 0]), refused);
        assert_eq!(parse_bytes(&[0x12, 0, 0x80, 0, 0x24, 0]), refused);
    }
}
