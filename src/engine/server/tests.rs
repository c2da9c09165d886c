mod atomicity;
mod full_provisioning;
mod golden;
mod hostile;
mod lanes;
mod long_cdbs;
mod vaai;

use pulsefield_backstore::Op;
use pulsefield_scsi::Status;
use pulsefield_units::BlockCount;

use crate::limits;
use crate::testing::{World, cdb, filled, none, out, room};

#[test]
fn a_full_task_set_is_said_to_be_full() {
    let mut world = World::default();
    let first = world.send(&cdb::write(0, 1), out(&filled(b'A', 1)));
    for _ in 1..limits::TASKS_MAX {
        world.send(&cdb::read(0, 1), room(512));
    }
    assert_eq!(world.server.in_flight(), limits::TASKS_MAX);
    // Nothing gets in, not even what would need no task.
    for (command, data) in [(&cdb::compare_and_write(0, 1)[..], filled(0, 2)), (&[0; 6], vec![])] {
        let reply = world.execute_at_once(command, out(&data));
        assert_eq!((reply.status, reply.lane), (Status::TaskSetFull, None));
    }
    world.finish(0);
    world.answer(first).good();
    let tag = world.send(&cdb::read(0, 1), room(512));
    world.finish_all();
    world.answer(tag).good_with(&filled(b'A', 1));
}

#[test]
fn compare_and_writes_of_different_blocks_run_side_by_side() {
    let mut world = World::default();
    let tags: Vec<u16> = (0..64)
        .map(|lba| world.send(&cdb::compare_and_write(lba, 1), out(&filled(0, 2))))
        .collect();
    assert_eq!(world.ops().len(), 64);
    // All have compared before the first one writes.
    for _ in 0..64 {
        world.finish(0);
    }
    assert!(world.ops().iter().all(Op::writes) && world.ops().len() == 64);
    world.finish_all();
    tags.into_iter().for_each(|tag| world.answer(tag).good());
    world.assert_idle();
}

#[test]
fn readers_of_the_same_block_run_side_by_side() {
    let mut world = World::default();
    for _ in 0..8 {
        world.send(&cdb::read(8, 1), room(512));
    }
    assert_eq!(world.ops().len(), 8);
}

#[test]
fn synchronize_cache_waits_for_nobody_and_nobody_waits_for_it() {
    let mut world = World::default();
    let write = world.send(&cdb::write(0, 64), out(&filled(b'A', 64)));
    let flush = world.send(&cdb::synchronize_cache(0, 0), none());
    assert_eq!(world.ops().last(), Some(&Op::Flush));
    world.finish(0);
    let caw = world.send(&cdb::compare_and_write(0, 1), out(&filled(0, 2)));
    assert_eq!(world.ops().len(), 2);
    world.finish_all();
    world.answer(write).good();
    world.answer(flush).good_with(b"");
    world.answer(caw).miscompare(0);
    world.assert_idle();
}

#[test]
fn synchronize_cache_names_blocks_that_exist() {
    let mut world = World::default();
    for (lba, blocks, exists) in
        [(0, 64, true), (63, 0, true), (63, 1, true), (64, 0, false), (0, 65, false)]
    {
        let reply = world.execute(&cdb::synchronize_cache(lba, blocks), none());
        assert_eq!(reply.status == Status::Good, exists, "{lba}+{blocks}");
    }
}

#[test]
fn a_claim_past_a_new_end_is_seen() {
    let mut world = World::default();
    world.send(&cdb::read(30, 3), room(512 * 3));
    assert!(world.server.touches_beyond(BlockCount::new(32)));
    assert!(!world.server.touches_beyond(BlockCount::new(33)));
    world.finish_all();
    assert!(!world.server.touches_beyond(BlockCount::new(0)));
}
