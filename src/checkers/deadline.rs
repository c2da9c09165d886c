//! [`Promise::HeartbeatDeadline`]: heartbeats are answered in time.
//!
//! A pulse that takes [`LATE`] is late: the next one is due. One that takes [`DEADLINE`] breaks the promise: its
//! host gives it up and asks anew (KB 2136081). And so does a lease that runs out while its host asked for
//! pulses all the time: others take it for dead. A host that did not ask, because it was frozen or had
//! crashed, has itself to blame.
//!
//! Memory: a few words for each host and unit.

use std::collections::BTreeMap;
use std::time::Duration;

use pulsefield_units::Instant;
use pulsefield_vmfs::{LEASE, PULSE_PERIOD};

use crate::ledger::Ledger;
use crate::words::Moment;
use crate::{Breach, Checker, Figure, HostId, Promise, Pulse, UnitId, Verdict};

/// A pulse that takes so long is late.
pub const LATE: Duration = PULSE_PERIOD;

/// A pulse that takes so long is given up by its host, which then asks for a new one (Broadcom KB 2136081).
pub const DEADLINE: Duration = Duration::from_secs(8);

/// A host that asked for nothing for so long after its last pulse ended did not try.
const PAUSE: Duration = Duration::from_secs(4);

/// Whether heartbeats are answered in time.
#[derive(Debug)]
pub struct HeartbeatDeadline {
    ledger: Ledger,
    tries: BTreeMap<(UnitId, HostId), Tries>,
    late: u64,
    overdue: u64,
    leases_lost: u64,
    longest: Duration,
}

/// The pulses of a host since the last one that counted.
#[derive(Clone, Copy, Debug)]
struct Tries {
    /// When the first of them, or the one that counted, was asked for.
    since: Instant,
    /// When the last of them ended.
    until: Instant,
    /// Whether it was told that the lease ran out.
    told: bool,
}

impl Default for HeartbeatDeadline {
    fn default() -> Self {
        Self {
            ledger: Ledger::new(Promise::HeartbeatDeadline),
            tries: BTreeMap::new(),
            late: 0,
            overdue: 0,
            leases_lost: 0,
            longest: Duration::ZERO,
        }
    }
}

impl Checker for HeartbeatDeadline {
    fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    fn pulsed(&mut self, pulse: &Pulse) {
        self.ledger.count();
        self.time(pulse);
        self.follow_lease(pulse);
    }

    fn forgotten(&mut self, host: HostId) {
        self.tries.retain(|(_, owner), _| *owner != host);
    }

    fn missed(&mut self, unit: UnitId) {
        self.tries.retain(|(of, _), _| *of != unit);
    }

    fn finish(self: Box<Self>, _at: Instant) -> Verdict {
        let longest_us = u64::try_from(self.longest.as_micros()).unwrap_or(u64::MAX);
        let figure = |name, value| Figure { name, value };
        let figures = vec![
            figure("pulses_late", self.late),
            figure("pulses_overdue", self.overdue),
            figure("leases_lost", self.leases_lost),
            figure("longest_us", longest_us),
        ];
        self.ledger.verdict(figures)
    }
}

impl HeartbeatDeadline {
    fn time(&mut self, pulse: &Pulse) {
        let took = pulse.returned.since(pulse.invoked);
        self.longest = self.longest.max(took);
        self.late += u64::from(took >= LATE);
        if took >= DEADLINE {
            self.overdue += 1;
            self.ledger.breach(|| {
                let (host, asked) = (pulse.host.0, Moment(pulse.invoked));
                let (took, deadline) = (took.as_secs_f64(), DEADLINE.as_secs());
                breach(pulse, format!(
                    "the pulse that host {host} asked for at {asked} took {took:.3} s; the deadline is {deadline} s"
                ))
            });
        }
    }

    fn follow_lease(&mut self, pulse: &Pulse) {
        let Pulse { invoked, returned, alive, .. } = *pulse;
        let fresh = Tries { since: invoked, until: returned, told: false };
        let tries = self.tries.entry((pulse.unit, pulse.host)).or_insert(fresh);
        if alive || invoked.since(tries.until) > PAUSE {
            *tries = fresh;
            return;
        }
        tries.until = tries.until.max(returned);
        if !tries.told && returned.since(tries.since) >= LEASE {
            tries.told = true;
            self.leases_lost += 1;
            let (host, since) = (pulse.host.0, Moment(tries.since));
            self.ledger.breach(|| {
                breach(pulse, format!(
                    "the lease of host {host} ran out: it asked for pulses since {since}, and none counted until {}",
                    Moment(returned)
                ))
            });
        }
    }
}

fn breach(pulse: &Pulse, what: String) -> Breach {
    Breach { at: pulse.returned, unit: Some(pulse.unit), hosts: vec![pulse.host], what }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{at, breach, judge, pulse};
    use crate::{Event, Standing};

    fn verdict(events: &[Event]) -> Verdict {
        judge(HeartbeatDeadline::default(), events)
    }

    fn figure(verdict: &Verdict, name: &str) -> u64 {
        verdict.figures.iter().find(|figure| figure.name == name).unwrap().value
    }

    #[test]
    fn late_is_counted_and_eight_seconds_are_a_breach() {
        let punctual =
            [pulse(1, (0, 5), true), pulse(1, (3000, 6100), true), pulse(1, (6200, 14_199), true)];
        let held = verdict(&punctual);
        assert_eq!((held.standing, figure(&held, "pulses_late")), (Standing::Held, 2));
        assert_eq!(figure(&held, "longest_us"), 7_999_000);
        let broken = verdict(&[&punctual[..], &[pulse(1, (15_000, 23_000), true)]].concat());
        assert_eq!(
            breach(&broken).what,
            "the pulse that host 1 asked for at 15.000000 s took 8.000 s; the deadline is 8 s"
        );
    }

    #[test]
    fn a_lease_runs_out_once_however_many_pulses_fail() {
        let failing = (1..20).map(|nth| pulse(1, (nth * 1000, nth * 1000 + 900), false));
        let events: Vec<_> = [pulse(1, (0, 5), true)].into_iter().chain(failing).collect();
        let broken = verdict(&events);
        assert_eq!(figure(&broken, "leases_lost"), 1);
        assert!(breach(&broken).what.starts_with("the lease of host 1 ran out"));
    }

    #[test]
    fn a_host_that_did_not_ask_has_lost_its_lease_by_itself() {
        let frozen = [pulse(1, (0, 5), true), pulse(1, (30_000, 30_010), false)];
        assert_eq!(verdict(&frozen).standing, Standing::Held);
        let gone = Event::Forgotten { host: HostId(1), at: at(9000) };
        let crashed =
            [pulse(1, (5000, 8000), false), gone, pulse(1, (11_000, 21_000 - 2001), false)];
        assert_eq!(verdict(&crashed).standing, Standing::Held);
    }
}
