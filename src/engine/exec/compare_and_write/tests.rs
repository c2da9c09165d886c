use std::num::NonZeroU8;

use pulsefield_backstore::{BackstoreError, Op, OpOutput};
use pulsefield_scsi::{Asc, Sense, SenseKey, Status};
use pulsefield_units::{BlockCount, BlockLength};

use crate::Lane;
use crate::testing::{SharedMemory, World, cdb, filled, out, range};

/// A world that takes COMPARE AND WRITE of up to `max` blocks.
fn world(max: u8) -> World {
    World::with(|setup| setup.config.compare_and_write_blocks_max = NonZeroU8::new(max).unwrap())
}

fn natively() -> World {
    World::with(|setup| {
        setup.config.compare_and_write_blocks_max = NonZeroU8::MAX;
        setup.capabilities.compare_and_write = true;
    })
}

fn halves(test: &[u8], set: &[u8]) -> Vec<u8> {
    [test, set].concat()
}

#[test]
fn equal_data_is_replaced() {
    let mut world = world(1);
    world.put(8, &filled(b'A', 1));
    let data = halves(&filled(b'A', 1), &filled(b'B', 1));
    let caw = world.send(&cdb::compare_and_write(8, 1), out(&data));
    assert_eq!(world.ops(), [Op::Read { range: range(8, 1) }]);
    assert_eq!(world.urgent(), [true]);
    world.finish(0);
    assert_eq!(world.ops(), [Op::Write { range: range(8, 1), durable: false }]);
    assert_eq!(world.urgent(), [true]);
    assert!(world.waits(caw), "not before the data is written");
    world.finish(0);
    let reply = world.answer(caw);
    reply.good();
    assert_eq!((reply.data_in, reply.lane), (None, Some(Lane::Heartbeat)));
    assert_eq!(world.block(8), filled(b'B', 1));
    assert_eq!((world.block(7), world.block(9)), (&[0; 512][..], &[0; 512][..]));
    world.assert_idle();
}

#[test]
fn information_is_the_offset_of_the_first_difference() {
    let mut world = world(3);
    let medium: Vec<u8> = (0..251).cycle().take(3 * 512).collect();
    world.put(4, &medium);
    for offset in [0, 1, 3, 255, 511, 512, 513, 777, 1023, 1024, 1535] {
        let mut test = medium.clone();
        test[offset] ^= 0x80;
        // A later difference does not count.
        test[1535] ^= 0x01;
        let data = halves(&test, &filled(b'B', 3));
        let caw = world.send(&cdb::compare_and_write(4, 3), out(&data));
        world.finish(0);
        assert_eq!(world.ops(), [], "nothing is written");
        world.answer(caw).miscompare(offset as u64);
    }
    assert!(world.medium[4 * 512..7 * 512] == medium);
    world.assert_idle();
}

#[test]
fn whoever_watches_hears_what_lay_there() {
    let mut world = world(2);
    world.put(4, &filled(b'A', 2));
    let test = [filled(b'A', 1), filled(b'x', 1)].concat();
    let data = halves(&test, &filled(b'B', 2));
    world.execute(&cdb::compare_and_write(4, 2), out(&data)).miscompare(512);
    assert_eq!(world.server.observer.found, [(range(4, 2), 512, filled(b'A', 2))]);
    // Of what matches there is nothing to tell.
    world
        .execute(&cdb::compare_and_write(4, 1), out(&halves(&filled(b'A', 1), &test[..512])))
        .good();
    assert_eq!(world.server.observer.found.len(), 1);
}

#[test]
fn blocks_of_4096_bytes_are_compared_to_their_end() {
    let mut world = World::with(|setup| setup.geometry.block_length = BlockLength::B4096);
    let (zeros, set) = ([0; 4096], [b'B'; 4096]);
    let mut test = zeros;
    test[4095] = 1;
    world.execute(&cdb::compare_and_write(63, 1), out(&halves(&test, &set))).miscompare(4095);
    world.execute(&cdb::compare_and_write(63, 1), out(&halves(&zeros, &set))).good();
    assert_eq!(world.block(63), set);
}

#[test]
fn all_255_blocks_can_be_had() {
    let mut world = World::with(|setup| {
        setup.config.compare_and_write_blocks_max = NonZeroU8::MAX;
        setup.geometry.blocks = BlockCount::new(255);
    });
    let data = halves(&filled(0, 255), &filled(b'B', 255));
    world.execute(&cdb::compare_and_write(0, 255), out(&data)).good();
    assert_eq!(world.medium, filled(b'B', 255));
}

