use pulsefield_backstore::{BackstoreError, Op};
use pulsefield_scsi::{Asc, Sense, SenseKey};
use pulsefield_units::BlockCount;

use crate::testing::{World, cdb, filled, none, out, range};

#[test]
fn data_lands_where_it_belongs() {
    let mut world = World::default();
    let reply = world.execute(&cdb::write(62, 2), out(&filled(b'A', 2)));
    reply.good();
    assert_eq!(reply.data_in, None);
    assert!(world.medium[62 * 512..] == filled(b'A', 2));
    assert_eq!(world.block(61), filled(0, 1));
    world.assert_idle();
}

#[test]
fn with_less_data_than_the_cdb_says_nothing_is_written() {
    let mut world = World::default();
    for bytes in [0, 1, 512, 1023] {
        let reply = world.execute(&cdb::write(0, 2), out(&vec![b'A'; bytes]));
        reply.check_codes(SenseKey::IllegalRequest, Asc::new(0x0e, 0x03));
    }
    assert!(world.medium == filled(0, 64));
}

#[test]
fn of_more_data_than_the_cdb_says_the_rest_is_ignored() {
    let mut world = World::default();
    world.execute(&cdb::write(0, 1), out(&filled(b'A', 2))).good();
    assert_eq!((world.block(0), world.block(1)), (&filled(b'A', 1)[..], &filled(0, 1)[..]));
}

#[test]
fn zero_blocks_write_nothing() {
    let mut world = World::default();
    world.execute(&cdb::write(63, 0), none()).good();
    world.execute(&cdb::write(64, 0), none()).check(Sense::lba_out_of_range());
}

#[test]
fn limits_and_protection_hold() {
    let mut world = World::with(|setup| setup.geometry.blocks = BlockCount::new(1 << 20));
    world.execute(&cdb::write(0, 16_384), out(&filled(0, 16_384))).good();
    let refused = world.execute(&cdb::write(0, 16_385), out(&filled(0, 16_385)));
    refused.check_codes(SenseKey::IllegalRequest, Asc::new(0x24, 0x00));
    let past_the_end = world.execute(&cdb::write((1 << 20) - 1, 2), out(&filled(0, 2)));
    past_the_end.check(Sense::lba_out_of_range());
    let mut world = World::with(|setup| setup.capabilities.read_only = true);
    for command in [cdb::write(0, 1), cdb::write_and_verify(0, 1, 1), cdb::write_same(0, 1, 0)] {
        let reply = world.execute(&command, out(&filled(0, 1)));
        reply.check_codes(SenseKey::DataProtect, Asc::new(0x27, 0x00));
    }
}

#[test]
fn durable_is_what_fua_or_a_disabled_cache_make_it() {
    for (fua, cache, durable) in [(0, true, false), (cdb::FUA, true, true), (0, false, true)] {
        let mut world = World::with(|setup| setup.capabilities.write_cache = cache);
        let mut command = cdb::write(0, 1);
        command[1] = fua;
        world.send(&command, out(&filled(0, 1)));
        assert_eq!(world.ops(), [Op::Write { range: range(0, 1), durable }]);
    }
}

#[test]
fn a_full_medium_says_so() {
    let mut world = World::default();
    for (error, key, asc) in [
        (BackstoreError::NoSpace, SenseKey::DataProtect, Asc::new(0x27, 0x07)),
        (BackstoreError::Medium, SenseKey::MediumError, Asc::new(0x0c, 0x00)),
    ] {
        let write = world.send(&cdb::write(0, 1), out(&filled(b'A', 1)));
        world.fail(0, error);
        world.answer(write).check_codes(key, asc);
    }
    world.assert_idle();
}

#[test]
fn write_and_verify_goes_to_the_medium_and_looks_there() {
    for byte_check in [0, 1] {
        let mut world = World::default();
        let command = cdb::write_and_verify(4, 2, byte_check);
        let write = world.send(&command, out(&filled(b'A', 2)));
        assert_eq!(world.ops(), [Op::Write { range: range(4, 2), durable: true }]);
        world.finish(0);
        assert_eq!(world.ops(), [Op::Read { range: range(4, 2) }]);
        world.finish(0);
        let reply = world.answer(write);
        reply.good();
        assert_eq!(reply.data_in, None, "its buffer is Data-Out");
        world.assert_idle();
    }
}

#[test]
fn write_and_verify_finds_what_the_medium_lost() {
    let mut world = World::default();
    let write = world.send(&cdb::write_and_verify(4, 2, 1), out(&filled(b'A', 2)));
    world.finish(0);
    world.medium[5 * 512 + 3] = b'B';
    world.finish(0);
    world.answer(write).miscompare(515);
    let write = world.send(&cdb::write_and_verify(4, 2, 0), out(&filled(b'A', 2)));
    world.finish(0);
    world.fail(0, BackstoreError::Medium);
    world.answer(write).check_codes(SenseKey::MediumError, Asc::new(0x11, 0x00));
    world.assert_idle();
}

#[test]
fn an_atomic_write_is_one_op_of_its_own() {
    let mut world = World::default();
    let write = world.send(&cdb::write_atomic(62, 2), out(&filled(b'A', 2)));
    assert_eq!(world.ops(), [Op::WriteAtomic { range: range(62, 2), durable: false }]);
    world.finish(0);
    world.answer(write).good();
    assert!(world.medium[62 * 512..] == filled(b'A', 2));
    let mut durable = cdb::write_atomic(0, 1);
    durable[1] = cdb::FUA;
    world.send(&durable, out(&filled(b'B', 1)));
    assert_eq!(world.ops(), [Op::WriteAtomic { range: range(0, 1), durable: true }]);
}

#[test]
fn an_atomic_write_is_refused_as_any_write_is() {
    let mut world = World::with(|setup| setup.geometry.blocks = BlockCount::new(1 << 20));
    world.execute(&cdb::write_atomic(0, 16_384), out(&filled(0, 16_384))).good();
    let too_long = world.execute(&cdb::write_atomic(0, 16_385), out(&filled(0, 16_385)));
    too_long.check_codes(SenseKey::IllegalRequest, Asc::new(0x24, 0x00));
    let past_the_end = world.execute(&cdb::write_atomic((1 << 20) - 1, 2), out(&filled(0, 2)));
    past_the_end.check(Sense::lba_out_of_range());
    world.execute(&cdb::write_atomic(0, 0), none()).good();
    world.execute(&cdb::write_atomic(1 << 20, 0), none()).check(Sense::lba_out_of_range());
    let mut world = World::with(|setup| setup.capabilities.read_only = true);
    let refused = world.execute(&cdb::write_atomic(0, 1), out(&filled(0, 1)));
    refused.check_codes(SenseKey::DataProtect, Asc::new(0x27, 0x00));
}

#[test]
fn a_medium_that_may_tear_a_write_has_no_atomic_one() {
    let mut world = World::with(|setup| setup.capabilities.atomic_write = false);
    world.execute(&cdb::write_atomic(0, 1), out(&filled(0, 1))).check(Sense::invalid_opcode());
}
