//! Takeover after a missed lease, and a slot that was taken although its owner lived.

use std::fmt;
use std::time::Duration;

use pulsefield_units::Span;
use pulsefield_vmfs::{Heartbeat, HeartbeatState, HostUuid, LEASE, Object};

use super::{Finding, Missing, before};
use crate::case::Case;
use crate::told::Told;

/// Another host changed a heartbeat slot that was in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Takeover<'r> {
    /// Whose slot it was.
    pub owner: Option<HostUuid>,
    /// Its last pulse; `None` if the record begins after it.
    pub last_pulse: Option<Told<'r>>,
    /// The command that changed the slot.
    pub by: Told<'r>,
    /// The host that did, if what it wrote names one.
    pub host: Option<HostUuid>,
    /// For how long the owner had not pulsed then; at least so long without its last pulse.
    pub silent: Duration,
    late: Told<'r>,
}

pub(super) fn look<'r>(case: &Case<'_, 'r>) -> Option<Finding<'r>> {
    let expected = in_use(case.expected)?;
    let is_owners = |image: &[u8]| in_use(image).is_some_and(|it| it.owner == expected.owner);
    if is_owners(case.found) || !matches!(Object::decode(case.found)?, Object::Heartbeat(_)) {
        return None;
    }
    let pulsed = |told: &Told<'r>| case.image_of(*told).is_some_and(is_owners);
    let last = case.before.iter().rposition(pulsed);
    let by = *case.before.get(last.map_or(0, |last| last + 1))?;
    let left = Object::decode(case.image_of(by).unwrap_or(case.found));
    let host = left.and_then(|object| match object {
        Object::Heartbeat(it) => {
            it.replaying_host.or(it.owner).filter(|it| Some(*it) != expected.owner)
        }
        Object::Lock(_) => None,
    });
    let last_pulse = last.map(|last| case.before[last]);
    let since = match last_pulse {
        Some(pulse) if pulse.record.epoch == by.record.epoch => pulse.applied(),
        // Of what was in flight when the unit began again nothing is known.
        Some(_) => return Some(Finding::Unknown(Missing::Pulse(by))),
        None => case.traffic.first_ats(by.record.epoch)?,
    };
    let silent = by.applied().since(since);
    let takeover =
        Takeover { owner: expected.owner, last_pulse, by, host, silent, late: case.told };
    match (silent >= LEASE, last_pulse, host) {
        (true, ..) => Some(Finding::Takeover(takeover)),
        (false, None, _) => Some(Finding::Unknown(Missing::Pulse(by))),
        (false, Some(_), Some(_)) => Some(Finding::Seized(takeover)),
        // It may have cleared its slot itself.
        (false, Some(_), None) => None,
    }
}

fn in_use(image: &[u8]) -> Option<Heartbeat> {
    match Object::decode(image)? {
        Object::Heartbeat(it) if it.state == HeartbeatState::InUse => Some(it),
        Object::Heartbeat(_) | Object::Lock(_) => None,
    }
}

/// A host that may have no name, in a sentence.
struct Named(Option<HostUuid>);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(host) => write!(f, "host {host}"),
            None => f.write_str("a host that did not write its name"),
        }
    }
}

