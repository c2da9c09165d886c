//! What checkers say.

use std::fmt;

use pulsefield_units::Instant;

use crate::ledger::Ledger;
use crate::{Begun, Claim, Event, HostId, Operation, Pulse, UnitId};

/// What listens to a history and says at its end whether a promise held.
///
/// It hears what it has a method for, one for each kind of [`Event`], and passes over the rest. In stated memory,
/// and quickly: it runs beside what it checks.
pub trait Checker: Send {
    /// What it found up to now.
    fn ledger(&self) -> &Ledger;

    /// [`Event::Begun`].
    fn begun(&mut self, _begun: &Begun) {}

    /// [`Event::Operation`].
    fn ended(&mut self, _operation: &Operation) {}

    /// [`Event::Pulse`].
    fn pulsed(&mut self, _pulse: &Pulse) {}

    /// [`Event::Taken`].
    fn taken(&mut self, _claim: &Claim) {}

    /// [`Event::Left`].
    fn left(&mut self, _claim: &Claim) {}

    /// [`Event::Forgotten`].
    fn forgotten(&mut self, _host: HostId) {}

    /// [`Event::DeclaredDead`].
    fn declared_dead(&mut self, _host: HostId, _unit: UnitId, _by: HostId, _at: Instant) {}

    /// [`Event::Gap`].
    fn missed(&mut self, _unit: UnitId) {}

    /// [`Event::ReadBack`].
    fn only_read_from_now_on(&mut self, _unit: UnitId) {}

    /// Judges. `at` is when nobody asked for anything any more.
    fn finish(self: Box<Self>, at: Instant) -> Verdict;

    /// Hears what happened.
    fn observe(&mut self, event: &Event) {
        match event {
            Event::Begun(begun) => self.begun(begun),
            Event::Operation(operation) => self.ended(operation),
            Event::Pulse(pulse) => self.pulsed(pulse),
            Event::Taken(claim) => self.taken(claim),
            Event::Left(claim) => self.left(claim),
            Event::Forgotten { host, at: _ } => self.forgotten(*host),
            Event::DeclaredDead { host, unit, by, at } => {
                self.declared_dead(*host, *unit, *by, *at);
            }
            Event::Gap { unit, at: _ } => self.missed(*unit),
            Event::ReadBack { unit, at: _ } => self.only_read_from_now_on(*unit),
        }
    }
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
