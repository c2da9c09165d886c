use std::num::{NonZeroU32, NonZeroU64};

use pulsefield_scsi::SenseKey;

use super::*;
use crate::saboteur::testing::{
    MS, World, block, compare_and_write, pair, plan, read, rule, write,
};
use crate::{Chance, Delay, Fault, RuleReport, Select, VmfsSelector};

mod any_plan;
mod determinism;
mod hammer;

fn drop_all() -> Fault {
    Fault::Drop { limit: None }
}

#[test]
fn without_plans_every_command_goes_on_as_it_is() {
    let mut world = World::default();
    world.write(3, 1).good();
    assert_eq!(world.saboteur.next_deadline(), None);
    assert_eq!(world.saboteur.log.hits(), 0);
    world.assert_idle();
}

#[test]
fn of_several_rules_the_first_that_hits_does() {
    let mut lost = rule(Fault::LostWrite);
    lost.when.select = Select::Nth(NonZeroU64::new(2).unwrap());
    lost.name = "lost".to_owned();
    let full = rule(Fault::ThinFull);
    let mut world = World::default();
    world.arm_rules(vec![lost, full]);
    world.write(3, 1).codes(SenseKey::DataProtect, 0x27, 0x07);
    world.write(3, 2).good();
    assert_eq!(world.block(3), block(0));
    let rules = world.saboteur.report(0).plans[0].rules.clone();
    let counts = |rule: &RuleReport| (rule.counted, rule.hits);
    assert_eq!((counts(&rules[0]), counts(&rules[1])), ((2, 1), (1, 1)));
    let log: Vec<_> = world.saboteur.log.since(0).map(|hit| (hit.command, &*hit.rule)).collect();
    assert_eq!(log, [(1, "r"), (2, "lost")]);
}

#[test]
fn a_log_entry_says_what_became_of_the_command() {
    let shift = NonZeroU32::new(4).unwrap();
    let mut world = World::with(Fault::MiscompareWrongOffset { shift });
    world.read(9);
    world.caw(3, 1, 2).miscompare(4);
    let hit = world.saboteur.log.since(0).next().unwrap();
    assert_eq!((hit.number, hit.command, hit.counted, hit.opcode), (0, 2, 1, 0x89));
    assert_eq!(hit.blocks.unwrap().start().as_u64(), 3);
    let information = |outcome: Option<Outcome>| outcome.unwrap().sense.unwrap().information;
    assert_eq!((information(hit.before), information(hit.after)), (Some(0), Some(4)));
}

#[test]
fn a_plan_ends_after_its_time_and_lets_go() {
    let mut world = World::default();
    let lasting = Some(50 * MS);
    world.arm_plan(Plan { lasting, ..plan(vec![rule(drop_all())]) });
    let held = world.send(&write(3, 1), &block(1));
    world.pass(49 * MS);
    assert!(world.waits(held));
    world.pass(MS);
    world.answer(held).codes(SenseKey::NotReady, 0x08, 0x00);
    assert!(world.saboteur.report(0).plans.is_empty());
    world.write(3, 1).good();
    world.assert_idle();
}

#[test]
fn a_plan_ends_after_its_hits_once_they_are_over() {
    let mut world = World::default();
    world.arm_plan(Plan { hits: Some(1), ..plan(vec![rule(drop_all())]) });
    let held = world.send(&write(3, 1), &block(1));
    world.write(3, 2).good();
    assert!(world.waits(held), "the hit that there was goes on");
    assert_eq!(world.saboteur.report(0).plans.len(), 1);
    world.abort(held);
    world.write(3, 3).good();
    assert!(world.saboteur.report(0).plans.is_empty());
    world.assert_idle();
}

#[test]
fn rules_are_disarmed_by_name() {
    let named = |name: &str| crate::Rule { name: name.to_owned(), ..rule(drop_all()) };
    let mut world = World::default();
    world.arm_rules(vec![named("a"), named("b")]);
    let held = world.send(&write(3, 1), &block(1));
    assert_eq!(world.saboteur.disarm(world.now, &Disarm::Rules("c".to_owned())), 0);
    assert_eq!(world.saboteur.disarm(world.now, &Disarm::Rules("a".to_owned())), 1);
    world.pump();
    world.answer(held).codes(SenseKey::NotReady, 0x08, 0x00);
    let held = world.send(&write(3, 1), &block(1));
    assert_eq!(world.saboteur.disarm(world.now, &Disarm::Rules("b".to_owned())), 1);
    world.pump();
    assert!(!world.waits(held) && world.saboteur.report(0).plans.is_empty());
    assert_eq!(world.saboteur.disarm(world.now, &Disarm::All), 0);
}

