//! Verdicts as a run has them.

use pulsefield_checkers as checkers;

use super::Names;
use crate::run::{BREACHES_MAX, Breach, Promise, Standing};

/// What is promised, in a sentence for people.
const fn sentence(promise: checkers::Promise) -> &'static str {
    match promise {
        checkers::Promise::LockExclusion => {
            "No two hosts believe to have the same lock while both have a valid lease."
        }
        checkers::Promise::Linearizable => {
            "Every block behaves as one register: reads, writes and COMPARE AND WRITE can be put in one order."
        }
        checkers::Promise::Information => {
            "A MISCOMPARE tells the offset of the first byte that differs."
        }
        checkers::Promise::HeartbeatDeadline => "Every heartbeat is answered within 8 seconds.",
        checkers::Promise::Durability => "What was acknowledged is there at the end.",
        checkers::Promise::AnsweredOnce => "Every command is answered exactly once.",
        checkers::Promise::Fairness => "No host starves.",
        checkers::Promise::Monotonic => "Tokens of locks and generations of heartbeats only grow.",
        checkers::Promise::NoEarlyTakeover => {
            "No host is declared dead within a lease of its last heartbeat."
        }
    }
}

pub(super) fn promise(
    verdict: checkers::Verdict,
    note: Option<String>,
    names: &Names<'_>,
) -> Promise {
    let checkers::Verdict { promise, standing, checked, figures, breaches, breaches_total } =
        verdict;
    let breach = |breach: checkers::Breach| Breach {
        at_ms: names.at_ms(breach.at),
        unit: breach.unit.map(|unit| names.unit(unit)),
        hosts: breach.hosts.iter().map(|host| names.host(*host)).collect(),
        what: breach.what,
    };
    Promise {
        name: promise.name().to_owned(),
        says: sentence(promise).to_owned(),
        standing: match standing {
            checkers::Standing::Held => Standing::Held,
            checkers::Standing::Broken => Standing::Broken,
            checkers::Standing::Unchecked => Standing::Unchecked,
        },
        note,
        checked,
        figures: figures.iter().map(|it| (it.name.to_owned(), it.value)).collect(),
        breaches: breaches.into_iter().take(BREACHES_MAX).map(breach).collect(),
        breaches_total,
    }
}
