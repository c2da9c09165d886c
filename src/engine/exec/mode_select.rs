//! MODE SELECT (6) and (10) (SPC-4 6.11, 6.12).
//!
//! New settings are in force from the moment the command is admitted, so that two MODE SELECTs take
//! effect in their order of arrival, and every write started from then on goes by them. If the
//! volatile write cache was switched off, it is written out before the answer: what was answered
//! before is then as safe as what comes after. (A write that the medium was working on already may
//! still be answered from the cache; it was started while there was one.)

use pulsefield_backstore::Op;
use pulsefield_data::Buffer;
use pulsefield_scsi::{self as scsi, Sense};

use super::{Input, Step};
use crate::logical_unit::LogicalUnit;
use crate::outcome::{Outcome, Purpose};

/// What must happen before the answer.
pub(crate) enum Aftermath {
    Nothing,
    /// The cache that is no more must be written out.
    Flush,
}

/// Reads the parameter list and puts it in force.
///
/// # Errors
/// What is wrong with the list; nothing has changed.
pub(crate) fn admit(
    unit: &mut LogicalUnit,
    data: &Buffer,
    command: scsi::ModeSelect,
) -> Result<Aftermath, Sense> {
    let length = usize::try_from(command.parameter_list_length).expect("at most 65,535");
    let mut list = vec![0; length];
    data.read_at(0, &mut list);
    let settings = unit.mode_parameters().select(command.form, &list)?;
    let had_cache = std::mem::replace(&mut unit.modes, settings).write_cache_enabled;
    match had_cache && !settings.write_cache_enabled {
        true => Ok(Aftermath::Flush),
        false => Ok(Aftermath::Nothing),
    }
}

pub(crate) fn step(input: Input) -> Step {
    match input {
        Input::Go => Step::Op(Op::Flush, Buffer::empty()),
        Input::Done(Ok(_), _) => Step::End(Outcome::GOOD),
        Input::Done(Err(error), _) => Step::failed(error, Purpose::Writing),
    }
}

#[cfg(test)]
mod tests;
