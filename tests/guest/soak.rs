//! `pulsefield soak` on paths to one unit, and what it reports.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::command::{Ended, Running, run};
use crate::disk::Disk;
use crate::report::Report;

/// Every promise held.
pub const HELD: i32 = 0;
/// There was no run.
pub const NO_RUN: i32 = 1;
/// A promise was broken, or the run broke off.
pub const BROKEN: i32 = 4;
/// Promises were broken exactly as the plan of faults declares.
pub const CAUGHT: i32 = 5;

/// Under the folder that the guest shares with its machine, so that a page can be looked at afterwards.
const FOLDER: &str = "soak";
/// Where all locks are that a soak makes, from the beginning of the unit on.
const METADATA: &str = "64M";
/// How long a run may take beyond its time: hosts that are frozen go on, all give back what they have, and
/// everything is read back.
const SETTLING: Duration = Duration::from_secs(150);

/// A run that is to be.
#[derive(Clone, Copy, Debug)]
pub struct Soak<'a> {
    /// What the folder of its report is called.
    pub name: &'a str,
    /// How many hosts, spread over the paths.
    pub hosts: usize,
    /// What they do: a mix by name, or a file.
    pub mix: &'a str,
    /// Where all that is drawn comes from.
    pub seed: u64,
    /// How long they do it.
    pub lasting: Duration,
    /// What is armed meanwhile.
    pub plan: Option<Plan<'a>>,
}

/// A plan of faults in a run.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// Its file.
    pub file: &'a Path,
    /// What the daemon calls the unit.
    pub lun: &'a str,
    /// When it is armed.
    pub after: Duration,
}

/// A run that goes on.
#[derive(Debug)]
pub struct Soaking {
    folder: PathBuf,
    running: Running,
}

/// How a run ended.
#[derive(Debug)]
pub struct Soaked {
    /// What the program ended with, and what it said.
    pub ended: Ended,
    /// Its report, as it is written for machines.
    pub found: Found,
    /// The page for people.
    pub page: String,
}

/// A report, as far as it is looked at here.
#[derive(Debug, Deserialize)]
pub struct Found {
    /// What was run.
    pub setup: Setup,
    /// What is concluded.
    pub judgement: Judgement,
    /// Each promise.
    pub promises: Vec<Promise>,
    /// Each rule of the plan, held against what was seen.
    pub expectations: Vec<Expectation>,
    /// When its rules were armed.
    pub faults: Vec<Fault>,
    /// How long heartbeats took.
    pub heartbeats: Latencies,
    /// How each host pulsed.
    pub pulses: Vec<Pulses>,
    /// What was asked of the unit, by kind.
    pub commands: Vec<Commands>,
    /// What happened besides.
    pub incidents: Vec<Incident>,
}

/// What was run.
#[derive(Debug, Deserialize)]
pub struct Setup {
    /// On what kind of unit.
    pub emulation: String,
    /// The hosts.
    pub hosts: Vec<Host>,
}

/// An emulated host.
#[derive(Debug, Deserialize)]
pub struct Host {
    /// By which ways it reaches the unit.
    pub paths: Vec<Way>,
}

/// A path as a report has it.
#[derive(Debug, Deserialize)]
pub struct Way {
    /// What it goes over.
    pub transport: String,
}

/// What is concluded.
#[derive(Debug, Deserialize)]
pub struct Judgement {
    /// Whether all is as it should be.
    pub passed: bool,
    /// Why.
    pub reasons: Vec<String>,
}

/// What became of a promise.
#[derive(Debug, Deserialize)]
pub struct Promise {
    /// Its name.
    pub name: String,
    /// `held`, `broken` or `unchecked`.
    pub standing: String,
    /// How many things were looked at.
    pub checked: u64,
    /// What broke it first.
    pub breaches: Vec<Breach>,
    /// How often it was broken.
    pub breaches_total: u64,
}

/// One time a promise was broken.
#[derive(Debug, Deserialize)]
pub struct Breach {
    /// When that showed.
    pub at_ms: u64,
    /// What happened.
    pub what: String,
}

/// A rule, and what was seen of it.
#[derive(Debug, Deserialize)]
pub struct Expectation {
    /// The rule.
    pub rule: String,
    /// What was seen.
    pub seen: String,
    /// Whether the plan declares that.
    pub met: bool,
}

/// A rule while it was armed.
#[derive(Debug, Deserialize)]
pub struct Fault {
    /// The rule.
    pub rule: String,
    /// When it was armed.
    pub from_ms: u64,
    /// How often it hit.
    pub hits: u64,
}

/// How long something took.
#[derive(Debug, Deserialize)]
pub struct Latencies {
    /// All of it; nothing if there was none.
    pub all: Option<Spread>,
}

/// How times are spread.
#[derive(Clone, Copy, Debug, Deserialize, serde::Serialize)]
pub struct Spread {
    /// How many there were.
    pub count: u64,
    /// Half of them were not longer.
    pub p50_us: u64,
    /// 99 % of them were not longer.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
}

