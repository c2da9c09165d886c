//! What a host does when its heartbeat was not written for a lease, or miscompared: the cases of KB 52879.

use std::time::Duration;

use pulsefield_vmfs::{Heartbeat, HeartbeatState, LEASE};

use crate::testing::{Cluster, Fate, Fates, config};
use crate::{Access, HeartbeatMode, Io, Locking, Notice, Outcome};

fn healthy(heartbeat: HeartbeatMode) -> Cluster {
    let mut cluster = Cluster::new(1, heartbeat, Locking::AtsOnly);
    cluster.run(Duration::from_secs(4));
    cluster
}

/// The next command has this fate, all others are done.
fn once(fate: Fate) -> Fates {
    let mut fate = Some(fate);
    Box::new(move |_, _| fate.take().unwrap_or(Fate::Done))
}

fn clear(heartbeat: Heartbeat) -> Heartbeat {
    Heartbeat {
        state: HeartbeatState::Clear,
        generation: heartbeat.generation + 1,
        owner: None,
        ..heartbeat
    }
}

#[test]
fn an_applied_pulse_that_was_never_answered_miscompares_before_6_5() {
    let mut cluster = healthy(HeartbeatMode::Ats);
    let (slot, generation) = cluster.acquired(0).unwrap();
    cluster.fate = once(Fate::Unanswered);
    cluster.run(Duration::from_secs(15));
    let pulses: Vec<_> = cluster
        .notices(0)
        .filter_map(|notice| match notice {
            Notice::Pulse { outcome, alive, .. } => Some((outcome.clone(), *alive)),
            _ => None,
        })
        .collect();
    let good = (Outcome::Good(Vec::new()), true);
    assert_eq!(pulses[..3], [good.clone(), good.clone(), good.clone()], "acquired, two pulses");
    assert_eq!(pulses[3], (Outcome::TimedOut, false));
    assert!(matches!(pulses[4], (Outcome::Miscompare(Some(0x14..0x1c)), false)), "the stamp");
    assert_eq!(pulses[5], good);
    // The device was reset once, and nobody had touched the slot.
    assert_eq!(cluster.count(|io| *io == Io::LogicalUnitReset), 1);
    assert_eq!(cluster.accesses(0), [Access::Lost, Access::Resumed]);
    assert_eq!(cluster.medium.heartbeat(slot).generation, generation);
}

#[test]
fn since_6_5_the_host_knows_its_own_image() {
    for fate in [Fate::Unanswered, Fate::Dropped] {
        let mut cluster = healthy(HeartbeatMode::AtsReadBack);
        cluster.fate = once(fate);
        cluster.run(Duration::from_secs(15));
        assert_eq!(cluster.accesses(0), []);
        assert_eq!(cluster.count(|io| *io == Io::LogicalUnitReset), 0);
    }
}

#[test]
fn a_lost_heartbeat_is_looked_at_every_second_until_it_is_written() {
    let mut cluster = healthy(HeartbeatMode::Ats);
    let (slot, generation) = cluster.acquired(0).unwrap();
    let last = cluster.medium.heartbeat(slot);
    cluster.fate = Box::new(|_, io| match io {
        Io::LogicalUnitReset => Fate::Done,
        _ => Fate::Refused(Outcome::Busy),
    });
    cluster.run_until(|cluster| cluster.accesses(0) == [Access::Lost]);
    let (lost, ..) = *cluster.said.last().unwrap();
    let pulsed = cluster.now.since(lost);
    assert!(pulsed < Duration::from_millis(2));
    let reads = cluster.count(|io| matches!(io, Io::Read(_)));
    cluster.run(Duration::from_secs(30));
    let reads = cluster.count(|io| matches!(io, Io::Read(_))) - reads;
    assert!((29..=30).contains(&reads), "{reads} in 30 s");
    assert_eq!(cluster.medium.heartbeat(slot), last);

    cluster.fate = Box::new(|_, _| Fate::Done);
    cluster.run(Duration::from_secs(2));
    assert_eq!(cluster.accesses(0), [Access::Lost, Access::Resumed]);
    let heartbeat = cluster.medium.heartbeat(slot);
    assert_eq!(heartbeat.generation, generation, "it kept its locks");
    assert!(heartbeat.stamp > last.stamp + LEASE);
}

#[test]
fn the_lease_runs_from_when_the_last_pulse_was_asked_for() {
    let mut cluster = healthy(HeartbeatMode::Ats);
    let pulsed = cluster.asked.last().unwrap().0;
    cluster.fate = Box::new(|_, io| match io {
        Io::LogicalUnitReset => Fate::Done,
        _ => Fate::Dropped,
    });
    cluster.run_until(|cluster| cluster.accesses(0) == [Access::Lost]);
    let (lost, ..) =
        cluster.said.iter().find(|(_, _, it)| matches!(it, Notice::Access { .. })).unwrap();
    assert_eq!(lost.since(pulsed), LEASE);
}

