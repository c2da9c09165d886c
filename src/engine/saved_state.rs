//! What a logical unit keeps when its device server ends, and how it gets onto stable storage: the
//! device server asks for it with [`Action::Save`](crate::Action::Save) and answers the command when
//! it hears of the end.

use pulsefield_scsi::mode_page::ModeSettings;
use pulsefield_scsi::{Asc, Sense, SenseKey};
use pulsefield_units::Instant;

use crate::background::{self, Operation};
use crate::event::Observer;
use crate::outcome::Outcome;
use crate::range_lock::Holder;
use crate::server::DeviceServer;

/// Saved mode parameters, identifying information, and whether the medium is sanitized or formatted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavedState {
    /// What MODE SELECT with SP = 1 has saved, if ever.
    pub modes: Option<ModeSettings>,
    /// What SET IDENTIFYING INFORMATION has set: at most 512 bytes.
    pub identifying_information: Vec<u8>,
    /// An operation that has begun and not ended, or that has failed.
    pub unfinished: Option<Operation>,
}

impl<T, O: Observer> DeviceServer<T, O> {
    /// Takes what an earlier device server of this unit has saved: its modes are in force from now
    /// on. To be called before the first command.
    pub fn restore(&mut self, saved: SavedState) {
        if let Some(modes) = saved.modes {
            let write_cache_enabled =
                modes.write_cache_enabled && self.unit.capabilities.write_cache;
            self.unit.modes = ModeSettings { write_cache_enabled, ..modes };
        }
        self.unit.failed = saved.unfinished;
        self.unit.to_save = saved.clone();
        self.unit.saved = saved;
    }

    /// Has `state` saved for `holder`, who goes on when that is done.
    pub(crate) fn save(&mut self, holder: Holder, state: SavedState) {
        self.saving.push_back((holder, state.clone()));
        self.saves.push_back(state);
    }

    /// Takes the end of the oldest [`Action::Save`](crate::Action::Save) without one: whether the
    /// state is on stable storage. If it is not, the command that wanted it ends with 04h/44h/00h;
    /// what it changed is in force all the same, and lost with the device server.
    ///
    /// # Panics
    /// If nothing is being saved.
    pub fn on_saved(&mut self, now: Instant, on_stable_storage: bool) {
        let (at, state) = self.saving.pop_front().expect("something is being saved");
        if on_stable_storage {
            self.unit.saved = state;
        }
        if at == background::HOLDER {
            self.step_background(now);
            return;
        }
        let failure = Sense::new(SenseKey::HardwareError, Asc::INTERNAL_TARGET_FAILURE);
        let outcome = if on_stable_storage { Outcome::GOOD } else { Outcome::check(failure) };
        self.retire(now, at, outcome);
    }
}

#[cfg(test)]
mod tests;