/// How a host pulsed.
#[derive(Debug, Deserialize)]
pub struct Pulses {
    /// How many pulses it may count.
    pub alive: u64,
}

/// Commands of one kind.
#[derive(Debug, Deserialize)]
pub struct Commands {
    /// Which.
    pub kind: String,
    /// How they ended.
    pub outcomes: Outcomes,
}

/// How commands ended.
#[derive(Debug, Deserialize)]
pub struct Outcomes {
    /// How many were not done.
    pub refused: u64,
}

/// Something that happened.
#[derive(Debug, Deserialize)]
pub struct Incident {
    /// What, in a clause.
    pub what: String,
}

impl Soak<'_> {
    /// Runs it on a unit that holds nothing, or what an earlier run left there.
    ///
    /// # Errors
    /// There was no run, or it left no report.
    pub fn on(&self, disks: &[Disk]) -> Result<Soaked> {
        self.with(disks, &[])
    }

    /// The same, whatever the unit holds.
    ///
    /// # Errors
    /// As of [`Self::on`].
    pub fn on_whatever_is_there(&self, disks: &[Disk]) -> Result<Soaked> {
        self.with(disks, &["--destroy", "--destroy"])
    }

    /// The same with more options.
    ///
    /// # Errors
    /// As of [`Self::on`].
    pub fn with(&self, disks: &[Disk], more: &[&str]) -> Result<Soaked> {
        self.start(disks, more)?.end(self.lasting + SETTLING)
    }

    /// Starts it with more options, and lets it go on.
    ///
    /// # Errors
    /// The program could not be started.
    pub fn start(&self, disks: &[Disk], more: &[&str]) -> Result<Soaking> {
        let folder = Path::new(FOLDER).join(self.name);
        let nodes = disks.iter().map(|disk| text(&disk.block));
        let words = ["soak".to_owned()].into_iter().chain(nodes);
        let mut command = run("pulsefield", words.chain(more.iter().map(|&word| word.to_owned())))
            .arg("--hosts", &self.hosts.to_string())
            .arg("--mix", self.mix)
            .arg("--seed", &self.seed.to_string())
            .arg("--duration", &seconds(self.lasting))
            .arg("--report", &text(&folder));
        if let Some(Plan { file, lun, after }) = self.plan {
            command = command
                .arg("--plan", &text(file))
                .arg("--plan-after", &seconds(after))
                .arg("--lun", lun);
        }
        Ok(Soaking { folder, running: command.start()? })
    }
}

impl Soaking {
    /// Waits for its end; past `limit` it is killed.
    ///
    /// # Errors
    /// There was no run, or it left no report.
    pub fn end(self, limit: Duration) -> Result<Soaked> {
        let Self { folder, running } = self;
        let ended = running.wait(limit)?;
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path).with_context(|| {
                format!(
                    "{} of a soak that ended with {}: {}",
                    path.display(),
                    ended.code,
                    ended.said()
                )
            })
        };
        let (json, page) = (read("soak.json")?, read("soak.html")?);
        let found = serde_json::from_str(&json).with_context(|| {
            format!("the report of a soak that ended with {}: {}", ended.code, ended.said())
        })?;
        Ok(Soaked { ended, found, page })
    }
}

impl Soaked {
    /// Shows what the run said, and records with what it ended: it must be one of these.
    pub fn must_end_with(&self, report: &mut Report, name: &str, expected: &[i32]) {
        print!("{}", self.ended.stdout);
        let code = self.ended.code;
        let allowed: Vec<_> = expected.iter().map(ToString::to_string).collect();
        let mut seen = format!("{code}: {}", self.found.judgement.reasons.join("; "));
        if !self.ended.stderr.is_empty() {
            seen += &format!("; {}", self.ended.stderr.trim());
        }
        report.check(
            &format!("{name}: pulsefield soak"),
            expected.contains(&code),
            format!("ends with {}", allowed.join(" or ")),
            seen,
        );
    }
}

impl Found {
    /// How many hosts go by which transport.
    pub fn hosts_by_transport(&self) -> BTreeMap<&str, usize> {
        let mut hosts = BTreeMap::new();
        for way in self.setup.hosts.iter().flat_map(|host| &host.paths) {
            *hosts.entry(&*way.transport).or_default() += 1;
        }
        hosts
    }

    /// Those of these promises that did not hold, or of which nothing was looked at.
    pub fn not_held(&self, promises: &[&str]) -> Vec<String> {
        let held = |name: &str| {
            let promise = self.promises.iter().find(|promise| promise.name == name);
            promise.is_some_and(|promise| promise.standing == "held" && promise.checked > 0)
        };
        promises.iter().filter(|name| !held(name)).map(|&name| name.to_owned()).collect()
    }

    /// The promises that stand like this, by name.
    pub fn standing(&self, standing: &str) -> Vec<&str> {
        let of = self.promises.iter().filter(|promise| promise.standing == standing);
        of.map(|promise| &*promise.name).collect()
    }

