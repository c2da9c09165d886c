//! Which logical units there are and how each is doing: the one state that threads of the daemon
//! share. Held for moments only, never while something waits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;

use pulsefield_backstore::{Backstore, Geometry};
use pulsefield_control::config::{Config, LunConfig, Polling, Provisioning};
use pulsefield_control::protocol::LunState;
use pulsefield_engine::{LuConfig, PoolLimits, limits};
use pulsefield_kernel::UioName;
use pulsefield_scsi::parameter::Ascii;
use pulsefield_settings::Time;
use pulsefield_units::LuId;

use crate::counters::Counters;
use crate::latency::Deadlines;
use crate::lun::Arrival;
use crate::notice::Notice;
use crate::plans::Plans;
use crate::polling::SpareProcessors;
use crate::recording::RecordOrders;
use crate::station::{FaultOrders, Mailbox, Message};

/// A logical unit as everybody but its own thread sees it.
pub(crate) struct Unit {
    pub(crate) name: UioName,
    pub(crate) arrival: Arrival,
    pub(crate) counters: Arc<Counters>,
    pub(crate) state: LunState,
    /// There until the thread has reported its end.
    pub(crate) thread: Option<JoinHandle<()>>,
    /// There once the unit serves.
    pub(crate) service: Option<Service>,
    /// What the kernel waits to have answered: an announcement until the unit serves, a removal
    /// until it has ended, the announcement of a successor until that serves.
    pub(crate) unanswered: Option<Notice>,
    /// Whether its device is gone: its thread ends as soon as it hears of it.
    pub(crate) doomed: bool,
}

/// What reaches a unit that serves.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) mailbox: Mailbox,
    /// Kept open by the unit's own thread alone, so that closing it never waits anywhere else.
    pub(crate) medium: Weak<dyn Backstore>,
    pub(crate) geometry: Geometry,
    /// The kernel's `emulate_write_cache`, as far as we were told.
    pub(crate) emulate_write_cache: bool,
    /// The last probe sent; 0 for none.
    pub(crate) probed: u64,
    /// How many commands had come by then.
    pub(crate) heard: u64,
}

impl Unit {
    /// The shape of its medium, once that is open.
    pub(crate) fn geometry(&self) -> Option<Geometry> {
        self.service.as_ref().map(|service| service.geometry)
    }

    /// The handler that opens its medium.
    pub(crate) fn handler(&self) -> &str {
        let cfgstring = self.cfgstring();
        cfgstring.split_once('/').map_or(cfgstring, |(handler, _)| handler)
    }

    /// The cfgstring without the subtype.
    pub(crate) fn cfgstring(&self) -> &str {
        self.name.cfgstring().unwrap_or_default()
    }
}

/// All units, and the configuration in force.
pub(crate) struct Table {
    pub(crate) units: BTreeMap<LuId, Unit>,
    pub(crate) config: Config,
    /// The plans of faults that it names.
    pub(crate) plans: Plans,
    spare: Option<SpareProcessors>,
}

impl Table {
    fn new(config: Config, plans: Plans) -> Self {
        Self { units: BTreeMap::new(), config, plans, spare: SpareProcessors::of_machine() }
    }

    /// What the configuration says about the faults of the unit `name`.
    pub(crate) fn fault_orders(&self, name: &str) -> FaultOrders {
        let product = self.config.for_lun(name).faulty_product.as_str();
        FaultOrders {
            lun: name.to_owned(),
            plan: self.plans.of(name),
            product: (!product.is_empty()).then(|| Ascii::new(product)),
        }
    }

    /// When commands of the unit `name` are late.
    pub(crate) fn deadlines(&self, name: &str) -> Deadlines {
        let LunConfig { deadline_warning, deadline_error, .. } = self.config.for_lun(name);
        let unless_zero = |time: &Time| Some(time.duration()).filter(|time| !time.is_zero());
        Deadlines { warning: unless_zero(deadline_warning), error: unless_zero(deadline_error) }
    }

    /// The processors that units may keep busy by looking for work, if they may.
    pub(crate) fn polling(&self) -> Option<SpareProcessors> {
        match self.config.daemon.polling {
            Polling::Auto => self.spare.clone(),
            Polling::Off => None,
        }
    }

