//! FORMAT UNIT (SBC-4).

use crate::field::{Bits, Flag};
use crate::{Command, Sense};

/// FMTPINFO: which protection information the blocks shall have.
const FMTPINFO: Bits = Bits::new(1, 7, 6);
const LONGLIST: Flag = Flag::new(1, 5);
const FMTDATA: Flag = Flag::new(1, 4);
/// FFMT: the medium need not be written.
const FFMT: Bits = Bits::new(4, 1, 0);

/// The form of the parameter list of FORMAT UNIT, which brings no length in the CDB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatList {
    /// FMTDATA = 0: there is none.
    None,
    /// With a header of 4 bytes.
    Short,
    /// LONGLIST: with a header of 8 bytes.
    Long,
}

impl FormatList {
    /// The length of the header in bytes.
    pub const fn header_length(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Short => 4,
            Self::Long => 8,
        }
    }
}

/// FORMAT UNIT without protection information, of a whole medium. CMPLST and DEFECT LIST FORMAT are
/// not looked at: there are no defects to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormatUnit {
    /// FMTDATA and LONGLIST.
    pub list: FormatList,
}

pub(crate) fn parse(cdb: &[u8]) -> Result<Command, Sense> {
    if FMTPINFO.read(cdb) != 0 {
        return Err(FMTPINFO.invalid_in_cdb());
    }
    if FFMT.read(cdb) != 0 {
        return Err(FFMT.invalid_in_cdb());
    }
    let list = match (FMTDATA.read(cdb), LONGLIST.read(cdb)) {
        (true, false) => FormatList::Short,
        (true, true) => FormatList::Long,
        (false, false) => FormatList::None,
        // SBC-4: without a list there is no long one.
        (false, true) => return Err(LONGLIST.invalid_in_cdb()),
    };
    Ok(Command::FormatUnit(FormatUnit { list }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_bytes;

    fn list(byte_1: u8) -> Result<FormatList, Sense> {
        let command = parse_bytes(&[0x04, byte_1, 0, 0, 0, 0])?;
        let Command::FormatUnit(command) = command else { panic!("{command:?}") };
        Ok(command.list)
    }

    #[test]
    fn the_list_is_absent_short_or_long() {
        assert_eq!(list(0x00), Ok(FormatList::None));
        assert_eq!(list(0x18), Ok(FormatList::Short));
        assert_eq!(list(0x30), Ok(FormatList::Long));
        assert_eq!(list(0x20), Err(Sense::invalid_field_in_cdb(1, Some(5))));
    }

    #[test]
    fn neither_protection_nor_a_format_in_name_only() {
        assert_eq!(list(0x80), Err(Sense::invalid_field_in_cdb(1, Some(7))));
        let fast = parse_bytes(&[0x04, 0, 0, 0, 1, 0]);
        assert_eq!(fast, Err(Sense::invalid_field_in_cdb(4, Some(1))));
    }
}
