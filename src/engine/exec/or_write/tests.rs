use proptest::prelude::*;
use pulsefield_backstore::{BackstoreError, Op};
use pulsefield_scsi::{Asc, Sense, SenseKey};
use pulsefield_units::BlockCount;

use crate::testing::{World, cdb, filled, none, out, range};

#[test]
fn ones_are_added_and_none_is_taken_away() {
    let mut world = World::default();
    world.put(0, &filled(0b0011, 64));
    world.execute(&cdb::or_write(62, 2), out(&filled(0b0101, 2))).good();
    assert!(world.medium[62 * 512..] == filled(0b0111, 2));
    assert_eq!(world.block(61), filled(0b0011, 1));
    world.assert_idle();
}

#[test]
fn a_long_range_is_worked_through_in_pieces() {
    let mut world = World::in_pieces();
    let or_write = world.send(&cdb::or_write(1, 1300), out(&filled(0x80, 1300)));
    for piece in [range(1, 512), range(513, 512), range(1025, 276)] {
        assert_eq!(world.ops(), [Op::Read { range: piece }]);
        world.finish(0);
        assert_eq!(world.ops(), [Op::Write { range: piece, durable: false }]);
        world.finish(0);
    }
    world.answer(or_write).good();
    world.assert_idle();
}

#[test]
fn two_of_one_block_lose_no_bit() {
    let mut world = World::default();
    let first = world.send(&cdb::or_write(8, 1), out(&filled(0x01, 1)));
    let second = world.send(&cdb::or_write(8, 1), out(&filled(0x02, 1)));
    assert_eq!(world.ops().len(), 1, "the second reads once the first has written");
    world.finish_all();
    world.answer(first).good();
    world.answer(second).good();
    assert_eq!(world.block(8), filled(0x03, 1));
}

#[test]
fn an_abort_drops_it_until_it_has_written() {
    let mut world = World::in_pieces();
    let before = world.medium.clone();
    let reading = world.send(&cdb::or_write(0, 1024), out(&filled(0xff, 1024)));
    world.abort(&[reading]);
    world.finish_all();
    world.answer(reading).aborted();
    assert!(world.medium == before);
    let writing = world.send(&cdb::or_write(0, 1024), out(&filled(0xff, 1024)));
    world.finish(0);
    world.abort(&[writing]);
    world.finish_all();
    world.answer(writing).good();
    assert!(world.medium[..1024 * 512] == filled(0xff, 1024), "nothing by half");
    world.assert_idle();
}

#[test]
fn fua_and_a_disabled_cache_make_it_durable() {
    for (bits, cache, durable) in [(0, true, false), (cdb::FUA, true, true), (0, false, true)] {
        let mut world = World::with(|setup| setup.capabilities.write_cache = cache);
        let mut command = cdb::or_write(0, 1);
        command[1] = bits;
        world.send(&command, out(&filled(1, 1)));
        world.finish(0);
        assert_eq!(world.ops(), [Op::Write { range: range(0, 1), durable }]);
    }
}

#[test]
fn limits_and_protection_hold() {
    let mut world = World::with(|setup| setup.geometry.blocks = BlockCount::new(1 << 20));
    let too_long = world.execute(&cdb::or_write(0, 16_385), out(&filled(0, 16_385)));
    too_long.check_codes(SenseKey::IllegalRequest, Asc::new(0x24, 0x00));
    let short = world.execute(&cdb::or_write(0, 2), out(&filled(0, 1)));
    short.check_codes(SenseKey::IllegalRequest, Asc::new(0x0e, 0x03));
    world.execute(&cdb::or_write((1 << 20) - 1, 0), none()).good();
    world.execute(&cdb::or_write(1 << 20, 0), none()).check(Sense::lba_out_of_range());
    let mut world = World::with(|setup| setup.capabilities.read_only = true);
    let refused = world.execute(&cdb::or_write(0, 1), out(&filled(1, 1)));
    refused.check_codes(SenseKey::DataProtect, Asc::new(0x27, 0x00));
}

#[test]
fn a_failing_medium_ends_it() {
    let mut world = World::in_pieces();
    let unreadable = world.send(&cdb::or_write(0, 1), out(&filled(1, 1)));
    world.fail(0, BackstoreError::Medium);
    world.answer(unreadable).check_codes(SenseKey::MediumError, Asc::new(0x11, 0x00));
    let full = world.send(&cdb::or_write(0, 1), out(&filled(1, 1)));
    world.finish(0);
    world.fail(0, BackstoreError::NoSpace);
    world.answer(full).check_codes(SenseKey::DataProtect, Asc::new(0x27, 0x07));
    world.assert_idle();
}

proptest! {
    /// Whatever is sent in whatever order, every byte ends as the OR of all that was sent to it.
    #[test]
    fn agrees_with_a_byte_by_byte_or(
        writes in prop::collection::vec((0u8..64, 1u8..16, any::<u8>()), 1..12),
        finished in prop::collection::vec(0usize..8, 0..64),
    ) {
        let mut world = World::default();
        let mut oracle = vec![0_u8; 64 * 512];
        let mut sent = Vec::new();
        for (lba, blocks, bits) in writes {
            let blocks = blocks.min(64 - lba);
            let data: Vec<u8> = [bits, bits.rotate_left(1), bits.rotate_left(2), 0]
                .into_iter()
                .cycle()
                .take(usize::from(blocks) * 512)
                .collect();
            for (byte, mask) in oracle[usize::from(lba) * 512..].iter_mut().zip(&data) {
                *byte |= mask;
            }
            sent.push(world.send(&cdb::or_write(lba.into(), blocks.into()), out(&data)));
        }
        for nth in finished {
            let at_medium = world.ops().len();
            if at_medium > 0 {
                world.finish(nth % at_medium);
            }
        }
        world.finish_all();
        for tag in sent {
            world.answer(tag).good();
        }
        prop_assert!(world.medium == oracle);
        world.assert_idle();
    }
}
