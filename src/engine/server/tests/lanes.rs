use pulsefield_backstore::Op;
use pulsefield_data::Buffer;
use pulsefield_units::BlockCount;

use crate::testing::{World, cdb, filled, none, out, range, room};
use crate::{Identity, Lane, limits};

const BULK_SLOTS: u64 = limits::BULK_SLOTS as u64;

/// Where heartbeats go, apart from bulk.
const HEARTBEATS: u64 = 43_008;

/// A world large enough for much bulk, and for heartbeats elsewhere.
fn world() -> World {
    World::with(|setup| {
        setup.geometry.blocks = BlockCount::new(65_536);
        setup.config.metadata = vec![range(HEARTBEATS, 2048)];
    })
}

/// Sends `count` one-block reads of different blocks before the device server can act.
fn queue_bulk(world: &mut World, count: u64) -> Vec<u16> {
    (0..count).map(|lba| world.queue(&cdb::read(lba, 1), room(512))).collect()
}

fn queue_heartbeat(world: &mut World, slot: u64) -> u16 {
    world.queue(&cdb::compare_and_write(HEARTBEATS + slot, 1), out(&filled(0, 2)))
}

#[test]
fn a_heartbeat_starts_before_bulk_that_came_first() {
    let mut world = world();
    queue_bulk(&mut world, 10);
    let heartbeat = queue_heartbeat(&mut world, 0);
    world.poll();
    assert_eq!(world.tag_of(0), heartbeat);
    assert_eq!(world.urgent()[..2], [true, false]);
}

#[test]
fn bulk_leaves_the_heartbeats_slots_alone() {
    let mut world = world();
    queue_bulk(&mut world, 2 * BULK_SLOTS);
    world.poll();
    assert_eq!(world.ops().len(), limits::BULK_SLOTS);
    let slots = limits::HEARTBEAT_SLOTS;
    for slot in 0..=slots as u64 {
        queue_heartbeat(&mut world, slot);
    }
    world.poll();
    assert_eq!(world.ops().len(), limits::BULK_SLOTS + slots);
    // Compare, then write: the slot is kept. Then the last one gets it.
    world.finish(limits::BULK_SLOTS);
    assert_eq!(world.ops().len(), limits::BULK_SLOTS + slots);
    let writes = world.ops().iter().filter(|op| op.writes()).count();
    assert_eq!(writes, 1);
    world.finish(limits::BULK_SLOTS + slots - 1);
    assert_eq!(world.ops().last(), Some(&Op::Read { range: range(HEARTBEATS + slots as u64, 1) }));
    world.finish_all();
    world.assert_idle();
}

#[test]
fn a_storm_of_heartbeats_lets_bulk_through() {
    let mut world = world();
    queue_bulk(&mut world, 2);
    for slot in 0..40 {
        queue_heartbeat(&mut world, slot);
    }
    world.poll();
    let bulk: Vec<usize> = world
        .urgent()
        .into_iter()
        .enumerate()
        .filter_map(|(nth, urgent)| (!urgent).then_some(nth))
        .collect();
    let burst = limits::HEARTBEAT_BURST as usize;
    assert_eq!(bulk, [burst, 2 * burst + 1]);
}

#[test]
fn metadata_takes_the_heartbeat_lane() {
    let mut world = world();
    let end = HEARTBEATS + 2048;
    for (command, data, lane) in [
        (cdb::read(HEARTBEATS, 2048), room(512 * 2048), Lane::Heartbeat),
        (cdb::write(end - 1, 1), out(&filled(0, 1)), Lane::Heartbeat),
        (cdb::read(HEARTBEATS - 1, 2), room(1024), Lane::Bulk),
        (cdb::write(end - 1, 2), out(&filled(0, 2)), Lane::Bulk),
        (cdb::verify(HEARTBEATS, 1, 0), none(), Lane::Bulk),
        (cdb::write_same(HEARTBEATS, 1, 0), out(&filled(0, 1)), Lane::Bulk),
        (cdb::compare_and_write(0, 1), out(&filled(0, 2)), Lane::Heartbeat),
        (cdb::read(0, 1), room(512), Lane::Bulk),
    ] {
        let tag = world.send(&command, data);
        assert_eq!(world.urgent(), [lane == Lane::Heartbeat]);
        world.finish_all();
        assert_eq!(world.answer(tag).lane, Some(lane));
    }
}

