//! The name of a TCMU device's UIO device, which says whose device it is.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The TCMU subtype of Pulsefield: what stands before the first `/` of a device's configuration.
pub const SUBTYPE: &str = "pulsefield";

/// What `tcmu_update_uio_info` builds: `tcm-user/<hba>/<device name>[/<dev_config>]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UioName {
    hba: u32,
    device: String,
    config: Option<String>,
}

/// A name that TCMU did not build: a UIO device of another driver.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not the name of a TCMU device")]
pub struct UioNameError(String);

impl UioName {
    /// The number of the host bus adapter: the N of the configfs directory `user_N`.
    pub fn hba(&self) -> u32 {
        self.hba
    }

    /// The name of the backstore, as in targetcli.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// The whole configuration string, subtype included, if the device has one.
    pub fn config(&self) -> Option<&str> {
        self.config.as_deref()
    }

    /// The name of the same device with another configuration string, subtype included.
    #[must_use]
    pub fn with_config(&self, config: String) -> Self {
        Self { config: Some(config), ..self.clone() }
    }

    /// The configuration string without the subtype, if the device is ours.
    ///
    /// The subtype has to match exactly: tcmu-runner compares only a prefix and so takes devices
    /// that are not its own.
    pub fn cfgstring(&self) -> Option<&str> {
        self.config()?
            .split_once('/')
            .filter(|(subtype, _)| *subtype == SUBTYPE)
            .map(|(_, rest)| rest)
    }

    /// Whether Pulsefield serves this device.
    pub fn is_ours(&self) -> bool {
        self.cfgstring().is_some()
    }
}

impl FromStr for UioName {
    type Err = UioNameError;

    /// Reads a name. Newlines at its end are dropped: sysfs adds one, and a configuration that was
    /// set with `echo` brings its own.
    fn from_str(name: &str) -> Result<Self, UioNameError> {
        let mut parts = name.trim_end_matches('\n').splitn(4, '/');
        match (parts.next(), parts.next().map(str::parse), parts.next()) {
            (Some("tcm-user"), Some(Ok(hba)), Some(device)) if !device.is_empty() => {
                Ok(Self { hba, device: device.to_owned(), config: parts.next().map(str::to_owned) })
            }
            _ => Err(UioNameError(name.to_owned())),
        }
    }
}

impl fmt::Display for UioName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tcm-user/{}/{}", self.hba, self.device)?;
        match &self.config {
            Some(config) => write!(f, "/{config}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_configuration_keeps_its_slashes() {
        let name: UioName = "tcm-user/3/ds1/pulsefield/file//srv/ds1.img\n".parse().unwrap();
        assert_eq!((name.hba(), name.device()), (3, "ds1"));
        assert_eq!(name.config(), Some("pulsefield/file//srv/ds1.img"));
        assert_eq!(name.cfgstring(), Some("file//srv/ds1.img"));
        assert_eq!(name.to_string(), "tcm-user/3/ds1/pulsefield/file//srv/ds1.img");
    }

    #[test]
    fn only_the_exact_subtype_is_ours() {
        let ours = |name: &str| name.parse::<UioName>().unwrap().is_ours();
        assert!(ours("tcm-user/0/a/pulsefield/ram/"));
        assert!(ours("tcm-user/0/a/pulsefield/"));
        assert!(!ours("tcm-user/0/a"));
        assert!(!ours("tcm-user/0/a/pulsefield"));
        assert!(!ours("tcm-user/0/a/pulse/ram/"));
        assert!(!ours("tcm-user/0/a/pulsefieldx/ram/"));
        assert!(!ours("tcm-user/0/a/rbd/pulsefield/ram"));
        assert!(!ours("tcm-user/0/pulsefield/rbd/pool"));
    }

    #[test]
    fn names_of_other_drivers_are_refused() {
        for name in ["", "uio_pci_generic", "tcm-user", "tcm-user/0", "tcm-user/x/a", "tcm-user/0/"]
        {
            assert_eq!(name.parse::<UioName>(), Err(UioNameError(name.to_owned())));
        }
    }

    proptest! {
        #[test]
        fn a_name_that_parses_prints_as_it_was(name in "(tcm-user/)?[0-9]{1,3}(/[a-z/.=;]{0,12}){0,3}") {
            if let Ok(parsed) = name.parse::<UioName>() {
                prop_assert_eq!(parsed.to_string().parse::<UioName>(), Ok(parsed));
            }
        }
    }
}
