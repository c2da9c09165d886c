use pulsefield_backstore::{BackstoreError, Op};
use pulsefield_scsi::{Asc, Sense, SenseKey};
use pulsefield_units::BlockCount;

use crate::limits;
use crate::testing::{STALE, SharedMemory, World, cdb, filled, none, range, room};

#[test]
fn blocks_come_back_as_they_lie_on_the_medium() {
    let mut world = World::default();
    world.put(62, &filled(b'A', 2));
    world.execute(&cdb::read(62, 2), room(1024)).good_with(&filled(b'A', 2));
    let (_memory, scattered) = SharedMemory::scattered(&filled(STALE, 2));
    world.execute(&cdb::read(62, 2), scattered).good_with(&filled(b'A', 2));
    world.assert_idle();
}

#[test]
fn an_initiator_that_expects_less_gets_less() {
    let mut world = World::default();
    let medium = [b"0123456789", &filled(b'A', 2)[10..]].concat();
    world.put(0, &medium);
    world.execute(&cdb::read(0, 2), room(10)).good_with(b"0123456789");
    world.execute(&cdb::read(0, 2), room(1023)).good_with(&medium[..1023]);
    world.execute(&cdb::read(0, 2), none()).good_with(b"");
    world.assert_idle();
}

#[test]
fn an_initiator_that_expects_more_hears_how_much_there_was() {
    let mut world = World::default();
    world.put(0, &filled(b'A', 2));
    let reply = world.execute(&cdb::read(0, 2), room(2000));
    reply.good_with(&filled(b'A', 2));
    assert_eq!(reply.bytes[1024..], [STALE; 976], "the rest is not ours to fill");
}

#[test]
fn zero_blocks_read_nothing() {
    let mut world = World::default();
    world.execute(&cdb::read(63, 0), room(512)).good_with(b"");
    world.execute(&cdb::read(64, 0), none()).check(Sense::lba_out_of_range());
    // READ (6) has no zero: it means 256, and there are 64.
    world.execute(&[0x08, 0, 0, 0, 0, 0], none()).check(Sense::lba_out_of_range());
}

#[test]
fn blocks_that_do_not_exist_are_not_read() {
    let mut world = World::default();
    for (lba, blocks) in [(64, 1), (63, 2), (0, 65), (u64::MAX, 1), (u64::MAX, u32::MAX)] {
        world.execute(&cdb::read(lba, blocks), room(512)).check(Sense::lba_out_of_range());
    }
}

#[test]
fn the_maximum_transfer_length_is_enforced() {
    let mut world = World::with(|setup| setup.geometry.blocks = BlockCount::new(1 << 20));
    world.execute(&cdb::read(0, 16_384), none()).good_with(b"");
    let refused = world.execute(&cdb::read(0, 16_385), none());
    refused.check_codes(SenseKey::IllegalRequest, Asc::new(0x24, 0x00));
}

#[test]
fn in_a_small_data_area_less_is_transferred_at_once() {
    let bytes = |mib: u64| limits::transfer_bytes_max(mib << 20);
    assert_eq!([bytes(1024), bytes(128), bytes(127)], [8 << 20, 8 << 20, 4 << 20]);
    assert_eq!([bytes(8), bytes(1), bytes(0)], [512 << 10, 64 << 10, 64 << 10]);
    let mut world = World::with(|setup| {
        setup.geometry.blocks = BlockCount::new(1 << 20);
        setup.config.transfer_bytes_max = bytes(8);
    });
    world.execute(&cdb::read(0, 1024), none()).good_with(b"");
    let refused = world.execute(&cdb::read(0, 1025), none());
    refused.check_codes(SenseKey::IllegalRequest, Asc::new(0x24, 0x00));
    // MAXIMUM and OPTIMAL TRANSFER LENGTH of the Block Limits page.
    let page = world.execute_at_once(&[0x12, 1, 0xb0, 0, 64, 0], room(64));
    assert_eq!(page.bytes[8..16], [0, 0, 4, 0, 0, 0, 4, 0]);
}

#[test]
fn a_medium_error_is_an_unrecovered_read_error() {
    let mut world = World::default();
    for data in [room(512), room(100), none()] {
        let read = world.send(&cdb::read(3, 1), data);
        assert_eq!(world.ops(), [Op::Read { range: range(3, 1) }]);
        world.fail(0, BackstoreError::Medium);
        let reply = world.answer(read);
        reply.check_codes(SenseKey::MediumError, Asc::new(0x11, 0x00));
        assert_eq!(reply.data_in, None);
    }
    world.assert_idle();
}
