//! A run, as data: what was set up, what was seen, and what was concluded from it.
//!
//! Times are milliseconds since the run began, latencies microseconds. Whatever could grow with a run's
//! length is bounded by the constants here, and a total beside it says how much there was (docs/reports.md).

use serde::{Deserialize, Serialize};

use crate::series::{Intervals, Latencies, Series, Spread, Traffic};
use crate::words::{lasting, many};

/// Breaches that are kept of a promise: the first ones.
pub(crate) const BREACHES_MAX: usize = 100;

/// Causes of miscompares that are told apart; what has another one is counted with the last of them.
pub(crate) const CAUSES_MAX: usize = 16;

/// Explanations that are kept of a cause: the first ones.
pub(crate) const EXPLANATIONS_MAX: usize = 25;

/// Incidents that are kept: the first ones.
pub(crate) const INCIDENTS_MAX: usize = 500;

/// What a run was and found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// What was known before it began.
    pub setup: Setup,
    /// How long it took.
    pub lasted_ms: u64,
    /// How it ended.
    pub end: End,
    /// What is concluded.
    pub judgement: Judgement,
    /// Each promise that was checked.
    pub promises: Vec<Promise>,
    /// What followed from faults, held against what their plan declares; empty without a plan.
    pub expectations: Vec<Expectation>,
    /// What was armed, and when.
    pub faults: Vec<Fault>,
    /// Heartbeats of all hosts.
    pub heartbeats: Latencies,
    /// Of each host, in the order of `setup.hosts`.
    pub pulses: Vec<Pulses>,
    /// From when a host let go of a lock to when another one had it.
    pub handovers: Latencies,
    /// What hosts were told to do.
    pub orders: Vec<Orders>,
    /// What was asked of devices, by kind.
    pub commands: Vec<Commands>,
    /// Why COMPARE AND WRITE commands miscompared.
    pub causes: Vec<Cause>,
    /// What happened besides, in the order in which it was told.
    pub incidents: Vec<Incident>,
    /// How many incidents there were.
    pub incidents_total: u64,
}

impl Run {
    /// What was run, in a line.
    pub fn headline(&self) -> String {
        let Setup { mix, plan, hosts, emulation, .. } = &self.setup;
        let hosts = many(hosts.len() as u64, "host");
        let lasted = lasting(self.lasted_ms);
        let plan = plan.as_ref().map_or_else(String::new, |plan| format!(", plan {plan}"));
        match emulation {
            Emulation::Watched => format!("{hosts} watched for {lasted}{plan}"),
            Emulation::Devices => format!("{hosts}, mix {mix}, {lasted}{plan}"),
            Emulation::Embedded => format!("{hosts} in one process, mix {mix}, {lasted}{plan}"),
            Emulation::Virtual => format!("{hosts}, mix {mix}, {lasted} of virtual time{plan}"),
        }
    }
}

impl Judgement {
    /// `PASS` or `FAIL`.
    pub const fn word(&self) -> &'static str {
        if self.passed { "PASS" } else { "FAIL" }
    }
}

impl Standing {
    /// As people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Broken => "broken",
            Self::Unchecked => "not checked",
        }
    }
}

/// What is known of a run before it begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// Of Pulsefield, as `pulsefield --version` says it.
    pub version: String,
    /// What to type to repeat it.
    pub command: String,
    /// Where all that is drawn comes from.
    pub seed: u64,
    /// The mix of work, by name; of one that was read from a file, its path.
    pub mix: String,
    /// The plan of faults, as it was named.
    pub plan: Option<String>,
    /// By the wall clock: milliseconds since 1970-01-01T00:00:00Z.
    pub began_unix_ms: i64,
    /// Who the hosts are, and what time is.
    pub emulation: Emulation,
    /// The machine.
    pub environment: Environment,
    /// The logical units.
    pub units: Vec<Unit>,
    /// The hosts. Those of a run that watches come as they are seen.
    pub hosts: Vec<Host>,
    /// What miscompares are explained by.
    #[serde(default)]
    pub evidence: Evidence,
}

/// What miscompares are explained by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum Evidence {
    /// The record of a logical unit: who wrote what was found, and when.
    Record {
        /// Of which, as its daemon calls it.
        of: String,
    },
    /// What each host itself could know.
    Hosts {
        /// Why there is no record, in a clause; may be empty.
        why: String,
    },
}

impl Default for Evidence {
    fn default() -> Self {
        Self::Hosts { why: String::new() }
    }
}

/// Who the hosts are, and what time is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Emulation {
    /// Emulated hosts, on devices of the machine.
    #[default]
    Devices,
    /// Emulated hosts, on a logical unit within the process.
    Embedded,
    /// The same in virtual time.
    Virtual,
    /// None: others use the units, and are watched.
    Watched,
}

/// What the run ran on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// The machine's name.
    pub machine: String,
    /// As `uname -sr` has it.
    pub kernel: String,
    /// The processor's model.
    pub cpu: String,
    /// How many processors.
    pub cpus: u32,
    /// Memory.
    pub memory_bytes: u64,
}

/// A logical unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// What events name it by.
    pub id: u32,
    /// What people call it: its NAA designation, or the name of a LUN.
    pub name: String,
    /// Vendor, product and revision, as INQUIRY has them.
    pub product: String,
    /// Its size.
    pub bytes: u64,
    /// The length of a logical block.
    pub block_bytes: u32,
}

