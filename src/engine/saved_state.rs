//! What a logical unit keeps when its device server ends, and how it gets onto stable storage: the
//! device server asks for it with [`Action::Save`](crate::Action::Save) and answers the command when
//! it hears of the end.

use pulsefield_scsi::mode_page::ModeSettings;
use pulsefield_scsi::{Asc, Sense, SenseKey};
use pulsefield_units::Instant;

use crate::event::Observer;
use crate::outcome::Outcome;
use crate::server::DeviceServer;

/// Saved mode parameters and identifying information.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavedState {
    /// What MODE SELECT with SP = 1 has saved, if ever.
    pub modes: Option<ModeSettings>,
    /// What SET IDENTIFYING INFORMATION has set: at most 512 bytes.
    pub identifying_information: Vec<u8>,
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
        self.unit.to_save = saved.clone();
        self.unit.saved = saved;
    }

    /// Takes the end of the oldest [`Action::Save`](crate::Action::Save) without one: whether the
    /// state is on stable storage. If it is not, the command that wanted it ends with 04h/44h/00h;
    /// what it changed is in force all the same, and lost with the device server.
    ///
    /// # Panics
    /// If nothing is being saved.
    pub fn on_saved(&mut self, now: Instant, on_stable_storage: bool) {
        let (at, state) = self.saving.pop_front().expect("something is being saved");
        let outcome = if on_stable_storage {
            self.unit.saved = state;
            Outcome::GOOD
        } else {
            Outcome::check(Sense::new(SenseKey::HardwareError, Asc::INTERNAL_TARGET_FAILURE))
        };
        self.retire(now, at, outcome);
    }
}

#[cfg(test)]
mod tests;
