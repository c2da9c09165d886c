use pulsefield_backstore::{BackstoreError, Op};
use pulsefield_scsi::{Asc, Sense, SenseKey};

use crate::LuConfig;
use crate::testing::{Reply, World, cdb, filled, none, out, room};

const START: u8 = 0x01;
const STOP: u8 = 0x00;
const EJECT: u8 = 0x02;
const LOAD: u8 = 0x03;
const NO_FLUSH: u8 = 0x04;

fn removable() -> World {
    World::with(|setup| setup.config.removable = true)
}

/// START STOP UNIT with this byte 4.
fn change(world: &mut World, byte_4: u8) -> Reply {
    world.execute(&[0x1b, 0, 0, 0, byte_4, 0], none())
}

fn prevent(world: &mut World, prevent: u8) -> Reply {
    world.execute_at_once(&[0x1e, 0, 0, 0, prevent, 0], none())
}

fn test_unit_ready(world: &mut World) -> Reply {
    world.execute_at_once(&cdb::TEST_UNIT_READY, none())
}

/// Key, code and qualifier that REQUEST SENSE tells.
fn requested(world: &mut World) -> (u8, u8, u8) {
    let bytes = world.execute_at_once(&cdb::request_sense(18), room(18)).bytes;
    (bytes[2], bytes[12], bytes[13])
}

#[track_caller]
fn no_medium(reply: &Reply) {
    reply.check_codes(SenseKey::NotReady, Asc::new(0x3a, 0x00));
}

#[track_caller]
fn stopped(reply: &Reply) {
    reply.check_codes(SenseKey::NotReady, Asc::new(0x04, 0x02));
}

#[test]
fn a_stopped_unit_wants_to_be_started() {
    let mut world = World::default();
    // INQUIRY says what they are.
    world.server.on_port_groups(Vec::new());
    change(&mut world, STOP).good_with(b"");
    stopped(&test_unit_ready(&mut world));
    stopped(&world.execute(&cdb::read(0, 1), room(512)));
    stopped(&world.execute(&cdb::synchronize_cache(0, 0), none()));
    assert_eq!(requested(&mut world), (0x02, 0x04, 0x02));
    world.execute(&[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], room(8)).good();
    world.execute(&cdb::inquiry(None), room(96)).good();
    change(&mut world, START).good();
    test_unit_ready(&mut world).good();
    world.execute(&cdb::read(0, 1), room(512)).good();
}

#[test]
fn what_stops_is_written_out_first() {
    let mut world = World::default();
    let stop = world.send(&[0x1b, 0, 0, 0, STOP, 0], none());
    assert_eq!(world.ops(), [Op::Flush]);
    test_unit_ready(&mut world).good();
    world.abort(&[stop]);
    assert!(world.waits(stop), "an abort comes too late");
    world.finish(0);
    world.answer(stop).good();
    stopped(&test_unit_ready(&mut world));

    let mut world = World::default();
    world.execute_at_once(&[0x1b, 0, 0, 0, STOP | NO_FLUSH, 0], none()).good();
    stopped(&test_unit_ready(&mut world));
}

#[test]
fn a_cache_that_cannot_be_written_out_leaves_the_unit_as_it_is() {
    let mut world = World::default();
    let stop = world.send(&[0x1b, 0, 0, 0, STOP, 0], none());
    world.fail(0, BackstoreError::Medium);
    world.answer(stop).check_codes(SenseKey::MediumError, Asc::WRITE_ERROR);
    test_unit_ready(&mut world).good();
}

#[test]
fn idle_and_standby_are_told_and_end_with_the_next_access() {
    for (modifier, byte_4, sense) in [
        (0, 0x20, (0, 0x5e, 0x03)),
        (1, 0x20, (0, 0x5e, 0x06)),
        (2, 0xa0, (0, 0x5e, 0x08)),
        (0, 0xb0, (0, 0x5e, 0x04)),
        (1, 0x30, (0, 0x5e, 0x0a)),
    ] {
        let mut world = World::default();
        world.execute_at_once(&[0x1b, 0, 0, modifier, byte_4, 0], none()).good();
        test_unit_ready(&mut world).good();
        assert_eq!(requested(&mut world), sense);
        world.execute(&cdb::read(0, 1), room(512)).good();
        assert_eq!(requested(&mut world), (0, 0, 0));
    }
}

