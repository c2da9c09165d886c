//! [`Promise::NoEarlyTakeover`]: nobody is declared dead within a lease of its last pulse.
//!
//! The lease runs from the moment at which the last pulse that counts was *asked* for, 16 s ([`LEASE`]). Pulses
//! that were in flight when their host was declared dead are told afterwards, and count as well.
//!
//! Memory: two moments for each host and unit.

use std::collections::BTreeMap;

use pulsefield_units::Instant;
use pulsefield_vmfs::LEASE;

use crate::ledger::Ledger;
use crate::words::Moment;
use crate::{Breach, Checker, HostId, Promise, Pulse, UnitId, Verdict};

/// Whether only the dead are declared dead.
#[derive(Debug)]
pub struct NoEarlyTakeover {
    ledger: Ledger,
    hosts: BTreeMap<(UnitId, HostId), Known>,
}

/// What is known of a host on a unit.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// When it asked for its last pulse that counts.
    pulse: Option<Instant>,
    /// When it was last declared dead, and by whom.
    declared: Option<(Instant, HostId)>,
}

impl Default for NoEarlyTakeover {
    fn default() -> Self {
        Self { ledger: Ledger::new(Promise::NoEarlyTakeover), hosts: BTreeMap::new() }
    }
}

impl Checker for NoEarlyTakeover {
    fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    fn pulsed(&mut self, pulse: &Pulse) {
        if !pulse.alive {
            return;
        }
        let (host, unit, pulse) = (pulse.host, pulse.unit, pulse.invoked);
        let known = self.hosts.entry((unit, host)).or_default();
        known.pulse = known.pulse.max(Some(pulse));
        if let Some(declared) = known.declared {
            self.judge(host, unit, pulse, declared);
        }
    }

    fn declared_dead(&mut self, host: HostId, unit: UnitId, by: HostId, at: Instant) {
        self.ledger.count();
        let known = self.hosts.entry((unit, host)).or_default();
        known.declared = Some((at, by));
        if let Some(pulse) = known.pulse {
            self.judge(host, unit, pulse, (at, by));
        }
    }

    fn missed(&mut self, unit: UnitId) {
        self.hosts.retain(|(of, _), _| *of != unit);
    }

    fn finish(self: Box<Self>, _at: Instant) -> Verdict {
        self.ledger.verdict(Vec::new())
    }
}

impl NoEarlyTakeover {
    /// A pulse and a declaration, whichever was told first.
    fn judge(&mut self, host: HostId, unit: UnitId, pulse: Instant, (at, by): (Instant, HostId)) {
        if pulse < at && at < pulse.after(LEASE) {
            self.ledger.breach(|| {
                let what = format!(
                    "host {} declared host {} dead at {}, {:.3} s after it asked for its last pulse; the lease is {} s",
                    by.0,
                    host.0,
                    Moment(at),
                    at.since(pulse).as_secs_f64(),
                    LEASE.as_secs(),
                );
                Breach { at, unit: Some(unit), hosts: vec![host, by], what }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{UNIT, at, breach, judge, pulse};
    use crate::{Event, Standing};

    fn declared(when: u64) -> Event {
        Event::DeclaredDead { host: HostId(1), unit: UNIT, by: HostId(2), at: at(when) }
    }

    #[test]
    fn the_living_are_not_taken_for_dead() {
        let verdict =
            judge(NoEarlyTakeover::default(), &[pulse(1, (1000, 1010), true), declared(16_999)]);
        let breach = breach(&verdict);
        assert_eq!(
            breach.what,
            "host 2 declared host 1 dead at 16.999000 s, 15.999 s after it asked for its last pulse; the lease is 16 s"
        );
        assert_eq!(breach.hosts, [HostId(1), HostId(2)]);
    }

    #[test]
    fn the_dead_are() {
        let events = [
            pulse(1, (1000, 1010), true),
            pulse(1, (4000, 12_000), false),
            declared(17_000),
            pulse(1, (18_000, 18_010), true),
        ];
        assert_eq!(judge(NoEarlyTakeover::default(), &events).standing, Standing::Held);
    }

    #[test]
    fn a_pulse_in_flight_counts_when_it_is_told() {
        let events =
            [pulse(1, (1000, 1010), true), declared(17_500), pulse(1, (9000, 18_000), true)];
        assert!(breach(&judge(NoEarlyTakeover::default(), &events)).what.contains("8.500 s after"));
    }
}
