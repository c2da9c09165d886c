use pulsefield_scsi::Status;
use pulsefield_units::{BlockCount, Cdb};

use super::*;
use crate::testing::{Setup, World, cdb, filled, none, out, room};
use crate::{Action, Incoming, LuConfig, Query};

fn attention(asc: u8, ascq: u8) -> Sense {
    Sense::new(SenseKey::UnitAttention, Asc::new(asc, ascq))
}

#[test]
fn a_new_capacity_is_reported_once() {
    let mut world = World::default();
    world.server.resize(BlockCount::new(64));
    world.execute(&cdb::TEST_UNIT_READY, none()).good();
    world.server.resize(BlockCount::new(63));
    world.server.resize(BlockCount::new(60));
    world.execute(&cdb::inquiry(Some(0x00)), room(96)).good();
    world.execute(&cdb::TEST_UNIT_READY, none()).check(attention(0x2a, 0x09));
    world.execute(&cdb::TEST_UNIT_READY, none()).good();
    world.execute(&cdb::read(60, 1), room(512)).check(Sense::lba_out_of_range());
    world.assert_idle();
}

#[test]
fn it_comes_before_anything_else_is_looked_at() {
    let mut world = World::default();
    world.server.resize(BlockCount::new(60));
    // Even a COMPARE AND WRITE that could not be executed.
    world.execute(&cdb::compare_and_write(63, 1), none()).check(attention(0x2a, 0x09));
    world.server.resize(BlockCount::new(64));
    let caw = world.execute(&cdb::compare_and_write(0, 1), out(&filled(0, 2)));
    caw.check(attention(0x2a, 0x09));
    world.execute(&cdb::compare_and_write(0, 1), out(&filled(0, 2))).good();
}

#[test]
fn whoever_watches_hears_of_it_each_time_it_is_raised() {
    let mut world = World::default();
    world.server.resize(BlockCount::new(60));
    world.server.resize(BlockCount::new(62));
    world.execute(&cdb::TEST_UNIT_READY, none()).check(attention(0x2a, 0x09));
    world.execute(&cdb::TEST_UNIT_READY, none()).good();
    let raised = UnitAttention::CapacityDataHasChanged;
    // Two sizes before anybody looked are one condition.
    assert_eq!(world.server.observer().raised, [raised]);
    world.server.resize(BlockCount::new(64));
    world.execute(&cdb::TEST_UNIT_READY, none()).check(attention(0x2a, 0x09));
    assert_eq!(world.server.observer().raised, [raised; 2]);
}

#[test]
fn request_sense_returns_it_as_data() {
    let mut world = World::default();
    world.server.resize(BlockCount::new(60));
    let mut sense = [0; 18];
    (sense[0], sense[2], sense[7], sense[12], sense[13]) = (0x70, 0x06, 10, 0x2a, 0x09);
    world.execute(&cdb::request_sense(18), room(18)).good_with(&sense);
    (sense[2], sense[12], sense[13]) = (0, 0, 0);
    world.execute(&cdb::request_sense(18), room(18)).good_with(&sense);
    world.execute(&cdb::TEST_UNIT_READY, none()).good();
}

#[test]
fn each_kind_waits_its_turn() {
    let mut world = World::default();
    world.server.set_write_cache(true);
    world.server.reconfigure(LuConfig::default());
    world.execute(&cdb::TEST_UNIT_READY, none()).good();
    world.server.set_write_cache(false);
    world.server.resize(BlockCount::new(60));
    world.server.reconfigure(LuConfig {
        compare_and_write_blocks_max: 2.try_into().unwrap(),
        ..LuConfig::default()
    });
    world.server.set_write_cache(true);
    for (asc, ascq) in [(0x2a, 0x01), (0x2a, 0x09), (0x3f, 0x03)] {
        world.execute(&cdb::TEST_UNIT_READY, none()).check(attention(asc, ascq));
    }
    world.execute(&cdb::TEST_UNIT_READY, none()).good();
}

#[test]
fn a_medium_without_a_cache_never_gets_one() {
    let mut world = World::with(|setup| setup.capabilities.write_cache = false);
    world.server.set_write_cache(true);
    world.execute(&cdb::TEST_UNIT_READY, none()).good();
}

fn attentions() -> UnitAttentions {
    let mut attentions = UnitAttentions::default();
    attentions.raise(UnitAttention::CapacityDataHasChanged);
    attentions
}

/// In how many of the first `seconds` a condition is reported, if somebody asks ten times in each.
fn reports_in(attentions: &mut UnitAttentions, seconds: u64) -> usize {
    let tenths = (0..seconds * 10).map(|tenth| Instant::from_nanos(tenth * 100_000_000));
    let mut reported = |now| {
        attentions.advance(now);
        attentions.take().is_some()
    };
    tenths.filter(|now| reported(*now)).count()
}

#[test]
fn several_initiators_hear_of_it_with_pauses() {
    for (initiators, reports) in [(0, 1), (1, 1), (2, 6), (64, 192), (u32::MAX, 192)] {
        let mut attentions = attentions();
        attentions.set_initiators(initiators);
        assert_eq!(reports_in(&mut attentions, 300), reports, "{initiators} initiators");
    }
    let mut attentions = attentions();
    attentions.set_initiators(64);
    assert_eq!(reports_in(&mut attentions, 9), 9, "no more than one a second");
}

