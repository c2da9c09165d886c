//! Which hosts pulse on a logical unit, and when each did last: read off the heartbeats that they write.
//!
//! TCMU does not say who sends a command; a heartbeat of VMFS names its host. A host pulses by COMPARE
//! AND WRITE, or by WRITE where ATS heartbeats are switched off (VMware KB 2113956), every three seconds;
//! after sixteen seconds of silence others may take its locks (`VMFS3.LeaseTimeout`).
//!
//! Plain data of the unit's own thread. Memory is bounded: [`HOSTS_MAX`] hosts, and of more the one that
//! was silent for longest is forgotten.

use std::net::IpAddr;
use std::time::Duration;

use pulsefield_units::Instant;
use pulsefield_vmfs::{Heartbeat, HeartbeatState, HostUuid};

/// The most hosts that are known of one unit: as many as vSphere lets share a datastore (its
/// *Configuration Maximums*).
const HOSTS_MAX: usize = 64;

/// A host that was silent for so long will not come back under its slot.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// A host that pulses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) uuid: HostUuid,
    /// Its heartbeat slot, counted from 0.
    pub(crate) slot: u64,
    /// Where that lies in the volume, in bytes: whoever clears it ends the host's time here.
    address: u64,
    /// Its management address, if its heartbeat says one.
    pub(crate) management_address: Option<IpAddr>,
    /// How long it had been up when it pulsed last, as it says itself.
    pub(crate) stamp: Duration,
    /// When it pulsed last.
    pub(crate) last: Instant,
    /// The times between its pulses.
    pub(crate) intervals: Intervals,
}

/// How long it was from one pulse to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Intervals {
    /// By [`Intervals::BOUNDS`]: those not above the first, those between it and the second, and so on;
    /// the last are above all of them.
    counts: [u64; Self::BOUNDS.len() + 1],
    pub(crate) sum: Duration,
    pub(crate) longest: Duration,
}

impl Intervals {
    /// A second more than there is between two pulses, so that one that was delayed is told from one
    /// that was not; what ESXi gives a heartbeat; and when its locks may be taken.
    pub(crate) const BOUNDS: [Duration; 3] =
        [Duration::from_secs(4), Duration::from_secs(8), Duration::from_secs(16)];

    fn add(&mut self, interval: Duration) {
        let place = Self::BOUNDS.iter().position(|bound| interval <= *bound);
        self.counts[place.unwrap_or(Self::BOUNDS.len())] += 1;
        self.sum += interval;
        self.longest = self.longest.max(interval);
    }

    /// How many there were.
    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How many were not above each bound.
    pub(crate) fn upto(&self) -> [u64; Self::BOUNDS.len()] {
        let mut counted = 0;
        std::array::from_fn(|place| {
            counted += self.counts[place];
            counted
        })
    }
}

/// The hosts of one unit.
#[derive(Debug, Default)]
pub(crate) struct Hosts(Vec<Host>);

impl Hosts {
    /// Takes note of a heartbeat that was written.
    pub(crate) fn note(&mut self, now: Instant, heartbeat: &Heartbeat) {
        match (heartbeat.state, heartbeat.owner) {
            (HeartbeatState::InUse, Some(uuid)) => self.pulse(now, uuid, heartbeat),
            (HeartbeatState::Clear, _) => {
                self.0.retain(|host| host.address != heartbeat.address);
            }
            // Another host has it now and replays the journal: the owner is not heard of by that.
            (HeartbeatState::Replaying, _) | (HeartbeatState::InUse, None) => {}
        }
    }

    fn pulse(&mut self, now: Instant, uuid: HostUuid, heartbeat: &Heartbeat) {
        let known = self.0.iter().position(|host| host.uuid == uuid);
        let mut intervals = Intervals::default();
        if let Some(known) = known {
            intervals = self.0[known].intervals;
            intervals.add(now.since(self.0[known].last));
        }
        let host = Host {
            uuid,
            slot: heartbeat.slot(),
            address: heartbeat.address,
            management_address: heartbeat.management_address,
            stamp: heartbeat.stamp,
            last: now,
            intervals,
        };
        match known {
            Some(known) => self.0[known] = host,
            None if self.0.len() < HOSTS_MAX => self.0.push(host),
            None => {
                if let Some(oldest) = self.0.iter_mut().min_by_key(|host| host.last) {
                    *oldest = host;
                }
            }
        }
    }

