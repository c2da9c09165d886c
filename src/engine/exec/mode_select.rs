//! MODE SELECT (6) and (10) (SPC-4 6.11, 6.12).
//!
//! New settings are in force from the moment the command is admitted, so that two MODE SELECTs take
//! effect in their order of arrival, and every write started from then on goes by them. If the
//! volatile write cache was switched off, it is written out before the answer: what was answered
//! before is then as safe as what comes after. (A write that the medium was working on already may
//! still be answered from the cache; it was started while there was one.) With SP = 1 all settings
//! are saved before the answer, as SPC-4 has it, and not only those of the pages that came.
//!
//! MODE PARAMETERS CHANGED is for every I_T nexus but the one the command came by (`unit_attention.rs`).

use pulsefield_backstore::Op;
use pulsefield_data::Buffer;
use pulsefield_scsi::{self as scsi, Sense};

use super::{Context, Exec, Input, Step};
use crate::logical_unit::LogicalUnit;
use crate::outcome::{Outcome, Purpose};
use crate::unit_attention::UnitAttention;

/// What must happen before the answer.
#[derive(Debug)]
pub(crate) struct ModeSelect {
    /// The cache that is no more must be written out.
    flush: bool,
    /// SP: the settings must be saved.
    save: bool,
}

/// Reads the parameter list, puts it in force, and returns what has to be done then, if anything.
///
/// # Errors
/// What is wrong with the list; nothing has changed.
pub(crate) fn admit(
    unit: &mut LogicalUnit,
    data: &Buffer,
    command: scsi::ModeSelect,
) -> Result<Option<Exec>, Sense> {
    let length = usize::try_from(command.parameter_list_length).expect("at most 65,535");
    let mut list = vec![0; length];
    data.read_at(0, &mut list);
    let settings = unit.mode_parameters().select(command.form, &list)?;
    let before = std::mem::replace(&mut unit.modes, settings);
    if before != settings {
        unit.attentions.raise_for_others(UnitAttention::ModeParametersChanged);
    }
    let flush = before.write_cache_enabled && !settings.write_cache_enabled;
    let save = command.save_pages;
    Ok((flush || save).then_some(Exec::ModeSelect(ModeSelect { flush, save })))
}

impl ModeSelect {
    pub(crate) fn step(&self, cx: &mut Context<'_>, input: Input) -> Step {
        match input {
            Input::Go if self.flush => Step::Op(Op::Flush, Buffer::empty()),
            Input::Go | Input::Done(Ok(_), _) if self.save => {
                cx.unit.to_save.modes = Some(cx.unit.modes);
                Step::Save(cx.unit.to_save.clone())
            }
            Input::Go | Input::Done(Ok(_), _) => Step::End(Outcome::GOOD),
            Input::Done(Err(error), _) => Step::failed(error, Purpose::Writing),
        }
    }
}

#[cfg(test)]
mod tests;
