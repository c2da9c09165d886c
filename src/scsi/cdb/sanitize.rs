//! SANITIZE (SBC-4).
//!
//! Unlike elsewhere, what is reserved in this CDB must be zero: a command that wipes everything is
//! not carried out if it may have meant something else.

use crate::field::{Bits, Flag, Number};
use crate::{Command, Sense};

const IMMED: Flag = Flag::new(1, 7);
/// ZNR, for zoned devices; reserved for others.
const ZNR: Flag = Flag::new(1, 6);
const AUSE: Flag = Flag::new(1, 5);
const RESERVED: [Number<1>; 5] =
    [Number::at(2), Number::at(3), Number::at(4), Number::at(5), Number::at(6)];
const PARAMETER_LIST_LENGTH: Number<2> = Number::at(7);

/// How a medium is sanitized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SanitizeMethod {
    /// OVERWRITE: with the pattern of the parameter list, as long as the CDB says.
    Overwrite {
        /// PARAMETER LIST LENGTH.
        parameter_list_length: u16,
    },
    /// BLOCK ERASE.
    BlockErase,
    /// CRYPTOGRAPHIC ERASE.
    CryptographicErase,
}

/// SANITIZE, but for EXIT FAILURE MODE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sanitize {
    /// How.
    pub method: SanitizeMethod,
    /// IMMED: the answer does not wait for the end.
    pub immediate: bool,
    /// AUSE: should it fail, EXIT FAILURE MODE makes the unit usable again.
    pub unrestricted_exit: bool,
}

pub(crate) fn parse_overwrite(cdb: &[u8]) -> Result<Command, Sense> {
    let parameter_list_length = PARAMETER_LIST_LENGTH.read(cdb);
    sanitize(cdb, SanitizeMethod::Overwrite { parameter_list_length })
}

pub(crate) fn parse_block_erase(cdb: &[u8]) -> Result<Command, Sense> {
    refuse_parameter_list(cdb)?;
    sanitize(cdb, SanitizeMethod::BlockErase)
}

pub(crate) fn parse_cryptographic_erase(cdb: &[u8]) -> Result<Command, Sense> {
    refuse_parameter_list(cdb)?;
    sanitize(cdb, SanitizeMethod::CryptographicErase)
}

pub(crate) fn parse_exit_failure_mode(cdb: &[u8]) -> Result<Command, Sense> {
    refuse_parameter_list(cdb)?;
    refuse_reserved(cdb)?;
    Ok(Command::ExitSanitizeFailureMode)
}

fn sanitize(cdb: &[u8], method: SanitizeMethod) -> Result<Command, Sense> {
    refuse_reserved(cdb)?;
    let (immediate, unrestricted_exit) = (IMMED.read(cdb), AUSE.read(cdb));
    Ok(Command::Sanitize(Sanitize { method, immediate, unrestricted_exit }))
}

fn refuse_reserved(cdb: &[u8]) -> Result<(), Sense> {
    if ZNR.read(cdb) {
        return Err(ZNR.invalid_in_cdb());
    }
    match RESERVED.into_iter().find(|byte| byte.read(cdb) != 0) {
        Some(byte) => Err(byte.invalid_in_cdb()),
        None => Ok(()),
    }
}

fn refuse_parameter_list(cdb: &[u8]) -> Result<(), Sense> {
    match PARAMETER_LIST_LENGTH.read(cdb) {
        0 => Ok(()),
        _ => Err(PARAMETER_LIST_LENGTH.invalid_in_cdb()),
    }
}

impl Sanitize {
    /// 05h/24h/00h for a parameter list that cannot hold a pattern of one byte to one block.
    pub const INVALID_LIST_LENGTH: Sense = PARAMETER_LIST_LENGTH.invalid_in_cdb();
    /// 05h/24h/00h for an AUSE = 1 that would undo the AUSE = 0 of the SANITIZE that has failed.
    pub const AUSE_NOT_ALLOWED: Sense = AUSE.invalid_in_cdb();
    /// 05h/24h/00h for an EXIT FAILURE MODE that the SANITIZE before it has forbidden.
    pub const EXIT_NOT_ALLOWED: Sense = Bits::new(1, 4, 0).invalid_in_cdb();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_bytes;

    #[test]
    fn overwriting_and_erasing_are_told_apart() {
        assert_eq!(
            parse_bytes(&[0x48, 0x81, 0, 0, 0, 0, 0, 0x02, 0x04, 0]),
            Ok(Command::Sanitize(Sanitize {
                method: SanitizeMethod::Overwrite { parameter_list_length: 0x204 },
                immediate: true,
                unrestricted_exit: false,
            }))
        );
        for (byte, method) in
            [(0x22, SanitizeMethod::BlockErase), (0x23, SanitizeMethod::CryptographicErase)]
        {
            assert_eq!(
                parse_bytes(&[0x48, byte, 0, 0, 0, 0, 0, 0, 0, 0]),
                Ok(Command::Sanitize(Sanitize {
                    method,
                    immediate: false,
                    unrestricted_exit: true
                }))
            );
        }
        let exit = parse_bytes(&[0x48, 0x1f, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(exit, Ok(Command::ExitSanitizeFailureMode));
    }

    #[test]
    fn what_is_reserved_must_be_zero() {
        for action in [0x01, 0x02, 0x03, 0x1f] {
            let parse = |at: usize, bits| {
                let mut cdb = [0x48, action, 0, 0, 0, 0, 0, 0, 0, 0];
                cdb[at] |= bits;
                parse_bytes(&cdb)
            };
            assert_eq!(parse(1, 0x40), Err(Sense::invalid_field_in_cdb(1, Some(6))));
            for at in 2..7 {
                let pointer = u16::try_from(at).unwrap();
                assert_eq!(parse(at, 0x01), Err(Sense::invalid_field_in_cdb(pointer, None)));
            }
        }
    }

    #[test]
    fn only_overwriting_has_a_parameter_list() {
        for action in [0x02, 0x03, 0x1f] {
            let cdb = [0x48, action, 0, 0, 0, 0, 0, 0, 8, 0];
            assert_eq!(parse_bytes(&cdb), Err(Sense::invalid_field_in_cdb(7, None)));
        }
    }
}
