//! What the control socket and D-Bus may ask, answered from the table.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pulsefield_control::config::{Config, ConfigError};
use pulsefield_control::dbus::Presence;
use pulsefield_control::protocol::{
    ArmRequest, Change, FaultHit, Fullest, KernelSettings, LaneStatus, LunCounters, LunDetail,
    LunFaults, LunHosts, LunLatency, LunState, LunSummary, Status,
};
use pulsefield_control::{ControlPlane, FaultError, UnitError};
use pulsefield_engine::Lane;
use pulsefield_kernel::{Device, Roots};
use pulsefield_units::LuId;
use tracing::{info, warn};

use crate::clock;
use crate::counters::{Counter, Counters};
use crate::logging::Logging;
use crate::media::Media;
use crate::plans::Plans;
use crate::table::{SharedTable, Table, Unit};
use crate::{faults, latencies, pulses};

/// The daemon as its doors see it.
pub(crate) struct Plane {
    pub(crate) table: SharedTable,
    pub(crate) media: Arc<Media>,
    pub(crate) presence: Arc<Presence>,
    pub(crate) config_path: PathBuf,
    pub(crate) roots: Roots,
    pub(crate) logging: Logging,
    pub(crate) started: Instant,
}

impl ControlPlane for Plane {
    fn status(&self) -> Status {
        let table = self.table.lock();
        let serving = table.units.values().filter(|unit| unit.state == LunState::Serving);
        Status {
            daemon_version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            config: self.config_path.display().to_string(),
            handlers: self.media.names(),
            luns_serving: serving.count() as u64,
            luns_total: table.units.len() as u64,
            dbus: self.presence.state(),
            faults_armed: sum(&table, |counters| &counters.faults_armed),
            late: sum(&table, |counters| &counters.late),
            too_late: sum(&table, |counters| &counters.too_late),
            fullest: fullest(&table),
        }
    }

    fn luns(&self) -> Vec<LunSummary> {
        let table = self.table.lock();
        let mut luns: Vec<_> = table.units.iter().map(|(id, unit)| summary(*id, unit)).collect();
        luns.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        luns
    }

    fn lun(&self, name: &str) -> Option<LunDetail> {
        let table = self.table.lock();
        let (id, unit) = table.units.iter().find(|(_, unit)| unit.name.device() == name)?;
        let (summary, counters) = (summary(*id, unit), unit.counters.clone());
        let device = Device::new(&self.roots, &unit.name);
        let since = unit.service.as_ref().and_then(|service| service.mailbox.in_medium_since());
        let waited = since.map_or(Duration::ZERO, |since| clock::coarse().since(since));
        // Reading configfs may wait for whoever removes the unit, and that waits for the table.
        drop(table);
        Some(LunDetail {
            summary,
            counters: counts(&counters),
            lanes: Lane::ALL.map(|lane| lane_status(&counters, lane)).into(),
            kernel: kernel_settings(&device),
            in_medium_ms: u64::try_from(waited.as_millis()).unwrap_or(u64::MAX),
        })
    }

    fn latency(&self, lun: Option<&str>, clear: bool) -> Result<Vec<LunLatency>, UnitError> {
        latencies::report(&self.table, lun, clear)
    }

    fn hosts(&self, lun: Option<&str>) -> Result<Vec<LunHosts>, UnitError> {
        pulses::report(&self.table, lun)
    }

    fn reload(&self) -> Result<Vec<Change>, ConfigError> {
        let config = Config::load_or_default(&self.config_path)?;
        let plans = Plans::load(&config, &self.config_path)?;
        let mut table = self.table.lock();
        let changes = table.config.changes(&config);
        self.logging.set_level(config.daemon.log);
        table.apply(config, plans);
        info!(changes = changes.len(), "configuration reloaded");
        Ok(changes)
    }

    fn check_config(&self, cfgstring: &str) -> Result<(), String> {
        self.media.check(cfgstring).map_err(|error| error.to_string())
    }

    fn config_description(&self) -> String {
        self.media.description()
    }

    fn arm_faults(&self, request: &ArmRequest) -> Result<Vec<LunFaults>, FaultError> {
        faults::arm(&self.table, request)
    }