#[test]
fn a_plan_for_other_units_hits_nothing() {
    let mut other = rule(drop_all());
    other.place.luns = vec![crate::LunPattern::new("ds*")];
    let mut world = World::default();
    world.arm_rules(vec![other]);
    world.write(3, 1).good();
}

#[test]
fn a_unit_that_stops_answers_everything() {
    let mut world = World::default();
    let rules =
        [Fault::CawStatusLost { limit: None }, Fault::Latency { delay: Delay::Fixed(9000 * MS) }];
    world.arm_rules(rules.map(rule).into());
    let lost = world.send(&compare_and_write(3), &pair(0, 1));
    let slow = world.send(&read(3, 1), &[0; 512]);
    world.stop();
    world.answer(lost).codes(SenseKey::NotReady, 0x08, 0x00);
    world.answer(slow).good_with(&block(1));
    world.write(4, 1).good();
    world.assert_idle();
}

#[test]
fn what_is_to_come_late_does_not_once_the_unit_stops() {
    let mut world = World::with(Fault::CawLateApply { delay: MS, limit: None });
    let [answered, held] = [3, 4].map(|lba| world.send(&compare_and_write(lba), &pair(0, 1)));
    world.abort(answered);
    world.stop();
    assert!(!world.waits(held));
    world.pass(MS);
    assert_eq!((world.block(3), world.block(4)), (&*block(0), &*block(0)));
    world.assert_idle();
}

#[test]
fn a_unit_attention_ends_the_command_that_was_hit() {
    let mut world = World::with(Fault::MiscompareFalseEqual);
    world.server.raise(UnitAttention::CapacityDataHasChanged);
    world.caw(3, 5, 1).codes(SenseKey::UnitAttention, 0x2a, 0x09);
    assert_eq!(world.block(3), block(0));
    world.server.on_initiators(1);
    world.caw(3, 5, 1).good();
    world.assert_idle();
}

#[test]
fn a_host_is_known_by_the_heartbeat_it_brings() {
    let heartbeat = |host: u8| {
        let mut slot = block(0);
        slot[..4].copy_from_slice(&0xabcd_ef02_u32.to_le_bytes());
        slot[4..12].copy_from_slice(&0x34_0000_u64.to_le_bytes());
        slot[12] = 1;
        slot[0x1c..0x2c].fill(host);
        slot
    };
    let mut one_host = rule(Fault::ThinFull);
    let host = pulsefield_vmfs::HostUuid::from_bytes([7; 16]);
    one_host.place.vmfs = Some(VmfsSelector::Heartbeat { slot: None, host });
    let mut world = World::default();
    world.arm_rules(vec![one_host]);
    world.execute(&write(3, 1), &heartbeat(8)).good();
    world.execute(&write(3, 1), &heartbeat(7)).codes(SenseKey::DataProtect, 0x27, 0x07);
    let clear_to_used = [block(0), heartbeat(7)].concat();
    world.execute(&compare_and_write(4), &clear_to_used).codes(SenseKey::DataProtect, 0x27, 0x07);
    world.caw(5, 0, 1).good();
    world.assert_idle();
}

#[test]
fn a_lane_and_blocks_narrow_a_rule_down() {
    let mut narrow = rule(Fault::ThinFull);
    narrow.place.lane = Some(pulsefield_engine::Lane::Heartbeat);
    narrow.place.blocks =
        vec![crate::saboteur::testing::range(8, 2), crate::saboteur::testing::range(63, 1)];
    let mut world = World::default();
    world.arm_rules(vec![narrow]);
    for (lba, hit) in [(7, false), (8, true), (9, true), (10, false), (63, true)] {
        let reply = world.caw(lba, 0, 0);
        assert_eq!(reply.outcome.sense.is_some(), hit, "block {lba}");
        world.write(lba, 0).good();
    }
}

#[test]
fn arming_and_disarming_under_load_loses_nothing() {
    let mut world = World::default();
    let fault = Fault::Latency { delay: Delay::Fixed(3 * MS) };
    let mut sent = 0_u64;
    for round in 0..10_000 {
        let armed = world.arm(fault);
        let tag = world.send(&write(3, 1), &block(1));
        sent += 1;
        if round % 3 == 0 {
            world.pass(MS);
        }
        assert_eq!(world.saboteur.disarm(world.now, &Disarm::Plan(armed)), 1);
        world.pump();
        world.answer(tag).good();
    }
    assert_eq!(world.saboteur.log.hits(), sent);
    assert_eq!(world.saboteur.next_deadline(), None);
    world.assert_idle();
}

/// A chance of one in `n`.
fn one_in(n: u32) -> Select {
    Select::Chance(Chance::new(Chance::WHOLE / n).unwrap())
}
