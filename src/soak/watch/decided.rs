//! Which promises the record of a unit can decide, what of them it cannot show, and what is concluded.

use std::collections::BTreeMap;

use pulsefield_checkers::{Promise, Standing, Verdict};

use super::unit::Sightings;

/// Those that a record can decide.
pub(super) const DECIDED: [Promise; 7] = [
    Promise::LockExclusion,
    Promise::Linearizable,
    Promise::Information,
    Promise::HeartbeatDeadline,
    Promise::Fairness,
    Promise::Monotonic,
    Promise::NoEarlyTakeover,
];

/// Why a promise is not checked, or what of it a record does not show.
pub(super) const fn note(promise: Promise) -> Option<&'static str> {
    match promise {
        Promise::LockExclusion => Some(
            "As far as the locks tell that hosts wrote: what a host believes of them is not recorded.",
        ),
        Promise::Linearizable => Some(
            "Of blocks that COMPARE AND WRITE uses. What READs returned is not recorded, so that a stale one is \
             not seen; what a MISCOMPARE found is, and is told here as a READ.",
        ),
        Promise::HeartbeatDeadline => Some(
            "As long as heartbeats were at the target: what fabrics add is not recorded, nor are those that never came.",
        ),
        Promise::Durability => Some(
            "Not checked: a record does not have what is read, so that nothing shows what is there at the end.",
        ),
        Promise::AnsweredOnce => Some(
            "Not checked: a command is recorded when it is answered, so that one that never is cannot be told from \
             one that never came.",
        ),
        Promise::Fairness => Some(
            "Of hosts that wait for heartbeats and locks: who sent other commands is not recorded.",
        ),
        Promise::NoEarlyTakeover => Some(
            "Of slots that a host marks for replay or takes from another one: one that is just cleared may have been \
             by its owner.",
        ),
        Promise::Information | Promise::Monotonic => None,
    }
}

/// What is concluded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Judgement {
    /// One for each promise, in their order.
    pub(super) verdicts: Vec<Verdict>,
    /// Whether nothing speaks against the unit.
    pub(super) passed: bool,
    /// Why, each in a sentence.
    pub(super) reasons: Vec<String>,
}

/// Judges what checkers said of what was seen of each unit, by name.
pub(super) fn judge(verdicts: Vec<Verdict>, seen: &[(&str, &Sightings)]) -> Judgement {
    let named = |standing| {
        let of = verdicts.iter().filter(|verdict| verdict.standing == standing);
        of.map(|verdict| verdict.promise.name()).collect::<Vec<_>>()
    };
    let (held, broken) = (named(Standing::Held), named(Standing::Broken));
    let mut reasons: Vec<_> =
        broken.iter().map(|promise| format!("{promise} was broken")).collect();
    if broken.is_empty() && held.is_empty() {
        reasons.push("nothing was seen that a promise is about".to_owned());
    }
    let passed = reasons.is_empty();
    if passed {
        reasons.push(format!("held, of what a record can decide: {}", held.join(", ")));
    }
    for (unit, Sightings { gaps, brief, hits }) in seen {
        if *gaps > 0 {
            reasons.push(format!(
                "{unit}: the record has gaps ({gaps}); what happened in them was not looked at"
            ));
        }
        if *brief > 0 {
            reasons.push(format!(
                "{unit}: of {brief} COMPARE AND WRITEs the data is not recorded, which takes `record = \"whole\"`"
            ));
        }
        for (rule, (_, _, count)) in hits {
            reasons
                .push(format!("{unit}: rule \"{rule}\" of a plan of faults has hit {count} times"));
        }
    }
    let mut verdicts: BTreeMap<_, _> =
        verdicts.into_iter().map(|verdict| (verdict.promise, verdict)).collect();
    let all = Promise::ALL
        .map(|promise| verdicts.remove(&promise).unwrap_or_else(|| Verdict::unchecked(promise)));
    Judgement { verdicts: all.to_vec(), passed, reasons }
}