/// A block that begins as a lock of VMFS does.
fn lock() -> Vec<u8> {
    let mut block = filled(0, 1);
    block[..4].copy_from_slice(&0x10c0_0001_u32.to_le_bytes());
    block
}

fn lane_of(world: &mut World, command: &[u8], data: Buffer) -> Lane {
    let tag = world.send(command, data);
    world.finish_all();
    world.answer(tag).lane.expect("it touched the medium")
}

#[test]
fn metadata_is_known_by_what_is_written() {
    let mut world = world();
    let read = cdb::read(5000, 8);
    assert_eq!(lane_of(&mut world, &read, room(4096)), Lane::Bulk);
    assert_eq!(lane_of(&mut world, &cdb::write(5000, 1), out(&lock())), Lane::Heartbeat);
    assert_eq!(lane_of(&mut world, &read, room(4096)), Lane::Heartbeat);
    // A page at most, and from that block on.
    assert_eq!(lane_of(&mut world, &cdb::read(5000, 9), room(4608)), Lane::Bulk);
    assert_eq!(lane_of(&mut world, &cdb::read(4999, 8), room(4096)), Lane::Bulk);
    assert_eq!(lane_of(&mut world, &cdb::write(5000, 1), out(&filled(7, 1))), Lane::Bulk);
    assert_eq!(lane_of(&mut world, &read, room(4096)), Lane::Bulk);
}

#[test]
fn a_lock_is_known_once_it_was_compared() {
    let mut world = world();
    let data = [lock(), lock()].concat();
    assert_eq!(lane_of(&mut world, &cdb::compare_and_write(5000, 1), out(&data)), Lane::Heartbeat);
    assert_eq!(lane_of(&mut world, &cdb::read(5000, 1), room(512)), Lane::Heartbeat);
    let data = filled(1, 2);
    assert_eq!(lane_of(&mut world, &cdb::compare_and_write(6000, 1), out(&data)), Lane::Heartbeat);
    assert_eq!(lane_of(&mut world, &cdb::read(6000, 1), room(512)), Lane::Bulk);
}

#[test]
fn lanes_do_not_reorder_within_a_range() {
    let mut world = world();
    let write = world.queue(&cdb::write(8, 4), out(&filled(b'A', 4)));
    let heartbeat = world.queue(&cdb::compare_and_write(9, 1), out(&filled(b'A', 2)));
    world.poll();
    assert_eq!(world.ops(), [Op::Write { range: range(8, 4), durable: false }]);
    world.finish_all();
    world.answer(write).good();
    world.answer(heartbeat).good();
}

#[test]
fn who_asks_for_names_does_not_wait_for_the_medium() {
    let mut world = world();
    queue_bulk(&mut world, 2 * BULK_SLOTS);
    world.poll();
    let inquiry = world.send(&cdb::inquiry(Some(0x83)), room(512));
    world.server.on_identity(Identity::new("1"));
    world.poll();
    world.server.on_port_groups(vec![]);
    world.poll();
    world.answer(inquiry).good();
    world.finish_all();
    world.assert_idle();
}

#[test]
fn an_unmap_gives_its_slot_back_while_it_waits_for_a_range() {
    let mut world = world();
    let heartbeat = world.send(&cdb::compare_and_write(HEARTBEATS, 1), out(&filled(0, 2)));
    let (command, list) = cdb::unmap(&[(60_000, 1), (HEARTBEATS, 1)]);
    let unmaps: Vec<u16> = (0..BULK_SLOTS).map(|_| world.queue(&command, out(&list))).collect();
    let read = world.queue(&cdb::read(7, 1), room(512));
    world.poll();
    // One UNMAP after the other does its first range, and then waits for the heartbeat.
    while let Some(nth) = world.ops().iter().position(|op| matches!(op, Op::Unmap { .. })) {
        world.finish(nth);
    }
    assert!(world.ops().contains(&Op::Read { range: range(7, 1) }));
    world.finish_all();
    world.answer(heartbeat).good();
    world.answer(read).good();
    unmaps.into_iter().for_each(|tag| world.answer(tag).good());
    world.assert_idle();
}
