//! What a conductor has others do in configfs.
//!
//! Always as an errand: touching configfs may wait for whoever is removing the device, and that
//! waits for the unit's thread.

use std::sync::{Arc, OnceLock};

use pulsefield_backstore::OpTag;
use pulsefield_engine::{AccessStateChange, Identity, Query};
use pulsefield_kernel::{Blocked, Device};
use tracing::warn;

use crate::conductor::Surroundings;
use crate::errand::Errands;
use crate::port_groups;
use crate::station::{Mailbox, Message};

/// The device's directory in configfs, as a conductor sees it.
pub(crate) struct Configfs {
    device: Device,
    errands: Errands,
    mailbox: Mailbox,
    /// Held from the moment the unit stops until its thread has closed the device.
    blocked: Arc<OnceLock<Blocked>>,
}

impl Configfs {
    pub(crate) fn new(device: Device, errands: Errands, mailbox: Mailbox) -> Self {
        Self { device, errands, mailbox, blocked: Arc::default() }
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
    let serial = device.unit_serial().unwrap_or_else(|error| {
        warn!(%error, "the unit serial number cannot be read");
        None
    });
    Identity::new(serial.unwrap_or_default())
}
