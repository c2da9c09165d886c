use pulsefield_scsi::SenseKey;

use super::*;
use crate::saboteur::play::LATE_MAX;
use crate::saboteur::testing::{MS, World, block, rule, unmap, write};
use crate::{BitFlipSide, Delay, Fault, Select};

fn range(start: u64, blocks: u64) -> LbaRange {
    LbaRange::new(Lba::new(start), BlockCount::new(blocks)).unwrap()
}

#[test]
fn a_misdirected_write_stays_on_the_medium() {
    let place = |start, blocks, distance| {
        let distance = NonZeroI64::new(distance).unwrap();
        elsewhere(range(start, blocks), distance, BlockCount::new(64))
    };
    assert_eq!(place(0, 1, 8), Some(range(8, 1)));
    assert_eq!(place(8, 2, -8), Some(range(0, 2)));
    assert_eq!(place(60, 4, 8), Some(range(52, 4)), "the other way at the end");
    assert_eq!(place(7, 1, -8), Some(range(15, 1)), "the other way at the start");
    assert_eq!(place(0, 64, 1), None);
    assert_eq!(place(32, 1, i64::MIN), None);
    assert_eq!(place(32, 1, i64::MAX), None);
}

fn one(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

#[test]
fn a_lost_write_is_acknowledged() {
    let mut world = World::with(Fault::LostWrite);
    world.write(3, 1).good();
    assert_eq!(world.block(3), block(0));
    // One that would be refused is not acknowledged.
    world.execute(&write(64, 1), &block(1)).codes(SenseKey::IllegalRequest, 0x21, 0x00);
    assert_eq!(world.saboteur.log.hits(), 1);
}

#[test]
fn a_misdirected_write_lands_elsewhere() {
    let distance = NonZeroI64::new(8).unwrap();
    let mut world = World::with(Fault::MisdirectedWrite { distance });
    world.write(3, 1).good();
    assert_eq!((world.block(3), world.block(11)), (&*block(0), &*block(1)));
    world.execute(&write(0, 64), &vec![2; 64 * 512]).good();
    assert_eq!(world.saboteur.log.hits(), 1, "there is nowhere else for the whole medium");
    world.assert_idle();
}

#[test]
fn a_torn_write_leaves_the_rest() {
    let mut world = World::with(Fault::TornWrite { bytes: 700 });
    world.execute(&write(3, 2), &[1; 1024]).good();
    assert_eq!(world.medium[3 * 512..5 * 512], [[1; 700].as_slice(), &[0; 324]].concat());
    assert!(world.saboteur.log.since(0).next().unwrap().data.is_some());
    let mut world = World::with(Fault::TornWrite { bytes: u32::MAX });
    world.write(3, 1).good();
    assert_eq!(world.block(3), block(1));
}

#[test]
fn bits_flip_on_the_way_to_the_medium() {
    let mut world = World::with(Fault::BitFlip { side: BitFlipSide::Write, bits: one(3) });
    let reply = world.write(3, 0xff);
    reply.good();
    assert_eq!(reply.bytes, block(0xff), "the initiator's own data stays");
    let ones: u32 = world.block(3).iter().map(|byte| byte.count_ones()).sum();
    assert_eq!(ones, 512 * 8 - 3);
    world.put(4, &block(0));
    world.caw(4, 0, 0xff).good();
    let ones: u32 = world.block(4).iter().map(|byte| byte.count_ones()).sum();
    assert_eq!(ones, 512 * 8 - 3);
}

#[test]
fn the_last_writes_are_undone() {
    let mut revert = rule(Fault::WriteRevert { writes: one(2) });
    revert.when.select = Select::Nth(std::num::NonZeroU64::new(4).unwrap());
    let mut world = World::default();
    world.arm_rules(vec![revert]);
    // The first cannot be hit: nothing was written before it.
    for (lba, fill) in [(3, 1), (4, 2), (4, 3), (3, 4)] {
        world.write(lba, fill).good();
    }
    assert_eq!((world.block(3), world.block(4)), (&*block(4), &*block(3)));
    world.write(5, 9).good();
    assert_eq!((world.block(3), world.block(4)), (&*block(1), &*block(2)));
    assert_eq!(world.block(5), block(9));
    world.assert_idle();
}

#[test]
fn an_unmap_comes_late_and_takes_what_was_written_since() {
    let mut world = World::with(Fault::UnmapLate { delay: Delay::Fixed(10 * MS) });
    let (cdb, list) = unmap(3, 2);
    world.execute(&cdb, &list).good();
    world.write(3, 1).good();
    world.pass(9 * MS);
    assert_eq!(world.block(3), block(1));
    world.pass(MS);
    assert_eq!(world.block(3), block(0));
    world.assert_idle();
}

#[test]
fn too_many_late_ones_are_carried_out_at_once() {
    let mut world = World::with(Fault::UnmapLate { delay: Delay::Fixed(10 * MS) });
    let (cdb, list) = unmap(3, 2);
    for _ in 0..LATE_MAX {
        world.execute(&cdb, &list).good();
    }
    world.put(3, &block(1));
    world.execute(&cdb, &list).good();
    assert_eq!(world.block(3), block(0));
    world.pass(10 * MS);
    world.assert_idle();
}

#[test]
fn what_shall_be_zeroed_keeps_its_data() {
    let mut world = World::with(Fault::ZeroKeepData);
    world.put(3, &block(7));
    let (cdb, list) = unmap(3, 2);
    world.execute(&cdb, &list).good();
    let write_same = [0x41, 0, 0, 0, 0, 3, 0, 0, 1, 0];
    world.execute(&write_same, &block(0)).good();
    assert_eq!(world.block(3), block(7));
    world.assert_idle();
}
