//! [`Promise::AnsweredOnce`]: every command is answered once.
//!
//! An operation that was aborted or whose host crashed has come to its end, too: what matters is that every one
//! that began is told to have ended, and none twice. Whoever tells of them tells each answer that a
//! transport gave, also one that nothing waited for.
//!
//! Memory: what is in flight.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use pulsefield_units::Instant;

use crate::digest::QuickHasher;
use crate::ledger::Ledger;
use crate::words::Moment;
use crate::{Begun, Breach, Checker, HostId, Operation, OperationId, Promise, UnitId, Verdict};

/// Whether commands are answered once.
#[derive(Debug)]
pub struct AnsweredOnce {
    ledger: Ledger,
    in_flight: HashMap<OperationId, Asked, BuildHasherDefault<QuickHasher>>,
}

#[derive(Debug)]
struct Asked {
    host: HostId,
    unit: UnitId,
    at: Instant,
}

impl Default for AnsweredOnce {
    fn default() -> Self {
        Self { ledger: Ledger::new(Promise::AnsweredOnce), in_flight: HashMap::default() }
    }
}

impl Checker for AnsweredOnce {
    fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    fn begun(&mut self, begun: &Begun) {
        let Begun { id, host, unit, at, .. } = *begun;
        self.in_flight.insert(id, Asked { host, unit, at });
    }

    fn ended(&mut self, operation: &Operation) {
        self.ledger.count();
        if self.in_flight.remove(&operation.id).is_none() {
            let at = operation.returned.unwrap_or(operation.invoked);
            self.ledger.breach(|| Breach {
                at,
                unit: Some(operation.unit),
                hosts: vec![operation.host],
                what: format!(
                    "host {} was answered at {} what was not in flight: asked for at {}, it had been answered \
                     before, or never asked",
                    operation.host.0,
                    Moment(at),
                    Moment(operation.invoked),
                ),
            });
        }
    }

    fn missed(&mut self, unit: UnitId) {
        self.in_flight.retain(|_, asked| asked.unit != unit);
    }

    fn finish(mut self: Box<Self>, at: Instant) -> Verdict {
        let mut missing: Vec<_> = self.in_flight.into_values().collect();
        missing.sort_by_key(|asked| (asked.at, asked.host, asked.unit));
        for asked in missing {
            self.ledger.count();
            self.ledger.breach(|| {
                let what = format!(
                    "what host {} asked for at {} never came to an end",
                    asked.host.0,
                    Moment(asked.at)
                );
                Breach { at, unit: Some(asked.unit), hosts: vec![asked.host], what }
            });
        }
        self.ledger.verdict(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{breach, done, history, judge, read};
    use crate::{Event, Standing};

    fn events() -> Vec<Event> {
        history([done(1, (0, 5), read(1)), done(2, (1, 6), read(1))])
    }

    #[test]
    fn each_is_answered_once() {
        assert_eq!(judge(AnsweredOnce::default(), &events()).standing, Standing::Held);
    }

    #[test]
    fn an_answer_that_comes_twice_is_a_breach() {
        let mut events = events();
        events.push(events[3].clone());
        let verdict = judge(AnsweredOnce::default(), &events);
        let breach = breach(&verdict);
        assert!(
            breach.what.starts_with("host 2 was answered at 0.006000 s what was not in flight")
        );
    }

    #[test]
    fn an_answer_that_never_comes_is_a_breach() {
        let events = &events()[..3];
        let verdict = judge(AnsweredOnce::default(), events);
        assert_eq!(
            breach(&verdict).what,
            "what host 2 asked for at 0.001000 s never came to an end"
        );
        assert_eq!(verdict.checked, 2);
    }
}
