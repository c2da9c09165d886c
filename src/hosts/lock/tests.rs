//! Orders of several hosts on one volume: what they do to the medium, and what they say of it.

mod exclusion;
mod world;

use std::time::Duration;

use proptest::prelude::*;
use pulsefield_units::Instant;
use pulsefield_vmfs::{Heartbeat, HeartbeatState, LEASE, LockHolder, LockMode, SECTOR};

use super::image::{Aim, take};
use crate::testing::VMFS_6;
use crate::{Io, LockOutcome, Locking, Notice, OrderKind};
use world::{Fault, World, holder};

const HOLD: Duration = Duration::from_millis(50);
const LOCKS: [u64; 3] = [0x72_0000, 0x72_2000, 0x72_4000];

fn exclusive(lock: u64) -> OrderKind {
    OrderKind::Exclusive { lock, hold: HOLD }
}

fn read_only(lock: u64) -> OrderKind {
    OrderKind::ReadOnly { lock, hold: HOLD }
}

fn multi_writer(lock: u64) -> OrderKind {
    OrderKind::MultiWriter { lock, hold: HOLD }
}

fn transaction(locks: &[u64]) -> OrderKind {
    OrderKind::Transaction { locks: locks.to_vec(), hold: HOLD }
}

/// One order of each kind.
fn kinds() -> [OrderKind; 4] {
    let [first, ..] = LOCKS;
    [exclusive(first), read_only(first), multi_writer(first), transaction(&LOCKS)]
}

/// The locks that the notices of a host tell of as taken and left, `true` where taken.
fn beliefs(world: &World, host: usize) -> Vec<(bool, u64)> {
    let belief = |(_, notice): &(Instant, Notice)| {
        let (Notice::LockTaken(claim) | Notice::LockLeft(claim)) = notice else { return None };
        Some((matches!(notice, Notice::LockTaken(_)), claim.lock))
    };
    world.hosts[host].notices.iter().filter_map(belief).collect()
}

fn count(world: &World, matches: impl Fn(&Io) -> bool) -> usize {
    world.trace.iter().filter(|(_, io, _)| matches(io)).count()
}

/// Takes a lock for a host that will say nothing of it.
fn hold_silently(world: &mut World, lock: u64, aim: Aim, by: LockHolder) {
    let held = take(&world.medium.lock(lock), aim, by, 1, &[]).unwrap();
    world.medium.put(lock, &held.encode());
}

#[test]
fn a_lock_is_taken_by_read_and_ats_and_left_by_ats_alone() {
    let mut world = World::new(Locking::AtsOnly, 1, &LOCKS);
    let order = world.order(0, exclusive(LOCKS[0]));
    world.run();
    assert_eq!(world.outcome(order), Some(LockOutcome::Done));
    let [(_, Io::Read(_), _), (_, taking @ Io::CompareAndWrite { .. }, _), (_, leaving, _)] =
        &world.trace[..]
    else {
        panic!("{:?}", world.trace);
    };
    let Io::CompareAndWrite { set: taken, .. } = taking else { unreachable!() };
    assert!(matches!(leaving, Io::CompareAndWrite { test, .. } if test == taken));
    let left = world.medium.lock(LOCKS[0]);
    assert_eq!((left.mode, left.token, left.owner), (LockMode::Free, 3, None));
    assert_eq!(left.heartbeat_address, holder(1).heartbeat_address, "kept as history");
}

#[test]
fn esx_4_0_reserves_the_device_around_each_change() {
    let mut world = World::new(Locking::Reservations, 1, &LOCKS);
    world.order(0, exclusive(LOCKS[0]));
    world.run();
    assert_eq!(count(&world, |io| matches!(io, Io::CompareAndWrite { .. })), 0);
    assert_eq!(count(&world, |io| *io == Io::Reserve), 2);
    assert_eq!(count(&world, |io| *io == Io::Release), 2);
    assert_eq!(count(&world, |io| matches!(io, Io::Write { .. })), 2);
}

#[test]
fn esx_4_1_takes_locks_by_ats_until_somebody_comes_in_between() {
    let mut world = World::new(Locking::AtsUncontended, 1, &LOCKS);
    let order = world.order(0, exclusive(LOCKS[0]));
    assert!(world.step(0, Fault::None), "READ");
    assert_eq!(count(&world, |io| *io == Io::Reserve), 0);
    assert!(world.step(0, Fault::SpuriousMiscompare), "COMPARE AND WRITE");
    world.run();
    assert_eq!(world.outcome(order), Some(LockOutcome::Done));
    assert_eq!(count(&world, |io| matches!(io, Io::CompareAndWrite { .. })), 1);
    assert_eq!(count(&world, |io| *io == Io::Reserve), 2, "to take it, and to leave it");
}

