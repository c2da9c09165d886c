use pulsefield_backstore::{BackstoreError, Op};
use pulsefield_scsi::{Asc, Sense, SenseKey, Status};
use pulsefield_units::BlockLength;

use super::*;
use crate::space::PoolLimits;
use crate::testing::{World, cdb, none, out, range, room};

/// Blocks of the length in which space is counted.
const BLOCK: u64 = 4096;

fn filled(fill: u8, blocks: usize) -> Vec<u8> {
    vec![fill; blocks * 4096]
}

/// A unit in a pool with room for so many blocks, of which some are taken.
fn pool(blocks: u64, used: u64) -> World {
    let mut world = World::with(|setup| {
        setup.geometry.block_length = BlockLength::B4096;
        let thresholds = vec![blocks * BLOCK / 2];
        let (name, limit) = ("gold".to_owned(), blocks * BLOCK);
        setup.config.pool = Some(PoolLimits { name, limit, thresholds });
    });
    report(&mut world, used);
    world
}

fn report(world: &mut World, blocks: u64) {
    let used = blocks * BLOCK;
    world.server.on_space(SpaceReport { allocated: used, used });
}

/// The unit attention condition of a threshold is out of the way.
fn warned(mut world: World) -> World {
    let reply = world.execute(&cdb::TEST_UNIT_READY, none());
    reply.check_codes(SenseKey::UnitAttention, Asc::THIN_PROVISIONING_SOFT_THRESHOLD_REACHED);
    world
}

fn no_space() -> (SenseKey, Asc) {
    (SenseKey::DataProtect, Asc::SPACE_ALLOCATION_FAILED_WRITE_PROTECT)
}

#[test]
fn while_there_is_room_the_medium_is_not_asked() {
    let mut world = pool(16, 4);
    let write = world.send(&cdb::write(0, 8), out(&filled(b'A', 8)));
    assert_eq!(world.ops(), [Op::Write { range: range(0, 8), durable: false }]);
    world.finish_all();
    world.answer(write).good();
    world.assert_idle();
}

#[test]
fn in_a_full_pool_blocks_with_space_are_written_and_others_are_not() {
    let mut world = warned(pool(16, 16));
    world.put(0, &filled(b'A', 16));
    let write = world.send(&cdb::write(4, 8), out(&filled(b'B', 8)));
    assert_eq!(world.ops(), [Op::Provisioning { range: range(4, 8) }]);
    world.finish(0);
    assert_eq!(world.ops(), [Op::Write { range: range(4, 8), durable: false }]);
    world.finish(0);
    world.answer(write).good();
    assert_eq!(world.block(4), filled(b'B', 1));
    let (key, asc) = no_space();
    for (command, data) in [
        (cdb::write(12, 8), filled(b'C', 8)),
        (cdb::write(60, 1), filled(0, 1)),
        (cdb::compare_and_write(60, 1), filled(0, 2)),
        (cdb::write_same(60, 2, 0), filled(b'C', 1)),
        (cdb::write_same(60, 2, 0), filled(0, 1)),
    ] {
        world.execute(&command, out(&data)).check_codes(key, asc);
    }
    assert_eq!(world.block(12), filled(b'A', 1), "nothing is written by half");
    world.execute(&cdb::compare_and_write(0, 1), out(&filled(b'A', 2))).good();
    world.execute(&cdb::read(60, 1), room(4096)).good();
    world.assert_idle();
}

#[test]
fn giving_space_back_relieves_a_pool() {
    let mut world = warned(pool(16, 16));
    world.put(0, &filled(b'A', 16));
    assert!(!world.server.wants_space_report());
    let (command, list) = cdb::unmap(&[(0, 8)]);
    world.execute(&command, out(&list)).good();
    assert!(world.server.wants_space_report());
    report(&mut world, 8);
    let zeros = cdb::write_same(8, 8, cdb::UNMAP);
    world.execute(&zeros, out(&filled(0, 1))).good();
    assert!(world.server.wants_space_report());
    report(&mut world, 0);
    world.execute(&cdb::write(32, 16), out(&filled(b'B', 16))).good();
    report(&mut world, 16);
    // Reached again, warned again.
    warned(world).assert_idle();
}

#[test]
fn only_what_has_no_space_needs_some() {
    let mut world = pool(16, 4);
    world.put(0, &filled(b'A', 4));
    // Counted as 16 new blocks it would be too much; 12 are new.
    world.execute(&cdb::write(0, 16), out(&filled(b'B', 16))).good();
    assert!(world.server.wants_space_report());
    report(&mut world, 16);
    world = warned(world);
    let (key, asc) = no_space();
    world.execute(&cdb::write(15, 2), out(&filled(b'B', 2))).check_codes(key, asc);
    world.assert_idle();
}

