//! What a new configuration changes about the one in force.

use std::collections::{BTreeMap, BTreeSet};

use toml::Value;

use super::Config;
use crate::protocol::{Change, Effect};

/// The keys that are read once, when the daemon starts.
const AT_RESTART: &[&str] = &["daemon.dbus", "metrics.listen"];

impl Config {
    /// Every setting that `new` gives another value, by key; empty if nothing would change.
    pub fn changes(&self, new: &Self) -> Vec<Change> {
        let old_settings = self.settings();
        let new_settings = new.settings();
        let keys: BTreeSet<&String> = old_settings.keys().chain(new_settings.keys()).collect();
        // What has no default, such as `naa`.
        let unset = || "unset".to_owned();
        keys.into_iter()
            .filter_map(|key| {
                let from = in_force(&old_settings, key);
                let to = in_force(&new_settings, key);
                let at_restart = AT_RESTART.contains(&key.as_str());
                let effect = if at_restart { Effect::AtRestart } else { Effect::Now };
                (from != to).then(|| Change {
                    key: key.clone(),
                    from: from.map_or_else(unset, String::clone),
                    to: to.map_or_else(unset, String::clone),
                    effect,
                })
            })
            .collect()
    }

    /// Every setting under its dotted key, as TOML writes the value.
    ///
    /// # Panics
    /// Never: what was read from TOML can be written as TOML.
    fn settings(&self) -> BTreeMap<String, String> {
        let value = Value::try_from(self).expect("a configuration is TOML");
        let mut settings = BTreeMap::new();
        flatten(String::new(), &value, &mut settings);
        settings
    }
}

/// The value of `key`; a logical unit that is not mentioned has the defaults.
fn in_force<'s>(settings: &'s BTreeMap<String, String>, key: &str) -> Option<&'s String> {
    settings.get(key).or_else(|| {
        let (_, setting) = key.rsplit_once('.')?;
        settings.get(&format!("defaults.{setting}"))
    })
}

fn flatten(key: String, value: &Value, settings: &mut BTreeMap<String, String>) {
    match value.as_table() {
        Some(table) => {
            for (name, value) in table {
                let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                flatten(key, value, settings);
            }
        }
        None => {
            settings.insert(key, value.to_string());
        }
    }
}
