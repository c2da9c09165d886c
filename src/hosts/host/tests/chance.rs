//! Whatever a device does: what a host says of its heartbeats is so.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use pulsefield_units::Instant;
use pulsefield_vmfs::{DiskLock, Heartbeat, HeartbeatState, LEASE, LockKind};

use crate::testing::{Cluster, Fate, VOLUME};
use crate::{Access, HeartbeatMode, Io, Locking, Notice, Order, OrderId, OrderKind, Outcome};

/// What the hosts want.
const LOCKS: [u64; 2] = [0x72_0000, 0x72_2000];

/// How often each host wants each of them.
const ORDERS_OF_A_LOCK: usize = 10;

/// When all orders have ended: a host takes those of one lock one after the other, and has patience for 20 seconds
/// with each where another host did not get its lock given back.
const ORDERS_END: Duration = Duration::from_secs(10 * 20 + 40);

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

/// Whether a command writes a heartbeat that is in use.
fn writes_heartbeat(io: &Io) -> bool {
    let (Io::Write { data: image, .. } | Io::CompareAndWrite { set: image, .. }) = io else {
        return false;
    };
    Heartbeat::decode(image).is_some_and(|heartbeat| heartbeat.state == HeartbeatState::InUse)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Three hosts that want the same locks, and a device at its worst. Each moment in which a host calls itself
    /// alive, its heartbeat is on the medium; it takes no lock when it may not be; it says of each lock that it
    /// took that it has it no longer, and of each order how it ended; and it never has two pulses in flight. When
    /// the device is well again, so are the hosts.
    #[test]
    fn a_host_that_calls_itself_alive_is(
        fates in proptest::collection::vec(fates(), 1..60),
        mode in modes(),
        locking in proptest::sample::select(Locking::ALL.to_vec()),
        freezes in proptest::collection::vec((0..3_usize, 0..40_u64), 0..4),
    ) {
        let mut cluster = Cluster::new(3, mode, locking);
        for lock in LOCKS {
            let image = DiskLock::never_taken(LockKind::FileDescriptor, lock).encode();
            cluster.medium.put(lock, &image);
        }
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
        for round in 0..4000 {
            if round % 200 == 0 {
                order_all(&mut cluster, round);
            }
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
        cluster.run(ORDERS_END);
        for host in 0..3 {
            in_order(&cluster, host)?;
            one_at_a_time(&cluster, host)?;
        }
    }
}

/// Has each host take a lock for a while.
fn order_all(cluster: &mut Cluster, round: u64) {
    let now = cluster.now;
    for (nth, host) in (0..).zip(&mut cluster.hosts) {
        let lock = LOCKS[usize::try_from((round / 200 + nth) % 2).unwrap()];
        let kind = OrderKind::Exclusive { lock, hold: Duration::from_millis(round % 1900) };
        host.order(now, Order { id: OrderId(round * 3 + nth), volume: VOLUME, kind });
    }
}

/// What a host said makes sense, one after the other.
fn in_order(cluster: &Cluster, host: usize) -> Result<(), TestCaseError> {
    let mut last_alive = Instant::default();
    let mut lost = false;
    let mut claims = Vec::new();
    let mut ended = BTreeSet::new();
    for (at, _, notice) in cluster.said.iter().filter(|(_, nth, _)| *nth == host) {
        match notice {
            Notice::Pulse { alive: true, took, .. } => {
                let took = u64::try_from(took.as_nanos()).unwrap();
                last_alive = Instant::from_nanos(at.as_nanos() - took);
            }
            Notice::Access { access, .. } => {
                prop_assert_eq!(lost, *access != Access::Lost, "{:?} at {:?}", access, at);
                lost = *access == Access::Lost;
                let kept = matches!(access, Access::Lost | Access::Resumed);
                prop_assert!(kept || claims.is_empty(), "{:?}", claims);
            }
            Notice::LockTaken(claim) => {
                prop_assert!(!lost && at.since(last_alive) < LEASE, "{:?} at {:?}", claim, at);
                claims.push(*claim);
            }
            Notice::LockLeft(claim) => {
                let position = claims.iter().position(|taken| taken == claim);
                prop_assert!(position.is_some());
                claims.swap_remove(position.unwrap());
            }
            Notice::Finished { order, .. } => prop_assert!(ended.insert(*order)),
            _ => {}
        }
    }
    prop_assert_eq!(ended.len(), LOCKS.len() * ORDERS_OF_A_LOCK);
    prop_assert_eq!(claims, []);
    Ok(())
}

/// A host never has two heartbeats of its own in flight.
fn one_at_a_time(cluster: &Cluster, host: usize) -> Result<(), TestCaseError> {
    let own = cluster.asked.iter().filter(|(_, nth, ..)| *nth == host);
    let pulses: Vec<_> = own.filter(|(.., io)| writes_heartbeat(io)).collect();
    prop_assert!(pulses.len() >= 2);
    for pair in pulses.windows(2) {
        let (_, _, first, _) = pair[0];
        let (asked, ..) = pair[1];
        prop_assert!(cluster.answered[&(host, *first)] <= *asked);
    }
    Ok(())
}
