//! What a conductor has others do in configfs.
//!
//! Always as an errand: touching configfs may wait for whoever is removing the device, and that
//! waits for the unit's thread.

use std::error::Error;
use std::sync::{Arc, OnceLock};

use pulsefield_backstore::{Geometry, OpTag};
use pulsefield_engine::{AccessStateChange, Identity, Query, SavedState};
use pulsefield_kernel::{Blocked, Device};
use pulsefield_record::Reason;
use pulsefield_units::LuId;
use tracing::{error, warn};

use crate::clock::Clock;
use crate::conductor::Surroundings;
use crate::lun::Commons;
use crate::pool::Share;
use crate::recording::RecordOrders;
use crate::saved_state::StateError;
use crate::station::{Mailbox, Message};
use crate::{copying, port_groups};

/// The device's directory in configfs, as a conductor sees it.
pub(crate) struct Configfs {
    device: Device,
    id: LuId,
    commons: Commons,
    mailbox: Mailbox,
    /// Held from the moment the unit stops until its thread has closed the device.
    blocked: Arc<OnceLock<Blocked>>,
}

impl Configfs {
    pub(crate) fn new(device: Device, id: LuId, commons: Commons, mailbox: Mailbox) -> Self {
        Self { device, id, commons, mailbox, blocked: Arc::default() }
    }
}

impl Surroundings for Configfs {
    fn ask(&self, query: Query) {
        let (device, mailbox) = (self.device.clone(), self.mailbox.clone());
        let (id, Commons { roots, table, .. }) = (self.id, self.commons.clone());
        self.commons.errands.run(move || {
            mailbox.send(match query {
                Query::Identity => Message::Identity(identity(&device)),
                Query::CopyPeers => Message::CopyPeers(copying::reachable(&table, &roots, id)),
                Query::PortGroups => Message::PortGroups(port_groups::read(&device)),
                Query::Initiators => Message::Initiators(initiators(&device)),
            });
        });
    }

    fn set_access_states(&self, request: OpTag, changes: Vec<AccessStateChange>) {
        let (device, mailbox) = (self.device.clone(), self.mailbox.clone());
        self.commons.errands.run(move || {
            let changed = port_groups::set(&device, &changes);
            mailbox.send(Message::AccessStatesSet { request, changed });
        });
    }