    fn disarm_faults(&self, lun: Option<&str>, rule: Option<&str>) -> Result<u64, FaultError> {
        faults::disarm(&self.table, lun, rule)
    }

    fn faults(&self, lun: Option<&str>) -> Result<Vec<LunFaults>, FaultError> {
        faults::list(&self.table, lun)
    }

    fn fault_log(&self, lun: Option<&str>) -> Result<Vec<FaultHit>, FaultError> {
        faults::log(&self.table, lun)
    }

    fn export_faults(&self, lun: &str) -> Result<String, FaultError> {
        faults::export(&self.table, lun)
    }
}

/// A counter, over all units.
fn sum(table: &Table, counter: impl Fn(&Counters) -> &Counter) -> u64 {
    table.units.values().map(|unit| counter(&unit.counters).load()).sum()
}

/// The unit that was nearest to having commands wait in the kernel.
fn fullest(table: &Table) -> Option<Fullest> {
    let full = |unit: &Unit| {
        let Counters { data_area_peak_percent, ring_peak_percent, .. } = &*unit.counters;
        data_area_peak_percent.load().max(ring_peak_percent.load())
    };
    let unit = table.units.values().max_by_key(|unit| full(unit))?;
    let (lun, percent) = (unit.name.device().to_owned(), full(unit));
    (percent > 0).then_some(Fullest { lun, percent })
}

fn summary(id: LuId, unit: &Unit) -> LunSummary {
    let geometry = unit.geometry();
    let bytes = geometry.and_then(|shape| shape.block_length.bytes_of(shape.blocks));
    LunSummary {
        name: unit.name.device().to_owned(),
        id: id.as_u32(),
        handler: unit.handler().to_owned(),
        cfgstring: unit.cfgstring().to_owned(),
        size_bytes: bytes.unwrap_or_default(),
        block_length_bytes: geometry.map_or(0, |shape| shape.block_length.bytes()),
        state: unit.state.clone(),
        faults_armed: unit.counters.faults_armed.load(),
        data_area_mb: unit.counters.data_area_bytes.load() >> 20,
        data_area_peak_percent: unit.counters.data_area_peak_percent.load(),
        ring_peak_percent: unit.counters.ring_peak_percent.load(),
        miscompares: unit.counters.compare_and_write_miscompare.load(),
    }
}

fn counts(counters: &Counters) -> LunCounters {
    LunCounters {
        commands: counters.commands.load(),
        compare_and_write_good: counters.compare_and_write_good.load(),
        compare_and_write_miscompare: counters.compare_and_write_miscompare.load(),
        aborted: counters.aborted.load(),
        errors: counters.errors.load(),
        restarts: counters.restarts.load(),
        in_flight: Lane::ALL
            .map(|lane| counters.lane(lane))
            .iter()
            .map(|lane| lane.waiting.load() + lane.running.load())
            .sum(),
        late: counters.late.load(),
        too_late: counters.too_late.load(),
    }
}

fn lane_status(counters: &Counters, lane: Lane) -> LaneStatus {
    let counters = counters.lane(lane);
    LaneStatus {
        lane: lane.name().to_owned(),
        queued: counters.waiting.load(),
        in_flight: counters.running.load(),
        wait_max_us: counters.wait_max_ns.load() / 1000,
    }
}

/// What of it can be read; zeros for the rest of a unit that is vanishing.
fn kernel_settings(device: &Device) -> KernelSettings {
    let read = || {
        Ok::<_, pulsefield_kernel::AttributeError>(KernelSettings {
            cmd_time_out_s: seconds(device.command_timeout()?).unwrap_or(0),
            qfull_time_out_s: seconds(device.queue_full_timeout()?).unwrap_or(-1),
            max_data_area_bytes: u64::from(device.max_data_area_mb()?) << 20,
        })
    };
    read().unwrap_or_else(|error| {
        warn!(%error, "the kernel's settings cannot be read");
        KernelSettings::default()
    })
}

/// Whole seconds, as the kernel has them.
fn seconds<T: TryFrom<u64>>(timeout: Option<std::time::Duration>) -> Option<T> {
    timeout.and_then(|timeout| T::try_from(timeout.as_secs()).ok())
}