impl fmt::Display for Takeover<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { owner, last_pulse, by, host, silent, late } = self;
        let (host, owner) = (Named(*host), Named(*owner));
        let ago = before(by.applied(), late.applied());
        write!(f, "{host} changed the slot of {owner} by {by}, {ago} before; the owner ")?;
        match last_pulse {
            Some(pulse) => {
                let pulsed = before(pulse.applied(), late.applied());
                write!(
                    f,
                    "had last pulsed {} before that ({pulsed} before its own try)",
                    Span(*silent)
                )?;
            }
            None => {
                write!(f, "had not pulsed for at least {}, as far as is recorded", Span(*silent))?
            }
        }
        let lease = LEASE.as_secs();
        match *silent >= LEASE {
            true => write!(f, "; its lease is {lease} s"),
            false => write!(f, ", within its lease of {lease} s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::FindingKind::{Contention, Retry, Seized, Takeover, Unknown};
    use crate::testing::{A, B, Tape, clear, explain, in_generation, last_kind, slot};

    fn taken_after(millis: u64) -> Tape {
        let mut tape = Tape::new();
        tape.at(0).ats(&slot(A, 0), &slot(A, 3));
        tape.at(millis).ats(&slot(A, 3), &in_generation(B, 500, 7));
        let found = in_generation(B, 500, 7);
        tape.at(millis + 1_000).found(&found).miscompare(&slot(A, 3), &slot(A, 30));
        tape
    }

    #[test]
    fn a_slot_that_was_taken_after_the_lease() {
        let words = "host 22222222-22222222-2222-222222222222 changed the slot of host \
                     11111111-11111111-1111-111111111111 by #2 COMPARE AND WRITE 43520+1, 1.00 s before; the \
                     owner had last pulsed 17.0 s before that (18.0 s before its own try); its lease is 16 s";
        assert_eq!(explain(taken_after(17_000)), (Takeover, words.to_owned()));
        assert_eq!(
            explain(taken_after(16_000)).0,
            Takeover,
            "the lease is over after it, not later"
        );
    }

    #[test]
    fn a_slot_that_was_cleared_after_the_lease() {
        let mut tape = Tape::new();
        tape.at(0).ats(&slot(A, 0), &slot(A, 3));
        tape.at(20_000).ats(&slot(A, 3), &clear(6));
        tape.at(21_000).found(&clear(6)).miscompare(&slot(A, 3), &slot(A, 24));
        let (kind, words) = explain(tape);
        assert_eq!(kind, Takeover);
        assert!(words.starts_with("a host that did not write its name"), "{words}");
    }

    #[test]
    fn within_the_lease_it_is_seized() {
        let (kind, words) = explain(taken_after(15_999));
        assert_eq!(kind, Seized);
        assert!(words.ends_with(", within its lease of 16 s"), "{words}");
    }

    #[test]
    fn without_the_last_pulse_only_a_long_record_tells() {
        let taken = |silence: u64| {
            let mut tape = Tape::new();
            tape.at(0).ats(&slot(A, 0), &slot(A, 3)).forget();
            // Any ATS from which on the record is there.
            tape.at(100).found(&slot(A, 3)).miscompare(&slot(A, 0), &slot(A, 0));
            tape.at(silence).ats(&slot(A, 3), &in_generation(B, 500, 7));
            let found = in_generation(B, 500, 7);
            tape.at(silence + 10).found(&found).miscompare(&slot(A, 3), &slot(A, 30));
            last_kind(tape)
        };
        assert_eq!(taken(17_000), Takeover);
        assert_eq!(taken(9_000), Unknown);
    }

    #[test]
    fn neighbours() {
        // Two hosts want a clear slot.
        let mut tape = Tape::new();
        tape.at(0).ats(&clear(4), &slot(B, 3));
        tape.at(20).found(&slot(B, 3)).miscompare(&clear(4), &slot(A, 3));
        assert_eq!(explain(tape).0, Contention);
        // The owner itself has written, after however long.
        let mut tape = Tape::new();
        tape.at(0).ats(&slot(A, 0), &slot(A, 3)).at(40_000).ats(&slot(A, 3), &slot(A, 43));
        tape.at(41_000).found(&slot(A, 43)).miscompare(&slot(A, 3), &slot(A, 46));
        assert_eq!(explain(tape).0, Retry);
        // Cleared within the lease: it may have been the owner.
        let mut tape = Tape::new();
        tape.at(0).ats(&slot(A, 0), &slot(A, 3)).at(3_000).ats(&slot(A, 3), &clear(6));
        tape.at(3_010).found(&clear(6)).miscompare(&slot(A, 3), &slot(A, 6));
        assert_eq!(explain(tape).0, Contention);
    }
}
