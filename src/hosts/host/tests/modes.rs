//! Hosts of several releases, and devices with and without ATS.

use std::time::Duration;

use pulsefield_vmfs::{Heartbeat, HeartbeatState, Version};

use crate::testing::{Cluster, Fate, VMFS_6, VOLUME, config};
use crate::{
    Access, Geometry, HeartbeatMode, Host, Io, Locking, MountError, MountedVolume, NoAts, Notice,
    Outcome,
};

fn is_ats(io: &Io) -> bool {
    matches!(io, Io::CompareAndWrite { .. })
}

fn is_write(io: &Io) -> bool {
    matches!(io, Io::Write { .. })
}

/// A cluster whose device has no ATS.
fn without_ats(locking: Locking) -> Cluster {
    let mut cluster = Cluster::new(0, HeartbeatMode::AtsReadBack, locking);
    cluster.medium.has_ats = false;
    let mut host = Host::new(config(0, HeartbeatMode::AtsReadBack));
    host.mount(cluster.now, MountedVolume { geometry: VMFS_6, locking });
    host.start(cluster.now);
    cluster.hosts.push(host);
    cluster.run(Duration::from_secs(10));
    cluster
}

#[test]
fn the_way_to_pulse_is_switched_while_the_host_runs() {
    let mut cluster = Cluster::new(1, HeartbeatMode::ReadWrite, Locking::AtsOnly);
    cluster.run(Duration::from_secs(10));
    assert_eq!((cluster.count(is_ats), cluster.count(is_write)), (1, 4), "ATS only took the slot");
    cluster.hosts[0].set_heartbeat_mode(HeartbeatMode::Ats);
    cluster.run(Duration::from_secs(9));
    assert_eq!((cluster.count(is_ats), cluster.count(is_write)), (4, 4));
    cluster.hosts[0].set_heartbeat_mode(HeartbeatMode::ReadWrite);
    cluster.run(Duration::from_secs(9));
    assert_eq!((cluster.count(is_ats), cluster.count(is_write)), (4, 7));
    assert_eq!(cluster.accesses(0), []);
}

#[test]
fn a_plain_pulse_looks_before_it_writes() {
    let mut cluster = Cluster::new(1, HeartbeatMode::ReadWrite, Locking::AtsOnly);
    cluster.run(Duration::from_secs(1));
    let (slot, generation) = cluster.acquired(0).unwrap();
    cluster.medium.change(slot, |mine| Heartbeat {
        state: HeartbeatState::Clear,
        generation: mine.generation + 1,
        owner: None,
        ..mine
    });
    cluster.run(Duration::from_secs(5));
    assert_eq!(cluster.accesses(0), [Access::Lost, Access::Reacquired]);
    assert_eq!(cluster.medium.heartbeat(slot).generation, generation + 2);
}

#[test]
fn an_unanswered_plain_pulse_is_known_for_ones_own() {
    let mut cluster = Cluster::new(1, HeartbeatMode::ReadWrite, Locking::AtsOnly);
    cluster.run(Duration::from_secs(1));
    let mut once = Some(Fate::Unanswered);
    cluster.fate = Box::new(move |_, io| match io {
        Io::Write { .. } => once.take().unwrap_or(Fate::Done),
        _ => Fate::Done,
    });
    cluster.run(Duration::from_secs(15));
    assert_eq!(cluster.accesses(0), []);
}

#[test]
fn ats_only_is_not_mounted_without_ats() {
    let cluster = without_ats(Locking::AtsOnly);
    let error = MountError::NoAts;
    assert!(
        cluster.notices(0).any(|notice| *notice == Notice::NotMounted { volume: VOLUME, error })
    );
    assert_eq!(cluster.count(|io| *io != Io::BlockLimits), 0);
}

#[test]
fn the_mixed_mode_reserves_the_device_without_ats() {
    let mut cluster = without_ats(Locking::AtsAndScsi);
    let (slot, _) = cluster.acquired(0).unwrap();
    assert_eq!(cluster.count(is_ats), 0);
    // To take the slot, and not to pulse.
    assert_eq!(cluster.count(|io| *io == Io::Reserve), 1);
    assert_eq!(cluster.count(|io| *io == Io::Release), 1);
    assert!(cluster.count(is_write) > 3);
    let heartbeat = cluster.medium.heartbeat(slot);
    assert_eq!(heartbeat.lock_implementation, 3);
    cluster.hosts[0].unmount(cluster.now, VOLUME);
    cluster.run(Duration::from_secs(3));
    assert_eq!(cluster.count(|io| *io == Io::Reserve), 2);
    assert_eq!(cluster.medium.heartbeat(slot).state, HeartbeatState::Clear);
}