/// Whatever befalls whichever I/O of an order, once: in the end it is done, and nothing of it is left.
#[test]
fn any_fault_of_any_io_is_got_over() {
    for locking in Locking::ALL {
        for kind in kinds() {
            for fault in Fault::ALL {
                let mut at = 0;
                while is_got_over(locking, &kind, fault, at) {
                    at += 1;
                }
            }
        }
    }
}

/// Carries out an order alone, with a fault of its I/O `at`; `false` if it has none with that number.
fn is_got_over(locking: Locking, kind: &OrderKind, fault: Fault, at: usize) -> bool {
    let mut world = World::new(locking, 1, &LOCKS);
    let order = world.order(0, kind.clone());
    while world.step(0, if world.trace.len() == at { fault } else { Fault::None }) {}
    let what = format!("{kind:?} by {}, {fault:?} of I/O {at}", locking.name());
    assert_eq!(world.outcome(order), Some(LockOutcome::Done), "{what}");
    for lock in LOCKS {
        assert_eq!(world.medium.lock(lock).mode, LockMode::Free, "{what}");
    }
    // What is told last: that it has all of them, and then that it lets go of all.
    let beliefs = beliefs(&world, 0);
    let ours = 2 * kind.locks().len();
    let (taken, left) = beliefs[beliefs.len() - ours..].split_at(ours / 2);
    assert!(taken.iter().all(|(taken, _)| *taken), "{what}: {beliefs:?}");
    assert!(left.iter().all(|(taken, _)| !taken), "{what}: {beliefs:?}");
    at < world.trace.len()
}

#[test]
fn what_a_time_out_did_is_read_back() {
    for (fault, ats) in [(Fault::TimedOutDone, 2), (Fault::TimedOut, 3)] {
        let mut world = World::new(Locking::AtsOnly, 1, &LOCKS);
        world.order(0, exclusive(LOCKS[0]));
        assert!(world.step(0, Fault::None), "READ");
        assert!(world.step(0, fault), "COMPARE AND WRITE");
        assert!(world.hosts[0].notices.is_empty(), "nobody knows yet");
        world.run();
        assert!(matches!(world.trace[2], (0, Io::Read(_), _)), "{:?}", world.trace);
        assert_eq!(count(&world, |io| matches!(io, Io::CompareAndWrite { .. })), ats);
        assert_eq!(world.medium.lock(LOCKS[0]).token, 3, "taken once, left once");
    }
}

#[test]
fn a_lock_of_a_living_host_is_waited_for_and_given_up() {
    let mut world = World::new(Locking::AtsOnly, 2, &LOCKS);
    hold_silently(&mut world, LOCKS[0], Aim::Exclusive, holder(2));
    let order = world.order(0, exclusive(LOCKS[0]));
    let other = world.order(1, transaction(&LOCKS[1..]));
    world.run();
    assert_eq!(world.outcome(order), Some(LockOutcome::Contended));
    assert_eq!(world.outcome(other), Some(LockOutcome::Done));
    assert_eq!(world.medium.lock(LOCKS[0]).owner, Some(holder(2).host));
    assert!(beliefs(&world, 0).is_empty());
    // The holder's slot was looked at, and not touched.
    let heartbeat = world.medium.heartbeat(2);
    assert_eq!((heartbeat.state, heartbeat.generation), (HeartbeatState::InUse, 5));
}

#[test]
fn a_lock_of_a_dead_host_is_taken_after_a_lease_without_a_pulse() {
    for locking in Locking::ALL {
        for kind in kinds() {
            let mut world = World::new(locking, 2, &LOCKS);
            hold_silently(&mut world, LOCKS[0], Aim::Exclusive, holder(2));
            world.hosts[1].pulses = false;
            let order = world.order(0, kind);
            world.run();
            assert_eq!(world.outcome(order), Some(LockOutcome::Done));
            let said = |wanted: &dyn Fn(&Notice) -> bool| {
                let mut notices = world.hosts[0].notices.iter();
                notices.find(|(_, notice)| wanted(notice)).map(|(at, _)| *at).unwrap()
            };
            let replayed = said(&|notice| {
                matches!(notice, Notice::Replayed { owner, silent, .. }
                    if *owner == Some(holder(2).host) && *silent >= LEASE)
            });
            let broken = said(&|notice| {
                matches!(notice, Notice::LockBroken { lock, owner, .. }
                    if *lock == LOCKS[0] && *owner == Some(holder(2).host))
            });
            let taken = said(&|notice| matches!(notice, Notice::LockTaken(_)));
            assert!(replayed <= broken && broken <= taken);
            assert!(taken.since(Instant::default()) >= LEASE);
            let slot = world.medium.heartbeat(2);
            assert_eq!((slot.state, slot.generation), (HeartbeatState::Clear, 6));
            assert_eq!(world.medium.lock(LOCKS[0]).mode, LockMode::Free);
        }
    }
}

