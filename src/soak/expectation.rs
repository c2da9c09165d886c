//! What must follow from a plan of faults, held against what was seen.
//!
//! A rule declares its verdict, and that is judged here, rule by rule and exactly:
//!
//! | verdict | what must be seen if the rule hit | what may be seen besides |
//! |---|---|---|
//! | `checker-catches` | a promise about data or locks is broken that the fault may break | others that it may break |
//! | `initiator-sees` | a host is told, or waits in vain | promises that the fault may break |
//! | `retry-hides` | nothing | nothing |
//!
//! What a fault may break is in the catalogue. A rule that never hit, or to no effect, has shown nothing, and what no
//! rule explains is a fault of the unit's own. A checker that missed what it must catch has failed, and so has the soak.

use pulsefield_checkers::{Promise, Standing, Verdict};
use pulsefield_faults::{Fault, Plan, Rule, Verdict as Declared};

use crate::faults::RuleHits;
use crate::trouble::Trouble;

/// One rule, held against what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expectation {
    /// The rule, by name.
    pub(crate) rule: String,
    /// Its fault, by name.
    pub(crate) fault: &'static str,
    /// What must follow.
    pub(crate) expected: &'static str,
    /// What did.
    pub(crate) seen: String,
    /// Whether that is as it was declared.
    pub(crate) met: bool,
}

/// What is concluded from a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// One for each rule of the plan.
    pub(crate) expectations: Vec<Expectation>,
    /// Whether all promises held.
    pub(crate) all_held: bool,
    /// What is not as it must be, each in a sentence. None if all is.
    pub(crate) objections: Vec<String>,
}

/// Promises about time, which a unit that is slow or refuses breaks as well. The others are about data and locks, and
/// only a unit that does wrong breaks them.
const LIVENESS: [Promise; 2] = [Promise::HeartbeatDeadline, Promise::Fairness];

/// Judges a run with `plan` armed, whose rules hit so often.
pub(crate) fn judge(
    plan: Option<&Plan>,
    hits: &[RuleHits],
    verdicts: &[Verdict],
    trouble: &Trouble,
) -> Judgement {
    let broken: Vec<Promise> = verdicts
        .iter()
        .filter(|verdict| verdict.standing == Standing::Broken)
        .map(|verdict| verdict.promise)
        .collect();
    let rules = plan.map_or(&[][..], |plan| &plan.rules);
    let hits_of = |position| {
        let of_rule = hits.iter().find(|hits| hits.position == position);
        of_rule.map_or((0, 0), |rule| (rule.hits, rule.effects))
    };
    let mut objections = Vec::new();
    let mut expectations = Vec::new();
    for (position, rule) in rules.iter().enumerate() {
        let (seen, met) = look(rule, hits_of(position), &broken, trouble);
        if !met {
            let must = rule.verdict.name();
            objections.push(format!("rule \"{}\" declares {must}, and {seen}", rule.name));
        }
        let (rule, fault) = (rule.name.clone(), rule.fault.name());
        let expected = rules[position].verdict.name();
        expectations.push(Expectation { rule, fault, expected, seen, met });
    }
    let effective: Vec<&Rule> = rules
        .iter()
        .enumerate()
        .filter(|(position, _)| hits_of(*position).1 > 0)
        .map(|(_, rule)| rule)
        .collect();
    for promise in &broken {
        if !effective.iter().any(|rule| may_break(rule, *promise)) {
            let because = if rules.is_empty() { "" } else { ", which no rule that hit may break" };
            objections.push(format!("{promise} was broken{because}"));
        }
    }
    Judgement { expectations, all_held: broken.is_empty(), objections }
}

/// What was seen of a rule that hit so often, and so often to some effect, and whether that must be.
fn look(
    rule: &Rule,
    (hits, effects): (u64, u64),
    broken: &[Promise],
    trouble: &Trouble,
) -> (String, bool) {
    let named = |of: &[Promise]| {
        let names: Vec<_> = of.iter().map(|promise| promise.name()).collect();
        names.join(", ")
    };
    if hits == 0 {
        return ("it never hit a command".to_owned(), false);
    }
    if effects == 0 {
        return (format!("none of its {hits} hits changed anything"), false);
    }
    match rule.verdict {
        Declared::CheckerCatches => {
            let is_caught =
                |promise: &Promise| !LIVENESS.contains(promise) && rule.fault.may_break(*promise);
            let caught: Vec<Promise> = broken.iter().copied().filter(is_caught).collect();
            match caught.is_empty() {
                true => (format!("no checker noticed any of its {hits} hits"), false),
                false => (format!("checkers caught it: {}", named(&caught)), true),
            }
        }
        Declared::InitiatorSees if miscompares(&rule.fault) && trouble.miscompared > 0 => {
            (format!("hosts saw it: {} miscompares", trouble.miscompared), true)
        }
        Declared::InitiatorSees => match trouble.words() {
            Some(words) => (format!("hosts saw it: {words}"), true),
            None => (format!("no host noticed any of its {hits} hits"), false),
        },
        // Whatever is broken by it is objected to by itself.
        Declared::RetryHides => (format!("{hits} hits, and nobody was the wiser"), true),
    }
}

/// Whether a rule that hit to some effect explains that a promise is broken.
fn may_break(rule: &Rule, promise: Promise) -> bool {
    match rule.verdict {
        Declared::CheckerCatches | Declared::InitiatorSees => rule.fault.may_break(promise),
        Declared::RetryHides => false,
    }
}

/// Whether hosts are told of it by a miscompare that is none: of what was equal, or of a command whose first execution
/// was not one.
const fn miscompares(fault: &Fault) -> bool {
    matches!(fault, Fault::MiscompareSpurious | Fault::CawTwice | Fault::StaleCompare { .. })
}

#[cfg(test)]
mod tests;