#[test]
fn what_is_in_flight_is_not_given_twice() {
    let mut world = pool(16, 0);
    let first = world.send(&cdb::write(0, 10), out(&filled(b'A', 10)));
    let second = world.send(&cdb::write(20, 10), out(&filled(b'A', 10)));
    assert_eq!(world.ops()[1], Op::Provisioning { range: range(20, 10) });
    world.finish(1);
    let (key, asc) = no_space();
    world.answer(second).check_codes(key, asc);
    world.finish_all();
    world.answer(first).good();
    world.assert_idle();
}

#[test]
fn an_abort_and_an_error_end_a_write_at_the_gate() {
    let mut world = warned(pool(16, 16));
    let write = world.send(&cdb::write(0, 1), out(&filled(b'A', 1)));
    world.abort(&[write]);
    world.finish_all();
    world.answer(write).aborted();
    let write = world.send(&cdb::write(0, 1), out(&filled(b'A', 1)));
    world.fail(0, BackstoreError::Transient);
    assert_eq!(world.answer(write).status, Status::Busy);
    assert_eq!(world.block(0), filled(0, 1));
    world.assert_idle();
}

#[test]
fn the_log_page_tells_what_is_left_and_what_is_taken() {
    const MIB: u64 = 1 << 20;
    let mut world = pool(1000 * MIB / BLOCK, 0);
    world.server.on_space(SpaceReport { allocated: 100 * MIB + 1, used: 300 * MIB });
    let log_sense = [0x4d, 0, 0x40 | 0x0c, 0, 0, 0, 0, 0, 255, 0];
    let page = [
        [0x0c, 0, 0, 24].as_slice(),
        &[0, 1, 0x03, 8, 0, 0, 0x02, 0xbc, 2, 0, 0, 0],
        &[0, 2, 0x03, 8, 0, 0, 0, 100, 1, 0, 0, 0],
    ];
    world.execute(&log_sense, room(255)).good_with(&page.concat());
    let refused = World::default().execute(&log_sense, room(255));
    refused.check(Sense::invalid_field_in_cdb(2, Some(5)));
}

#[test]
fn formatting_asks_what_the_medium_takes_afterwards() {
    let mut world = pool(16, 4);
    assert!(!world.server.wants_space_report());
    let format = world.send(&[0x04, 0x10, 0, 0, 0, 0], out(&[0; 4]));
    world.finish_all();
    world.answer(format).good();
    assert!(world.server.wants_space_report());
    world.assert_idle();
}

#[test]
fn a_short_write_counts_with_all_that_it_may_allocate() {
    let short = World::default();
    assert_eq!(short.server.unit.space_of(range(7, 1)), 4096);
    assert_eq!(short.server.unit.space_of(range(7, 2)), 8192);
    assert_eq!(short.server.unit.space_of(range(8, 8)), 4096);
}

#[test]
fn thresholds_are_announced_in_the_provisioning_page() {
    let exponent = |mut world: World| world.execute(&cdb::inquiry(Some(0xb2)), room(8)).bytes[4];
    assert_eq!(exponent(pool(1 << 20, 0)), 8);
    assert_eq!(exponent(World::default()), 0);
}

#[test]
fn thresholds_are_told_in_the_mode_page_and_a_change_of_them_is_announced() {
    // 16 MiB, warned of at 8 MiB: half of the sixteen threshold sets of 1 MiB are available then.
    let mut world = pool(4096, 0);
    let mode_sense = [0x5a, 0x08, 0x1c, 0x02, 0, 0, 0, 0, 255, 0];
    let page = world.execute(&mode_sense, room(255));
    page.good();
    assert_eq!(page.data_in, Some(8 + 16 + 8));
    assert_eq!(page.bytes[8..12], [0x5c, 0x02, 0, 0x14]);
    assert_eq!(page.bytes[24..32], [0x80, 0x01, 0, 0, 0, 0, 0, 8]);
    let mut config = world.server.unit.config.clone();
    if let Some(pool) = &mut config.pool {
        pool.thresholds = vec![12 << 20];
    }
    world.server.reconfigure(config);
    world
        .execute(&cdb::TEST_UNIT_READY, none())
        .check_codes(SenseKey::UnitAttention, Asc::MODE_PARAMETERS_CHANGED);
    let page = world.execute(&mode_sense, room(255));
    assert_eq!(page.bytes[31], 4);
}
