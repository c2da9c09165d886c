//! A control plane made up for the tests of this room.

use std::sync::Arc;

use crate::config::{Config, ConfigError};
use crate::protocol::{
    ArmRequest, Change, DbusState, FaultHit, KernelSettings, LunCounters, LunDetail, LunFaults,
    LunHosts, LunLatency, LunState, LunSummary, Status,
};
use crate::{ControlPlane, FaultError, UnitError};

/// Has the logical units it is given; its configuration file is `reloaded`; asked for the unit `bug`,
/// it panics.
#[derive(Debug, Default)]
pub(crate) struct FakePlane {
    pub(crate) luns: Vec<&'static str>,
    pub(crate) reloaded: &'static str,
}

impl FakePlane {
    pub(crate) fn with_luns(luns: &[&'static str]) -> Arc<Self> {
        Arc::new(Self { luns: luns.to_vec(), reloaded: "" })
    }

    fn summary(name: &str) -> LunSummary {
        LunSummary {
            name: name.to_owned(),
            id: 0,
            handler: "ram".to_owned(),
            cfgstring: "ram/".to_owned(),
            size_bytes: 1 << 30,
            block_length_bytes: 512,
            state: LunState::Serving,
            faults_armed: 0,
            data_area_mb: 0,
            data_area_peak_percent: 0,
            ring_peak_percent: 0,
            miscompares: 0,
        }
    }
}

impl ControlPlane for FakePlane {
    fn status(&self) -> Status {
        Status {
            daemon_version: "0.0.0".to_owned(),
            pid: 1,
            uptime_ms: 0,
            config: "fake.toml".to_owned(),
            handlers: vec!["ram".to_owned()],
            luns_serving: self.luns.len() as u64,
            luns_total: self.luns.len() as u64,
            dbus: DbusState::Disabled,
            faults_armed: 0,
            late: 0,
            too_late: 0,
            fullest: None,
        }
    }

    fn luns(&self) -> Vec<LunSummary> {
        self.luns.iter().copied().map(Self::summary).collect()
    }

    fn lun(&self, name: &str) -> Option<LunDetail> {
        assert_ne!(name, "bug", "a bug of the daemon");
        self.luns.contains(&name).then(|| LunDetail {
            summary: Self::summary(name),
            counters: LunCounters::default(),
            lanes: Vec::new(),
            kernel: KernelSettings::default(),
            in_medium_ms: 0,
        })
    }

    fn latency(&self, lun: Option<&str>, _clear: bool) -> Result<Vec<LunLatency>, UnitError> {
        let known = |lun: &&str| self.luns.contains(lun);
        match lun {
            Some(lun) if !known(&lun) => Err(UnitError::NoSuchLun(lun.to_owned())),
            Some(lun) => Ok(vec![LunLatency { lun: lun.to_owned(), ..LunLatency::default() }]),
            None => Ok(Vec::new()),
        }
    }

    fn hosts(&self, lun: Option<&str>) -> Result<Vec<LunHosts>, UnitError> {
        let hosts = |lun: &&str| LunHosts { lun: (*lun).to_owned(), hosts: Vec::new() };
        match lun {
            Some(lun) if !self.luns.contains(&lun) => Err(UnitError::NoSuchLun(lun.to_owned())),
            Some(lun) => Ok(vec![hosts(&lun)]),
            None => Ok(self.luns.iter().map(hosts).collect()),
        }
    }

    fn reload(&self) -> Result<Vec<Change>, ConfigError> {
        let new = Config::parse("fake.toml", self.reloaded)?;
        Ok(Config::default().changes(&new))
    }

    fn check_config(&self, cfgstring: &str) -> Result<(), String> {
        match cfgstring {
            "ram/" => Ok(()),
            other => Err(format!("no medium for {other}")),
        }
    }

    fn config_description(&self) -> String {
        "ram/ is memory".to_owned()
    }

    fn arm_faults(&self, request: &ArmRequest) -> Result<Vec<LunFaults>, FaultError> {
        let lun = request.lun.clone().ok_or(FaultError::ForNobody)?;
        match self.luns.contains(&lun.as_str()) {
            true => Ok(vec![LunFaults { lun, plans: Vec::new() }]),
            false => Err(UnitError::NoSuchLun(lun).into()),
        }
    }

    fn disarm_faults(&self, lun: Option<&str>, rule: Option<&str>) -> Result<u64, FaultError> {
        match (lun, rule) {
            (_, Some(rule)) => Err(FaultError::NoSuchRule(rule.to_owned())),
            (Some(_), None) => Ok(1),
            (None, None) => Ok(2),
        }
    }

    fn faults(&self, lun: Option<&str>) -> Result<Vec<LunFaults>, FaultError> {
        let lun = lun.unwrap_or("all").to_owned();
        Ok(vec![LunFaults { lun, plans: Vec::new() }])
    }

    fn fault_log(&self, lun: Option<&str>) -> Result<Vec<FaultHit>, FaultError> {
        lun.map_or(Ok(Vec::new()), |lun| {
            let error = UnitError::NoAnswer(lun.to_owned());
            Err(error.into())
        })
    }

    fn export_faults(&self, lun: &str) -> Result<String, FaultError> {
        Err(FaultError::Forgotten { lun: lun.to_owned(), forgotten: 7 })
    }
}
