//! Locks and heartbeats: what a host has ends with its heartbeat, and not before.

use std::time::Duration;

use pulsefield_vmfs::{DiskLock, HeartbeatState, LEASE, LockKind, REGION_OFFSET};

use crate::testing::{Cluster, Fate, LATENCY, VMFS_6, VOLUME};
use crate::{
    Access, HeartbeatMode, Io, LockOutcome, Locking, Notice, Order, OrderId, OrderKind, Outcome,
};

/// The first file descriptor of a volume of VMFS 6.
const LOCK: u64 = 0x72_0000;

const MINUTE: Duration = Duration::from_secs(60);

fn healthy(locking: Locking) -> Cluster {
    let mut cluster = Cluster::new(2, HeartbeatMode::AtsReadBack, locking);
    let lock = DiskLock::never_taken(LockKind::FileDescriptor, LOCK);
    cluster.medium.put(LOCK, &lock.encode());
    cluster.run(Duration::from_secs(10));
    cluster
}

/// Has a host take the lock for so long.
fn order(cluster: &mut Cluster, host: usize, id: u64, hold: Duration) {
    let kind = OrderKind::Exclusive { lock: LOCK, hold };
    let now = cluster.now;
    cluster.hosts[host].order(now, Order { id: OrderId(id), volume: VOLUME, kind });
}

fn ends(cluster: &Cluster, host: usize) -> Vec<LockOutcome> {
    let end = |notice: &Notice| match notice {
        Notice::Finished { outcome, .. } => Some(*outcome),
        _ => None,
    };
    cluster.notices(host).filter_map(end).collect()
}

/// When a host said something, first.
fn when(cluster: &Cluster, host: usize, said: impl Fn(&Notice) -> bool) -> Option<Duration> {
    let mut these = cluster.said.iter().filter(|(_, nth, notice)| *nth == host && said(notice));
    these.next().map(|(at, ..)| Duration::from_nanos(at.as_nanos()))
}

fn takes(notice: &Notice) -> bool {
    matches!(notice, Notice::LockTaken(_))
}

#[test]
fn a_dead_hosts_lock_is_taken_over_after_a_lease() {
    for locking in Locking::ALL {
        let mut cluster = healthy(locking);
        order(&mut cluster, 0, 1, MINUTE);
        cluster.run(Duration::from_secs(4));
        let (slot, generation) = cluster.acquired(0).unwrap();
        let stamp = cluster.medium.heartbeat(slot).stamp;
        cluster.hosts[0].crash(cluster.now);
        order(&mut cluster, 1, 2, Duration::ZERO);
        cluster.run(MINUTE);

        // The first host's uptime is the time since the first second.
        let pulsed = Duration::from_secs(1) + stamp;
        let taken = when(&cluster, 1, takes).unwrap_or_else(|| panic!("{locking:?}"));
        assert!(taken > pulsed + LEASE, "{:?} after the last pulse", taken - pulsed);
        assert!(taken < pulsed + LEASE + Duration::from_secs(9));
        let replayed = cluster.notices(1).find_map(|notice| match notice {
            Notice::Replayed { slot, owner, silent, .. } => Some((*slot, *owner, *silent)),
            _ => None,
        });
        let (of, owner, silent) = replayed.unwrap();
        assert_eq!((of, owner), (slot, Some(cluster.hosts[0].uuid())));
        assert!(silent >= LEASE);
        let heartbeat = cluster.medium.heartbeat(slot);
        assert_eq!(heartbeat.state, HeartbeatState::Clear);
        assert_eq!(heartbeat.generation, generation + 1);
        assert_eq!(ends(&cluster, 0), [LockOutcome::Lost]);
        assert_eq!(ends(&cluster, 1), [LockOutcome::Done]);
    }
}

#[test]
fn a_host_that_was_only_frozen_finds_its_locks_gone() {
    let mut cluster = healthy(Locking::AtsOnly);
    order(&mut cluster, 0, 1, MINUTE);
    cluster.run(Duration::from_secs(4));
    let (slot, generation) = cluster.acquired(0).unwrap();
    cluster.hosts[0].freeze(cluster.now, Duration::from_secs(30));
    order(&mut cluster, 1, 2, MINUTE);
    cluster.run(MINUTE);
    assert_eq!(ends(&cluster, 0), [LockOutcome::Lost]);
    assert_eq!(cluster.accesses(0), [Access::Lost, Access::Reacquired]);
    assert_eq!(cluster.acquired(0), Some((slot, generation + 2)));
    // It says so before it has a heartbeat again.
    let left = when(&cluster, 0, |notice| matches!(notice, Notice::LockLeft(_))).unwrap();
    let lost = when(&cluster, 0, |notice| {
        matches!(notice, Notice::Access { access: Access::Reacquired, .. })
    });
    assert!(left < lost.unwrap());
    assert!(when(&cluster, 1, takes).unwrap() < left, "that is why there are leases");
}

