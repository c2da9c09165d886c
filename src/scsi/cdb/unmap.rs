//! UNMAP (SBC-4); its parameter list is in `parameter::unmap`.

use crate::field::{Flag, Number};
use crate::{Command, Sense};

/// ANCHOR: keep the space reserved.
const ANCHOR: Flag = Flag::new(1, 0);
const PARAMETER_LIST_LENGTH: Number<2> = Number::at(7);

/// UNMAP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unmap {
    /// ANCHOR: the space should stay reserved.
    pub anchor: bool,
    /// The length of the parameter list in bytes; zero unmaps nothing and is no error.
    pub parameter_list_length: u16,
}

impl Unmap {
    /// 05h/24h/00h for an anchor where there are none (ANC_SUP = 0).
    pub const ANCHOR_NOT_SUPPORTED: Sense = ANCHOR.invalid_in_cdb();
}

pub(crate) fn parse(cdb: &[u8]) -> Result<Command, Sense> {
    Ok(Command::Unmap(Unmap {
        anchor: ANCHOR.read(cdb),
        parameter_list_length: PARAMETER_LIST_LENGTH.read(cdb),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_bytes;

    #[test]
    fn an_unmap_parses() {
        assert_eq!(
            parse_bytes(&[0x42, 0x01, 0, 0, 0, 0, 0, 0, 24, 0]),
            Ok(Command::Unmap(Unmap { anchor: true, parameter_list_length: 24 }))
        );
    }
}
