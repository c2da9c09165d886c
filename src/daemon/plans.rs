//! The plans of faults that the configuration names.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use pulsefield_control::config::{Config, ConfigError};
use pulsefield_faults::{KnownLun, Plan};
use pulsefield_units::BlockCount;

/// A plan for each logical unit that the configuration gives one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plans(BTreeMap<String, Arc<Plan>>);

impl Plans {
    /// Reads them; their paths start from the folder of the configuration file.
    ///
    /// # Errors
    /// If one cannot be read, or what is wrong in it: with a rule, too, that is for other units only.
    pub(crate) fn load(config: &Config, config_path: &Path) -> Result<Self, ConfigError> {
        let folder = config_path.parent().unwrap_or(Path::new(""));
        let mut plans = BTreeMap::new();
        for (name, lun) in config.luns() {
            let Some(file) = &lun.faults else { continue };
            let path = folder.join(file);
            let text = fs::read_to_string(&path)
                .map_err(|source| ConfigError::Unreadable { path: path.clone(), source })?;
            // How large the unit is shows only when it is made.
            let known = KnownLun { name: name.to_owned(), blocks: BlockCount::new(u64::MAX) };
            let plan = Plan::parse_for(&path.display().to_string(), &text, &[known])?;
            plans.insert(name.to_owned(), Arc::new(plan));
        }
        Ok(Self(plans))
    }

    /// The plan of the logical unit `name`.
    pub(crate) fn of(&self, name: &str) -> Option<Arc<Plan>> {
        self.0.get(name).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_lies_beside_the_configuration_and_is_for_its_unit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pulsefield.toml");
        let config = Config::parse("p", "[lun.ds1]\nfaults = \"slow.toml\"\n").unwrap();
        let load = || Plans::load(&config, &path);
        assert!(matches!(load(), Err(ConfigError::Unreadable { .. })));
        let write = |text: &str| fs::write(folder.path().join("slow.toml"), text).unwrap();
        write("[[rule]]\nfault = \"drop\"\nwhere = { lun = \"ds2\" }\n");
        let error = load().unwrap_err().to_string();
        assert!(error.contains("slow.toml:3:"), "{error}");
        write("[[rule]]\nfault = \"drop\"\n");
        let plans = load().unwrap();
        assert_eq!(plans.of("ds1").unwrap().rules.len(), 1);
        assert_eq!(plans.of("ds2"), None);
    }
}