#[test]
fn a_fixed_medium_is_neither_ejected_nor_held() {
    let mut world = World::default();
    for byte_4 in [EJECT, LOAD] {
        change(&mut world, byte_4).check(Sense::invalid_field_in_cdb(4, Some(1)));
    }
    prevent(&mut world, 1).check(Sense::invalid_opcode());
    let asked = world.execute(&[0xa3, 0x0c, 1, 0x1e, 0, 0, 0, 0, 1, 0, 0, 0], room(256));
    asked.good_with(&[0, 1, 0, 0]);
}

#[test]
fn an_ejected_medium_is_not_there_until_it_is_loaded() {
    let mut world = removable();
    // INQUIRY says what they are.
    world.server.on_port_groups(Vec::new());
    assert_eq!(world.execute(&cdb::inquiry(None), room(96)).bytes[1], 0x80);
    change(&mut world, EJECT).good();
    no_medium(&test_unit_ready(&mut world));
    no_medium(&world.execute(&cdb::read(0, 1), room(512)));
    no_medium(&world.execute(&cdb::write(0, 1), out(&filled(b'A', 1))));
    no_medium(&world.execute(&cdb::get_lba_status(0, 24), room(24)));
    no_medium(&world.execute(&[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], room(8)));
    assert_eq!(requested(&mut world), (0x02, 0x3a, 0x00));
    change(&mut world, EJECT).good();
    change(&mut world, LOAD).good();
    test_unit_ready(&mut world).good();
    world.execute(&cdb::read(0, 1), room(512)).good();
}

#[test]
fn a_removable_medium_that_was_stopped_starts_by_itself() {
    let mut world = removable();
    change(&mut world, STOP).good();
    test_unit_ready(&mut world).good();
    assert_eq!(requested(&mut world), (0, 0x5e, 0x04));
}

#[test]
fn prevention_holds_the_medium_in_or_out() {
    let prevented = Sense::new(SenseKey::IllegalRequest, Asc::new(0x53, 0x02));
    let mut world = removable();
    prevent(&mut world, 1).good();
    change(&mut world, EJECT).check(prevented);
    test_unit_ready(&mut world).good();
    prevent(&mut world, 0).good();
    change(&mut world, EJECT).good();
    prevent(&mut world, 1).good();
    change(&mut world, LOAD).check(prevented);
    prevent(&mut world, 0).good();
    change(&mut world, LOAD).good();
}

#[test]
fn a_reset_allows_removal() {
    let mut world = removable();
    prevent(&mut world, 1).good();
    world.server.on_reset();
    change(&mut world, EJECT).good();
    no_medium(&test_unit_ready(&mut world));
}

#[test]
fn a_medium_that_is_fixed_from_now_on_is_in() {
    let mut world = removable();
    change(&mut world, EJECT).good();
    world.server.reconfigure(LuConfig::default());
    let reply = test_unit_ready(&mut world);
    reply.check_codes(SenseKey::UnitAttention, Asc::INQUIRY_DATA_HAS_CHANGED);
    test_unit_ready(&mut world).good();
}

#[test]
fn a_read_only_unit_says_so_and_refuses_every_write() {
    let mut world = World::with(|setup| setup.config.read_only = true);
    let header = world.execute(&[0x1a, 0x08, 0x3f, 0, 4, 0], room(4)).bytes;
    assert_eq!(header[2] & 0x80, 0x80, "WP");
    let (unmap, list) = cdb::unmap(&[(0, 8)]);
    for (command, data) in [
        (&cdb::write(0, 1)[..], out(&filled(0, 1))),
        (&cdb::write_and_verify(0, 1, 1), out(&filled(0, 1))),
        (&cdb::compare_and_write(0, 1), out(&filled(0, 2))),
        (&cdb::write_same(0, 1, 0), out(&filled(0, 1))),
        // Before its data is missed.
        (&cdb::write_same(0, 1, cdb::UNMAP), none()),
        (&unmap, out(&list)),
    ] {
        let reply = world.execute_at_once(command, data);
        reply.check_codes(SenseKey::DataProtect, Asc::WRITE_PROTECTED);
    }
    world.execute(&cdb::read(0, 1), room(512)).good();
    world.server.reconfigure(LuConfig::default());
    let reply = test_unit_ready(&mut world);
    reply.check_codes(SenseKey::UnitAttention, Asc::MODE_PARAMETERS_CHANGED);
    world.execute(&cdb::write(0, 1), out(&filled(0, 1))).good();
}
