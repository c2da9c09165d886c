use pulsefield_backstore::{BackstoreError, Extent, Mapping, Op, OpOutput};
use pulsefield_scsi::{Asc, Sense, SenseKey};
use pulsefield_units::BlockCount;

use crate::testing::{World, cdb, filled, none, out, range, room};

/// Parameter data with these descriptors: first block, number of blocks, status.
fn data(descriptors: &[(u64, u32, u8)]) -> Vec<u8> {
    let length = u32::try_from(4 + 16 * descriptors.len()).unwrap();
    let mut data = length.to_be_bytes().to_vec();
    data.extend([0; 4]);
    for (start, blocks, status) in descriptors {
        data.extend(start.to_be_bytes());
        data.extend(blocks.to_be_bytes());
        data.extend([*status, 0, 0, 0]);
    }
    data
}

const MAPPED: u8 = 0;
const DEALLOCATED: u8 = 1;

fn extent(mapping: Mapping, blocks: u64) -> Result<OpOutput, BackstoreError> {
    Ok(OpOutput::Extent(Extent { mapping, blocks: BlockCount::new(blocks) }))
}

#[test]
fn runs_are_told_to_the_end_of_the_medium() {
    let mut world = World::default();
    world.put(10, &filled(b'A', 3));
    let reply = world.execute(&cdb::get_lba_status(2, 200), room(200));
    reply.good_with(&data(&[(2, 8, DEALLOCATED), (10, 3, MAPPED), (13, 51, DEALLOCATED)]));
    let reply = world.execute(&cdb::get_lba_status(63, 200), room(200));
    reply.good_with(&data(&[(63, 1, DEALLOCATED)]));
    world.assert_idle();
}

#[test]
fn no_more_is_asked_than_the_initiator_takes() {
    let mut world = World::default();
    world.put(10, &filled(b'A', 3));
    // Room for one descriptor: the second answer shows that the first run has ended.
    let reply = world.execute(&cdb::get_lba_status(2, 24 + 15), room(100));
    reply.good_with(&data(&[(2, 8, DEALLOCATED)]));
    // Not even for that: the length is told nevertheless.
    let reply = world.execute(&cdb::get_lba_status(2, 8), room(100));
    reply.good_with(&data(&[(2, 8, DEALLOCATED)])[..8]);
    let reply = world.execute(&cdb::get_lba_status(2, 24), room(4));
    reply.good_with(&[0, 0, 0, 20]);
}

#[test]
fn runs_alike_are_told_as_one() {
    let mut world = World::default();
    let status = world.send(&cdb::get_lba_status(0, 100), room(100));
    world.finish_with(0, extent(Mapping::Mapped, 4));
    assert_eq!(world.ops(), [Op::Provisioning { range: range(4, 60) }]);
    world.finish_with(0, extent(Mapping::Mapped, 60));
    world.answer(status).good_with(&data(&[(0, 64, MAPPED)]));
}

#[test]
fn a_descriptor_starts_where_the_one_before_says_it_ends() {
    let mut world = World::with(|setup| setup.geometry.blocks = BlockCount::new(1 << 40));
    let status = world.send(&cdb::get_lba_status(0, 100), room(100));
    world.finish_with(0, extent(Mapping::Mapped, 1));
    world.finish_with(0, extent(Mapping::Deallocated, 1 << 33));
    world.finish_with(0, extent(Mapping::Mapped, 1));
    let told = [(0, 1, MAPPED), (1, u32::MAX, DEALLOCATED)];
    world.answer(status).good_with(&data(&told));
    world.assert_idle();
}

#[test]
fn a_medium_that_cannot_tell_is_mapped() {
    for output in [Ok(OpOutput::Done), extent(Mapping::Deallocated, 0)] {
        let mut world = World::default();
        let status = world.send(&cdb::get_lba_status(60, 100), room(100));
        world.finish_with(0, output);
        world.answer(status).good_with(&data(&[(60, 4, MAPPED)]));
    }
}

#[test]
fn it_waits_for_nobody_and_nobody_waits_for_it() {
    let mut world = World::default();
    let write = world.send(&cdb::write(0, 64), out(&filled(b'A', 64)));
    let status = world.send(&cdb::get_lba_status(0, 100), room(100));
    let caw = world.send(&cdb::write(0, 1), out(&filled(b'B', 1)));
    assert_eq!(world.ops().len(), 2, "the write, and the question");
    world.finish(1);
    world.answer(status).good();
    world.finish_all();
    world.answer(write).good();
    world.answer(caw).good();
}

#[test]
fn what_was_cut_off_meanwhile_is_not_asked_about() {
    let mut world = World::default();
    let status = world.send(&cdb::get_lba_status(0, 100), room(100));
    world.server.resize(BlockCount::new(32));
    world.finish_with(0, extent(Mapping::Mapped, 8));
    assert_eq!(world.ops(), []);
    world.answer(status).good_with(&data(&[(0, 8, MAPPED)]));
}

#[test]
fn errors_are_told() {
    let mut world = World::default();
    for start in [64, u64::MAX] {
        let beyond = world.execute(&cdb::get_lba_status(start, 100), none());
        beyond.check(Sense::lba_out_of_range());
    }
    let status = world.send(&cdb::get_lba_status(0, 100), room(100));
    world.fail(0, BackstoreError::Medium);
    world.answer(status).check_codes(SenseKey::MediumError, Asc::new(0x11, 0x00));
    world.assert_idle();
}
