//! What checkers say.

use std::fmt;

use pulsefield_units::Instant;

use crate::{Event, HostId, UnitId};

/// What listens to a history and says at its end whether a promise held.
pub trait Checker: Send {
    /// What it checks.
    fn promise(&self) -> Promise;

    /// Hears what came to its end. In stated memory, and quickly: it runs beside what it checks.
    fn observe(&mut self, event: &Event);

    /// How often it saw its promise broken, up to now.
    fn breaches(&self) -> u64;

    /// Judges. `at` is when nobody asked for anything any more.
    fn finish(self: Box<Self>, at: Instant) -> Verdict;
}

/// What is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Promise {
    /// Nobody believes to have a lock that another one with a valid lease believes to have.
    LockExclusion,
    /// Every block is a compare-and-set register: all operations on it can be put in an order, each between
    /// its beginning and its end, in which every one of them saw what the one before left.
    Linearizable,
    /// A miscompare tells the offset of the first byte that differs.
    Information,
    /// Heartbeats are answered in time.
    HeartbeatDeadline,
    /// What was acknowledged is there at the end.
    Durability,
    /// Every command is answered once.
    AnsweredOnce,
    /// No host starves.
    Fairness,
    /// Tokens of locks and generations of heartbeats only grow.
    Monotonic,
    /// Nobody is declared dead within a lease of its last pulse.
    NoEarlyTakeover,
}

impl Promise {
    /// All promises, as a report lists them.
    pub const ALL: [Self; 9] = [
        Self::LockExclusion,
        Self::Linearizable,
        Self::Information,
        Self::HeartbeatDeadline,
        Self::Durability,
        Self::AnsweredOnce,
        Self::Fairness,
        Self::Monotonic,
        Self::NoEarlyTakeover,
    ];

    /// As a report and a plan name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LockExclusion => "lock-exclusion",
            Self::Linearizable => "linearizable",
            Self::Information => "information",
            Self::HeartbeatDeadline => "heartbeat-deadline",
            Self::Durability => "durability",
            Self::AnsweredOnce => "answered-once",
            Self::Fairness => "fairness",
            Self::Monotonic => "monotonic",
            Self::NoEarlyTakeover => "no-early-takeover",
        }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether a promise held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Which.
    pub promise: Promise,
    /// Whether.
    pub standing: Standing,
    /// How many things were looked at: operations, pulses, claims.
    pub checked: u64,
    /// What else was counted or measured, whether or not it broke anything.
    pub figures: Vec<Figure>,
    /// What broke it: the first ones, in order.
    pub breaches: Vec<Breach>,
    /// How many there were in all.
    pub breaches_total: u64,
}

impl Verdict {
    /// Of a promise that nobody looked at.
    pub const fn unchecked(promise: Promise) -> Self {
        Self {
            promise,
            standing: Standing::Unchecked,
            checked: 0,
            figures: Vec::new(),
            breaches: Vec::new(),
            breaches_total: 0,
        }
    }
}

/// One number beside a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figure {
    /// What it is, with its unit last if it has one: `longest_us`.
    pub name: &'static str,
    /// How much.
    pub value: u64,
}

/// How a promise stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing broke it.
    Held,
    /// Something did.
    Broken,
    /// There was nothing to look at.
    Unchecked,
}

/// One time a promise was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// When it showed.
    pub at: Instant,
    /// Where.
    pub unit: Option<UnitId>,
    /// Who is concerned.
    pub hosts: Vec<HostId>,
    /// What happened, in one sentence with the numbers.
    pub what: String,
}
