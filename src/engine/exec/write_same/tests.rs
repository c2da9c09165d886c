use pulsefield_backstore::{BackstoreError, Op};
use pulsefield_scsi::{Asc, Sense, SenseKey};
use pulsefield_units::BlockCount;

use crate::testing::{World, cdb, filled, none, out, range};

fn pattern() -> Vec<u8> {
    (0..241).cycle().take(512).collect()
}

#[test]
fn a_pattern_is_written_in_pieces() {
    let mut world = World::with(|setup| setup.geometry.blocks = BlockCount::new(2048));
    let write_same = world.send(&cdb::write_same(1, 1300, 0), out(&pattern()));
    for piece in [range(1, 512), range(513, 512), range(1025, 276)] {
        assert_eq!(world.ops(), [Op::Write { range: piece, durable: false }]);
        world.finish(0);
    }
    world.answer(write_same).good();
    assert!(world.medium[512..1301 * 512] == pattern().repeat(1300));
    assert_eq!((world.block(0), world.block(1301)), (&filled(0, 1)[..], &filled(0, 1)[..]));
    world.assert_idle();
}

#[test]
fn zeros_are_one_op_and_may_give_space_back_if_asked_to() {
    for (bits, data, may_unmap) in [
        (0, filled(0, 1), false),
        (cdb::UNMAP, filled(0, 1), true),
        (cdb::NDOB, vec![], false),
        (cdb::NDOB | cdb::UNMAP, vec![], true),
    ] {
        let mut world = World::default();
        world.put(0, &filled(b'A', 64));
        let write_same = world.send(&cdb::write_same(8, 50, bits), out(&data));
        let op = Op::WriteZeroes { range: range(8, 50), durable: false, may_unmap };
        assert_eq!(world.ops(), [op]);
        world.finish(0);
        world.answer(write_same).good();
        assert!(world.medium[8 * 512..58 * 512] == filled(0, 50));
        assert_eq!((world.block(7), world.block(58)), (&filled(b'A', 1)[..], &filled(b'A', 1)[..]));
        world.assert_idle();
    }
}

#[test]
fn unmap_with_a_pattern_writes_the_pattern() {
    let mut world = World::default();
    world.execute(&cdb::write_same(0, 2, cdb::UNMAP), out(&pattern())).good();
    assert!(world.medium[..1024] == pattern().repeat(2));
}

#[test]
fn a_disabled_cache_makes_every_piece_durable() {
    let mut world = World::with(|setup| setup.capabilities.write_cache = false);
    world.send(&cdb::write_same(0, 2, 0), out(&pattern()));
    world.send(&cdb::write_same(8, 2, 0), out(&filled(0, 1)));
    let zeroes = Op::WriteZeroes { range: range(8, 2), durable: true, may_unmap: false };
    assert_eq!(world.ops(), [Op::Write { range: range(0, 2), durable: true }, zeroes]);
}

#[test]
fn zero_blocks_are_the_rest_of_a_thick_medium() {
    let thick = |blocks| {
        World::with(|setup| {
            setup.capabilities.thin = false;
            setup.geometry.blocks = BlockCount::new(blocks);
        })
    };
    let mut world = thick(64);
    world.put(0, &filled(b'A', 64));
    world.execute(&cdb::write_same(60, 0, cdb::NDOB), none()).good();
    assert!(world.medium[60 * 512..] == filled(0, 4));
    assert_eq!(world.block(59), filled(b'A', 1));
    let no_block = world.execute(&cdb::write_same(64, 0, 0), out(&filled(0, 1)));
    no_block.check(Sense::lba_out_of_range());
    // As many as WRITE SAME takes, and one more.
    let mut world = thick(1 << 20);
    let last = (1 << 20) - 32_768;
    world.execute(&cdb::write_same(last, 0, 0), out(&filled(0, 1))).good();
    let too_many = world.execute(&cdb::write_same(last - 1, 0, 0), out(&filled(0, 1)));
    too_many.check_codes(SenseKey::IllegalRequest, Asc::new(0x24, 0x00));
}

#[test]
fn zero_blocks_of_a_thin_medium_are_refused() {
    let refused = World::default().execute(&cdb::write_same(60, 0, cdb::UNMAP), out(&filled(0, 1)));
    refused.check_codes(SenseKey::IllegalRequest, Asc::new(0x24, 0x00));
}

#[test]
fn too_many_blocks_are_refused() {
    let mut world = World::with(|setup| setup.geometry.blocks = BlockCount::new(1 << 20));
    let invalid_field = |asc| (SenseKey::IllegalRequest, Asc::new(asc, 0x00));
    let (key, asc) = invalid_field(0x24);
    world.execute(&cdb::write_same(0, 32_768, 0), out(&filled(0, 1))).good();
    for blocks in [0, 32_769, 1 << 20] {
        world.execute(&cdb::write_same(0, blocks, 0), out(&filled(0, 1))).check_codes(key, asc);
    }
    for (lba, blocks) in [(1 << 20, 1), ((1 << 20) - 1, 2), (0, u32::MAX), (u64::MAX, 2)] {
        let reply = world.execute(&cdb::write_same(lba, blocks, 0), out(&filled(0, 1)));
        reply.check(Sense::lba_out_of_range());
    }
}

#[test]
fn what_the_medium_cannot_do_is_pointed_at() {
    let mut world = World::default();
    let anchor = world.execute(&cdb::write_same(0, 1, cdb::UNMAP | 0x10), out(&filled(0, 1)));
    anchor.check(Sense::invalid_field_in_cdb(1, Some(4)));
    let mut thick = World::with(|setup| setup.capabilities.thin = false);
    let unmap = thick.execute(&cdb::write_same(0, 1, cdb::UNMAP), out(&filled(0, 1)));
    unmap.check(Sense::invalid_field_in_cdb(1, Some(3)));
    thick.execute(&cdb::write_same(0, 1, cdb::NDOB), none()).good();
}

#[test]
fn a_full_medium_ends_it() {
    let mut world = World::with(|setup| setup.geometry.blocks = BlockCount::new(2048));
    for data in [pattern(), filled(0, 1)] {
        let write_same = world.send(&cdb::write_same(0, 1024, 0), out(&data));
        world.fail(0, BackstoreError::NoSpace);
        world.answer(write_same).check_codes(SenseKey::DataProtect, Asc::new(0x27, 0x07));
    }
    world.assert_idle();
}

#[test]
fn data_other_than_one_block_is_refused() {
    for bytes in [0, 256, 511, 513, 1024] {
        let mut world = World::default();
        let reply = world.execute(&cdb::write_same(0, 2, 0), out(&vec![7; bytes]));
        reply.check_codes(SenseKey::IllegalRequest, Asc::new(0x0e, 0x03));
        assert_eq!(world.ops(), []);
    }
}
