use pulsefield_backstore::{BackstoreError, Op};
use pulsefield_scsi::Status;
use pulsefield_units::BlockCount;

use crate::limits;
use crate::testing::{World, cdb, filled, out, range, room};
use crate::{Identity, Lane, Query};

fn send_caw(world: &mut World, lba: u64) -> u16 {
    world.send(&cdb::compare_and_write(lba, 1), out(&[filled(0, 1), filled(b'B', 1)].concat()))
}

#[test]
fn a_task_that_waits_for_its_range_is_dropped_at_once() {
    let mut world = World::default();
    let first = send_caw(&mut world, 8);
    let parked = send_caw(&mut world, 8);
    let behind = world.send(&cdb::read(8, 1), room(512));
    world.abort(&[parked]);
    let reply = world.answer(parked);
    reply.aborted();
    assert_eq!((reply.lane, reply.data_in), (Some(Lane::Heartbeat), None));
    world.finish_all();
    world.answer(first).good();
    world.answer(behind).good_with(&filled(b'B', 1));
    world.assert_idle();
}

#[test]
fn a_task_that_waits_for_a_slot_is_dropped_at_once_and_its_range_is_free() {
    let mut world = World::with(|setup| setup.geometry.blocks = BlockCount::new(1024));
    let slots = u64::try_from(limits::BULK_SLOTS).unwrap();
    for lba in 0..slots {
        world.send(&cdb::read(lba, 1), room(512));
    }
    let ready = world.send(&cdb::write(slots, 1), out(&filled(b'A', 1)));
    let behind = send_caw(&mut world, slots);
    assert_eq!(world.ops().len(), limits::BULK_SLOTS);
    world.abort(&[ready]);
    world.answer(ready).aborted();
    assert_eq!(world.ops().last(), Some(&Op::Read { range: range(slots, 1) }), "the CAW goes on");
    world.finish_all();
    world.answer(behind).good();
    assert_eq!(world.server.in_flight(), 0);
}

#[test]
fn a_task_that_reads_is_dropped_when_its_buffer_is_back() {
    for fails in [false, true] {
        let mut world = World::default();
        let caw = send_caw(&mut world, 8);
        let read = world.send(&cdb::read(9, 1), room(512));
        let short = world.send(&cdb::read(10, 1), room(5));
        let verify = world.send(&cdb::verify(11, 1, 1), out(&filled(0, 1)));
        let flush = world.send(&cdb::synchronize_cache(0, 0), room(0));
        let tags = [caw, read, short, verify, flush];
        world.abort(&tags);
        for tag in tags {
            assert!(world.waits(tag), "the medium may still write into its buffer");
            match fails {
                true => world.fail(0, BackstoreError::Medium),
                false => world.finish(0),
            }
            world.answer(tag).aborted();
        }
        assert_eq!(world.block(8), filled(0, 1), "nothing was written");
        world.assert_idle();
    }
}

#[test]
fn an_aborted_compare_that_came_out_equal_writes_nothing() {
    let mut world = World::default();
    let caw = send_caw(&mut world, 8);
    let retry = send_caw(&mut world, 8);
    world.abort(&[caw]);
    world.finish(0);
    world.answer(caw).aborted();
    // The host's retry finds what the host expects: no false miscompare.
    world.finish_all();
    world.answer(retry).good();
}

#[test]
fn a_task_that_writes_runs_to_its_end() {
    let mut world = World::default();
    let caw = send_caw(&mut world, 8);
    world.finish(0);
    let write = world.send(&cdb::write(9, 1), out(&filled(b'A', 1)));
    let verified = world.send(&cdb::write_and_verify(10, 1, 1), out(&filled(b'A', 1)));
    world.finish(2);
    world.abort(&[caw, write, verified]);
    assert_eq!(world.ops().len(), 3);
    world.finish_all();
    for tag in [caw, write, verified] {
        world.answer(tag).good();
    }
    assert_eq!((world.block(8), world.block(9)), (&filled(b'B', 1)[..], &filled(b'A', 1)[..]));
    world.assert_idle();
}

#[test]
fn a_write_that_fails_after_its_abort_says_so() {
    let mut world = World::default();
    let write = world.send(&cdb::write(9, 1), out(&filled(b'A', 1)));
    world.abort(&[write]);
    world.fail(0, BackstoreError::Medium);
    assert_eq!(world.answer(write).status, Status::CheckCondition);
}

#[test]
fn a_native_compare_and_write_runs_to_its_end() {
    let mut world = World::with(|setup| setup.capabilities.compare_and_write = true);
    let caw = send_caw(&mut world, 8);
    world.abort(&[caw]);
    world.finish(0);
    world.answer(caw).good();
    assert_eq!(world.block(8), filled(b'B', 1));
}

#[test]
fn commands_in_pieces_are_not_left_half_done() {
    let mut world = World::with(|setup| setup.geometry.blocks = BlockCount::new(2048));
    world.put(0, &filled(b'C', 2048));
    let write_same = world.send(&cdb::write_same(0, 1024, 0), out(&filled(b'A', 1)));
    let (command, list) = cdb::unmap(&[(1100, 4), (1200, 4)]);
    let unmap = world.send(&command, out(&list));
    // The second range of the UNMAP is not free yet.
    let read = world.send(&cdb::read(1200, 1), room(512));
    world.finish(1);
    world.abort(&[write_same, unmap]);
    world.finish_all();
    for tag in [write_same, unmap, read] {
        world.answer(tag).good();
    }
    assert!(world.medium[..1024 * 512] == filled(b'A', 1024));
    assert_eq!((world.block(1100), world.block(1203)), (&filled(0, 1)[..], &filled(0, 1)[..]));
    world.assert_idle();
}

#[test]
fn a_task_that_asks_is_dropped_at_once() {
    let mut world = World::default();
    let inquiry = world.send(&cdb::inquiry(Some(0x83)), room(512));
    let other = world.send(&cdb::inquiry(Some(0x80)), room(512));
    assert_eq!(world.queries, [Query::Identity, Query::Identity]);
    world.abort(&[inquiry]);
    let reply = world.answer(inquiry);
    reply.aborted();
    assert_eq!(reply.lane, None);
    world.server.on_identity(Identity::new("1"));
    world.poll();
    world.answer(other).good();
    world.assert_idle();
}

#[test]
fn an_abort_between_answer_and_action_finds_the_task_asking() {
    let mut world = World::default();
    let inquiry = world.send(&cdb::inquiry(Some(0x83)), room(512));
    world.server.on_identity(Identity::new("1"));
    world.abort(&[inquiry]);
    world.answer(inquiry).aborted();
    world.assert_idle();
}

#[test]
fn unknown_tags_answered_commands_and_second_aborts_are_nothing() {
    let mut world = World::default();
    let done = world.execute(&cdb::read(0, 1), room(512));
    done.good();
    let read = world.send(&cdb::read(0, 1), room(512));
    world.abort(&[0, 999]);
    world.abort(&[]);
    world.abort(&[read, read]);
    world.abort(&[read]);
    world.finish(0);
    world.answer(read).aborted();
    world.abort(&[read]);
    world.assert_idle();
}