#[test]
fn zero_blocks_are_good() {
    let mut world = world(1);
    world.execute(&cdb::compare_and_write(8, 0), out(&[])).good();
    world.execute(&cdb::compare_and_write(63, 0), out(&[])).good();
    let beyond = world.execute(&cdb::compare_and_write(64, 0), out(&[]));
    beyond.check(Sense::lba_out_of_range());
}

#[test]
fn more_blocks_than_advertised_are_refused_and_pointed_at() {
    let mut world = world(2);
    for blocks in [3, 255] {
        let data = filled(0, 2 * usize::from(blocks));
        let reply = world.execute(&cdb::compare_and_write(0, blocks), out(&data));
        reply.check(Sense::invalid_field_in_cdb(13, None));
    }
}

#[test]
fn another_byte_count_than_two_halves_is_refused() {
    let mut world = world(4);
    for bytes in [0, 1, 512, 1023, 1025, 1536, 2048, 4096] {
        let reply = world.execute(&cdb::compare_and_write(0, 1), out(&vec![0; bytes]));
        reply.check(Sense::invalid_field_in_cdb(13, None));
    }
    // One block's worth of halves for two blocks, and something for no block.
    world
        .execute(&cdb::compare_and_write(0, 2), out(&filled(0, 2)))
        .check(Sense::invalid_field_in_cdb(13, None));
    world
        .execute(&cdb::compare_and_write(0, 0), out(&filled(0, 2)))
        .check(Sense::invalid_field_in_cdb(13, None));
}

#[test]
fn the_last_block_exists_and_the_next_does_not() {
    let mut world = world(2);
    let one = halves(&filled(0, 1), &filled(b'B', 1));
    let two = halves(&filled(0, 2), &filled(b'B', 2));
    world.execute(&cdb::compare_and_write(63, 1), out(&one)).good();
    assert_eq!(world.block(63), filled(b'B', 1));
    for (lba, blocks, data) in [
        (64, 1, &one),
        (63, 2, &two),
        (u64::MAX, 1, &one),
        (u64::MAX, 2, &two),
        (u64::MAX - 1, 1, &one),
        (u64::MAX - 1, 2, &two),
    ] {
        let reply = world.execute(&cdb::compare_and_write(lba, blocks), out(data));
        reply.check(Sense::lba_out_of_range());
    }
}

#[test]
fn a_read_only_medium_is_not_even_read() {
    let mut world = World::with(|setup| setup.capabilities.read_only = true);
    let caw = world.send(&cdb::compare_and_write(0, 1), out(&filled(0, 2)));
    world.answer(caw).check_codes(SenseKey::DataProtect, Asc::new(0x27, 0x00));
}

#[test]
fn errors_of_the_medium_name_the_step_that_failed() {
    let seen = |while_writing: bool, error| {
        let mut world = world(1);
        let caw = world.send(&cdb::compare_and_write(0, 1), out(&filled(0, 2)));
        if while_writing {
            world.finish(0);
        }
        world.fail(0, error);
        let reply = world.answer(caw);
        world.assert_idle();
        (reply.status, reply.sense)
    };
    let check =
        |key, asc, ascq| (Status::CheckCondition, Some(Sense::new(key, Asc::new(asc, ascq))));
    let medium = |asc| check(SenseKey::MediumError, asc, 0x00);
    assert_eq!(seen(false, BackstoreError::Medium), medium(0x11));
    assert_eq!(seen(true, BackstoreError::Medium), medium(0x0c));
    for while_writing in [false, true] {
        for (error, end) in [
            (BackstoreError::NoSpace, check(SenseKey::DataProtect, 0x27, 0x07)),
            (BackstoreError::ReadOnly, check(SenseKey::DataProtect, 0x27, 0x00)),
            (BackstoreError::Gone, check(SenseKey::NotReady, 0x04, 0x03)),
            (BackstoreError::Dropped, check(SenseKey::HardwareError, 0x44, 0x00)),
            (BackstoreError::Transient, (Status::Busy, None)),
        ] {
            assert_eq!(seen(while_writing, error), end, "{error:?}");
        }
    }
}

#[test]
fn a_medium_that_can_do_it_by_itself_is_asked_to() {
    let mut world = natively();
    world.put(8, &filled(b'A', 2));
    let data = halves(&filled(b'A', 2), &filled(b'B', 2));
    let caw = world.send(&cdb::compare_and_write(8, 2), out(&data));
    assert_eq!(world.ops(), [Op::CompareAndWrite { range: range(8, 2), durable: false }]);
    assert!(world.bytes_at(0)[..2048] == data);
    world.finish(0);
    world.answer(caw).good();
    assert!(world.medium[8 * 512..10 * 512] == filled(b'B', 2));
    // The same once more.
    world.execute(&cdb::compare_and_write(8, 2), out(&data)).miscompare(0);
    world.assert_idle();
}

