use proptest::prelude::*;
use pulsefield_backstore::{BackstoreError, Op};
use pulsefield_scsi::{Asc, Sense, SenseKey, Status};
use pulsefield_units::{BlockCount, Instant};

use crate::testing::{Reply, World, cdb, filled, none, out, range, room};
use crate::{Lane, PoolLimits, SpaceReport, limits};

/// What a medium does that never has to wait.
fn anything(_op: Op) -> bool {
    true
}

/// … and one that is not to be asked.
fn nothing(op: Op) -> bool {
    unreachable!("{op:?} is not for now")
}

/// A write that claims its blocks and stays at the medium.
fn hold(world: &mut World, lba: u64, blocks: u32) -> u16 {
    world.send(&cdb::write(lba, blocks), out(&filled(b'H', blocks.try_into().unwrap())))
}

#[test]
fn what_the_medium_does_at_once_is_over_before_it_is_filed() {
    let mut world = World::default();
    let write = world.queue_before(&cdb::write(3, 1), out(&filled(b'A', 1)), anything);
    let halves = [filled(b'A', 1), filled(b'B', 1)].concat();
    let swap = world.queue_before(&cdb::compare_and_write(3, 1), out(&halves), anything);
    let read = world.queue_before(&cdb::read(3, 1), room(512), anything);
    assert_eq!(world.server.in_flight(), 0);
    world.answer(write).good();
    world.answer(swap).good();
    let Reply { lane, bytes, .. } = world.answer(read);
    assert_eq!((lane, bytes), (Some(Lane::Bulk), filled(b'B', 1)));
    assert!(world.server.poll_action(Instant::default()).is_none());
    world.assert_idle();
}

#[test]
fn a_miscompare_is_told_with_what_was_found() {
    let mut world = World::default();
    let stale = [filled(b'A', 1), filled(b'B', 1)].concat();
    let swap = world.queue_before(&cdb::compare_and_write(3, 1), out(&stale), anything);
    world.answer(swap).miscompare(0);
    assert_eq!(world.server.observer().found, [(range(3, 1), 0, filled(0, 1))]);
}

#[test]
fn what_the_medium_does_not_do_goes_on_from_there() {
    let mut world = World::default();
    let halves = [filled(0, 1), filled(b'B', 1)].concat();
    let reads_only = |op: Op| op.reads().is_some();
    let swap = world.queue_before(&cdb::compare_and_write(3, 1), out(&halves), reads_only);
    // It has its blocks and its slot.
    let read = world.queue_before(&cdb::read(3, 1), room(512), nothing);
    world.poll();
    assert_eq!(world.ops().len(), 1);
    assert!(world.ops()[0].writes() && world.urgent()[0]);
    world.finish_all();
    world.answer(swap).good();
    assert_eq!(world.answer(read).bytes, filled(b'B', 1));
    world.assert_idle();
}

#[test]
fn it_ends_as_the_medium_says_later() {
    let mut world = World::default();
    let write = world.queue_before(&cdb::write(3, 1), out(&filled(b'A', 1)), |_| false);
    world.poll();
    world.fail(0, BackstoreError::NoSpace);
    let failed = Asc::SPACE_ALLOCATION_FAILED_WRITE_PROTECT;
    world.answer(write).check_codes(SenseKey::DataProtect, failed);
    world.assert_idle();
}

#[test]
fn it_can_be_aborted_once_it_is_filed() {
    let mut world = World::default();
    let read = world.queue_before(&cdb::read(3, 1), room(512), |_| false);
    world.poll();
    world.abort(&[read]);
    world.finish_all();
    assert_eq!(world.answer(read).status, Status::TaskAborted);
    world.assert_idle();
}

#[test]
fn whoever_came_first_to_the_same_blocks_is_waited_for() {
    let mut world = World::default();
    let first = hold(&mut world, 0, 8);
    let read = world.queue_before(&cdb::read(7, 2), room(1024), nothing);
    // Not by others.
    let other = world.queue_before(&cdb::read(8, 1), room(512), anything);
    world.answer(other).good();
    // But behind the one that waits.
    let behind = world.queue_before(&cdb::write(8, 1), out(&filled(b'C', 1)), nothing);
    world.poll();
    world.finish_all();
    world.answer(first).good();
    assert_eq!(world.answer(read).bytes, [filled(b'H', 1), filled(0, 1)].concat());
    world.answer(behind).good();
    world.assert_idle();
}

#[test]
fn nobody_is_answered_before_the_one_whose_write_it_found() {
    let mut world = World::default();
    let first = hold(&mut world, 3, 1);
    world.finish_unseen(0);
    // The first holds its block no longer, and its answer is ready.
    let read = world.queue_before(&cdb::read(3, 1), room(512), nothing);
    assert!(world.waits(first) && world.waits(read));
    world.poll();
    world.answer(first).good();
    world.finish_all();
    assert_eq!(world.answer(read).bytes, filled(b'H', 1));
    world.assert_idle();
}

#[test]
fn bulk_does_not_go_before_a_heartbeat_that_is_ready() {
    let mut world = World::default();
    let halves = [filled(0, 1), filled(b'B', 1)].concat();
    let swap = world.queue(&cdb::compare_and_write(3, 1), out(&halves));
    let bulk = world.queue_before(&cdb::read(40, 1), room(512), nothing);
    let other = world.queue_before(&cdb::compare_and_write(4, 1), out(&halves), nothing);
    world.poll();
    world.finish_all();
    for tag in [swap, bulk, other] {
        world.answer(tag).good();
    }
}

