//! START STOP UNIT (SBC-4): what stops or leaves is written out first, unless NO_FLUSH says that it
//! need not be.
//!
//! The unit changes when the cache is on the medium, so that one that cannot be written out stays as
//! it was. Commands that were admitted before are carried out.

use pulsefield_backstore::Op;
use pulsefield_data::Buffer;
use pulsefield_scsi::{self as scsi, PowerCondition, Sense, UnitChange};

use super::{Context, Exec, Input, Step};
use crate::logical_unit::LogicalUnit;
use crate::outcome::{Outcome, Purpose};

/// Carries the command out, or returns what has to be done first.
///
/// # Errors
/// As [`LogicalUnit::check_change`].
pub(crate) fn admit(
    unit: &mut LogicalUnit,
    command: scsi::StartStopUnit,
) -> Result<Option<Exec>, Sense> {
    unit.check_change(command)?;
    let leaves = match command.change {
        UnitChange::Power(PowerCondition::Stopped) | UnitChange::Eject => !command.no_flush,
        UnitChange::Power(_) | UnitChange::Load | UnitChange::Nothing => false,
    };
    if leaves {
        return Ok(Some(Exec::StartStopUnit(command.change)));
    }
    unit.change_readiness(command.change);
    Ok(None)
}

pub(crate) fn step(change: UnitChange, cx: &mut Context<'_>, input: Input) -> Step {
    match input {
        Input::Go => Step::Op(Op::Flush, Buffer::empty()),
        Input::Done(Ok(_), _) => {
            cx.unit.change_readiness(change);
            Step::End(Outcome::NO_DATA)
        }
        Input::Done(Err(error), _) => Step::failed(error, Purpose::Writing),
    }
}