#[test]
fn hosts_that_reserve_all_come_to_a_slot() {
    let mut cluster = Cluster::new(8, HeartbeatMode::ReadWrite, Locking::Reservations);
    cluster.run(Duration::from_secs(10));
    assert!((0..8).all(|host| cluster.acquired(host).is_some()));
    assert_eq!(cluster.count(is_ats), 0);
}

#[test]
fn vmfs_3_pulses_without_ats_and_reserves_after_a_collision() {
    let mut cluster = Cluster::new(0, HeartbeatMode::Ats, Locking::AtsUncontended);
    let mut host = Host::new(config(0, HeartbeatMode::Ats));
    let geometry = Geometry { version: Version { major: 4, minor: 31 }, ..VMFS_6 };
    host.mount(cluster.now, MountedVolume { geometry, locking: Locking::AtsUncontended });
    host.start(cluster.now);
    cluster.hosts.push(host);
    let mut once = Some(Fate::Refused(Outcome::Miscompare(Some(0))));
    cluster.fate = Box::new(move |_, io| match io {
        Io::CompareAndWrite { .. } => once.take().unwrap_or(Fate::Done),
        _ => Fate::Done,
    });
    cluster.run(Duration::from_secs(10));
    assert!(cluster.acquired(0).is_some());
    assert_eq!(cluster.count(is_ats), 1);
    assert_eq!(cluster.count(|io| *io == Io::Reserve), 1);
    assert!(cluster.count(is_write) > 3);
}

#[test]
fn a_device_that_loses_ats_is_done_without_it_where_that_may_be() {
    for (locking, survives) in [(Locking::AtsAndScsi, true), (Locking::AtsOnly, false)] {
        let mut cluster = Cluster::new(1, HeartbeatMode::AtsReadBack, locking);
        cluster.run(Duration::from_secs(5));
        cluster.medium.has_ats = false;
        cluster.run(Duration::from_secs(60));
        let changed = Notice::LockingChanged { volume: VOLUME, locking: Locking::Reservations };
        assert_eq!(cluster.notices(0).any(|notice| *notice == changed), survives);
        assert_eq!(cluster.accesses(0).is_empty(), survives);
    }
}

#[test]
fn the_mode_of_locking_is_changed_where_the_device_can() {
    let mut cluster = Cluster::new(1, HeartbeatMode::Ats, Locking::AtsOnly);
    cluster.run(Duration::from_secs(1));
    let now = cluster.now;
    let host = &mut cluster.hosts[0];
    assert_eq!(host.set_locking(now, VOLUME, Locking::AtsAndScsi), Ok(()));
    assert_eq!(host.set_locking(now, VOLUME, Locking::AtsOnly), Ok(()));
    cluster.pump();
    let changes: Vec<_> = cluster
        .notices(0)
        .filter_map(|notice| match notice {
            Notice::LockingChanged { locking, .. } => Some(*locking),
            _ => None,
        })
        .collect();
    assert_eq!(changes, [Locking::AtsAndScsi, Locking::AtsOnly]);

    let mut cluster = without_ats(Locking::AtsAndScsi);
    let now = cluster.now;
    assert_eq!(cluster.hosts[0].set_locking(now, VOLUME, Locking::AtsOnly), Err(NoAts));
}

#[test]
fn an_ats_only_volume_does_not_extend_to_a_device_without_ats() {
    for (locking, permitted) in [(Locking::AtsOnly, false), (Locking::AtsAndScsi, true)] {
        let mut cluster = Cluster::new(1, HeartbeatMode::Ats, locking);
        cluster.run(Duration::from_secs(1));
        // The medium does not tell devices apart: ATS is gone for the time of the question.
        let volume = MountedVolume { geometry: VMFS_6, locking: Locking::AtsOnly };
        let by = cluster.hosts[0].mount(cluster.now, volume);
        cluster.hosts[0].unmount(cluster.now, by);
        cluster.medium.has_ats = false;
        cluster.hosts[0].extend(cluster.now, VOLUME, by);
        cluster.run(Duration::from_millis(5));
        let answer = Notice::Extension { volume: VOLUME, by, permitted };
        assert!(cluster.notices(0).any(|notice| *notice == answer), "{:?}", cluster.said);
    }
}
