//! SET TARGET PORT GROUPS (SPC-4).

use crate::field::Number;
use crate::{Command, Sense};

const PARAMETER_LIST_LENGTH: Number<4> = Number::at(6);

/// SET TARGET PORT GROUPS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetTargetPortGroups {
    /// The length of the parameter list in bytes; zero changes nothing and is no error.
    pub parameter_list_length: u32,
}

pub(crate) fn parse(cdb: &[u8]) -> Result<Command, Sense> {
    let parameter_list_length = PARAMETER_LIST_LENGTH.read(cdb);
    Ok(Command::SetTargetPortGroups(SetTargetPortGroups { parameter_list_length }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_bytes;

    #[test]
    fn the_list_has_a_length_of_four_bytes() {
        assert_eq!(
            parse_bytes(&[0xa4, 0x0a, 0, 0, 0, 0, 0, 1, 2, 3, 0, 0]),
            Ok(Command::SetTargetPortGroups(SetTargetPortGroups {
                parameter_list_length: 0x0001_0203,
            }))
        );
    }
}