    /// All of them, by name; those that were silent for a day are forgotten.
    pub(crate) fn report(&mut self, now: Instant) -> Vec<Host> {
        self.0.retain(|host| now.since(host.last) < FORGOTTEN_AFTER);
        let mut hosts = self.0.clone();
        hosts.sort_by_key(|host| host.uuid);
        hosts
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use pulsefield_vmfs::REGION_OFFSET;

    use super::*;

    const fn second(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    /// The slot `slot` of a VMFS 6 volume, in use by the host with this number.
    pub(crate) fn sector(slot: u8, host: u8) -> [u8; 512] {
        let heartbeat = Heartbeat {
            state: HeartbeatState::InUse,
            owner: HostUuid::from_bytes([host; 16]),
            major_version: 24,
            ..Heartbeat::never_used(REGION_OFFSET + u64::from(slot) * 4096)
        };
        heartbeat.encode()
    }

    /// The same when nobody has it.
    pub(crate) fn cleared(slot: u8) -> [u8; 512] {
        let mut sector = sector(slot, 0);
        sector[0] = 0x01;
        sector
    }

    fn note(hosts: &mut Hosts, at: u64, sector: &[u8]) {
        hosts.note(second(at), &Heartbeat::decode(sector).unwrap());
    }

    #[test]
    fn a_host_is_known_by_its_pulses_until_its_slot_is_cleared() {
        let mut hosts = Hosts::default();
        for at in [10, 13, 16, 24, 41] {
            note(&mut hosts, at, &sector(3, 7));
        }
        note(&mut hosts, 20, &sector(4, 8));
        let seen = hosts.report(second(42));
        let [seven, eight] = &seen[..] else { panic!("{seen:?}") };
        assert_eq!((seven.slot, seven.last), (3, second(41)));
        let Intervals { sum, longest, .. } = seven.intervals;
        assert_eq!((sum, longest), (Duration::from_secs(31), Duration::from_secs(17)));
        assert_eq!((seven.intervals.upto(), seven.intervals.count()), ([2, 3, 3], 4));
        assert_eq!((eight.last, eight.intervals.count()), (second(20), 0));
        note(&mut hosts, 43, &cleared(3));
        assert_eq!(hosts.report(second(44)), std::slice::from_ref(eight));
    }

    #[test]
    fn whoever_replays_a_journal_is_not_its_owner() {
        let mut hosts = Hosts::default();
        note(&mut hosts, 1, &sector(3, 7));
        let mut replaying = sector(3, 7);
        replaying[0] = 0x03;
        note(&mut hosts, 20, &replaying);
        assert_eq!(hosts.report(second(21))[0].last, second(1));
    }

    #[test]
    fn a_host_that_takes_another_slot_stays_one() {
        let mut hosts = Hosts::default();
        note(&mut hosts, 1, &sector(3, 7));
        note(&mut hosts, 4, &sector(9, 7));
        note(&mut hosts, 5, &cleared(3));
        let seen = hosts.report(second(6));
        assert_eq!((seen.len(), seen[0].slot), (1, 9));
    }

    #[test]
    fn of_too_many_the_one_that_was_silent_for_longest_is_forgotten() {
        let mut hosts = Hosts::default();
        for host in 1..=u8::try_from(HOSTS_MAX).unwrap() {
            note(&mut hosts, host.into(), &sector(host, host));
        }
        note(&mut hosts, 100, &sector(1, 1));
        note(&mut hosts, 101, &sector(200, 200));
        let seen = hosts.report(second(102));
        assert_eq!(seen.len(), HOSTS_MAX);
        let has = |host: u8| seen.iter().any(|seen| seen.uuid.as_bytes() == &[host; 16]);
        assert!(has(1) && has(200) && !has(2));
    }

    #[test]
    fn a_day_of_silence_ends_it() {
        let mut hosts = Hosts::default();
        note(&mut hosts, 0, &sector(1, 1));
        note(&mut hosts, 10, &sector(2, 2));
        assert_eq!(hosts.report(second(86_399)).len(), 2);
        assert_eq!(hosts.report(second(86_400)).len(), 1);
    }
}
