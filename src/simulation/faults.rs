//! What is wrong with the unit of a faulty run, one fault a run, and what must become of that.

use pulsefield_checkers::Promise;
use pulsefield_faults::Plan;
use pulsefield_faults::catalogue::Entry;

use Promise::{Durability, Information, Linearizable, LockExclusion, Monotonic};

/// A fault, and what must follow. What may follow besides is in the catalogue.
#[derive(Debug)]
pub(crate) struct Fault {
    /// The fault's name in the catalogue.
    pub(crate) name: &'static str,
    /// The rest of its rule, in TOML.
    rule: &'static str,
    /// One of these is broken, and a checker says so, once the rule has done something to [`SURE`] commands; none if
    /// nothing need follow.
    caught_by: &'static [Promise],
}

/// After so many a broken promise must have shown. One may harm nobody: a write that is lost and written over before
/// anybody looks was never missed.
const SURE: u64 = 25;

/// Hosts cope with it, or it is not known of any command whether it was harmed.
const fn harmless(name: &'static str, rule: &'static str) -> Fault {
    Fault { name, rule, caught_by: &[] }
}

const fn caught(name: &'static str, rule: &'static str, by: &'static [Promise]) -> Fault {
    Fault { name, rule, caught_by: by }
}

/// What shows that the medium is not what hosts were told.
const MEDIUM: &[Promise] = &[Linearizable, LockExclusion, Durability, Monotonic];

/// All that runs are made with.
pub(crate) const FAULTS: &[Fault] = &[
    harmless("caw.status-lost", "when = { chance = \"1%\" }"),
    harmless("caw.slow", "delay = { uniform = [\"1s\", \"12s\"] }\nwhen = { chance = \"1%\" }"),
    harmless("caw.twice", "when = { chance = \"2%\" }"),
    harmless("latency", "delay = { pareto = [\"5ms\", \"8s\"], shape = 1.2 }"),
    harmless("stall", "duration = \"10s\"\nwhen = { every = 5000 }"),
    harmless("status", "when = { chance = \"5%\" }"),
    harmless("drop", "when = { chance = \"0.5%\" }"),
    harmless("unit-attention", "when = { chance = \"2%\" }"),
    caught("miscompare.false-equal", "when = { chance = \"50%\" }", MEDIUM),
    caught("miscompare.wrong-offset", "", &[Information]),
    caught("miscompare.no-information", "", &[Information]),
    harmless("caw.late-apply", "when = { chance = \"5%\" }"),
    caught("caw.torn", "bytes = 16\nwhen = { chance = \"10%\" }", MEDIUM),
    caught("caw.write-first", "", MEDIUM),
    caught("stale-read", "lasting = \"5s\"\nwhen = { chance = \"20%\" }", MEDIUM),
    caught("lost-write", "when = { chance = \"5%\" }", MEDIUM),
    caught("misdirected-write", "when = { chance = \"5%\" }", MEDIUM),
];

impl Fault {
    /// The plan with this fault and this seed.
    ///
    /// # Panics
    /// If there is no such fault, which a test rules out.
    pub(crate) fn plan(&self, seed: u64) -> Plan {
        // A plan's seed is a number that TOML can write.
        let (seed, Self { name, rule, .. }) = (seed >> 1, self);
        let text = format!("seed = {seed}\n[[rule]]\nfault = \"{name}\"\n{rule}\n");
        Plan::parse(name, &text).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Whether a checker must have noticed it, once it has done something to so many commands.
    pub(crate) const fn must_show(&self, effects: u64) -> bool {
        !self.caught_by.is_empty() && effects >= SURE
    }

    /// Whether it shows by this promise being broken.
    pub(crate) fn breaks(&self, promise: Promise) -> bool {
        self.caught_by.contains(&promise)
    }

    /// Whether a promise may be broken under it without anything being wrong.
    pub(crate) fn excuses(&self, promise: Promise) -> bool {
        Entry::find(self.name).is_some_and(|entry| entry.breaks.contains(&promise))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_in_the_catalogue() {
        for fault in FAULTS {
            assert_eq!(fault.plan(u64::MAX).rules.len(), 1, "{}", fault.name);
        }
    }
}
