//! Coming to a heartbeat, keeping it, and giving it back.

use std::time::Duration;

use pulsefield_vmfs::{Heartbeat, HeartbeatState, PULSE_PERIOD};

use crate::testing::{Cluster, Fate, VMFS_6, VOLUME, config};
use crate::{
    Geometry, HeartbeatMode, Host, Io, Locking, MountError, MountedVolume, Notice, Outcome,
};

fn healthy(hosts: usize) -> Cluster {
    let mut cluster = Cluster::new(hosts, HeartbeatMode::AtsReadBack, Locking::AtsOnly);
    cluster.run(Duration::from_secs(1));
    cluster
}

#[test]
fn every_host_comes_to_a_slot_of_its_own() {
    let cluster = healthy(40);
    let mut slots: Vec<_> = (0..40).map(|host| cluster.acquired(host).unwrap().0).collect();
    for (host, slot) in slots.iter().enumerate() {
        let heartbeat = cluster.medium.heartbeat(*slot);
        assert_eq!((heartbeat.state, heartbeat.generation), (HeartbeatState::InUse, 1));
        assert_eq!(heartbeat.owner, Some(cluster.hosts[host].uuid()));
        assert_eq!((heartbeat.major_version, heartbeat.lock_implementation), (24, 4));
    }
    slots.sort_unstable();
    slots.dedup();
    assert_eq!(slots.len(), 40);
}

#[test]
fn whose_slot_is_taken_takes_the_next() {
    let (slot, _) = healthy(1).acquired(0).unwrap();
    let mut cluster = Cluster::new(0, HeartbeatMode::Ats, Locking::AtsOnly);
    let other = config(9, HeartbeatMode::Ats).uuid;
    let in_use = |heartbeat| Heartbeat {
        state: HeartbeatState::InUse,
        owner: Some(other),
        generation: 1,
        ..heartbeat
    };
    cluster.medium.change(slot, in_use);
    cluster.hosts.push(Host::new(config(0, HeartbeatMode::Ats)));
    cluster.hosts[0].start(cluster.now);
    let volume = MountedVolume { geometry: VMFS_6, locking: Locking::AtsOnly };
    cluster.hosts[0].mount(cluster.now, volume);
    cluster.run(Duration::from_secs(1));
    assert_eq!(cluster.acquired(0), Some(((slot + 1) % 1024, 1)));
}

#[test]
fn all_volumes_pulse_at_once_on_a_grid_of_three_seconds() {
    let mut cluster = Cluster::new(0, HeartbeatMode::Ats, Locking::AtsOnly);
    let second = Geometry { start: 1 << 30, ..VMFS_6 };
    cluster.medium.format(&second);
    let mut host = Host::new(config(0, HeartbeatMode::Ats));
    host.start(cluster.now);
    for geometry in [VMFS_6, second] {
        host.mount(cluster.now, MountedVolume { geometry, locking: Locking::AtsOnly });
    }
    cluster.hosts.push(host);
    let started = cluster.now;
    cluster.run(Duration::from_secs(30));
    let writes = cluster.asked.iter().filter(|(.., io)| matches!(io, Io::CompareAndWrite { .. }));
    // The first two take the slots.
    let times: Vec<_> = writes.skip(2).map(|(at, ..)| at.since(started)).collect();
    assert_eq!(times.len(), 20);
    for (nth, pair) in (0..).zip(times.chunks(2)) {
        let tick = Duration::from_millis(42) + PULSE_PERIOD * nth;
        assert_eq!(*pair, [tick, tick]);
    }
}

#[test]
fn stamps_are_the_hosts_uptime_and_go_back_when_it_starts_again() {
    let mut cluster = healthy(1);
    let (slot, generation) = cluster.acquired(0).unwrap();
    cluster.run(Duration::from_secs(60));
    let before = cluster.medium.heartbeat(slot);
    assert_eq!(before.stamp, Duration::from_millis(60_042));

    cluster.hosts[0].crash(cluster.now);
    cluster.run(Duration::from_secs(5));
    assert_eq!(cluster.medium.heartbeat(slot), before, "nobody pulses any more");
    cluster.hosts[0].start(cluster.now);
    cluster.run(Duration::from_secs(7));
    let after = cluster.medium.heartbeat(slot);
    assert_eq!(after.stamp, Duration::from_millis(6042));
    // Cleared and acquired: what was locked before the crash is nobody's.
    assert_eq!(after.generation, generation + 2);
    assert_eq!(cluster.accesses(0), []);
}

