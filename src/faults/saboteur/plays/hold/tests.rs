use pulsefield_scsi::{SenseKey, Status};

use super::*;
use crate::Delay;
use crate::Disarm;
use crate::saboteur::testing::{
    MS, TIME_OUT, World, block, compare_and_write, pair, read, rule, write,
};

#[test]
fn a_delay_costs_what_was_drawn_and_nobody_else_anything() {
    let delay = Delay::Uniform { from: 5 * MS, to: 9 * MS };
    let mut world = World::default();
    let mut slow = rule(Fault::Latency { delay });
    slow.place.commands = vec![crate::CommandSelector::Family(crate::Family::Read)];
    world.arm_rules(vec![slow]);
    let start = world.now;
    let held: Vec<_> = (0..5).map(|_| world.send(&read(3, 1), &[0; 512])).collect();
    world.write(4, 1).good();
    let delays: Vec<_> = world.saboteur.log.since(0).map(|hit| hit.delay).collect();
    assert!(delays.iter().all(|delay| (5 * MS..=9 * MS).contains(delay)));
    assert_eq!(
        world.saboteur.next_deadline(),
        delays.iter().min().map(|delay| start.after(*delay))
    );
    world.pass(9 * MS);
    for tag in held {
        world.answer(tag).good_with(&block(0));
    }
    world.assert_idle();
}

#[test]
fn an_abort_ends_a_delay() {
    let mut world = World::with(Fault::Latency { delay: Delay::Fixed(MS) });
    let held = world.send(&write(3, 1), &block(1));
    world.abort(held);
    world.answer(held).status(Status::TaskAborted);
    assert_eq!(world.saboteur.next_deadline(), None);
    world.pass(MS);
    assert_eq!(world.block(3), block(0));
    world.assert_idle();
}

#[test]
fn the_more_are_in_flight_the_longer_each_takes() {
    let mut world = World::with(Fault::Starve { step: MS, free: 2 });
    let held: Vec<_> = (0..5).map(|_| world.send(&read(3, 1), &[0; 512])).collect();
    let delays: Vec<_> = world.saboteur.log.since(0).map(|hit| hit.delay).collect();
    // The first two were free, and gone before the third.
    assert_eq!(delays, [Duration::ZERO; 5]);
    held.into_iter().for_each(|tag| world.answer(tag).good());
    world.holds_ops = true;
    let held: Vec<_> = (0..5).map(|_| world.send(&read(3, 1), &[0; 512])).collect();
    let delays: Vec<_> = world.saboteur.log.since(5).map(|hit| hit.delay).collect();
    assert_eq!(delays, [Duration::ZERO, Duration::ZERO, MS, 2 * MS, 3 * MS]);
    world.pass(3 * MS);
    world.finish();
    held.into_iter().for_each(|tag| world.answer(tag).good());
    world.assert_idle();
}

#[test]
fn a_stall_holds_all_until_it_is_over() {
    let mut stall = rule(Fault::Stall { duration: 100 * MS });
    stall.when.select = crate::Select::Nth(std::num::NonZeroU64::new(2).unwrap());
    let mut world = World::default();
    world.arm_rules(vec![stall]);
    world.write(3, 1).good();
    let first = world.send(&write(4, 1), &block(2));
    world.pass(60 * MS);
    let second = world.send(&write(4, 1), &block(3));
    world.pass(39 * MS);
    assert!(world.waits(first) && world.waits(second));
    world.pass(MS);
    world.answer(first).good();
    world.answer(second).good();
    assert_eq!(world.block(4), block(3), "in order");
    world.write(5, 1).good();
    world.assert_idle();
}

#[test]
fn what_is_dropped_is_answered_when_it_is_aborted_or_expires() {
    let mut world = World::with(Fault::Drop { limit: None });
    let [aborted, expired] = [3, 4].map(|lba| world.send(&write(lba, 1), &block(1)));
    world.pass(TIME_OUT - MS);
    world.abort(aborted);
    world.answer(aborted).status(Status::TaskAborted);
    assert!(world.waits(expired));
    world.pass(MS);
    world.answer(expired).codes(SenseKey::NotReady, 0x08, 0x00);
    assert_eq!((world.block(3), world.block(4)), (&*block(0), &*block(0)));
    world.assert_idle();
}

#[test]
fn one_mutex_lets_one_through_at_a_time() {
    let mut world = World::with(Fault::CawGlobalMutex { hold: Delay::Fixed(10 * MS) });
    let tags: Vec<_> = (0..3).map(|lba| world.send(&compare_and_write(lba), &pair(0, 1))).collect();
    world.write(9, 1).good();
    assert_eq!((world.block(0), world.block(1)), (&*block(1), &*block(0)));
    world.pass(10 * MS);
    world.answer(tags[0]).good();
    assert_eq!((world.block(1), world.block(2)), (&*block(1), &*block(0)));
    // Whoever waits can be aborted, and the others keep their turns.
    let fourth = world.send(&compare_and_write(4), &pair(0, 1));
    world.abort(tags[2]);
    world.answer(tags[2]).status(Status::TaskAborted);
    world.pass(10 * MS);
    world.answer(tags[1]).good();
    world.pass(10 * MS);
    world.answer(fourth).good();
    assert_eq!((world.block(2), world.block(4)), (&*block(0), &*block(1)));
    world.assert_idle();
}

#[test]
fn without_the_rule_its_mutex_is_open() {
    let mut world = World::default();
    let armed = world.arm(Fault::CawGlobalMutex { hold: Delay::Fixed(10 * MS) });
    let tags: Vec<_> = (0..3).map(|lba| world.send(&compare_and_write(lba), &pair(0, 1))).collect();
    world.saboteur.disarm(world.now, &Disarm::Plan(armed));
    world.pump();
    tags.into_iter().for_each(|tag| world.answer(tag).good());
    world.assert_idle();
}