/// A host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// What events name it by.
    pub id: u32,
    /// As heartbeats and locks have it.
    pub uuid: String,
    /// What people call it.
    pub name: String,
    /// How it does what may be done in several ways: "ATS heartbeats", "ATS-only", "VMFS-6".
    pub modes: Vec<String>,
    /// By which ways it reaches units.
    pub paths: Vec<Path>,
}

/// A way from a host to a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Path {
    /// The unit's id.
    pub unit: u32,
    /// As the machine names it: `/dev/sdb`.
    pub device: String,
    /// iSCSI, Fibre Channel, SRP, loopback, or in the process.
    pub transport: String,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "kebab-case")]
pub enum End {
    /// When its time was over.
    Planned,
    /// Before, because somebody wanted it.
    Interrupted,
    /// Before, because it could not go on.
    Broken {
        /// Why, in a sentence.
        why: String,
    },
}

/// What is concluded from a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// Whether it is as it should be: all promises held or, with a plan of faults, exactly that followed
    /// which the plan declares.
    pub passed: bool,
    /// Why, each in a sentence.
    pub reasons: Vec<String>,
}

/// What became of a promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    /// Its name.
    pub name: String,
    /// What is promised, in a sentence.
    pub says: String,
    /// How it stands.
    pub standing: Standing,
    /// Why it was not checked, or what of it cannot be seen; if there is anything to say about that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// How many things were looked at.
    pub checked: u64,
    /// What else was counted or measured; a name ends in its unit if it has one: `longest_us`.
    pub figures: Vec<(String, u64)>,
    /// What broke it: the first ones.
    pub breaches: Vec<Breach>,
    /// How many there were.
    pub breaches_total: u64,
}

/// How a promise stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Nothing broke it.
    Held,
    /// Something did.
    Broken,
    /// There was nothing to look at.
    Unchecked,
}

/// One time a promise was broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breach {
    /// When it showed.
    pub at_ms: u64,
    /// On which unit, by name.
    pub unit: Option<String>,
    /// Who is concerned, by name.
    pub hosts: Vec<String>,
    /// What happened.
    pub what: String,
}

/// What a rule of a plan declares, and what was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expectation {
    /// The rule, by name.
    pub rule: String,
    /// The fault, by name.
    pub fault: String,
    /// What must follow.
    pub expected: String,
    /// What did.
    pub seen: String,
    /// Whether that is the same.
    pub met: bool,
}

/// A rule of a plan of faults, while it was armed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The rule, by name.
    pub rule: String,
    /// The fault, by name.
    pub fault: String,
    /// What happens to which commands, in a sentence.
    pub sentence: String,
    /// When it was armed.
    pub from_ms: u64,
    /// When it was disarmed; `None` if it was armed to the end.
    pub until_ms: Option<u64>,
    /// How many commands it hit.
    pub hits: u64,
}

/// How one host pulsed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulses {
    /// The host's id.
    pub host: u32,
    /// Pulses that it may count.
    pub alive: u64,
    /// Those that it may not.
    pub failed: u64,
    /// How long they took.
    pub took: Latencies,
    /// How regularly they were sent.
    pub intervals: Intervals,
}

/// What became of orders of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orders {
    /// What they were for.
    pub kind: String,
    /// How they ended, and how many did so.
    pub outcomes: Vec<(String, u64)>,
    /// How long they took, each from when it was given.
    pub took: Option<Spread>,
}

/// What was asked of devices, of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commands {
    /// Which kind.
    pub kind: String,
    /// How they ended.
    pub outcomes: Outcomes,
    /// How long those took that ended.
    pub took: Option<Spread>,
    /// How many there were when.
    pub over_time: Series<Traffic>,
}

/// How commands ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcomes {
    /// Done.
    pub done: u64,
    /// Not done, since a block was not what was expected.
    pub miscompared: u64,
    /// Not done.
    pub refused: u64,
    /// Nobody can say: timed out, aborted, lost.
    pub unknown: u64,
}

/// Why COMPARE AND WRITE commands miscompared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// What the cause is called.
    pub name: String,
    /// What to do about it.
    pub advice: String,
    /// From which side it is known.
    #[serde(default)]
    pub view: View,
    /// How many there were.
    pub total: u64,
    /// How many when.
    pub over_time: Series<u64>,
    /// Of the first ones.
    pub explanations: Vec<Explanation>,
}

/// From which side it is known why a COMPARE AND WRITE miscompared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum View {
    /// By its host: what that expected and wanted.
    #[default]
    Host,
    /// By the record of the unit: what it found as well, and who had written that.
    Record,
}

/// Why one COMPARE AND WRITE miscompared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// Counted from 1 in the run.
    pub id: u64,
    /// When.
    pub at_ms: u64,
    /// Who was told so, by name.
    pub host: Option<String>,
    /// What it was about: "heartbeat slot 12 of esx03".
    pub about: String,
    /// What was expected and found, and who wrote that: one or more lines.
    pub text: String,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// When.
    pub at_ms: u64,
    /// To which host, by name.
    pub host: Option<String>,
    /// What, in a clause.
    pub what: String,
}