#[test]
fn an_unmounted_volume_has_a_clear_slot() {
    let mut cluster = healthy(1);
    let (slot, _) = cluster.acquired(0).unwrap();
    cluster.hosts[0].unmount(cluster.now, VOLUME);
    cluster.run(Duration::from_secs(10));
    let heartbeat = cluster.medium.heartbeat(slot);
    assert_eq!((heartbeat.state, heartbeat.generation), (HeartbeatState::Clear, 2));
    assert_eq!(heartbeat.owner, None);
    assert_eq!(
        cluster.said.last().map(|(_, _, notice)| notice),
        Some(&Notice::HeartbeatCleared { volume: VOLUME })
    );
    assert_eq!(cluster.hosts[0].wake_at(), None);
}

#[test]
fn a_slow_pulse_is_not_joined_by_another() {
    let mut cluster = healthy(1);
    cluster.fate = Box::new(|_, _| Fate::Slow(Duration::from_millis(7500)));
    let before = cluster.asked.len();
    cluster.run(Duration::from_secs(31));
    // The next is late when the one before has come back, and asked for at once.
    assert_eq!(cluster.asked.len() - before, 4);
    assert_eq!(cluster.accesses(0), [], "each was on the medium within a lease");
}

#[test]
fn a_device_that_is_busy_is_asked_again_after_a_second() {
    let mut cluster = healthy(1);
    let mut refusals = 5;
    cluster.fate = Box::new(move |_, _| {
        refusals -= 1;
        if refusals >= 0 { Fate::Refused(Outcome::Busy) } else { Fate::Done }
    });
    cluster.run(Duration::from_secs(9));
    let busy = cluster.notices(0).filter(|notice| {
        matches!(notice, Notice::Pulse { outcome: Outcome::Busy, alive: false, .. })
    });
    assert_eq!(busy.count(), 5);
    assert_eq!(cluster.accesses(0), []);
}

#[test]
fn a_device_that_another_host_has_reserved_is_asked_again_much_sooner() {
    let mut cluster = healthy(1);
    let mut conflicts = 40;
    cluster.fate = Box::new(move |_, _| {
        conflicts -= 1;
        if conflicts >= 0 { Fate::Refused(Outcome::ReservationConflict) } else { Fate::Done }
    });
    cluster.run(Duration::from_secs(9));
    let met = cluster.notices(0).filter(|notice| {
        matches!(notice, Notice::Pulse { outcome: Outcome::ReservationConflict, .. })
    });
    assert_eq!(met.count(), 40);
    assert_eq!(cluster.accesses(0), [], "a lease is long enough for all of them");
}

#[test]
fn a_volume_without_a_clear_slot_is_not_mounted() {
    let mut cluster = Cluster::new(0, HeartbeatMode::Ats, Locking::AtsOnly);
    for slot in 0..1024 {
        cluster.medium.change(slot, |clear| Heartbeat { state: HeartbeatState::InUse, ..clear });
    }
    cluster.hosts.push(Host::new(config(0, HeartbeatMode::Ats)));
    let volume = MountedVolume { geometry: VMFS_6, locking: Locking::AtsOnly };
    cluster.hosts[0].mount(cluster.now, volume);
    cluster.hosts[0].start(cluster.now);
    cluster.run(Duration::from_secs(10));
    let error = MountError::NoSlot;
    assert!(
        cluster.notices(0).any(|notice| *notice == Notice::NotMounted { volume: VOLUME, error })
    );
}

#[test]
fn a_device_that_miscompares_whatever_it_is_given_does_not_use_up_the_slots() {
    let mut cluster = Cluster::new(1, HeartbeatMode::AtsReadBack, Locking::AtsOnly);
    cluster.fate = Box::new(|_, io| match io {
        Io::CompareAndWrite { .. } => Fate::Refused(Outcome::Miscompare(Some(0))),
        _ => Fate::Done,
    });
    cluster.run(Duration::from_secs(120));
    let tries = cluster.count(|io| matches!(io, Io::CompareAndWrite { .. }));
    assert!((100..140).contains(&tries), "{tries}");
    cluster.fate = Box::new(|_, _| Fate::Done);
    cluster.run(Duration::from_secs(2));
    assert!(cluster.acquired(0).is_some(), "{:?}", cluster.said);
}
