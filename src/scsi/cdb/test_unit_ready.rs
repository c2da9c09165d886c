//! TEST UNIT READY (SPC-4).

use crate::{Command, Sense};

/// Every byte but the operation code and CONTROL is reserved.
pub(crate) const fn parse(_cdb: &[u8]) -> Result<Command, Sense> {
    Ok(Command::TestUnitReady)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_bytes;

    #[test]
    fn six_zeros_are_test_unit_ready() {
        assert_eq!(parse_bytes(&[0; 6]), Ok(Command::TestUnitReady));
    }
}
