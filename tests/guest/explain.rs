//! What `pulsefield explain` says of a unit.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::command::run;

/// What is said of one unit.
#[derive(Clone, Debug, Deserialize)]
pub struct Account {
    /// Each MISCOMPARE, in the order in which they were answered.
    pub miscompares: Vec<Miscompare>,
    /// Each late heartbeat, in the same order.
    pub late_heartbeats: Vec<LateHeartbeat>,
    /// Those that were never answered.
    pub unanswered_heartbeats: Vec<Value>,
    /// All of it in brief.
    pub summary: Summary,
}

/// A MISCOMPARE and what is found about it.
#[derive(Clone, Debug, Deserialize)]
pub struct Miscompare {
    /// The command.
    pub command: Command,
    /// The host that sent it, by what it brought.
    pub host: Option<String>,
    /// The finding, in kebab case.
    pub finding: String,
    /// Its evidence, in words.
    pub words: String,
    /// Its evidence.
    pub evidence: Value,
}

/// A late heartbeat and where its time went.
#[derive(Clone, Debug, Deserialize)]
pub struct LateHeartbeat {
    /// The command.
    pub command: Command,
    /// Whose heartbeat it is.
    pub host: Option<String>,
    /// Where most of its time went.
    pub longest: String,
    /// Where all of it went, in microseconds.
    pub shares_us: BTreeMap<String, u64>,
    /// The command that it waited for.
    pub behind: Option<Command>,
    /// The rule that held it up.
    pub rule: Option<String>,
    /// All that in words.
    pub words: String,
}

/// A command as evidence.
#[derive(Clone, Debug, Deserialize)]
pub struct Command {
    /// When its answer was ready, in nanoseconds of `CLOCK_MONOTONIC`.
    pub at_ns: u64,
    /// What it is called.
    pub command: String,
}

/// What there was.
#[derive(Clone, Debug, Deserialize)]
pub struct Summary {
    /// The hosts that pulsed.
    pub hosts: Vec<Host>,
}

/// A host that pulsed.
#[derive(Clone, Debug, Deserialize)]
pub struct Host {
    /// Its UUID.
    pub host: String,
    /// How often it pulsed with success.
    pub pulses: u64,
    /// How often it tried and failed.
    pub failed: u64,
}

#[derive(Deserialize)]
struct Document {
    luns: Vec<Account>,
}

/// Has `pulsefield explain` say what it knows of `record`: a unit, or a file.
///
/// # Errors
/// What it said, or that it says something else than was to be.
pub fn explain(record: &str) -> Result<Account> {
    let output = run("pulsefield", ["explain", record, "--json"]).output()?;
    only_account(&output).with_context(|| format!("pulsefield explain {record}"))
}

fn only_account(output: &str) -> Result<Account> {
    let document: Document = serde_json::from_str(output)?;
    document.luns.into_iter().next().context("it says nothing of any unit")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_read() {
        let text = r##"{ "luns": [{ "lun": "ds1", "from": null, "to": null, "miscompares": [{
            "command": { "sequence": 5, "at_ns": 7, "command": "#4 COMPARE AND WRITE 6144+1", "took_us": 9 },
            "lba": 6144, "host": null, "finding": "stale-view", "words": "…", "advice": "…",
            "evidence": { "writes_since": 3 } }],
            "late_heartbeats": [], "unanswered_heartbeats": [],
            "summary": { "commands": 1, "hosts": [] } }] }"##;
        let account = only_account(text).unwrap();
        let [miscompare] = &account.miscompares[..] else { panic!("{account:?}") };
        assert_eq!((&*miscompare.finding, miscompare.command.at_ns), ("stale-view", 7));
        assert!(only_account(r#"{ "luns": [] }"#).is_err());
    }
}
