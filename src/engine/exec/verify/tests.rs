use pulsefield_backstore::{BackstoreError, Op};
use pulsefield_scsi::{Asc, Sense, SenseKey};
use pulsefield_units::BlockCount;

use crate::testing::{World, cdb, filled, none, out, range};

/// Blocks in one piece.
const PIECE: usize = 512;

#[test]
fn without_a_byte_check_the_medium_is_read_in_pieces() {
    let mut world = World::in_pieces();
    let verify = world.send(&cdb::verify(1, 1300, 0), none());
    for piece in [range(1, 512), range(513, 512), range(1025, 276)] {
        assert_eq!(world.ops(), [Op::Read { range: piece }]);
        world.finish(0);
    }
    world.answer(verify).good_with(b"");
    world.assert_idle();
}

#[test]
fn the_whole_range_is_its_own_until_the_last_piece() {
    let mut world = World::in_pieces();
    let verify = world.send(&cdb::verify(0, 1024, 0), none());
    let write = world.send(&cdb::write(0, 1), out(&filled(b'A', 1)));
    world.finish(0);
    assert_eq!(world.ops().len(), 1, "the write waits, although its block was verified");
    world.finish_all();
    world.answer(verify).good();
    world.answer(write).good();
}

#[test]
fn every_block_is_compared_with_its_own() {
    let mut world = World::in_pieces();
    let data = world.medium[512..512 * 1301].to_vec();
    world.execute(&cdb::verify(1, 1300, 1), out(&data)).good();
    let last_of_a_piece = PIECE * 512 - 1;
    for offset in [0, 511, 512, last_of_a_piece, last_of_a_piece + 1, data.len() - 1] {
        let mut other = data.clone();
        other[offset] ^= 1;
        world.execute(&cdb::verify(1, 1300, 1), out(&other)).miscompare(offset as u64);
    }
    let short = world.execute(&cdb::verify(1, 1300, 1), out(&data[1..]));
    short.check_codes(SenseKey::IllegalRequest, Asc::new(0x0e, 0x03));
    world.assert_idle();
}

#[test]
fn all_blocks_are_compared_with_one() {
    let mut world = World::in_pieces();
    world.put(0, &filled(b'A', 1792));
    world.execute(&cdb::verify(0, 1792, 3), out(&filled(b'A', 1))).good();
    world.medium[1500 * 512 + 77] = b'B';
    world.execute(&cdb::verify(0, 1792, 3), out(&filled(b'A', 1))).miscompare(77);
    let short = world.execute(&cdb::verify(0, 1792, 3), out(&[b'A'; 511]));
    short.check_codes(SenseKey::IllegalRequest, Asc::new(0x0e, 0x03));
}

#[test]
fn zero_blocks_verify_nothing() {
    let mut world = World::in_pieces();
    for byte_check in [0, 1, 3] {
        world.execute(&cdb::verify(1791, 0, byte_check), none()).good();
        let beyond = world.execute(&cdb::verify(1792, 0, byte_check), none());
        beyond.check(Sense::lba_out_of_range());
    }
}

#[test]
fn an_unreadable_piece_ends_it() {
    let mut world = World::in_pieces();
    let verify = world.send(&cdb::verify(0, 1024, 0), none());
    world.finish(0);
    world.fail(0, BackstoreError::Medium);
    world.answer(verify).check_codes(SenseKey::MediumError, Asc::new(0x11, 0x00));
    world.assert_idle();
}

#[test]
fn pre_fetch_reads_what_it_names() {
    let mut world = World::in_pieces();
    let pre_fetch = world.send(&cdb::pre_fetch(1, 600), none());
    for piece in [range(1, 512), range(513, 88)] {
        assert_eq!(world.ops(), [Op::Read { range: piece }]);
        world.finish(0);
    }
    world.answer(pre_fetch).good_with(b"");
    let past_the_end = world.execute(&cdb::pre_fetch(1791, 2), none());
    past_the_end.check(Sense::lba_out_of_range());
    world.assert_idle();
}

#[test]
fn pre_fetch_of_more_than_fits_reads_the_start_of_it() {
    for blocks in [0, 40_000] {
        let mut world = World::with(|setup| setup.geometry.blocks = BlockCount::new(50_000));
        let pre_fetch = world.send(&cdb::pre_fetch(10_000, blocks), none());
        let mut read = 0;
        while let Some(Op::Read { range }) = world.ops().first() {
            assert_eq!(range.start().as_u64(), 10_000 + read);
            read += range.blocks().as_u64();
            world.finish(0);
        }
        assert_eq!(read, 16_384, "8 MiB");
        world.answer(pre_fetch).good();
    }
    let end = World::in_pieces().execute(&cdb::pre_fetch(1792, 0), none());
    end.check(Sense::lba_out_of_range());
}
