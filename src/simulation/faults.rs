//! What is wrong with the unit of a faulty run, one fault a run, and what must become of that.

use pulsefield_checkers::Promise;
use pulsefield_faults::{FaultReport, Hit, Plan};

use Promise::{
    Durability, Fairness, HeartbeatDeadline, Information, Linearizable, LockExclusion, Monotonic,
};

/// A fault, and what must follow.
#[derive(Debug)]
pub(crate) struct Fault {
    /// The fault's name in the catalogue.
    pub(crate) name: &'static str,
    /// The rest of its rule, in TOML.
    rule: &'static str,
    expected: Expected,
}

/// What must become of a cluster whose unit has a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// Hosts cope: nothing is broken but, perhaps, these.
    Coped(&'static [Promise]),
    /// One of these promises is broken, and a checker says so, once the rule has done
    /// something to [`SURE`] commands.
    Caught(&'static [Promise]),
}

/// After so many hits a broken promise must have shown. One hit may harm nobody: a write that is lost and
/// written over before anybody looks was never missed.
const SURE: u64 = 25;

const fn coped(name: &'static str, rule: &'static str) -> Fault {
    Fault { name, rule, expected: Expected::Coped(LATE) }
}

const fn caught(name: &'static str, rule: &'static str, promises: &'static [Promise]) -> Fault {
    Fault { name, rule, expected: Expected::Caught(promises) }
}

/// What breaks if commands only take longer, or are done in vain.
const LATE: &[Promise] = &[HeartbeatDeadline, Fairness];

/// The same where hosts are told what is not so: of a command that was done twice they hear how it ended the
/// second time, and a checker takes for written what the second time was not.
const MISTOLD: &[Promise] = &[HeartbeatDeadline, Fairness, Linearizable, Information, Durability];

/// The same where a write comes after its abort: it harms nobody if what it expects is there no longer.
const GHOST: &[Promise] =
    &[HeartbeatDeadline, Fairness, Linearizable, Information, LockExclusion, Durability, Monotonic];

/// What shows that the medium is not what hosts were told.
const MEDIUM: &[Promise] = &[Linearizable, LockExclusion, Durability, Monotonic];

/// All that runs are made with.
pub(crate) const FAULTS: &[Fault] = &[
    coped("caw.status-lost", "when = { chance = \"1%\" }"),
    coped("caw.slow", "delay = { uniform = [\"1s\", \"12s\"] }\nwhen = { chance = \"1%\" }"),
    Fault {
        name: "caw.twice",
        rule: "when = { chance = \"2%\" }",
        expected: Expected::Coped(MISTOLD),
    },
    coped("latency", "delay = { pareto = [\"5ms\", \"8s\"], shape = 1.2 }"),
    coped("stall", "duration = \"10s\"\nwhen = { every = 5000 }"),
    coped("status", "when = { chance = \"5%\" }"),
    coped("drop", "when = { chance = \"0.5%\" }"),
    coped("unit-attention", "when = { chance = \"2%\" }"),
    caught("miscompare.false-equal", "when = { chance = \"50%\" }", MEDIUM),
    caught("miscompare.wrong-offset", "", &[Information]),
    caught("miscompare.no-information", "", &[Information]),
    Fault {
        name: "caw.late-apply",
        rule: "when = { chance = \"5%\" }",
        expected: Expected::Coped(GHOST),
    },
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

    /// How many commands it did something to, of those that this report counts and remembers. What is about
    /// miscompares hits every COMPARE AND WRITE, and does nothing to one that matches.
    pub(crate) fn effects(&self, report: &FaultReport) -> u64 {
        let changed = |hit: &&Hit| hit.before.is_some() && hit.before != hit.after;
        if self.name.starts_with("miscompare.") || self.name == "caw.write-first" {
            return report.hits.iter().filter(changed).count() as u64;
        }
        report.plans.iter().map(|plan| plan.hits).sum()
    }

    /// Whether a checker must have noticed it, once it has done something to so many commands.
    pub(crate) const fn must_show(&self, hits: u64) -> bool {
        matches!(self.expected, Expected::Caught(_)) && hits >= SURE
    }

    /// Whether it shows by this promise being broken.
    pub(crate) fn breaks(&self, promise: Promise) -> bool {
        match self.expected {
            Expected::Coped(_) => false,
            Expected::Caught(promises) => promises.contains(&promise),
        }
    }

    /// Whether a promise may be broken under it without anything being wrong.
    pub(crate) fn excuses(&self, promise: Promise) -> bool {
        match self.expected {
            Expected::Coped(promises) => promises.contains(&promise),
            // What follows from a medium that lies nobody can say.
            Expected::Caught(_) => true,
        }
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