#[test]
fn a_lock_outlives_a_heartbeat_that_nobody_touched() {
    let mut cluster = healthy(Locking::AtsOnly);
    order(&mut cluster, 0, 1, Duration::from_secs(40));
    cluster.run(Duration::from_secs(1));
    cluster.hosts[0].freeze(cluster.now, Duration::from_secs(20));
    cluster.run(MINUTE);
    assert_eq!(cluster.accesses(0), [Access::Lost, Access::Resumed]);
    assert_eq!(ends(&cluster, 0), [LockOutcome::Done]);
}

#[test]
fn nothing_is_locked_without_a_heartbeat() {
    let mut cluster = healthy(Locking::AtsOnly);
    // Of the first host nothing comes to the heartbeats; its locks would.
    let heartbeats = VMFS_6.block(REGION_OFFSET).start()..VMFS_6.block(LOCK).start();
    cluster.fate = Box::new(move |host, io| match io {
        Io::CompareAndWrite { lba, .. } if host == 0 && heartbeats.contains(lba) => Fate::Dropped,
        Io::Read(blocks) if host == 0 && heartbeats.contains(&blocks.start()) => Fate::Dropped,
        _ => Fate::Done,
    });
    order(&mut cluster, 1, 1, Duration::from_secs(22));
    cluster.run(LATENCY * 5);
    order(&mut cluster, 0, 2, Duration::ZERO);
    cluster.run(Duration::from_secs(30));
    assert_eq!(cluster.accesses(0), [Access::Lost]);
    assert_eq!(when(&cluster, 0, takes), None);
    assert_eq!(ends(&cluster, 0), []);
    order(&mut cluster, 0, 3, Duration::ZERO);
    cluster.run(LATENCY);
    assert_eq!(ends(&cluster, 0), [LockOutcome::Offline], "the third; the second waits");

    cluster.fate = Box::new(|_, _| Fate::Done);
    cluster.run(Duration::from_secs(10));
    assert_eq!(cluster.accesses(0), [Access::Lost, Access::Resumed]);
    assert_eq!(ends(&cluster, 0).len(), 2);
}

#[test]
fn orders_under_reservations_take_turns() {
    let mut cluster = healthy(Locking::Reservations);
    for nth in 1..8 {
        let lock = LOCK + nth * 8192;
        let image = DiskLock::never_taken(LockKind::FileDescriptor, lock).encode();
        cluster.medium.put(lock, &image);
    }
    let before = cluster.asked.len();
    for (id, nth) in (0..8).enumerate() {
        let kind = OrderKind::Exclusive { lock: LOCK + nth * 8192, hold: Duration::from_millis(1) };
        let order = Order { id: OrderId(id as u64), volume: VOLUME, kind };
        cluster.hosts[0].order(cluster.now, order);
    }
    cluster.run(Duration::from_secs(5));
    assert_eq!(ends(&cluster, 0), [LockOutcome::Done; 8]);
    // One at a time: RESERVE and RELEASE in turn.
    let mut reserved = false;
    for (_, _, _, io) in &cluster.asked[before..] {
        match io {
            Io::Reserve => assert!(!std::mem::replace(&mut reserved, true)),
            Io::Release => assert!(std::mem::replace(&mut reserved, false)),
            _ => {}
        }
    }
}

#[test]
fn an_order_ends_once_whatever_befalls_the_host() {
    let mut cluster = healthy(Locking::AtsOnly);
    order(&mut cluster, 0, 1, MINUTE);
    order(&mut cluster, 0, 2, MINUTE);
    cluster.run(Duration::from_secs(1));
    cluster.hosts[0].freeze(cluster.now, Duration::from_secs(5));
    order(&mut cluster, 0, 3, MINUTE);
    cluster.hosts[0].crash(cluster.now);
    order(&mut cluster, 0, 4, MINUTE);
    cluster.pump();
    let mut ends: Vec<_> = cluster
        .notices(0)
        .filter_map(|notice| match notice {
            Notice::Finished { order, outcome, .. } => Some((*order, *outcome)),
            _ => None,
        })
        .collect();
    ends.sort();
    let expected = [
        (OrderId(1), LockOutcome::Lost),
        (OrderId(2), LockOutcome::Offline),
        (OrderId(3), LockOutcome::Offline),
        (OrderId(4), LockOutcome::Offline),
    ];
    assert_eq!(ends, expected);
}

#[test]
fn an_outcome_of_a_life_before_is_heard_by_nobody() {
    let mut cluster = healthy(Locking::AtsOnly);
    cluster.fate = Box::new(|_, _| Fate::Slow(Duration::from_secs(3)));
    order(&mut cluster, 0, 1, Duration::ZERO);
    cluster.run(Duration::from_millis(1));
    cluster.hosts[0].crash(cluster.now);
    cluster.fate = Box::new(|_, _| Fate::Done);
    cluster.hosts[0].start(cluster.now);
    cluster.run(Duration::from_secs(10));
    assert_eq!(ends(&cluster, 0), [LockOutcome::Offline]);
    assert_eq!(cluster.accesses(0), []);
    assert!(
        !cluster.notices(0).any(|notice| {
            matches!(notice, Notice::Pulse { outcome: Outcome::Miscompare(_), .. })
        })
    );
}
