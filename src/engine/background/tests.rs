use pulsefield_backstore::{BackstoreError, Op};
use pulsefield_scsi::{Asc, Sense, SenseKey};
use pulsefield_units::{BlockCount, BlockLength};

use crate::testing::{Reply, World, cdb, filled, none, out, range, room};
use crate::{Operation, SavedState};

const IMMED: u8 = 0x80;
const AUSE: u8 = 0x20;
const BLOCK_ERASE: u8 = 0x02;
const CRYPTOGRAPHIC_ERASE: u8 = 0x03;
const EXIT_FAILURE_MODE: u8 = 0x1f;

/// FORMAT UNIT with a short header that says whether the answer may come at once.
fn format(world: &mut World, immediate: bool) -> u16 {
    let list = [0, if immediate { 0x02 } else { 0 }, 0, 0];
    world.send(&[0x04, 0x10, 0, 0, 0, 0], out(&list))
}

/// SANITIZE, OVERWRITE; the left bit of `passes` is INVERT.
fn overwrite(world: &mut World, bits: u8, passes: u8, pattern: &[u8]) -> u16 {
    let (command, list) = cdb::overwrite(bits, passes, pattern);
    world.send(&command, out(&list))
}

fn test_unit_ready(world: &mut World) -> Reply {
    world.execute_at_once(&cdb::TEST_UNIT_READY, none())
}

#[track_caller]
fn sanitizing(reply: &Reply, progress: u16) {
    let sense = Sense::new(SenseKey::NotReady, Asc::new(0x04, 0x1b));
    reply.check(sense.with_progress(progress));
}

/// A medium of so many MiB that forgets nothing.
fn mebibytes(count: u64) -> World {
    World::with(|setup| setup.geometry.blocks = BlockCount::new(2048 * count))
}

#[test]
fn overwriting_goes_through_all_blocks_onto_the_medium_itself() {
    let mut world = mebibytes(2);
    let sanitize = overwrite(&mut world, 0, 1, &[0xaa, 0x55, 0x00]);
    assert_eq!(world.ops(), [Op::Write { range: range(0, 2048), durable: true }]);
    world.finish(0);
    assert_eq!(world.ops(), [Op::Write { range: range(2048, 2048), durable: true }]);
    assert!(world.waits(sanitize));
    world.finish(0);
    world.answer(sanitize).good();
    let block: Vec<u8> = [0xaa, 0x55, 0x00].into_iter().cycle().take(512).collect();
    assert!((0..4096).all(|lba| world.block(lba) == block));
    test_unit_ready(&mut world).good();
    world.assert_idle();
}

#[test]
fn cryptographic_erasure_overwrites_whatever_the_medium_is() {
    for thin in [true, false] {
        let mut world = World::with(|setup| setup.capabilities.thin = thin);
        world.put(9, &[0x5a; 512]);
        let sanitize = world.send(&cdb::sanitize(CRYPTOGRAPHIC_ERASE), none());
        assert_eq!(world.ops(), [Op::Write { range: range(0, 64), durable: true }]);
        world.finish(0);
        world.answer(sanitize).good();
        assert!((0..64).all(|lba| world.block(lba) == [0; 512]));
        world.assert_idle();
    }
}

#[test]
fn the_last_pass_writes_the_pattern_as_it_is() {
    for (passes, first) in [(2, 0xf0), (3, 0x0f)] {
        let mut world = World::with(|setup| setup.geometry.block_length = BlockLength::B4096);
        let sanitize = overwrite(&mut world, 0, 0x80 | passes, &[0x0f]);
        let mut patterns = Vec::new();
        while let [Op::Write { .. }] = world.ops()[..] {
            patterns.push(world.bytes_at(0)[4095]);
            world.finish(0);
        }
        world.answer(sanitize).good();
        assert_eq!((patterns.len(), patterns[0]), (passes.into(), first));
        assert!(patterns.windows(2).all(|two| two[0] == !two[1]));
        assert_eq!(patterns.last(), Some(&0x0f));
    }
}