#[test]
fn a_lock_whose_heartbeat_is_gone_is_taken_at_once() {
    let gone: [fn(&mut Heartbeat); 3] = [
        |slot| (slot.state, slot.generation, slot.owner) = (HeartbeatState::Clear, 6, None),
        |slot| slot.generation = 7,
        |slot| slot.owner = Some(holder(9).host),
    ];
    for change in gone {
        let mut world = World::new(Locking::AtsOnly, 2, &LOCKS);
        hold_silently(&mut world, LOCKS[0], Aim::Exclusive, holder(2));
        world.medium.change(2, |mut slot| {
            change(&mut slot);
            slot
        });
        let order = world.order(0, exclusive(LOCKS[0]));
        world.run();
        assert_eq!(world.outcome(order), Some(LockOutcome::Done));
        let (at, broken) = &world.hosts[0].notices[0];
        assert!(matches!(broken, Notice::LockBroken { .. }), "{broken:?}");
        assert_eq!(at.as_nanos(), 0);
    }
}

#[test]
fn a_lock_whose_heartbeat_nobody_can_read_is_nobodys_to_take() {
    let mut world = World::new(Locking::AtsOnly, 1, &LOCKS);
    hold_silently(&mut world, LOCKS[0], Aim::Exclusive, holder(2));
    world.medium.put(holder(2).heartbeat_address, &[0; SECTOR]);
    let order = world.order(0, exclusive(LOCKS[0]));
    world.run();
    assert_eq!(world.outcome(order), Some(LockOutcome::Contended));
}

#[test]
fn the_ninth_host_that_wants_to_share_is_told_so() {
    let mut world = World::new(Locking::AtsOnly, 9, &LOCKS);
    for number in 2..=9 {
        hold_silently(&mut world, LOCKS[0], Aim::ReadOnly, holder(number));
    }
    let order = world.order(0, read_only(LOCKS[0]));
    world.run();
    assert_eq!(world.outcome(order), Some(LockOutcome::TooManyHolders));
    // One of the eight is gone, and nobody had noticed.
    world.hosts[4].pulses = false;
    world.medium.change(5, |slot| Heartbeat::never_used(slot.address));
    let order = world.order(0, read_only(LOCKS[0]));
    world.run();
    assert_eq!(world.outcome(order), Some(LockOutcome::Done));
    assert_eq!(world.medium.lock(LOCKS[0]).holders_count(), 7);
}

#[test]
fn a_transaction_from_which_a_lock_is_stolen_gives_the_others_back() {
    for (locking, thefts, outcome) in [
        (Locking::AtsOnly, 9, LockOutcome::Done),
        (Locking::AtsOnly, 10, LockOutcome::Stolen),
        (Locking::Reservations, 9, LockOutcome::Done),
        (Locking::Reservations, 10, LockOutcome::Stolen),
    ] {
        let mut world = World::new(locking, 1, &LOCKS);
        let order = world.order(0, transaction(&LOCKS));
        let [.., last] = LOCKS;
        let noting = Io::Read(VMFS_6.block(last));
        let mut stolen = 0;
        // Whenever all were noted, another host takes the last one and lets go of it.
        while world.step(0, Fault::None) {
            let reserved = count(&world, |io| *io == Io::Reserve);
            let noted = world.trace.last().is_some_and(|(_, io, _)| *io == noting)
                && count(&world, |io| *io == Io::Release) == reserved;
            if noted && stolen < thefts {
                stolen += 1;
                let mut lock = world.medium.lock(last);
                lock.token += 2;
                world.medium.put(last, &lock.encode());
            }
        }
        assert_eq!(world.outcome(order), Some(outcome));
        for lock in LOCKS {
            assert_eq!(world.medium.lock(lock).mode, LockMode::Free);
        }
        let expected = if locking == Locking::AtsOnly { thefts } else { 0 };
        let finished = &world.hosts[0].notices.last().unwrap().1;
        assert!(
            matches!(finished, Notice::Finished { miscompares, .. } if *miscompares == expected)
        );
    }
}

#[test]
fn a_transaction_without_ats_takes_its_locks_under_one_reservation() {
    let mut world = World::new(Locking::Reservations, 1, &LOCKS);
    world.order(0, transaction(&LOCKS));
    let mut reservations = 0;
    while world.step(0, Fault::None) {
        if beliefs(&world, 0).is_empty() {
            reservations = count(&world, |io| *io == Io::Reserve);
        }
    }
    assert_eq!(reservations, 1);
    assert_eq!(beliefs(&world, 0).len(), 2 * LOCKS.len());
}