#[test]
fn nobody_takes_a_slot_that_is_not_there() {
    let blocks = 2 * limits::BULK_SLOTS as u64;
    let mut world = World::with(|setup| {
        setup.geometry.blocks = BlockCount::new(blocks);
    });
    let held: Vec<_> = (0..limits::BULK_SLOTS as u64).map(|lba| hold(&mut world, lba, 1)).collect();
    assert_eq!(world.ops().len(), limits::BULK_SLOTS);
    let bulk = world.queue_before(&cdb::read(blocks - 1, 1), room(512), nothing);
    let halves = [filled(0, 1), filled(b'B', 1)].concat();
    let swap = cdb::compare_and_write(blocks - 2, 1);
    let swap = world.queue_before(&swap, out(&halves), anything);
    world.answer(swap).good();
    world.poll();
    world.finish_all();
    for tag in held.into_iter().chain([bulk]) {
        world.answer(tag).good();
    }
    world.assert_idle();
}

#[test]
fn the_ops_of_a_heartbeat_go_to_the_medium_before_those_of_bulk() {
    let mut world = World::default();
    for lba in 0..4 {
        world.queue_before(&cdb::read(8 + lba, 1), room(512), |_| false);
    }
    let halves = [filled(0, 1), filled(b'B', 1)].concat();
    world.queue_before(&cdb::compare_and_write(3, 1), out(&halves), |_| false);
    world.poll();
    assert_eq!(world.urgent(), [true, false, false, false, false]);
    assert_eq!(world.ops()[0].range(), Some(range(3, 1)));
}

#[test]
fn a_marked_block_is_not_read_at_once_either() {
    let mut world = World::default();
    let mark = world.queue_before(&cdb::write_long(7), none(), nothing);
    world.answer(mark).good();
    let read = world.queue_before(&cdb::read(7, 1), room(512), nothing);
    let marked_bad = Sense::new(SenseKey::MediumError, Asc::new(0x11, 0x14));
    world.answer(read).check(marked_bad.with_information(7));
    world.assert_idle();
}

#[test]
fn in_a_pool_every_write_passes_the_gate() {
    let mut world = World::with(|setup| {
        setup.config.pool =
            Some(PoolLimits { name: "gold".to_owned(), limit: 4096, thresholds: Vec::new() });
    });
    world.server.on_space(SpaceReport { allocated: 4096, used: 4096 });
    let write = world.queue_before(&cdb::write(3, 1), out(&filled(b'A', 1)), nothing);
    world.poll();
    assert!(matches!(world.ops()[..], [Op::Provisioning { .. }]));
    world.finish_all();
    assert_eq!(world.answer(write).status, Status::CheckCondition);
    world.assert_idle();
}

/// A command to one of eight blocks, or two of them.
#[derive(Clone, Debug)]
struct Sent {
    kind: u8,
    lba: u64,
    fill: u8,
    /// Which of its ops the medium does at once, a bit each.
    willing: u8,
    /// Whether the medium does its oldest op before the next command comes.
    finishes: bool,
}

fn sent() -> impl Strategy<Value = Sent> {
    let parts = (0u8..5, 0u64..7, 0u8..3, any::<u8>(), any::<bool>());
    parts.prop_map(|(kind, lba, fill, willing, finishes)| Sent {
        kind,
        lba,
        fill,
        willing,
        finishes,
    })
}

fn take(world: &mut World, sent: &Sent, at_once: bool) -> u16 {
    let Sent { kind, lba, fill, willing, .. } = *sent;
    let (cdb, data) = match kind {
        0 => (cdb::read(lba, 2), room(1024)),
        1 => (cdb::write(lba, 2), out(&filled(fill, 2))),
        2 => (cdb::write_and_verify(lba, 1, 1), out(&filled(fill, 1))),
        3 => (cdb::or_write(lba, 1), out(&filled(fill, 1))),
        _ => {
            let halves = [filled(fill, 1), filled(fill + 1, 1)].concat();
            (cdb::compare_and_write(lba, 1), out(&halves))
        }
    };
    if !at_once {
        return world.queue(&cdb, data);
    }
    let mut asked = 0;
    world.queue_before(&cdb, data, |_| {
        asked += 1;
        willing & (1 << (asked % 8)) != 0
    })
}

proptest! {
    /// Commands to the same blocks are carried out in their order, whatever the medium does at once: each is told
    /// what it would be told, and in the end the medium holds the same, as if all of them had waited for one another.
    #[test]
    fn initiators_cannot_tell_how_it_was_done(story in prop::collection::vec(sent(), 1..40)) {
        let mut world = World::default();
        let mut slow = World::default();
        let mut told = Vec::new();
        for sent in &story {
            told.push(take(&mut world, sent, true));
            let tag = take(&mut slow, sent, false);
            slow.poll();
            slow.finish_all();
            prop_assert!(!slow.waits(tag));
            if sent.finishes {
                world.poll();
                if !world.ops().is_empty() {
                    world.finish(0);
                }
            }
        }
        world.poll();
        world.finish_all();
        for tag in told {
            let (one, other) = (world.answer(tag), slow.answer(tag));
            prop_assert_eq!((one.status, one.sense), (other.status, other.sense));
            prop_assert_eq!((one.lane, one.data_in), (other.lane, other.data_in));
            prop_assert_eq!(one.bytes, other.bytes);
        }
        prop_assert_eq!(&world.medium, &slow.medium);
        world.assert_idle();
    }
}
