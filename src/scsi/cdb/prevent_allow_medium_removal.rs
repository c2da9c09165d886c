//! PREVENT ALLOW MEDIUM REMOVAL (SPC-4).

use crate::field::Bits;
use crate::{Command, Sense};

const PREVENT: Bits = Bits::new(4, 1, 0);

/// PREVENT ALLOW MEDIUM REMOVAL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreventAllowMediumRemoval {
    /// PREVENT: the medium may not be taken out.
    pub prevent: bool,
}

pub(crate) fn parse(cdb: &[u8]) -> Result<Command, Sense> {
    let prevent = match PREVENT.read(cdb) {
        0b00 => false,
        0b01 => true,
        // Obsolete: they were for media changers.
        _ => return Err(PREVENT.invalid_in_cdb()),
    };
    Ok(Command::PreventAllowMediumRemoval(PreventAllowMediumRemoval { prevent }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_bytes;

    #[test]
    fn removal_is_allowed_or_prevented() {
        let cdb = |prevent| parse_bytes(&[0x1e, 0, 0, 0, prevent, 0]);
        for (bits, prevent) in [(0, false), (1, true)] {
            let command = PreventAllowMediumRemoval { prevent };
            assert_eq!(cdb(bits), Ok(Command::PreventAllowMediumRemoval(command)));
        }
        for bits in [2, 3] {
            assert_eq!(cdb(bits), Err(Sense::invalid_field_in_cdb(4, Some(1))));
        }
    }
}
