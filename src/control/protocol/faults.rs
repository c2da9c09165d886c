//! What is said about faults on purpose.

use serde::{Deserialize, Serialize};

/// Which plan to arm, and for which logical units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmRequest {
    /// This logical unit; without one, every one that serves and that the plan has rules for.
    pub lun: Option<String>,
    /// What errors call the plan.
    pub file: String,
    /// The plan itself. Of a file it is the contents: the daemon may not see the user's files.
    pub plan: String,
    /// The plan is disarmed so long after it was armed, if not earlier.
    pub lasting_ms: Option<u64>,
    /// The plan is disarmed after so many hits, if not earlier.
    pub hits: Option<u64>,
}

/// The plans that are armed for a logical unit, in the order in which their rules are asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LunFaults {
    /// The logical unit.
    pub lun: String,
    /// The plans.
    pub plans: Vec<ArmedPlan>,
}

/// A plan that is armed for a logical unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmedPlan {
    /// The plan's number among all that were armed for the unit.
    pub plan: u64,
    /// Its seed.
    pub seed: u64,
    /// How long ago it was armed.
    pub armed_ms: u64,
    /// Commands of the unit since then.
    pub commands: u64,
    /// Hits of all its rules.
    pub hits: u64,
    /// Its rules.
    pub rules: Vec<ArmedRule>,
}

/// A rule that is armed for a logical unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmedRule {
    /// Its name.
    pub rule: String,
    /// Its fault.
    pub fault: String,
    /// What must follow.
    pub verdict: String,
    /// What it does, in words.
    pub meaning: String,
    /// Commands that counted for it.
    pub counted: u64,
    /// Those of them that it hit.
    pub hits: u64,
    /// Commands to which that made a difference, as far as can be told.
    pub effects: u64,
}

/// A command that a rule hit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultHit {
    /// The logical unit.
    pub lun: String,
    /// Counts the hits of the unit from 0.
    pub number: u64,
    /// The number of the plan.
    pub plan: u64,
    /// The name of the rule.
    pub rule: String,
    /// When the command came, on the monotonic clock of the machine, as `dmesg` counts.
    pub at_us: u64,
    /// Which of all commands of the unit it was since the plan was armed, counted from 1.
    pub command: u64,
    /// Its operation code.
    pub opcode: u8,
    /// The first block it touches, if it touches any.
    pub lba: Option<u64>,
    /// How many blocks.
    pub blocks: Option<u64>,
    /// Whether the rule selected it; otherwise something lasted that an earlier hit began.
    pub selected: bool,
    /// For how long it was to be held up.
    pub delay_us: u64,
    /// How it ended before the fault changed that; `None` if it was not carried out, or has not
    /// ended.
    pub before: Option<String>,
    /// How it was answered; `None` if it is not yet.
    pub after: Option<String>,
    /// Digests of its data before and after the fault changed that, if it did.
    pub data: Option<[String; 2]>,
}
