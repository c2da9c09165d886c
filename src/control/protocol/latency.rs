//! What is said about how long commands take.

use serde::{Deserialize, Serialize};

/// How long the commands of a logical unit take.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LunLatency {
    /// The logical unit.
    pub lun: String,
    /// For how long its commands were counted.
    pub counted_ms: u64,
    /// `deadline_warning`; 0 is none.
    pub deadline_warning_ms: u64,
    /// `deadline_error`; 0 is none.
    pub deadline_error_ms: u64,
    /// Commands that took as long as the first and not as long as the second, since the daemon took the
    /// unit over.
    pub late: u64,
    /// Commands that took as long as the second.
    pub too_late: u64,
    /// By lane and operation code: heartbeats, then bulk, then what touches no medium; the most frequent
    /// first.
    pub commands: Vec<CommandLatency>,
    /// The slowest, the slowest first.
    pub slowest: Vec<SlowCommand>,
}

/// How long the commands of one operation code in one lane take.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandLatency {
    /// The lane; none for what does not touch the medium, and for copies.
    pub lane: Option<String>,
    /// The operation code; none for all others together.
    pub opcode: Option<u8>,
    /// T10's name of the command.
    pub command: String,
    /// How many there were.
    pub count: u64,
    /// Their times from the ring to the end of the doorbell, together.
    #[serde(default)]
    pub sum_us: u64,
    /// From the ring to the end of the doorbell.
    pub total: Quantiles,
    /// From the ring until it held its blocks and a slot of its lane.
    pub waiting: Quantiles,
    /// From then on, with the medium.
    pub service: Quantiles,
    /// From when its answer was ready to the end of the doorbell.
    pub answer: Quantiles,
}

/// Times that so many commands did not exceed, in microseconds and rounded up: never too short, and too
/// long by an eighth at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantiles {
    /// Half of them.
    pub p50_us: u64,
    /// 99 of 100.
    pub p99_us: u64,
    /// 999 of 1000.
    pub p999_us: u64,
    /// All of them; exact.
    pub max_us: u64,
}

/// A command that was slow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlowCommand {
    /// When it was found on the ring, on the monotonic clock of the machine, as `dmesg` counts.
    pub at_us: u64,
    /// Its time from then to the end of the doorbell.
    pub took_us: u64,
    /// The lane; none for what does not touch the medium, and for copies.
    pub lane: Option<String>,
    /// Its operation code.
    pub opcode: u8,
    /// T10's name of it.
    pub command: String,
    /// The CDB in hexadecimal.
    pub cdb: String,
    /// The first block it claimed last, if it claimed any.
    pub lba: Option<u64>,
    /// How many blocks.
    pub blocks: Option<u64>,
    /// What most of the time went into, as the names of [`TimeParts`] have it.
    pub reason: String,
    /// What all of it went into.
    pub parts: TimeParts,
}

/// What the time of a command went into; all together are its time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeParts {
    /// Waiting for commands that came before it and use the same blocks.
    pub blocks_us: u64,
    /// Waiting for a slot of its lane.
    pub slot_us: u64,
    /// Waiting at the gate of a pool of space.
    pub pool_us: u64,
    /// With the medium.
    pub medium_us: u64,
    /// Held up by a fault on purpose.
    pub fault_us: u64,
    /// From its answer to the end of the doorbell.
    pub answer_us: u64,
    /// Waiting for the unit's thread, for what only the kernel knows, or for a copy.
    pub elsewhere_us: u64,
}