    /// The settings of the unit `name` as the device server wants them.
    pub(crate) fn settings(&self, name: &str) -> LuConfig {
        let LunConfig {
            compare_and_write_max_blocks,
            medium_rotation_rate,
            physical_block_bytes,
            metadata,
            vendor,
            product,
            revision,
            naa,
            removable,
            read_only,
            long_cdbs,
            tell_others,
            provisioning,
            // Asked for when a copy wants to reach another unit.
            copy_group: _,
            pool: _,
            // What faults are armed is not the device server's business.
            faulty_product: _,
            faults: _,
            // Nor is when a command is late.
            deadline_warning: _,
            deadline_error: _,
            // Nor what is recorded.
            record: _,
            record_size: _,
        } = self.config.for_lun(name);
        let pool = self.config.pool_of(name).map(|(name, pool)| PoolLimits {
            name: name.to_owned(),
            limit: pool.limit.bytes(),
            thresholds: pool.thresholds_in_bytes().collect(),
        });
        LuConfig {
            compare_and_write_blocks_max: *compare_and_write_max_blocks,
            removable: *removable,
            read_only: *read_only,
            long_cdbs: *long_cdbs,
            tell_others: *tell_others,
            fully_provisioned: *provisioning == Provisioning::Full,
            metadata: metadata.clone(),
            medium_rotation_rate: medium_rotation_rate.as_u16(),
            physical_block_bytes: physical_block_bytes.bytes(),
            vendor: Ascii::new(vendor.as_str()),
            product: Ascii::new(product.as_str()),
            revision: Ascii::new(revision.as_str()),
            naa: naa.as_ref().map(|naa| naa.as_bytes().to_vec()),
            // The ring decides.
            transfer_bytes_max: limits::TRANSFER_BYTES_MAX,
            pool,
        }
    }

    /// Puts `config`, and the plans that it names, in force for the units that serve.
    pub(crate) fn apply(&mut self, config: Config, plans: Plans) {
        self.config = config;
        self.plans = plans;
        for unit in self.units.values() {
            if let Some(service) = &unit.service {
                let name = unit.name.device();
                service.mailbox.send(Message::Reconfigure(self.settings(name)));
                service.mailbox.send(Message::SetDeadlines(self.deadlines(name)));
                service.mailbox.send(Message::SetPolling(self.polling()));
                service.mailbox.send(Message::Record(RecordOrders::of(&self.config, name)));
                service.mailbox.send(Message::ConfigureFaults(self.fault_orders(name)));
            }
        }
    }

    /// Notes that a unit serves another medium, and is called by another `name` for that.
    pub(crate) fn change_medium(&mut self, id: LuId, name: UioName, medium: Weak<dyn Backstore>) {
        let Some(unit) = self.units.get_mut(&id) else { return };
        if let Some(service) = &mut unit.service {
            if let Some(medium) = medium.upgrade() {
                service.geometry = medium.geometry();
            }
            service.medium = medium;
            // It had perhaps been served without a medium.
            unit.state = LunState::Serving;
            unit.name = name;
        }
    }

    /// Changes what is known of a unit that serves.
    pub(crate) fn change_service(&mut self, id: LuId, change: impl FnOnce(&mut Service)) {
        if let Some(service) = self.units.get_mut(&id).and_then(|unit| unit.service.as_mut()) {
            change(service);
        }
    }
}

/// The table, shared.
#[derive(Clone)]
pub(crate) struct SharedTable(Arc<Mutex<Table>>);

impl SharedTable {
    pub(crate) fn new(config: Config, plans: Plans) -> Self {
        Self(Arc::new(Mutex::new(Table::new(config, plans))))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Table> {
        // Every change is complete when its statement is: no panic leaves it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_rooms_mean_the_same_by_default() {
        let (config, plans) = (Config::default(), Plans::default());
        let table = Table::new(config, plans);
        assert_eq!(table.settings("any"), LuConfig::default());
        assert_eq!(table.deadlines("any"), Deadlines::default());
    }

    #[test]
    fn names_are_passed_on() {
        let config = "[lun.x]\nvendor = \"ACME\"\nnaa = \"5001405abcdef012\"\n";
        let config = Config::parse("p.toml", config).unwrap();
        let plans = Plans::default();
        let settings = Table::new(config, plans).settings("x");
        assert_eq!(settings.vendor, Ascii::new("ACME"));
        assert_eq!(settings.naa.unwrap(), [0x50, 0x01, 0x40, 0x5a, 0xbc, 0xde, 0xf0, 0x12]);
    }
}