#[test]
fn what_a_native_medium_answers_is_passed_on() {
    let mut world = natively();
    for offset in [0, 700] {
        let caw = world.send(&cdb::compare_and_write(8, 2), out(&filled(0, 4)));
        world.finish_with(0, Ok(OpOutput::Miscompare { offset }));
        world.answer(caw).miscompare(offset.into());
    }
    let caw = world.send(&cdb::compare_and_write(8, 2), out(&filled(0, 4)));
    world.fail(0, BackstoreError::Medium);
    world.answer(caw).check_codes(SenseKey::MediumError, Asc::new(0x0c, 0x00));
    world.assert_idle();
}

#[test]
fn what_counts_is_what_was_there_at_the_start() {
    for world in [&mut world(2), &mut natively()] {
        world.put(8, &filled(b'A', 2));
        let data = halves(&filled(b'A', 2), &filled(b'B', 2));
        let (memory, buffer) = SharedMemory::scattered(&data);
        let caw = world.send(&cdb::compare_and_write(8, 2), buffer);
        memory.overwrite(b'X');
        world.finish(0);
        memory.overwrite(b'Y');
        world.finish_all();
        world.answer(caw).good();
        assert!(world.medium[8 * 512..10 * 512] == filled(b'B', 2));
    }
}

#[test]
fn scattered_halves_are_compared_in_order() {
    let mut world = world(2);
    let medium: Vec<u8> = (0..253).cycle().take(1024).collect();
    world.put(8, &medium);
    let mut test = medium.clone();
    test[600] ^= 1;
    let (_memory, buffer) = SharedMemory::scattered(&halves(&test, &filled(b'B', 2)));
    world.execute(&cdb::compare_and_write(8, 2), buffer).miscompare(600);
    let set: Vec<u8> = (0..199).cycle().take(1024).collect();
    let (_memory, buffer) = SharedMemory::scattered(&halves(&medium, &set));
    world.execute(&cdb::compare_and_write(8, 2), buffer).good();
    assert!(world.medium[8 * 512..10 * 512] == set);
}

#[test]
fn durable_is_what_fua_or_a_disabled_cache_make_it() {
    let written_durably = |fua: bool, cache: bool, native: bool| {
        let mut world = World::with(|setup| {
            setup.capabilities.write_cache = cache;
            setup.capabilities.compare_and_write = native;
        });
        let mut command = cdb::compare_and_write(0, 1);
        command[1] = if fua { cdb::FUA } else { 0 };
        world.send(&command, out(&filled(0, 2)));
        if !native {
            world.finish(0);
        }
        match world.ops()[..] {
            [Op::Write { durable, .. } | Op::CompareAndWrite { durable, .. }] => durable,
            ref other => panic!("{other:?}"),
        }
    };
    for native in [false, true] {
        assert!(!written_durably(false, true, native));
        assert!(written_durably(true, true, native));
        assert!(written_durably(false, false, native));
    }
}

/// Sector := A; then CAW(A→B) and WRITE(C) at once. If both end in GOOD, the WRITE cannot have come
/// first, so that the sector must not hold B (`tcmu-runner` fails thousands of these).
#[test]
fn a_collision_with_a_plain_write_never_ends_in_a_lost_write() {
    for caw_first in [true, false] {
        // At each step: whether to answer the newest op instead of the oldest.
        for schedule in 0..8 {
            let mut world = world(1);
            world.put(8, &filled(b'A', 1));
            let caw = halves(&filled(b'A', 1), &filled(b'B', 1));
            let send_caw = |world: &mut World| world.send(&cdb::compare_and_write(8, 1), out(&caw));
            let send_write =
                |world: &mut World| world.send(&cdb::write(8, 1), out(&filled(b'C', 1)));
            let (caw, write) = if caw_first {
                let caw = send_caw(&mut world);
                (caw, send_write(&mut world))
            } else {
                let write = send_write(&mut world);
                (send_caw(&mut world), write)
            };
            for step in 0.. {
                match world.ops().len() {
                    0 => break,
                    ops if schedule >> step & 1 == 1 => world.finish(ops - 1),
                    _ => world.finish(0),
                }
            }
            let (caw, write) = (world.answer(caw).status, world.answer(write).status);
            assert_eq!(write, Status::Good);
            let ends_in = world.block(8)[0];
            assert!(!(caw == Status::Good && ends_in == b'B'), "the WRITE is lost");
            assert_eq!(caw == Status::Good, caw_first);
            assert_eq!(ends_in, b'C');
        }
    }
}
