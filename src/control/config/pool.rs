//! `[pool.NAME]`: the space that the media of several logical units may take together.

use std::collections::BTreeMap;

use pulsefield_settings::value::string;
use pulsefield_settings::{ByteSize, DeValue, Diagnostic, Percentage, Problem, Section};
use serde::Serialize;

/// A pool of space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PoolConfig {
    /// What all media of the pool may take together.
    pub limit: ByteSize,
    /// How full it is when initiators are warned, in ascending order.
    pub thresholds: Vec<Percentage>,
}

impl PoolConfig {
    pub(super) fn read(mut section: Section<'_>) -> Result<Self, Box<Diagnostic>> {
        let limit = section.required("limit", "a size, as \"200GiB\"", ByteSize::read)?;
        let mut thresholds = section.values("thresholds", Percentage::read)?.unwrap_or_default();
        thresholds.sort_unstable();
        section.finish()?;
        Ok(Self { limit, thresholds })
    }

    /// The thresholds in bytes, rounded down.
    pub fn thresholds_in_bytes(&self) -> impl Iterator<Item = u64> {
        self.thresholds.iter().map(|part| part.of(self.limit.bytes()))
    }
}

/// The name of one of `pools`, or none for the empty string.
pub(super) fn name_of_one(
    pools: &BTreeMap<String, PoolConfig>,
    key: &'static str,
    value: &DeValue<'_>,
) -> Result<Option<String>, Problem> {
    match string(key, value)? {
        "" => Ok(None),
        name if pools.contains_key(name) => Ok(Some(name.to_owned())),
        name => Err(Problem::Value {
            key,
            expected: "the NAME of a [pool.NAME]",
            found: format!("\"{name}\""),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn pool(text: &str) -> PoolConfig {
        let config = Config::parse("p", &format!("[pool.gold]\n{text}\n")).unwrap();
        assert_eq!(Config::parse("p", &config.to_toml_effective()).unwrap(), config);
        config.pools["gold"].clone()
    }

    fn problem(text: &str) -> String {
        let error = Config::parse("p", text).unwrap_err();
        error.problem().to_string()
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("\"200GiB\"", 200 << 30),
            ("\"64G\"", 64 << 30),
            ("\"1 TiB\"", 1 << 40),
            ("\"3K\"", 3072),
            ("\"512\"", 512),
            ("4096", 4096),
            ("\"15EiB\"", 15 << 60),
        ] {
            assert_eq!(pool(&format!("limit = {text}")).limit.bytes(), bytes, "{text}");
        }
        for text in
            ["\"\"", "\"G\"", "\"0\"", "0", "-1", "\"64GB\"", "\"16EiB\"", "\"1.5G\"", "\"-1\""]
        {
            let problem = problem(&format!("[pool.gold]\nlimit = {text}\n"));
            assert!(problem.starts_with("limit must be a size above 0"), "{problem}");
        }
    }

    #[test]
    fn thresholds_are_parts_of_the_limit_in_ascending_order() {
        let pool = pool("limit = \"1000\"\nthresholds = [\"95%\", \"80%\"]");
        assert_eq!(pool.thresholds_in_bytes().collect::<Vec<_>>(), [800, 950]);
        for text in ["0%", "100%", "80", "+5%", "-5%", "many"] {
            let text = format!("pool.gold = {{ limit = 1, thresholds = [\"{text}\"] }}");
            assert!(problem(&text).starts_with("thresholds must be percentages"));
        }
    }

    #[test]
    fn a_pool_has_a_limit_and_a_unit_names_a_pool_that_is_there() {
        assert_eq!(
            problem("[pool.gold]\n"),
            "[pool.gold] has no limit, which must be a size, as \"200GiB\""
        );
        let silver = "[pool.gold]\nlimit = 1\n[lun.ds1]\npool = \"silver\"\n";
        assert_eq!(problem(silver), "pool must be the NAME of a [pool.NAME], not \"silver\"");
        let text = "[pool.gold]\nlimit = 1\n[defaults]\npool = \"gold\"\n[lun.ds1]\npool = \"\"\n";
        let config = Config::parse("p", text).unwrap();
        assert_eq!(config.pool_of("ds2"), Some(("gold", &config.pools["gold"])));
        assert_eq!(config.pool_of("ds1"), None);
    }
}