    /// What broke promises, each in a sentence.
    pub fn breaches(&self) -> impl Iterator<Item = String> {
        let of = |promise: &Promise| {
            let name = promise.name.clone();
            let told = promise.breaches.iter();
            told.map(|it| format!("{name} at {} ms: {}", it.at_ms, it.what)).collect::<Vec<_>>()
        };
        self.promises.iter().flat_map(of)
    }

    /// How many commands of a kind were refused.
    pub fn refused(&self, kind: &str) -> u64 {
        let of_kind = self.commands.iter().filter(|commands| commands.kind == kind);
        of_kind.map(|commands| commands.outcomes.refused).sum()
    }

    /// How long after a fault was armed the first promise was seen to be broken.
    pub fn caught_after(&self) -> Option<Duration> {
        let armed = self.faults.iter().map(|fault| fault.from_ms).min()?;
        let first = self.promises.iter().flat_map(|it| &it.breaches).map(|it| it.at_ms).min()?;
        Some(Duration::from_millis(first.saturating_sub(armed)))
    }
}

/// What `pulsefield vmfs` reads of a scratch volume.
#[derive(Debug)]
pub struct Volume {
    /// Its label.
    pub label: String,
    /// How many heartbeat slots were ever used.
    pub slots: usize,
    /// How many locks there are.
    pub locks: u64,
}

impl Volume {
    /// Has it read a device.
    ///
    /// # Errors
    /// What it said, or that it says something else than was to be.
    pub fn read(disk: &Disk) -> Result<Self> {
        let words = ["vmfs", &text(&disk.block), "--all", "--search", METADATA, "--json"];
        let output = run("pulsefield", words).output()?;
        Self::told(&output).context("pulsefield vmfs")
    }

    fn told(output: &str) -> Result<Self> {
        let told: Value = serde_json::from_str(output)?;
        Ok(Self {
            label: told["file_system"]["label"].as_str().context("no label")?.to_owned(),
            slots: told["heartbeats"].as_array().context("no heartbeats")?.len(),
            locks: told["locks_found"].as_u64().context("no locks_found")?,
        })
    }
}

/// Writes a plan of one rule, and says where; `rule` as in a file, without its first line.
///
/// # Errors
/// It cannot be written.
pub fn plan_of_one_rule(name: &str, seed: u64, rule: &str) -> Result<PathBuf> {
    let path = std::env::temp_dir().join(format!("{name}.toml"));
    let text = format!("seed = {seed}\n\n[[rule]]\n{rule}\n");
    fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

fn seconds(time: Duration) -> String {
    format!("{}s", time.as_secs())
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Found {
        let text = r#"{ "format": 1,
            "setup": { "emulation": "devices", "hosts": [
                { "paths": [{ "unit": 0, "device": "/dev/sda", "transport": "iSCSI" }] },
                { "paths": [{ "unit": 0, "device": "/dev/sdb", "transport": "FC" }] },
                { "paths": [{ "unit": 0, "device": "/dev/sda", "transport": "iSCSI" }] }] },
            "judgement": { "passed": true, "reasons": [] },
            "promises": [
                { "name": "linearizable", "standing": "broken", "checked": 7, "breaches": [
                    { "at_ms": 9000, "unit": null, "hosts": [], "what": "it was lost" }],
                    "breaches_total": 1 },
                { "name": "durability", "standing": "held", "checked": 3, "breaches": [],
                    "breaches_total": 0 },
                { "name": "fairness", "standing": "held", "checked": 0, "breaches": [],
                    "breaches_total": 0 }],
            "expectations": [], "faults": [{ "rule": "lose", "from_ms": 5000, "hits": 2 }],
            "heartbeats": { "all": null }, "pulses": [{ "alive": 11 }], "incidents": [],
            "commands": [
                { "kind": "WRITE", "outcomes": { "done": 8, "refused": 2 } },
                { "kind": "READ", "outcomes": { "done": 5, "refused": 1 } }] }"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_report_is_read() {
        let found = found();
        assert_eq!(found.hosts_by_transport(), [("FC", 1), ("iSCSI", 2)].into());
        assert_eq!(found.breaches().collect::<Vec<_>>(), ["linearizable at 9000 ms: it was lost"]);
        assert_eq!(found.caught_after(), Some(Duration::from_secs(4)));
        assert_eq!(found.refused("WRITE"), 2);
    }

    #[test]
    fn a_promise_of_which_nothing_was_looked_at_does_not_count() {
        let not_held = found().not_held(&["linearizable", "durability", "fairness", "monotonic"]);
        assert_eq!(not_held, ["linearizable", "fairness", "monotonic"]);
    }

    #[test]
    fn a_volume_is_read() {
        let text = r#"{ "file_system": { "label": "scratch" }, "locks_found": 9,
            "heartbeats": [{ "slot": 3 }, { "slot": 4 }] }"#;
        let volume = Volume::told(text).unwrap();
        assert_eq!((&*volume.label, volume.slots, volume.locks), ("scratch", 2, 9));
        assert!(Volume::told("{}").is_err());
    }
}