#[test]
fn a_host_that_has_lost_its_heartbeat_lets_go_of_nothing() {
    for kind in kinds() {
        for steps in 0..12 {
            let mut world = World::new(Locking::AtsOnly, 1, &LOCKS);
            let order = world.order(0, kind.clone());
            for _ in 0..steps {
                world.step(0, Fault::None);
            }
            let (done, before) = (world.trace.len(), world.outcome(order));
            let had_all = beliefs(&world, 0).len() >= kind.locks().len();
            world.lose(0);
            world.run();
            assert_eq!(world.trace.len(), done, "nothing is asked for any more");
            let lost = if had_all { LockOutcome::Lost } else { LockOutcome::Offline };
            let expected = before.unwrap_or(lost);
            assert_eq!(world.outcome(order), Some(expected), "{kind:?} after {steps} steps");
        }
    }
}

#[test]
fn a_lock_left_behind_is_ones_own_to_take() {
    let mut world = World::new(Locking::AtsOnly, 1, &LOCKS);
    hold_silently(&mut world, LOCKS[0], Aim::Exclusive, holder(1));
    let order = world.order(0, read_only(LOCKS[0]));
    world.run();
    assert_eq!(world.outcome(order), Some(LockOutcome::Done));
    assert_eq!(world.medium.lock(LOCKS[0]).mode, LockMode::Free);
}

#[test]
fn orders_of_one_host_have_a_lock_one_after_the_other() {
    let mut world = World::new(Locking::AtsOnly, 1, &LOCKS);
    let [a, b, c] = LOCKS;
    world.order(0, exclusive(a));
    world.order(0, transaction(&[a, b]));
    world.order(0, exclusive(b));
    world.order(0, exclusive(c));
    world.run();
    let taken: Vec<_> =
        beliefs(&world, 0).into_iter().filter_map(|(taken, lock)| taken.then_some(lock)).collect();
    assert_eq!(taken, [a, c, a, b, b], "what is not wanted by others overtakes");
}

/// An order of any kind.
fn order() -> impl Strategy<Value = OrderKind> {
    prop_oneof![
        (0..3_usize).prop_map(|lock| exclusive(LOCKS[lock])),
        (0..3_usize).prop_map(|lock| read_only(LOCKS[lock])),
        (0..3_usize).prop_map(|lock| multi_writer(LOCKS[lock])),
        (0..3_usize, 0..3_usize).prop_map(|(one, other)| transaction(&[LOCKS[one], LOCKS[other]])),
        Just(transaction(&LOCKS)),
    ]
}

/// A fault, rarely.
fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![8 => Just(Fault::None), 2 => proptest::sample::select(&Fault::ALL[..])]
}

fn locking() -> impl Strategy<Value = Locking> {
    proptest::sample::select(&Locking::ALL[..])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Several hosts at once, interleaved and broken in any way: at every step the medium has what each host
    /// believes, and tokens grow by one (the world checks that); every order ends, and nothing is left behind.
    #[test]
    fn locks_exclude(
        locking in locking(),
        orders in proptest::collection::vec((0..4_usize, order()), 1..14),
        steps in proptest::collection::vec((any::<u8>(), fault()), 0..400),
    ) {
        let mut world = World::new(locking, 4, &LOCKS);
        let orders: Vec<_> = orders
            .into_iter()
            .map(|(host, kind)| (host, kind.clone(), world.order(host, kind)))
            .collect();
        for (choice, fault) in steps {
            world.step(choice.into(), fault);
        }
        world.run();
        for (_, kind, id) in &orders {
            let outcome = world.outcome(*id);
            prop_assert!(
                matches!(
                    outcome,
                    Some(LockOutcome::Done | LockOutcome::Contended | LockOutcome::Stolen)
                ),
                "{:?} ended as {:?}", kind, outcome
            );
        }
        for lock in LOCKS {
            let lock = world.medium.lock(lock);
            prop_assert_eq!(lock.claims().count(), 0, "{:?}", lock);
        }
    }
}

/// The same on a medium that writes without comparing: the checks of the world are able to fail.
#[test]
#[should_panic(expected = "became")]
fn two_hosts_take_one_lock_where_unequal_is_equal() {
    let mut world = World::new(Locking::AtsOnly, 2, &LOCKS);
    world.medium.compares = false;
    world.order(0, exclusive(LOCKS[0]));
    world.order(1, exclusive(LOCKS[0]));
    // Both read, and both write.
    for choice in [0, 1, 0, 0] {
        world.step(choice, Fault::None);
    }
}
