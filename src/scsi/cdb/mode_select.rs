//! MODE SELECT (6) and (10) (SPC-4).

use super::mode_sense::ModeForm;
use crate::field::{Flag, Number};
use crate::{Command, Sense};

/// PF: the list has the form of SPC, not a vendor's.
const PF: Flag = Flag::new(1, 4);
/// SP: save the pages as well.
const SP: Flag = Flag::new(1, 0);
const PARAMETER_LIST_LENGTH_6: Number<1> = Number::at(4);
const PARAMETER_LIST_LENGTH_10: Number<2> = Number::at(7);

/// MODE SELECT, with pages as SPC has them (PF = 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModeSelect {
    /// (6) or (10).
    pub form: ModeForm,
    /// SP: the pages are to be saved as well.
    pub save_pages: bool,
    /// The length of the parameter list in bytes; zero changes nothing and is no error.
    pub parameter_list_length: u32,
}

pub(crate) fn parse_6(cdb: &[u8]) -> Result<Command, Sense> {
    mode_select(cdb, ModeForm::Six, PARAMETER_LIST_LENGTH_6.read(cdb).into())
}

pub(crate) fn parse_10(cdb: &[u8]) -> Result<Command, Sense> {
    mode_select(cdb, ModeForm::Ten, PARAMETER_LIST_LENGTH_10.read(cdb).into())
}

fn mode_select(cdb: &[u8], form: ModeForm, parameter_list_length: u32) -> Result<Command, Sense> {
    // A list that is not there has no form.
    if parameter_list_length != 0 && !PF.read(cdb) {
        return Err(PF.invalid_in_cdb());
    }
    let save_pages = SP.read(cdb);
    Ok(Command::ModeSelect(ModeSelect { form, save_pages, parameter_list_length }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_bytes;

    #[test]
    fn both_lengths_parse() {
        assert_eq!(
            parse_bytes(&[0x15, 0x10, 0, 0, 24, 0]),
            Ok(Command::ModeSelect(ModeSelect {
                form: ModeForm::Six,
                save_pages: false,
                parameter_list_length: 24,
            }))
        );
        assert_eq!(
            parse_bytes(&[0x55, 0x11, 0, 0, 0, 0, 0, 0x01, 0x02, 0]),
            Ok(Command::ModeSelect(ModeSelect {
                form: ModeForm::Ten,
                save_pages: true,
                parameter_list_length: 0x0102,
            }))
        );
    }

    #[test]
    fn no_vendor_format_is_read() {
        assert_eq!(
            parse_bytes(&[0x15, 0x00, 0, 0, 24, 0]),
            Err(Sense::invalid_field_in_cdb(1, Some(4)))
        );
        assert!(parse_bytes(&[0x15, 0x00, 0, 0, 0, 0]).is_ok(), "an empty list has no format");
    }
}