    fn load(&self) {
        let (device, mailbox) = (self.device.clone(), self.mailbox.clone());
        let states = self.commons.states.clone();
        self.commons.errands.run(move || {
            // Nobody can change it any more: a command has come, so the unit is exported.
            match device.command_timeout() {
                Ok(Some(time_out)) => mailbox.send(Message::CommandTimeOut(time_out)),
                Ok(None) => {}
                Err(error) => warn!(%error, "the time-out of commands cannot be read"),
            }
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
        let states = self.commons.states.clone();
        self.commons.errands.run(move || {
            let saved = serial(&device)
                .ok_or(StateError::Nameless)
                .and_then(|serial| states.save(&serial, &state));
            if let Err(error) = &saved {
                error!(error = error as &dyn Error, "the state of the unit cannot be saved");
            }
            mailbox.send(Message::Saved { number, on_stable_storage: saved.is_ok() });
        });
    }

    fn join_pool(&self, name: &str) -> Share {
        self.commons.pools.join(name)
    }

    fn block(&self) {
        let (device, mailbox) = (self.device.clone(), self.mailbox.clone());
        let blocked = self.blocked.clone();
        self.commons.errands.run(move || {
            match Blocked::new(&device) {
                // Asked to stop twice: the second handle lifts the block a moment early.
                Ok(handle) => drop(blocked.set(handle)),
                Err(error) => warn!(%error, "the device cannot be blocked while it drains"),
            }
            mailbox.send(Message::Blocked);
        });
    }

    fn open_record(&self, orders: RecordOrders, shape: Geometry) {
        let mailbox = self.mailbox.clone();
        self.commons.errands.run(move || {
            if let Some(recorder) = orders.open(shape, false, Clock::Machine) {
                mailbox.send(Message::Recorder { orders, recorder });
            }
        });
    }

    fn dump_record(&self, orders: RecordOrders, reason: Reason) {
        orders.dump(reason);
    }
}

/// The unit's names, from LIO's serial number. Without one the unit is nameless, never mistaken for
/// another.
fn identity(device: &Device) -> Identity {
    Identity::new(serial(device).unwrap_or_default())
}

/// LIO's serial number of the device, if it has one that can be read.
pub(crate) fn serial(device: &Device) -> Option<String> {
    device.unit_serial().unwrap_or_else(|error| {
        warn!(%error, "the unit serial number cannot be read");
        None
    })
}

/// How many initiators the unit may have; one if that cannot be read.
fn initiators(device: &Device) -> u32 {
    let count = device.initiators().unwrap_or_else(|error| {
        warn!(%error, "the initiators cannot be counted");
        1
    });
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::Instant;

    use pulsefield_control::config::Config;
    use pulsefield_kernel::{Roots, UioName};

    use super::*;
    use crate::errand::Errands;
    use crate::media::Media;
    use crate::plans::Plans;
    use crate::pool::Pools;
    use crate::saved_state::StateFolder;
    use crate::station::Station;
    use crate::table::SharedTable;
    use crate::testing::{PATIENCE, station};

    /// A machine whose one device has this line in `wwn/vpd_unit_serial`, and whose kernel waits for
    /// seven seconds.
    fn device(root: &Path, serial: &str) -> Device {
        let folder = root.join("sys/kernel/config/target/core/user_0/ds1");
        for subfolder in ["attrib", "wwn"] {
            fs::create_dir_all(folder.join(subfolder)).unwrap();
        }
        let line = format!("T10 VPD Unit Serial Number: {serial}\n");
        fs::write(folder.join("wwn/vpd_unit_serial"), line).unwrap();
        fs::write(folder.join("attrib/cmd_time_out"), "7\n").unwrap();
        let name: UioName = "tcm-user/0/ds1/pulsefield/ram/".parse().unwrap();
        Device::new(&Roots::under(root), &name)
    }

    /// Where units save their state under `root`, and nothing else of interest.
    fn commons(root: &Path) -> Commons {
        Commons {
            roots: Roots::under(root),
            media: Arc::new(Media::new()),
            errands: Errands::start().unwrap(),
            states: StateFolder::new(root.join("units")),
            table: SharedTable::new(Config::default(), Plans::default()),
            pools: Pools::default(),
        }
    }

    fn message(station: &Station) -> Message {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(message) = station.message() {
                return message;
            }
            assert!(Instant::now() < deadline, "waited in vain");
            std::thread::yield_now();
        }
    }

    /// The next message is how long the kernel waits.
    fn assert_seven_seconds(station: &Station) {
        let Message::CommandTimeOut(time_out) = message(station) else { panic!() };
        assert_eq!(time_out.as_secs(), 7);
    }

    #[test]
    fn what_a_unit_saves_is_restored_wherever_it_is_made_again() {
        let root = tempfile::tempdir().unwrap();
        let (station, commons) = (station(), commons(root.path()));
        let configfs = |serial| {
            let device = device(root.path(), serial);
            Configfs::new(device, LuId::new(0), commons.clone(), station.mailbox())
        };
        let state = SavedState { identifying_information: vec![7], ..SavedState::default() };
        configfs("4711").save(3, state.clone());
        let saved = message(&station);
        assert!(matches!(saved, Message::Saved { number: 3, on_stable_storage: true }));
        for (serial, restored) in [("4711", &state), ("4712", &SavedState::default())] {
            configfs(serial).load();
            assert_seven_seconds(&station);
            let Message::Restored(found) = message(&station) else { panic!() };
            assert_eq!(found, *restored);
        }
    }

    #[test]
    fn a_unit_without_a_name_saves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let (station, commons) = (station(), commons(root.path()));
        let device = device(root.path(), "");
        let configfs = Configfs::new(device, LuId::new(0), commons, station.mailbox());
        configfs.save(0, SavedState::default());
        let refused = message(&station);
        assert!(matches!(refused, Message::Saved { number: 0, on_stable_storage: false }));
        configfs.load();
        assert_seven_seconds(&station);
        let Message::Restored(found) = message(&station) else { panic!() };
        assert_eq!(found, SavedState::default());
    }
}
