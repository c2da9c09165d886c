//! A control plane made up for the tests of this room.

use std::sync::Arc;

use crate::ControlPlane;
use crate::config::{Config, ConfigError};
use crate::protocol::{
    Change, DbusState, KernelSettings, LunCounters, LunDetail, LunState, LunSummary, Status,
};

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
        })
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
}
