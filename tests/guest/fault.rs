//! Faults on purpose: armed as an administrator types it, and for the rest asked for at the control
//! socket.

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::json;

use crate::command::{Ended, run};
use crate::control::ask;

/// Where the package puts the plans that ship.
const PLANS: &str = "/usr/share/doc/pulsefield/examples/faults";

/// A command that a rule hit, as the log has it.
#[derive(Clone, Debug, Deserialize)]
pub struct Hit {
    /// Counts the hits of the unit from 0.
    pub number: u64,
    /// The name of the rule; of a fault that was armed alone, that of the fault.
    pub rule: String,
    /// The command's operation code.
    pub opcode: u8,
    /// Whether the rule selected it; else it met what an earlier hit had begun.
    pub selected: bool,
    /// For how long it was to be held up.
    pub delay_us: u64,
    /// How it was answered, in T10's words; `None` if it is not yet.
    pub after: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
}

#[derive(Deserialize)]
struct Armed {
    plans: Vec<Plan>,
}

#[derive(Deserialize)]
struct Plan {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    rule: String,
    hits: u64,
}

/// Arms one fault for the unit `lun`; `settings` as they are typed, `key=value` with spaces between.
///
/// # Errors
/// What the command said.
pub fn arm(lun: &str, fault: &str, settings: &str) -> Result<()> {
    let words = ["fault", "arm", lun, fault].into_iter().chain(settings.split_whitespace());
    run("pulsefield", words).output().map(drop)
}

/// Arms the plan `text` for the unit `lun`, at the control socket.
///
/// # Errors
/// What the daemon said.
pub fn arm_text(lun: &str, text: &str) -> Result<()> {
    let request =
        json!({ "lun": lun, "file": "plan", "plan": text, "lasting_ms": null, "hits": null });
    ask("fault-arm", request).map(drop)
}

/// Arms a plan that ships, as it stands, for the unit `lun`.
///
/// # Errors
/// The command could not be run.
pub fn arm_plan(lun: &str, plan: &str) -> Result<Ended> {
    run("pulsefield", ["fault", "arm", lun, "--plan", &plan_path(plan)]).ended()
}

/// What `pulsefield check` says of a plan that ships.
///
/// # Errors
/// It found something wrong.
pub fn check_plan(plan: &str) -> Result<String> {
    run("pulsefield", ["check", &plan_path(plan)]).output()
}

/// The file of a plan that ships.
pub fn plan_path(plan: &str) -> String {
    format!("{PLANS}/{plan}.toml")
}

/// Ends all that is armed for the unit `lun`.
///
/// # Errors
/// What the daemon said.
pub fn disarm(lun: &str) -> Result<()> {
    ask("fault-disarm", json!({ "lun": lun })).map(drop)
}

/// The hits of the unit `lun` from the one with number `from` on, of those that are remembered.
///
/// # Errors
/// What the daemon said, or that it answered with something else than a log.
pub fn log(lun: &str, from: u64) -> Result<Vec<Hit>> {
    let mut answer = ask("fault-log", json!({ "lun": lun }))?;
    let hits: Vec<Hit> = serde_json::from_value(answer["hits"].take()).context("a log of hits")?;
    Ok(hits.into_iter().filter(|hit| hit.number >= from).collect())
}

/// The number that the next hit of the unit `lun` will have.
///
/// # Errors
/// As of [`log`].
pub fn next_hit(lun: &str) -> Result<u64> {
    Ok(log(lun, 0)?.last().map_or(0, |hit| hit.number + 1))
}

/// The rules that are armed for the unit `lun`, and how often each has hit.
///
/// # Errors
/// What the daemon said, or that it answered with something else than a list.
pub fn armed(lun: &str) -> Result<Vec<(String, u64)>> {
    let mut answer = ask("fault-list", json!({ "lun": lun }))?;
    let units: Vec<Armed> =
        serde_json::from_value(answer["luns"].take()).context("a list of what is armed")?;
    let rules = units.into_iter().flat_map(|unit| unit.plans).flat_map(|plan| plan.rules);
    Ok(rules.map(|rule| (rule.rule, rule.hits)).collect())
}

/// How often the armed rule called `name` has hit; 0 if none is.
///
/// # Errors
/// As of [`armed`].
pub fn hits_of(lun: &str, name: &str) -> Result<u64> {
    let rules = armed(lun)?;
    Ok(rules.into_iter().filter(|(rule, _)| rule == name).map(|(_, hits)| hits).sum())
}

/// The names of all faults there are.
///
/// # Errors
/// What the command said, or that it printed something else than a catalogue.
pub fn catalogue() -> Result<Vec<String>> {
    let output = run("pulsefield", ["fault", "catalogue", "--json"]).output()?;
    let entries: Vec<Entry> =
        serde_json::from_str(&output).context("pulsefield fault catalogue")?;
    Ok(entries.into_iter().map(|entry| entry.name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hit_is_read_from_what_the_daemon_answers() {
        let line = r#"{ "lun": "ds1", "number": 3, "plan": 1, "rule": "drop", "at_us": 5, "command": 2,
            "opcode": 136, "lba": 7, "blocks": 1, "selected": true, "delay_us": 0,
            "before": null, "after": "TASK ABORTED", "data": null }"#;
        let hit: Hit = serde_json::from_str(line).unwrap();
        assert_eq!((hit.number, &*hit.rule, hit.opcode), (3, "drop", 0x88));
        assert_eq!(hit.after.as_deref(), Some("TASK ABORTED"));
    }
}
