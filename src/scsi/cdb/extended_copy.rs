//! EXTENDED COPY (LID1) and (LID4) (SPC-4); their parameter lists are in `parameter::extended_copy`.

use crate::field::Number;
use crate::{Command, Sense};

const PARAMETER_LIST_LENGTH: Number<4> = Number::at(10);

/// Which of the two forms of parameter list an EXTENDED COPY brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListIdentifierForm {
    /// LIST IDENTIFIER has one byte.
    Lid1,
    /// LIST IDENTIFIER has four bytes.
    Lid4,
}

/// EXTENDED COPY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedCopy {
    /// The form of the parameter list.
    pub form: ListIdentifierForm,
    /// The length of the parameter list in bytes; zero copies nothing and is no error.
    pub parameter_list_length: u32,
}

pub(crate) fn parse_lid1(cdb: &[u8]) -> Result<Command, Sense> {
    Ok(parse(ListIdentifierForm::Lid1, cdb))
}

pub(crate) fn parse_lid4(cdb: &[u8]) -> Result<Command, Sense> {
    Ok(parse(ListIdentifierForm::Lid4, cdb))
}

fn parse(form: ListIdentifierForm, cdb: &[u8]) -> Command {
    let parameter_list_length = PARAMETER_LIST_LENGTH.read(cdb);
    Command::ExtendedCopy(ExtendedCopy { form, parameter_list_length })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_bytes;

    #[test]
    fn both_forms_parse() {
        for (byte_1, form) in [(0x00, ListIdentifierForm::Lid1), (0x01, ListIdentifierForm::Lid4)] {
            let cdb = [0x83, byte_1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0];
            assert_eq!(
                parse_bytes(&cdb),
                Ok(Command::ExtendedCopy(ExtendedCopy { form, parameter_list_length: 0x10002 }))
            );
        }
    }
}
