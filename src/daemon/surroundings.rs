//! What a conductor has others do in configfs.
//!
//! Always as an errand: touching configfs may wait for whoever is removing the device, and that
//! waits for the unit's thread.

use std::error::Error;
use std::sync::{Arc, OnceLock};

use pulsefield_backstore::OpTag;
use pulsefield_engine::{AccessStateChange, Identity, Query, SavedState};
use pulsefield_kernel::{Blocked, Device};
use tracing::{error, warn};

use crate::conductor::Surroundings;
use crate::errand::Errands;
use crate::port_groups;
use crate::saved_state::{StateError, StateFolder};
use crate::station::{Mailbox, Message};

/// The device's directory in configfs, as a conductor sees it.
pub(crate) struct Configfs {
    device: Device,
    errands: Errands,
    mailbox: Mailbox,
    states: StateFolder,
    /// Held from the moment the unit stops until its thread has closed the device.
    blocked: Arc<OnceLock<Blocked>>,
}

impl Configfs {
    pub(crate) fn new(
        device: Device,
        errands: Errands,
        mailbox: Mailbox,
        states: StateFolder,
    ) -> Self {
        Self { device, errands, mailbox, states, blocked: Arc::default() }
    }
}

impl Surroundings for Configfs {
    fn ask(&self, query: Query) {
        let (device, mailbox) = (self.device.clone(), self.mailbox.clone());
        self.errands.run(move || {
            mailbox.send(match query {
                Query::Identity => Message::Identity(identity(&device)),
                Query::PortGroups => Message::PortGroups(port_groups::read(&device)),
            });
        });
    }

    fn set_access_states(&self, request: OpTag, changes: Vec<AccessStateChange>) {
        let (device, mailbox) = (self.device.clone(), self.mailbox.clone());
        self.errands.run(move || {
            let changed = port_groups::set(&device, &changes);
            mailbox.send(Message::AccessStatesSet { request, changed });
        });
    }

    fn load(&self) {
        let (device, mailbox) = (self.device.clone(), self.mailbox.clone());
        let states = self.states.clone();
        self.errands.run(move || {
            let loaded = match serial(&device) {
                // A unit without a name has never saved anything.
                None => Ok(SavedState::default()),
                Some(serial) => states.load(&serial),
            };
            mailbox.send(Message::Restored(loaded.unwrap_or_else(|error| {
                warn!(error = &error as &dyn Error, "what the unit has saved is left aside");
                SavedState::default()
            })));
        });
    }

    fn save(&self, number: u64, state: SavedState) {
        let (device, mailbox) = (self.device.clone(), self.mailbox.clone());
        let states = self.states.clone();
        self.errands.run(move || {
            let saved = serial(&device)
                .ok_or(StateError::Nameless)
                .and_then(|serial| states.save(&serial, &state));
            if let Err(error) = &saved {
                error!(error = error as &dyn Error, "the state of the unit cannot be saved");
            }
            mailbox.send(Message::Saved { number, on_stable_storage: saved.is_ok() });
        });
    }

    fn block(&self) {
        let (device, mailbox) = (self.device.clone(), self.mailbox.clone());
        let blocked = self.blocked.clone();
        self.errands.run(move || {
            match Blocked::new(&device) {
                // Asked to stop twice: the second handle lifts the block a moment early.
                Ok(handle) => drop(blocked.set(handle)),
                Err(error) => warn!(%error, "the device cannot be blocked while it drains"),
            }
            mailbox.send(Message::Blocked);
        });
    }
}

/// The unit's names, from LIO's serial number. Without one the unit is nameless, never mistaken for
/// another.
fn identity(device: &Device) -> Identity {
    Identity::new(serial(device).unwrap_or_default())
}

fn serial(device: &Device) -> Option<String> {
    device.unit_serial().unwrap_or_else(|error| {
        warn!(%error, "the unit serial number cannot be read");
        None
    })
}
