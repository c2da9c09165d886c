//! Whatever a device does: what a host says of its heartbeats is so.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use pulsefield_units::Instant;
use pulsefield_vmfs::{Heartbeat, HeartbeatState, LEASE};

use crate::testing::{Cluster, Fate};
use crate::{Access, HeartbeatMode, Io, IoId, Locking, Notice, Outcome};

fn fates() -> impl Strategy<Value = Fate> {
    prop_oneof![
        8 => Just(Fate::Done),
        2 => (0..12_000_u64).prop_map(|millis| Fate::Slow(Duration::from_millis(millis))),
        2 => Just(Fate::Unanswered),
        2 => Just(Fate::Dropped),
        1 => Just(Fate::Refused(Outcome::Busy)),
        1 => Just(Fate::Refused(Outcome::ReservationConflict)),
        1 => Just(Fate::Refused(Outcome::Lost)),
        1 => Just(Fate::Refused(Outcome::Miscompare(Some(0)))),
    ]
}

fn modes() -> impl Strategy<Value = HeartbeatMode> {
    proptest::sample::select(HeartbeatMode::ALL.to_vec())
}

/// The slot and the image that a command writes, if it writes a heartbeat that is in use.
fn written(io: &Io) -> Option<Heartbeat> {
    let (Io::Write { data: image, .. } | Io::CompareAndWrite { set: image, .. }) = io else {
        return None;
    };
    Heartbeat::decode(image).filter(|heartbeat| heartbeat.state == HeartbeatState::InUse)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Three hosts and a device at its worst. Each moment in which a host calls itself alive, its stamp is on
    /// the medium and nobody else's; it never has two heartbeats in flight unless it has reset the device; and
    /// within a lease of its last pulse nobody clears its slot.
    #[test]
    fn a_host_that_calls_itself_alive_is(
        fates in proptest::collection::vec(fates(), 1..60),
        mode in modes(),
        locking in proptest::sample::select(vec![Locking::AtsOnly, Locking::Reservations]),
        freezes in proptest::collection::vec((0..3_usize, 0..40_u64), 0..4),
    ) {
        let mut cluster = Cluster::new(3, mode, locking);
        let mut next = 0;
        cluster.fate = Box::new(move |_, io| {
            next += 1;
            match (fates[next % fates.len()].clone(), io) {
                // A device that says GOOD to a reset has aborted everything.
                (Fate::Refused(_), Io::LogicalUnitReset) => Fate::Done,
                // A device does not tell of its own accord that a plain command miscompared.
                (Fate::Refused(Outcome::Miscompare(_)), io)
                    if !matches!(io, Io::CompareAndWrite { .. }) => Fate::Done,
                (fate, _) => fate,
            }
        });
        for (host, seconds) in freezes {
            cluster.run(Duration::from_secs(20));
            let now = cluster.now;
            cluster.hosts[host].freeze(now, Duration::from_secs(seconds));
        }
        let mut heard = 0;
        for _ in 0..4000 {
            cluster.run(Duration::from_millis(20));
            for (_, host, notice) in &cluster.said[heard..] {
                if let Notice::Pulse { alive: true, .. } = notice {
                    let (slot, generation) = cluster.acquired(*host).unwrap();
                    let there = cluster.medium.heartbeat(slot);
                    prop_assert_eq!(there.owner, Some(cluster.hosts[*host].uuid()));
                    prop_assert_eq!(there.generation, generation);
                }
            }
            heard = cluster.said.len();
        }
        in_order(&cluster)?;

        // When the device is well again, so are the hosts.
        cluster.fate = Box::new(|_, _| Fate::Done);
        cluster.run(Duration::from_secs(60));
        let heard = cluster.said.len();
        cluster.run(Duration::from_secs(6));
        for host in 0..3 {
            let alive = cluster.said[heard..].iter().filter(|(_, nth, notice)| {
                *nth == host && matches!(notice, Notice::Pulse { alive: true, .. })
            });
            prop_assert_eq!(alive.count(), 2);
        }
    }
}

/// What each host said makes sense, one after the other.
fn in_order(cluster: &Cluster) -> Result<(), TestCaseError> {
    let mut last_alive: BTreeMap<usize, Instant> = BTreeMap::new();
    let mut lost: BTreeMap<usize, bool> = BTreeMap::new();
    for (at, host, notice) in &cluster.said {
        match notice {
            Notice::Pulse { alive: true, took, .. } => {
                let asked =
                    Instant::from_nanos(at.as_nanos() - u64::try_from(took.as_nanos()).unwrap());
                last_alive.insert(*host, asked);
            }
            Notice::Access { access, .. } => {
                let was_lost = lost.insert(*host, *access == Access::Lost).unwrap_or(false);
                prop_assert_eq!(was_lost, *access != Access::Lost, "{:?}", cluster.said);
                if *access == Access::Resumed {
                    prop_assert!(at.since(last_alive[host]) < LEASE);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Heartbeats that a host has in flight, by what it asked for and heard.
#[test]
fn a_host_never_has_two_pulses_in_flight() {
    let mut cluster = Cluster::new(2, HeartbeatMode::Ats, Locking::AtsOnly);
    cluster.fate = Box::new(|_, io| match io {
        Io::LogicalUnitReset => Fate::Done,
        _ => Fate::Slow(Duration::from_millis(7900)),
    });
    cluster.run(Duration::from_secs(300));
    let mut pulses: BTreeMap<usize, Vec<(Instant, IoId)>> = BTreeMap::new();
    for (at, host, id, io) in &cluster.asked {
        if written(io).is_some() {
            pulses.entry(*host).or_default().push((*at, *id));
        }
    }
    for pulses in pulses.values() {
        assert!(pulses.len() > 20);
        for pair in pulses.windows(2) {
            assert!(pair[1].0.since(pair[0].0) >= Duration::from_millis(7900));
        }
    }
}
