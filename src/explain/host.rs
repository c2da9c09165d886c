//! The hosts that pulse, and how regularly they do.

use std::collections::BTreeMap;
use std::time::Duration;

use pulsefield_units::Instant;
use pulsefield_vmfs::{Heartbeat, HostUuid, PULSE_PERIOD};

use crate::told::Told;

/// A host that pulsed in the time that is recorded, in one slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its UUID.
    pub uuid: HostUuid,
    /// The number of its slot.
    pub slot: u64,
    /// Where that lies, in bytes from the start of the volume.
    pub address: u64,
    /// How often it pulsed with success.
    pub pulses: u64,
    /// How often it tried and failed.
    pub failed: u64,
    /// When its last pulse came.
    pub last: Instant,
    /// The longest time from one pulse to the next, both while the unit served without an end.
    pub longest_gap: Option<Duration>,
    /// How far the times between two pulses are from whole multiples of 3 s, on average: what hosts do at
    /// equal intervals comes in at equal intervals, unless something delays it.
    pub jitter: Option<Duration>,
}

/// The hosts, by UUID and then by address.
#[derive(Debug, Default)]
pub(crate) struct Hosts(BTreeMap<(HostUuid, u64), Pulses>);

#[derive(Debug)]
struct Pulses {
    host: Host,
    epoch: u32,
    deviations: Duration,
    intervals: u32,
}

impl Hosts {
    /// Takes a command; commands come in the order in which they were answered.
    pub(crate) fn take(&mut self, told: Told<'_>) {
        let Some(pulse) = told.pulse() else { return };
        let Some(uuid) = pulse.owner else { return };
        let arrived = told.command.arrived;
        let entry = self.0.entry((uuid, pulse.address));
        let known = entry.or_insert_with(|| Pulses::new(uuid, &pulse, told));
        if !told.is_good() {
            known.host.failed += 1;
            return;
        }
        if known.host.pulses > 0 && known.epoch == told.record.epoch {
            known.interval(arrived.since(known.host.last));
        }
        known.host.pulses += 1;
        (known.host.last, known.epoch) = (arrived, told.record.epoch);
    }

    pub(crate) fn finish(self) -> Vec<Host> {
        let finished = |pulses: Pulses| Host {
            jitter: (pulses.intervals > 0).then(|| pulses.deviations / pulses.intervals.max(1)),
            ..pulses.host
        };
        self.0.into_values().map(finished).collect()
    }
}

impl Pulses {
    fn new(uuid: HostUuid, pulse: &Heartbeat, told: Told<'_>) -> Self {
        let host = Host {
            uuid,
            slot: pulse.slot(),
            address: pulse.address,
            pulses: 0,
            failed: 0,
            last: told.command.arrived,
            longest_gap: None,
            jitter: None,
        };
        Self { host, epoch: told.record.epoch, deviations: Duration::ZERO, intervals: 0 }
    }

    fn interval(&mut self, interval: Duration) {
        self.host.longest_gap = self.host.longest_gap.max(Some(interval));
        self.deviations = self.deviations.saturating_add(off_the_grid(interval));
        self.intervals = self.intervals.saturating_add(1);
    }
}

fn off_the_grid(interval: Duration) -> Duration {
    let period = PULSE_PERIOD.as_nanos();
    let over = interval.as_nanos() % period;
    let off = over.min(period - over);
    Duration::from_nanos(u64::try_from(off).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{A, B, Tape, slot};

    #[test]
    fn pulses_are_counted_and_held_against_the_grid() {
        let mut tape = Tape::new();
        for (nth, millis) in [0, 3_000, 6_040, 9_020, 21_020].into_iter().enumerate() {
            let (old, new) = (slot(A, nth as u64 * 3), slot(A, nth as u64 * 3 + 3));
            tape.at(millis).ats(&old, &new);
        }
        tape.at(21_100).ats(&slot(B, 0), &slot(B, 3));
        tape.at(21_200).found(&slot(A, 15)).miscompare(&slot(A, 12), &slot(A, 18));
        let records = tape.records();
        let hosts = crate::testing::hosts(&records);
        let [a, b] = &hosts[..] else { panic!("{hosts:?}") };
        assert_eq!((a.uuid, a.slot, a.pulses, a.failed), (A, 64, 5, 1));
        assert_eq!(a.longest_gap, Some(Duration::from_secs(12)));
        // 0, 40, 20 and 0 ms off.
        assert_eq!(a.jitter, Some(Duration::from_millis(15)));
        assert_eq!((b.pulses, b.longest_gap, b.jitter), (1, None, None));
    }

    #[test]
    fn a_restart_is_no_gap() {
        let mut tape = Tape::new();
        tape.at(0).ats(&slot(A, 0), &slot(A, 3));
        tape.at(60_000).restart();
        tape.at(60_100).ats(&slot(A, 3), &slot(A, 63));
        let records = tape.records();
        assert_eq!(crate::testing::hosts(&records)[0].longest_gap, None);
    }
}
