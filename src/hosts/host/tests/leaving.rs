//! Volumes that are unmounted, whatever the host is doing there: it always says that it is over.

use std::time::Duration;

use pulsefield_vmfs::{DiskLock, Heartbeat, HeartbeatState, LockKind};

use crate::testing::{Cluster, VOLUME};
use crate::{Access, HeartbeatMode, LockOutcome, Locking, Notice, Order, OrderId, OrderKind};

/// The first file descriptor of a volume of VMFS 6.
const LOCK: u64 = 0x72_0000;

const FREEZE: Duration = Duration::from_secs(20);

fn healthy() -> Cluster {
    let mut cluster = Cluster::new(1, HeartbeatMode::AtsReadBack, Locking::AtsOnly);
    let lock = DiskLock::never_taken(LockKind::FileDescriptor, LOCK);
    cluster.medium.put(LOCK, &lock.encode());
    cluster.run(Duration::from_secs(4));
    cluster
}

fn says(cluster: &Cluster, notice: &Notice) -> bool {
    cluster.notices(0).any(|said| said == notice)
}

/// Has another host take the slot for abandoned and clear it.
fn cleared_by_another(cluster: &mut Cluster, slot: u64) {
    let clear = |heartbeat: Heartbeat| Heartbeat {
        state: HeartbeatState::Clear,
        generation: heartbeat.generation + 1,
        owner: None,
        ..heartbeat
    };
    cluster.medium.change(slot, clear);
}

#[test]
fn a_slot_that_was_cleared_meanwhile_is_left() {
    let mut cluster = healthy();
    let (slot, _) = cluster.acquired(0).unwrap();
    cleared_by_another(&mut cluster, slot);
    cluster.hosts[0].unmount(cluster.now, VOLUME);
    cluster.run(Duration::from_secs(2));
    assert!(says(&cluster, &Notice::HeartbeatLeft { volume: VOLUME }));
    assert_eq!(cluster.hosts[0].wake_at(), None);
}

#[test]
fn a_frozen_host_leaves_when_it_goes_on() {
    let mut cluster = healthy();
    let (slot, _) = cluster.acquired(0).unwrap();
    cluster.hosts[0].freeze(cluster.now, FREEZE);
    cluster.hosts[0].unmount(cluster.now, VOLUME);
    cluster.run(FREEZE - Duration::from_secs(1));
    assert_eq!(cluster.medium.heartbeat(slot).state, HeartbeatState::InUse);
    // Its lease is over by then: it looks first.
    cluster.run(Duration::from_secs(4));
    assert_eq!(cluster.accesses(0), [Access::Lost, Access::Resumed]);
    assert!(says(&cluster, &Notice::HeartbeatCleared { volume: VOLUME }));
}

#[test]
fn whoever_leaves_takes_no_other_slot() {
    let mut cluster = healthy();
    let (slot, _) = cluster.acquired(0).unwrap();
    cluster.hosts[0].freeze(cluster.now, FREEZE);
    cluster.hosts[0].unmount(cluster.now, VOLUME);
    cleared_by_another(&mut cluster, slot);
    cluster.run(FREEZE + Duration::from_secs(10));
    assert_eq!(cluster.accesses(0), [Access::Lost, Access::LocksLost]);
    assert_eq!(cluster.hosts[0].wake_at(), None);
    let taken = cluster.notices(0).filter(|it| matches!(it, Notice::HeartbeatAcquired { .. }));
    assert_eq!(taken.count(), 1);
}

#[test]
fn what_waits_is_not_begun_any_more() {
    let mut cluster = healthy();
    for id in [1, 2] {
        let kind = OrderKind::Exclusive { lock: LOCK, hold: Duration::from_secs(5) };
        let now = cluster.now;
        cluster.hosts[0].order(now, Order { id: OrderId(id), volume: VOLUME, kind });
    }
    cluster.run(Duration::from_secs(1));
    cluster.hosts[0].unmount(cluster.now, VOLUME);
    cluster.run(Duration::from_secs(8));
    let ends: Vec<_> = cluster
        .notices(0)
        .filter_map(|notice| match notice {
            Notice::Finished { order, outcome, .. } => Some((order.0, *outcome)),
            _ => None,
        })
        .collect();
    assert_eq!(ends, [(2, LockOutcome::Offline), (1, LockOutcome::Done)]);
    assert!(says(&cluster, &Notice::HeartbeatCleared { volume: VOLUME }));
}
