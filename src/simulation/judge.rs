//! Whether a run went as it had to: what the checkers say, against what its fault must bring about.

use std::fmt;

use pulsefield_checkers::{Event, Panel, Promise, Standing, Verdict};
use pulsefield_units::Instant;

use crate::swarm::Swarm;

/// The checkers of one run.
pub(crate) struct Judge {
    panel: Panel,
}

/// What is wrong with a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Objection {
    /// A promise was broken, and nothing excuses that.
    Broken(Verdict),
    /// A fault that did something to so many commands must have shown, and did not.
    Missed {
        /// The fault.
        fault: &'static str,
        /// How many commands.
        effects: u64,
    },
}

impl Judge {
    pub(crate) fn new() -> Self {
        Self { panel: Panel::default() }
    }

    /// Has the checkers hear of something.
    pub(crate) fn hear(&mut self, event: &Event) {
        self.panel.observe(event);
    }

    /// What is wrong with the run, of which this is the end; its fault did something to so many commands.
    pub(crate) fn judge(self, at: Instant, swarm: &Swarm, effects: u64) -> Vec<Objection> {
        let verdicts = self.panel.finish(at);
        let broken = verdicts.iter().filter(|verdict| verdict.standing == Standing::Broken);
        let mut objections: Vec<_> = broken
            .filter(|verdict| !is_excused(swarm, verdict.promise))
            .map(|verdict| Objection::Broken(verdict.clone()))
            .collect();
        if let Some(fault) = swarm.fault.filter(|fault| fault.must_show(effects)) {
            let caught = |verdict: &Verdict| {
                verdict.standing == Standing::Broken && fault.breaks(verdict.promise)
            };
            if !verdicts.iter().any(caught) {
                objections.push(Objection::Missed { fault: fault.name, effects });
            }
        }
        objections
    }
}

fn is_excused(swarm: &Swarm, promise: Promise) -> bool {
    let late = matches!(promise, Promise::HeartbeatDeadline | Promise::Fairness);
    late && swarm.delays_heartbeats() || swarm.fault.is_some_and(|fault| fault.excuses(promise))
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(Verdict { promise, breaches, breaches_total, .. }) => {
                write!(f, "{promise} is broken {breaches_total} times")?;
                breaches.first().map_or(Ok(()), |first| {
                    write!(f, ", first at {:.6} s: {}", seconds(first.at), first.what)
                })
            }
            Self::Missed { fault, effects } => {
                write!(f, "{fault} did something to {effects} commands, and no checker has noticed")
            }
        }
    }
}

/// Seconds since the run began.
#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn seconds(at: Instant) -> f64 {
    at.as_nanos() as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::FAULTS;

    #[test]
    fn a_fault_that_nobody_noticed_is_objected_to() {
        let mut swarm = Swarm::of(0);
        swarm.fault = FAULTS.iter().find(|fault| fault.name == "lost-write");
        let objections = |effects| Judge::new().judge(Instant::default(), &swarm, effects);
        assert_eq!(objections(1), [], "it may have harmed nobody");
        let [missed] = &objections(1000)[..] else { panic!() };
        let sentence = "lost-write did something to 1000 commands, and no checker has noticed";
        assert_eq!(missed.to_string(), sentence);
    }
}