#[test]
fn a_heartbeat_that_another_host_cleared_is_taken_anew() {
    let mut cluster = healthy(HeartbeatMode::Ats);
    let (slot, generation) = cluster.acquired(0).unwrap();
    cluster.medium.change(slot, clear);
    cluster.run(Duration::from_secs(4));
    assert_eq!(cluster.accesses(0), [Access::Lost, Access::Reacquired]);
    assert_eq!(cluster.acquired(0), Some((slot, generation + 2)));
}

#[test]
fn a_heartbeat_that_is_being_replayed_is_waited_for() {
    let mut cluster = healthy(HeartbeatMode::Ats);
    let (slot, generation) = cluster.acquired(0).unwrap();
    cluster.medium.change(slot, |dead| Heartbeat {
        state: HeartbeatState::Replaying,
        replaying_host: Some(config(7, HeartbeatMode::Ats).uuid),
        ..dead
    });
    cluster.run(Duration::from_secs(8));
    assert_eq!(cluster.accesses(0), [Access::Lost, Access::LocksLost]);
    assert_eq!(cluster.acquired(0), Some((slot, generation)), "no other slot was taken");
    cluster.medium.change(slot, clear);
    cluster.run(Duration::from_secs(2));
    assert_eq!(cluster.acquired(0), Some((slot, generation + 2)));
    assert_eq!(cluster.accesses(0).len(), 2);
}

#[test]
fn a_slot_that_is_another_hosts_is_lost_with_all_locks() {
    for changed in [
        |mine: Heartbeat| Heartbeat { owner: Some(config(7, HeartbeatMode::Ats).uuid), ..mine },
        // Cleared, used by somebody and cleared again.
        |mine: Heartbeat| Heartbeat { generation: mine.generation + 2, ..clear(mine) },
    ] {
        let mut cluster = healthy(HeartbeatMode::Ats);
        let (slot, _) = cluster.acquired(0).unwrap();
        cluster.medium.change(slot, changed);
        let changed = cluster.medium.heartbeat(slot);
        cluster.run(Duration::from_secs(4));
        assert_eq!(cluster.accesses(0), [Access::Lost, Access::LocksLost]);
        let (now, _) = cluster.acquired(0).unwrap();
        assert_eq!(now == slot, changed.state == HeartbeatState::Clear);
    }
}

#[test]
fn the_slot_is_read_only_when_the_last_pulse_is_over() {
    let mut cluster = healthy(HeartbeatMode::Ats);
    // One pulse is lost, and the next one still in flight when the lease ends. This device aborts nothing when
    // it is reset.
    let slow = Duration::from_millis(7900);
    let mut pulses = vec![Fate::Slow(slow), Fate::Dropped];
    cluster.fate = Box::new(move |_, io| match io {
        Io::LogicalUnitReset => Fate::Refused(Outcome::Good(Vec::new())),
        Io::CompareAndWrite { .. } => pulses.pop().unwrap_or(Fate::Done),
        _ => Fate::Done,
    });
    let before = cluster.asked.len();
    cluster.run(Duration::from_secs(30));
    let asked = &cluster.asked[before..];
    let at = |nth: usize, wanted: fn(&Io) -> bool| {
        let mut these = asked.iter().filter(|(_, _, _, io)| wanted(io));
        these.nth(nth).expect("there is one").0
    };
    let late = at(1, |io| matches!(io, Io::CompareAndWrite { .. }));
    assert!(at(0, |io| *io == Io::LogicalUnitReset) < late.after(slow));
    assert_eq!(at(0, |io| matches!(io, Io::Read(_))), late.after(slow));
    assert_eq!(cluster.accesses(0), [Access::Lost, Access::Resumed]);
}

#[test]
fn a_host_frozen_for_longer_than_a_lease_looks_first() {
    let mut cluster = healthy(HeartbeatMode::AtsReadBack);
    let (slot, _) = cluster.acquired(0).unwrap();
    let asked = cluster.asked.len();
    cluster.hosts[0].freeze(cluster.now, Duration::from_secs(20));
    cluster.run(Duration::from_millis(19_999));
    assert_eq!(cluster.asked.len(), asked, "nothing is sent");
    cluster.run(Duration::from_secs(1));
    assert_eq!(cluster.accesses(0), [Access::Lost, Access::Resumed]);

    cluster.hosts[0].freeze(cluster.now, Duration::from_secs(20));
    cluster.medium.change(slot, clear);
    cluster.run(Duration::from_secs(22));
    assert_eq!(cluster.accesses(0)[2..], [Access::Lost, Access::Reacquired]);
}

#[test]
fn what_came_while_the_host_was_frozen_is_heard_then() {
    let mut cluster = healthy(HeartbeatMode::Ats);
    let next = cluster.hosts[0].wake_at().unwrap();
    cluster.run(next.since(cluster.now));
    cluster.hosts[0].freeze(cluster.now, Duration::from_secs(5));
    cluster.run(Duration::from_secs(10));
    // The pulse was answered after 2 ms and took 5 s for the host.
    let took = cluster.notices(0).filter_map(|notice| match notice {
        Notice::Pulse { took, alive: true, .. } => Some(*took),
        _ => None,
    });
    assert_eq!(took.max(), Some(Duration::from_secs(5)));
    assert_eq!(cluster.accesses(0), []);
}
