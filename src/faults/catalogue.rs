//! The catalogue: every fault under its name, in one table.
//!
//! Whatever names a fault or its parameters asks here: the reader of plans, `pulsefield fault
//! catalogue`, what `pulsefield check` says, and the reference in `docs/faults.md`.

mod breaks;
mod causes;
mod parameters;
mod reference;
mod table;

use std::fmt::Write as _;

use pulsefield_checkers::Promise;

use crate::{Fault, Verdict};

pub(crate) use parameters::STATUSES;
pub use reference::reference;
pub use table::CATALOGUE;

/// One kind of fault.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// What it is called in plans, logs and reports.
    pub name: &'static str,
    /// What happens to a command that is hit: a phrase about that command, with the parameters in
    /// braces.
    pub happens: &'static str,
    /// What the field calls it.
    pub known_as: &'static str,
    /// What can be chosen, in the order in which it is explained.
    pub parameters: &'static [Parameter],
    /// What must follow, unless the rule says otherwise.
    pub verdict: Verdict,
    /// What may be broken, while a rule hits that is not hidden by retries, without anything else being wrong
    /// (`docs/promises.md`).
    pub breaks: &'static [Promise],
    /// The causes of ATS trouble that it reproduces: see the list in `docs/faults.md`.
    pub causes: &'static [u8],
}

/// What can be chosen about a fault.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its key in a rule.
    pub name: &'static str,
    /// What it is if the rule does not say, as TOML.
    pub default: &'static str,
    /// What it means, and in which form it is written.
    pub meaning: &'static str,
}

impl Entry {
    /// The fault called `name`.
    pub fn find(name: &str) -> Option<&'static Self> {
        CATALOGUE.iter().find(|entry| entry.name == name)
    }

    /// The entry of `fault`.
    ///
    /// # Panics
    /// Never: a test looks every fault up.
    pub fn of(fault: &Fault) -> &'static Self {
        Self::find(fault.name()).expect("every fault is in the catalogue")
    }

    /// All names, as they stand in the table.
    pub fn names() -> Vec<&'static str> {
        CATALOGUE.iter().map(|entry| entry.name).collect()
    }

    /// What happens, with each parameter as `value` writes it.
    pub fn happening(&self, value: impl Fn(&str) -> String) -> String {
        let mut text = String::new();
        let mut rest = self.happens;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            let _ = write!(text, "{before}{}", value(name));
            rest = after;
        }
        text + rest
    }
}

impl Fault {
    /// Whether this promise may be broken while the fault hits, without anything else being wrong.
    pub fn may_break(&self, promise: Promise) -> bool {
        Entry::of(self).breaks.contains(&promise)
    }
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::InitiatorSees, Self::RetryHides, Self::CheckerCatches];

    /// Its name in plans.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InitiatorSees => "initiator-sees",
            Self::RetryHides => "retry-hides",
            Self::CheckerCatches => "checker-catches",
        }
    }

    /// What must follow, as a sentence.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::InitiatorSees => "The initiator is told, or waits in vain.",
            Self::RetryHides => "A retry hides it.",
            Self::CheckerCatches => "Nobody is told: a checker must catch it.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_there_once_and_every_brace_names_a_parameter() {
        for (at, entry) in CATALOGUE.iter().enumerate() {
            assert!(CATALOGUE[..at].iter().all(|other| other.name != entry.name));
            entry.happening(|name| {
                let known = entry.parameters.iter().any(|parameter| parameter.name == name);
                assert!(known, "{} has no {name}", entry.name);
                String::new()
            });
        }
    }
}