#[test]
fn whatever_comes_meanwhile_hears_how_far_it_is() {
    let mut world = mebibytes(4);
    // INQUIRY says what they are.
    world.server.on_port_groups(Vec::new());
    let sanitize = overwrite(&mut world, IMMED, 1, &[0]);
    world.answer(sanitize).good();
    sanitizing(&test_unit_ready(&mut world), 0x4000);
    world.finish(0);
    for (command, data) in [
        (&cdb::read(0, 1)[..], room(512)),
        (&cdb::compare_and_write(0, 1), out(&filled(0, 2))),
        (&cdb::synchronize_cache(0, 0), none()),
        (&[0x1a, 0x08, 0x08, 0, 255, 0], room(255)),
        (&[0x1b, 0x01, 0, 0, 0x12, 0], none()),
        (&cdb::sanitize(BLOCK_ERASE), none()),
        (&[0x04, 0, 0, 0, 0, 0], none()),
    ] {
        sanitizing(&world.execute_at_once(command, data), 0x8000);
    }
    world.execute_at_once(&cdb::inquiry(None), room(96)).good();
    let polled = world.execute_at_once(&cdb::request_sense(18), room(18));
    let told = [0x70, 0, 2, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x04, 0x1b, 0, 0x80, 0x80, 0];
    polled.good_with(&told);
    world.finish_all();
    test_unit_ready(&mut world).good();
    world
        .execute_at_once(&cdb::request_sense(18), room(18))
        .good_with(&[0x70, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn it_waits_for_what_came_before() {
    let mut world = World::default();
    let write = world.send(&cdb::write(7, 1), out(&filled(b'A', 1)));
    let sanitize = world.send(&cdb::sanitize(BLOCK_ERASE), none());
    assert_eq!(world.ops().len(), 1, "the write");
    sanitizing(&test_unit_ready(&mut world), 0);
    world.finish(0);
    world.answer(write).good();
    assert_eq!(world.ops(), [Op::Unmap { range: range(0, 64) }]);
    world.finish(0);
    assert_eq!(world.ops(), [Op::Flush]);
    world.finish(0);
    world.answer(sanitize).good_with(b"");
    assert_eq!(world.block(7), [0; 512]);
    world.assert_idle();
}

#[test]
fn what_has_not_claimed_its_next_range_comes_too_late() {
    let mut world = World::default();
    let (unmap, list) = cdb::unmap(&[(0, 8), (16, 8)]);
    let unmap = world.send(&unmap, out(&list));
    let sanitize = overwrite(&mut world, 0, 1, &[7]);
    assert_eq!(world.ops(), [Op::Unmap { range: range(0, 8) }]);
    world.finish(0);
    sanitizing(&world.answer(unmap), 0);
    world.finish_all();
    world.answer(sanitize).good();
    assert_eq!(world.block(16), [7; 512]);
    world.assert_idle();
}

#[test]
fn neither_an_abort_nor_a_reset_ends_it() {
    let mut world = mebibytes(4);
    let sanitize = overwrite(&mut world, 0, 1, &[1]);
    world.abort(&[sanitize]);
    world.answer(sanitize).aborted();
    world.server.on_reset();
    sanitizing(&test_unit_ready(&mut world), 0x4000);
    world.finish_all();
    assert_eq!(world.block(8191)[0], 1);
    test_unit_ready(&mut world).good();
    world.assert_idle();
}

#[test]
fn a_failure_is_left_by_sanitizing_again_or_as_ause_allows() {
    let failed = Sense::new(SenseKey::MediumError, Asc::new(0x31, 0x03));
    for exit_allowed in [false, true] {
        let mut world = World::default();
        let bits = if exit_allowed { AUSE } else { 0 };
        let sanitize = overwrite(&mut world, bits, 1, &[1]);
        world.fail(0, BackstoreError::Medium);
        world.answer(sanitize).check(failed);
        test_unit_ready(&mut world).check(failed);
        world.execute_at_once(&cdb::read(0, 1), room(512)).check(failed);
        let exit = world.execute(&cdb::sanitize(EXIT_FAILURE_MODE), none());
        if exit_allowed {
            exit.good();
        } else {
            exit.check(Sense::invalid_field_in_cdb(1, Some(4)));
            let with_exit = world.execute(&cdb::sanitize(AUSE | BLOCK_ERASE), none());
            with_exit.check(Sense::invalid_field_in_cdb(1, Some(5)));
            test_unit_ready(&mut world).check(failed);
            world.execute(&cdb::sanitize(BLOCK_ERASE), none()).good();
        }
        test_unit_ready(&mut world).good();
        world.assert_idle();
    }
}

#[test]
fn what_was_not_finished_is_known_to_the_next_device_server() {
    let failed = Sense::new(SenseKey::MediumError, Asc::new(0x31, 0x03));
    let mut world = World::default();
    world.holds_saves = true;
    let sanitize = overwrite(&mut world, AUSE, 1, &[1]);
    assert!(world.ops().is_empty(), "nothing is written before that is saved");
    sanitizing(&test_unit_ready(&mut world), 0);
    let begun = world.finish_save(true);
    assert_eq!(begun.unfinished, Some(Operation::Sanitize { unrestricted_exit: true }));
    world.finish_all();
    assert!(world.waits(sanitize));
    assert_eq!(world.finish_save(true), SavedState::default());
    world.answer(sanitize).good();
    world.assert_idle();

    let mut interrupted = World::default();
    interrupted.server.restore(begun);
    test_unit_ready(&mut interrupted).check(failed);
    interrupted.execute(&cdb::sanitize(EXIT_FAILURE_MODE), none()).good();
    assert_eq!(interrupted.stored.unfinished, None);
    test_unit_ready(&mut interrupted).good();
}

#[test]
fn what_has_failed_stays_saved_until_it_is_repeated() {
    let mut world = World::default();
    let format_unit = format(&mut world, true);
    world.answer(format_unit).good();
    world.fail(0, BackstoreError::Medium);
    assert_eq!(world.stored.unfinished, Some(Operation::Format));
    format(&mut world, true);
    world.finish_all();
    assert_eq!(world.stored.unfinished, None);
}

#[test]
fn a_unit_that_cannot_save_anything_is_sanitized_all_the_same() {
    let mut world = World::default();
    world.holds_saves = true;
    let sanitize = overwrite(&mut world, 0, 1, &[1]);
    world.finish_save(false);
    world.finish_all();
    world.finish_save(false);
    world.answer(sanitize).good();
    assert_eq!(world.block(63), [1; 512]);
    world.assert_idle();
}

#[test]
fn formatting_zeroes_all_blocks() {
    let mut world = World::default();
    world.put(0, &filled(b'A', 64));
    let format_unit = format(&mut world, false);
    let zero = Op::WriteZeroes { range: range(0, 64), durable: false, may_unmap: true };
    assert_eq!(world.ops(), [zero]);
    let reply = test_unit_ready(&mut world);
    reply.check(Sense::new(SenseKey::NotReady, Asc::new(0x04, 0x04)).with_progress(u16::MAX));
    world.finish_all();
    let reply = world.answer(format_unit);
    reply.good();
    assert_eq!(reply.data_in, None, "its buffer is Data-Out");
    assert!((0..64).all(|lba| world.block(lba) == [0; 512]));
    world.assert_idle();
}

#[test]
fn formatting_that_fails_wants_to_be_repeated() {
    let failed = Sense::new(SenseKey::MediumError, Asc::new(0x31, 0x01));
    let mut world = World::default();
    let format_unit = format(&mut world, true);
    world.answer(format_unit).good();
    world.fail(0, BackstoreError::NoSpace);
    world.execute_at_once(&cdb::read(0, 1), room(512)).check(failed);
    world.execute_at_once(&[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], room(8)).good();
    let again = format(&mut world, false);
    world.finish_all();
    world.answer(again).good();
    world.execute(&cdb::read(0, 1), room(512)).good();
}

#[test]
fn a_list_that_is_wrong_starts_nothing() {
    let mut world = World::default();
    let (command, _) = cdb::overwrite(0, 1, &[1; 513]);
    let reply = world.execute_at_once(&command, out(&[1; 517]));
    reply.check(Sense::invalid_field_in_cdb(7, None));
    let reply = world.execute_at_once(&[0x04, 0x10, 0, 0, 0, 0], out(&[0, 0, 0, 4]));
    reply.check(Sense::invalid_field_in_parameter_list(2, None));
    let reply = world.execute_at_once(&[0x04, 0x10, 0, 0, 0, 0], out(&[0, 0]));
    reply.check_codes(SenseKey::IllegalRequest, Asc::new(0x1a, 0x00));
    test_unit_ready(&mut world).good();
    world.assert_idle();
}

#[test]
fn what_may_not_be_written_is_neither_sanitized_nor_formatted() {
    let mut world = World::with(|setup| setup.config.read_only = true);
    let (command, list) = cdb::overwrite(0, 1, &[1]);
    for (command, data) in [
        (&command[..], out(&list)),
        (&cdb::sanitize(BLOCK_ERASE), none()),
        (&[0x04, 0, 0, 0, 0, 0], none()),
    ] {
        let reply = world.execute_at_once(command, data);
        reply.check_codes(SenseKey::DataProtect, Asc::WRITE_PROTECTED);
    }
}

#[test]
fn only_what_can_be_unmapped_can_be_erased() {
    let mut world = World::with(|setup| setup.capabilities.thin = false);
    let erase = world.execute_at_once(&cdb::sanitize(BLOCK_ERASE), none());
    erase.check(Sense::invalid_field_in_cdb(1, Some(4)));
    let asked = world.execute(&[0xa3, 0x0c, 3, 0x48, 0, 2, 0, 0, 1, 0, 0, 0], room(256));
    asked.good_with(&[0, 1, 0, 0]);
}