#[test]
fn until_it_is_known_how_many_there_are_one_hears_of_it() {
    let mut attentions = attentions();
    assert_eq!(reports_in(&mut attentions, 9), 1);
    attentions.set_initiators(2);
    assert_eq!(reports_in(&mut attentions, 9), 5);
}

#[test]
fn another_change_is_news_for_all() {
    let mut attentions = attentions();
    attentions.set_initiators(2);
    assert_eq!(reports_in(&mut attentions, 5), 5);
    attentions.raise(UnitAttention::CapacityDataHasChanged);
    attentions.set_initiators(2);
    assert_eq!(reports_in(&mut attentions, 20), 6);
}

#[test]
fn it_is_asked_how_many_there_are() {
    let mut world = World::default();
    world.server.resize(BlockCount::new(60));
    world.server.set_write_cache(false);
    world.poll();
    assert_eq!(world.queries, [Query::Initiators]);
    world.server.on_initiators(1);
    world.execute(&cdb::TEST_UNIT_READY, none()).check(attention(0x2a, 0x09));
    world.execute(&cdb::TEST_UNIT_READY, none()).check(attention(0x2a, 0x01));
    world.execute(&cdb::TEST_UNIT_READY, none()).good();
}

#[test]
fn a_command_of_the_targets_own_leaves_the_condition_to_an_initiator() {
    let mut world = World::default();
    world.server.resize(BlockCount::new(60));
    world.poll();
    let incoming =
        Incoming { token: 0, tag: None, cdb: Cdb::new(&cdb::TEST_UNIT_READY), data: none() };
    world.server.on_command(Instant::default(), incoming);
    let Some(Action::Answer(answer)) = world.server.poll_action(Instant::default()) else {
        panic!("not answered");
    };
    assert_eq!(answer.status, Status::Good);
    world.execute(&cdb::TEST_UNIT_READY, none()).check(attention(0x2a, 0x09));
}

#[test]
fn what_the_only_initiator_has_changed_is_no_news() {
    let mut attentions = UnitAttentions::default();
    attentions.set_tells_others(true);
    attentions.raise_for_others(UnitAttention::ModeParametersChanged);
    assert_eq!(reports_in(&mut attentions, 9), 0, "it is not known yet whether there are others");
    attentions.set_initiators(1);
    assert_eq!(reports_in(&mut attentions, 9), 0);
    // Of other changes it hears all the same.
    attentions.raise_for_others(UnitAttention::ModeParametersChanged);
    attentions.raise(UnitAttention::ModeParametersChanged);
    attentions.raise_for_others(UnitAttention::ModeParametersChanged);
    attentions.set_initiators(1);
    assert_eq!(reports_in(&mut attentions, 9), 1);
}

/// START STOP UNIT with this byte 4.
fn start_stop(world: &mut World, byte_4: u8) {
    world.execute(&[0x1b, 0, 0, 0, byte_4, 0], none()).good();
}

/// LOG SELECT of all pages with this byte 1.
fn log_select(world: &mut World, byte_1: u8) {
    world.execute(&[0x4c, byte_1, 0x40, 0, 0, 0, 0, 0, 0, 0], none()).good();
}

const EJECT: u8 = 0x02;
const LOAD: u8 = 0x03;
const PARAMETER_CODE_RESET: u8 = 0x02;

/// What one initiator has just changed is reported once it turns out that there are two.
#[track_caller]
fn is_news_for_the_other(world: &mut World, asc: u8, ascq: u8) {
    world.execute(&cdb::TEST_UNIT_READY, none()).good();
    assert_eq!(world.queries, [Query::Initiators]);
    world.server.on_initiators(2);
    world.execute(&cdb::TEST_UNIT_READY, none()).check(attention(asc, ascq));
}

/// A removable unit that reports what one initiator changes.
fn tells_others(setup: &mut Setup) {
    setup.config.tell_others = true;
    setup.config.removable = true;
}

#[test]
fn what_one_of_several_has_changed_is_news_for_the_others() {
    let unit = || World::with(tells_others);
    let mut world = unit();
    let list = cdb::write_cache(false);
    world.execute(&cdb::mode_select(&list), out(&list)).good();
    is_news_for_the_other(&mut world, 0x2a, 0x01);

    let mut world = unit();
    log_select(&mut world, PARAMETER_CODE_RESET);
    is_news_for_the_other(&mut world, 0x2a, 0x02);

    let mut world = unit();
    start_stop(&mut world, EJECT);
    start_stop(&mut world, LOAD);
    is_news_for_the_other(&mut world, 0x28, 0x00);
}

#[test]
fn unless_told_to_nobody_is_told() {
    let mut world = World::default();
    let list = cdb::write_cache(false);
    world.execute(&cdb::mode_select(&list), out(&list)).good();
    assert_eq!(world.queries, []);
    world.server.on_initiators(2);
    world.execute(&cdb::TEST_UNIT_READY, none()).good();
}

#[test]
fn what_changes_nothing_is_no_news() {
    let mut world = World::with(tells_others);
    let list = cdb::write_cache(true);
    world.execute(&cdb::mode_select(&list), out(&list)).good();
    start_stop(&mut world, LOAD);
    log_select(&mut world, 0);
    assert_eq!(world.queries, []);
    world.server.on_initiators(2);
    world.execute(&cdb::TEST_UNIT_READY, none()).good();
}
