//! SANITIZE (SBC-4): what is checked before the background operation takes over.

use pulsefield_data::Buffer;
use pulsefield_scsi::parameter::Overwrite;
use pulsefield_scsi::{self as scsi, SanitizeMethod, Sense};

use super::format_unit::{start, whole_medium};
use super::{Context, Exec, Step};
use crate::admit::Admission;
use crate::background::{Background, Operation};
use crate::logical_unit::LogicalUnit;
use crate::outcome::Outcome;

/// Gives the unit the operation.
///
/// # Errors
/// What is wrong with the parameter list; 05h/24h/00h for AUSE = 1 after a failure with AUSE = 0,
/// which would open the way out that was closed (SBC-4 4.11.1).
pub(crate) fn admit(
    unit: &mut LogicalUnit,
    data: &Buffer,
    command: scsi::Sanitize,
) -> Result<Admission, Sense> {
    let range = whole_medium(unit)?;
    let exit = command.unrestricted_exit;
    if exit && unit.failed == Some(Operation::Sanitize { unrestricted_exit: false }) {
        return Err(scsi::Sanitize::AUSE_NOT_ALLOWED);
    }
    let (background, outcome) = match command.method {
        SanitizeMethod::Overwrite { parameter_list_length } => {
            let mut list = vec![0; parameter_list_length.into()];
            data.read_at(0, &mut list);
            let overwrite = Overwrite::parse(&list, unit.geometry.block_length)?;
            (Background::overwrite(unit, range, exit, &overwrite), Outcome::GOOD)
        }
        SanitizeMethod::BlockErase => (Background::erase(unit, range, exit), Outcome::NO_DATA),
        SanitizeMethod::CryptographicErase => {
            // There is no key whose loss would make the data unreadable, so the data itself goes
            // (`docs/decisions/0014`).
            let zeros = Overwrite { invert: false, passes: 1, pattern: &[0] };
            (Background::overwrite(unit, range, exit, &zeros), Outcome::NO_DATA)
        }
    };
    Ok(start(unit, background, command.immediate, outcome))
}

/// EXIT FAILURE MODE: the unit is used as if its sanitizing had ended well, and that is saved. No
/// failure is no error.
///
/// # Errors
/// 05h/24h/00h if the SANITIZE that failed had AUSE = 0.
pub(crate) fn exit_failure_mode(unit: &mut LogicalUnit) -> Result<Option<Exec>, Sense> {
    match unit.failed {
        Some(Operation::Sanitize { unrestricted_exit: true }) => {
            unit.failed = None;
            Ok(Some(Exec::ExitSanitizeFailureMode))
        }
        Some(Operation::Sanitize { unrestricted_exit: false }) => {
            Err(scsi::Sanitize::EXIT_NOT_ALLOWED)
        }
        Some(Operation::Format) | None => Ok(None),
    }
}

pub(crate) fn step_exit(cx: &mut Context<'_>) -> Step {
    cx.unit.to_save.unfinished = None;
    Step::Save(cx.unit.to_save.clone())
}
