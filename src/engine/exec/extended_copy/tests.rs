use proptest::prelude::*;
use pulsefield_backstore::{BackstoreError, Geometry, Op};
use pulsefield_scsi::{Asc, FieldPointer, Sense, SenseKey, Status};
use pulsefield_units::{BlockCount, BlockLength, Instant, LuId};

use super::*;
use crate::testing::{World, cdb, filled, none, out, range, room};
use crate::{Identity, LuConfig};

const THIS: &str = "0ab8b6e1-1c4a-4d0a-9f0e-c2b1b1b8d8f7";
const OTHER: &str = "f7d8b1b1-2c0e-9f0e-4d0a-1c4ab6e10ab8";
const OTHER_ID: LuId = LuId::new(7);

/// The CSCD descriptor of the unit with this serial number.
fn cscd(serial: &str, block_length: u32) -> Vec<u8> {
    let mut bytes = vec![0xe4, 0, 0, 0, 0x01, 0x03, 0, 16];
    bytes.extend(Identity::new(serial).naa());
    bytes.extend([0; 4]);
    bytes.extend(block_length.to_be_bytes());
    bytes
}

/// A segment from block device to block device.
fn segment(source: u16, destination: u16, blocks: u16, from: u64, to: u64) -> Vec<u8> {
    let mut bytes = vec![0x02, 0, 0, 0x18];
    bytes.extend([source, destination, 0, blocks].iter().flat_map(|field| field.to_be_bytes()));
    bytes.extend([from, to].iter().flat_map(|lba| lba.to_be_bytes()));
    bytes
}

/// A parameter list with the list identifier 42.
fn list(cscds: &[Vec<u8>], segments: &[Vec<u8>]) -> Vec<u8> {
    let (cscds, segments) = (cscds.concat(), segments.concat());
    let mut list = vec![0; 16];
    list[0] = 42;
    list[2..4].copy_from_slice(&u16::try_from(cscds.len()).unwrap().to_be_bytes());
    list[8..12].copy_from_slice(&u32::try_from(segments.len()).unwrap().to_be_bytes());
    [list, cscds, segments].concat()
}

/// A list that copies within this unit.
fn within(segments: &[Vec<u8>]) -> Vec<u8> {
    list(&[cscd(THIS, 512)], segments)
}

fn send(world: &mut World, list: &[u8]) -> u16 {
    world.send(&cdb::extended_copy(0, list), out(list))
}

/// A unit of so many blocks that knows its name.
fn named(blocks: u64) -> World {
    let mut world = World::with(|setup| setup.geometry.blocks = BlockCount::new(blocks));
    world.server.on_identity(Identity::new(THIS));
    world.poll();
    world
}

fn aborted(asc: Asc, segment: u16) -> Sense {
    Sense::new(SenseKey::CopyAborted, asc).with_segment(segment)
}

#[test]
fn segments_are_copied_in_their_order() {
    let mut world = named(64);
    world.put(0, &filled(b'A', 4));
    let list = within(&[segment(0, 0, 4, 0, 8), segment(0, 0xffff, 2, 8, 20)]);
    let copy = send(&mut world, &list);
    assert_eq!(world.ops(), [Op::Read { range: range(0, 4) }]);
    world.finish(0);
    assert_eq!(world.ops(), [Op::Write { range: range(8, 4), durable: false }]);
    assert_eq!(world.bytes_at(0)[..2048], filled(b'A', 4));
    world.finish(0);
    assert_eq!(world.ops(), [Op::Read { range: range(8, 2) }]);
    world.finish_all();
    world.answer(copy).good();
    assert_eq!(world.block(21), filled(b'A', 1));
    assert_eq!(world.block(22), filled(0, 1));
    world.assert_idle();
}

#[test]
fn a_copy_that_does_not_know_its_unit_yet_asks_first() {
    let mut world = World::default();
    world.put(0, &filled(b'A', 1));
    let copy = send(&mut world, &within(&[segment(0, 0, 1, 0, 8)]));
    assert_eq!((world.queries.as_slice(), world.ops().len()), (&[Query::Identity][..], 0));
    world.server.on_identity(Identity::new(THIS));
    world.poll();
    world.finish_all();
    world.answer(copy).good();
    assert_eq!(world.block(8), filled(b'A', 1));
    world.assert_idle();
}

#[test]
fn long_segments_go_over_in_pieces() {
    let piece = limits::COPY_PIECE_BYTES as u64 / 512;
    let mut world = named(8 * piece);
    world.put(0, &filled(b'A', usize::try_from(2 * piece + 1).unwrap()));
    let blocks = u16::try_from(2 * piece + 1).unwrap();
    let copy = send(&mut world, &within(&[segment(0, 0, blocks, 0, 4 * piece)]));
    for (at, blocks) in [(0, piece), (piece, piece), (2 * piece, 1)] {
        assert_eq!(world.ops(), [Op::Read { range: range(at, blocks) }]);
        world.finish(0);
        let range = range(4 * piece + at, blocks);
        assert_eq!(world.ops(), [Op::Write { range, durable: false }]);
        world.finish(0);
    }
    world.answer(copy).good();
    let last = usize::try_from(6 * piece).unwrap();
    assert_eq!(world.block(last), filled(b'A', 1));
    assert_eq!(world.block(last + 1), filled(0, 1));
    world.assert_idle();
}

#[test]
fn zeros_become_a_hole() {
    let mut world = named(64);
    world.put(8, &filled(b'A', 4));
    let copy = send(&mut world, &within(&[segment(0, 0, 4, 0, 8)]));
    world.finish(0);
    let op = Op::WriteZeroes { range: range(8, 4), durable: false, may_unmap: true };
    assert_eq!(world.ops(), [op]);
    world.finish(0);
    world.answer(copy).good();
    assert_eq!(world.block(8), filled(0, 1));
    world.assert_idle();
}

/// A unit of so many blocks whose medium copies within itself.
fn copying(blocks: u64) -> World {
    let mut world = World::with(|setup| {
        setup.geometry.blocks = BlockCount::new(blocks);
        setup.capabilities.copy = true;
    });
    world.server.on_identity(Identity::new(THIS));
    world.poll();
    world
}

#[test]
fn a_medium_that_can_copies_by_itself_in_larger_pieces() {
    let mut world = copying(16384);
    world.put(0, &filled(b'A', 1));
    world.put(2999, &filled(b'Z', 1));
    let copy = send(&mut world, &within(&[segment(0, 0, 3000, 0, 8000)]));
    let first = Op::Copy { source: range(0, 2048), range: range(8000, 2048), durable: false };
    assert_eq!(world.ops(), [first]);
    // Its source may be read meanwhile, and neither place written, nor its destination read.
    let read = world.send(&cdb::read(0, 1), room(512));
    let write = world.send(&cdb::compare_and_write(2047, 1), out(&filled(0, 2)));
    let hidden = world.send(&cdb::read(8000, 1), room(512));
    assert_eq!(world.ops(), [first, Op::Read { range: range(0, 1) }]);
    world.finish_all();
    world.answer(copy).good();
    world.answer(read).good_with(&filled(b'A', 1));
    world.answer(write).good();
    world.answer(hidden).good_with(&filled(b'A', 1));
    assert_eq!(world.block(8000 + 2999), filled(b'Z', 1));
    world.assert_idle();
}

#[test]
fn what_the_medium_cannot_copy_is_read_and_written() {
    let mut world = copying(64);
    world.put(1, &filled(b'A', 2));
    let copy = send(&mut world, &within(&[segment(0, 0, 2, 1, 9)]));
    world.fail(0, BackstoreError::Medium);
    assert_eq!(world.ops(), [Op::Read { range: range(1, 2) }]);
    world.finish_all();
    world.answer(copy).good();
    assert_eq!((world.block(9), world.block(10)), (&filled(b'A', 1)[..], &filled(b'A', 1)[..]));
    // Blocks that overlap are nothing to ask it for.
    send(&mut world, &within(&[segment(0, 0, 8, 1, 4)]));
    assert_eq!(world.ops(), [Op::Read { range: range(1, 8) }]);
}

#[test]
fn a_marked_block_is_not_copied_by_the_medium_either() {
    let mut world = copying(64);
    world.execute(&cdb::write_long(5), none()).good();
    let copy = send(&mut world, &within(&[segment(0, 0, 8, 0, 20)]));
    assert!(world.ops().is_empty());
    assert_eq!(world.answer(copy).sense.unwrap().key, SenseKey::CopyAborted);
}

proptest! {
    /// Whichever way the blocks go over, and wherever they come from, they end up the same.
    #[test]
    fn copies_by_the_medium_are_copies_block_by_block(
        segments in prop::collection::vec((0_u16..24, 0_u64..40, 0_u64..40), 1..7),
    ) {
        let segments: Vec<_> =
            segments.into_iter().map(|(blocks, from, to)| segment(0, 0, blocks, from, to)).collect();
        let [by_medium, by_parts] = [copying(64), named(64)].map(|mut world| {
            for lba in (0..64).filter(|lba| lba % 5 != 0) {
                world.put(lba, &filled(u8::try_from(lba).unwrap(), 1));
            }
            let copy = send(&mut world, &within(&segments));
            world.finish_all();
            world.answer(copy).good();
            world.medium
        });
        prop_assert!(by_medium == by_parts);
    }
}

#[test]
fn a_heartbeat_waits_for_no_more_than_a_piece() {
    let piece = limits::COPY_PIECE_BYTES as u64 / 512;
    let mut world = named(8 * piece);
    world.put(0, &filled(b'A', usize::try_from(2 * piece).unwrap()));
    let blocks = u16::try_from(2 * piece).unwrap();
    let copy = send(&mut world, &within(&[segment(0, 0, blocks, 0, 4 * piece)]));
    world.finish(0);
    let in_the_piece = world.send(&cdb::compare_and_write(4 * piece, 1), out(&filled(b'A', 2)));
    let elsewhere = world.send(&cdb::compare_and_write(0, 1), out(&filled(b'A', 2)));
    assert_eq!(world.ops().len(), 2, "the write of the piece, and the heartbeat elsewhere");
    world.finish(1);
    world.finish(1);
    world.answer(elsewhere).good();
    world.finish(0);
    assert!(world.ops().contains(&Op::Read { range: range(4 * piece, 1) }));
    world.finish_all();
    world.answer(in_the_piece).good();
    world.answer(copy).good();
    world.assert_idle();
}

#[test]
fn nothing_to_copy_is_good() {
    let mut world = named(64);
    world.execute(&cdb::extended_copy(0, &[]), none()).good();
    for list in [list(&[], &[]), within(&[]), within(&[segment(0, 0, 0, 0, 0)])] {
        let copy = send(&mut world, &list);
        world.answer(copy).good();
    }
    world.assert_idle();
}

#[test]
fn what_was_copied_stays_copied_when_a_later_segment_cannot_be() {
    let mut world = named(64);
    world.put(0, &filled(b'A', 1));
    for (wrong, sense) in [
        (segment(0, 1, 1, 0, 9), aborted(Asc::COPY_TARGET_DEVICE_NOT_REACHABLE, 1)),
        (segment(0, 0, 2, 0, 63), aborted(Asc::COPY_TARGET_DEVICE_NOT_REACHABLE, 1)),
        (segment(0, 0, 1, u64::MAX, 9), aborted(Asc::COPY_TARGET_DEVICE_NOT_REACHABLE, 1)),
    ] {
        world.put(8, &filled(b'B', 1));
        let copy = send(&mut world, &within(&[segment(0, 0, 1, 0, 8), wrong]));
        world.finish_all();
        world.answer(copy).check(sense);
        assert_eq!(world.block(8), filled(b'A', 1));
        world.assert_idle();
    }
}

#[test]
fn who_counts_in_other_blocks_is_told_so() {
    let mut world = named(64);
    let list = list(&[cscd(THIS, 4096)], &[segment(0, 0, 1, 0, 8)]);
    let copy = send(&mut world, &list);
    let field = FieldPointer::in_parameter_list(16 + 29, None);
    world.answer(copy).check(aborted(Asc::INVALID_FIELD_IN_PARAMETER_LIST, 0).with_field(field));
    let mut tape = cscd(THIS, 512);
    tape[1] = 0x01;
    let copy = send(&mut world, &self::list(&[tape], &[segment(0, 0, 1, 0, 8)]));
    world.answer(copy).check(aborted(Asc::INCORRECT_COPY_TARGET_DEVICE_TYPE, 0));
    world.assert_idle();
}

#[test]
fn a_segment_longer_than_reported_is_refused() {
    let max = u64::from(limits::COPY_SEGMENT_BYTES_MAX) / 512;
    let mut world = named(1 << 30);
    let blocks = u16::try_from(max).unwrap();
    let copy = send(&mut world, &within(&[segment(0, 0, blocks, 0, 1 << 20)]));
    world.finish_all();
    world.answer(copy).good();
    let copy = send(&mut world, &within(&[segment(0, 0, blocks + 1, 0, 1 << 20)]));
    world.answer(copy).check(aborted(Asc::INVALID_FIELD_IN_PARAMETER_LIST, 0));
}

#[test]
fn errors_of_the_medium_name_the_segment() {
    for (error, sense) in [
        (BackstoreError::Medium, aborted(Asc::THIRD_PARTY_DEVICE_FAILURE, 1)),
        (BackstoreError::Gone, aborted(Asc::COPY_TARGET_DEVICE_NOT_REACHABLE, 1)),
        (
            BackstoreError::NoSpace,
            Sense::new(SenseKey::DataProtect, Asc::SPACE_ALLOCATION_FAILED_WRITE_PROTECT)
                .with_segment(1),
        ),
    ] {
        let mut world = named(64);
        world.put(0, &filled(b'A', 1));
        let segments = [segment(0, 0, 1, 0, 8), segment(0, 0, 1, 0, 9)];
        let copy = send(&mut world, &within(&segments));
        for _ in 0..3 {
            world.finish(0);
        }
        world.fail(0, error);
        world.answer(copy).check(sense);
        world.assert_idle();
    }
    let mut world = named(64);
    let copy = send(&mut world, &within(&[segment(0, 0, 1, 0, 8)]));
    world.fail(0, BackstoreError::Transient);
    assert_eq!(world.answer(copy).status, Status::Busy);
}

#[test]
fn a_read_only_unit_can_be_copied_from_and_not_to() {
    let mut world = World::with(|setup| setup.capabilities.read_only = true);
    world.server.on_identity(Identity::new(THIS));
    let copy = send(&mut world, &within(&[segment(0, 0, 1, 0, 8)]));
    world.finish_all();
    let protected = Sense::new(SenseKey::DataProtect, Asc::WRITE_PROTECTED);
    world.answer(copy).check(protected.with_segment(0));
    world.assert_idle();
}

#[test]
fn an_abort_ends_a_copy_with_the_piece_at_hand() {
    // While it reads, at once.
    let mut world = named(64);
    world.put(0, &filled(b'A', 1));
    let segments = [segment(0, 0, 1, 0, 8), segment(0, 0, 1, 0, 9)];
    let copy = send(&mut world, &within(&segments));
    world.abort(&[copy]);
    world.answer(copy).aborted();
    world.finish_all();
    assert_eq!(world.block(8), filled(0, 1), "nothing is applied afterwards");
    world.assert_idle();
    // While it writes, when that is done; and no further.
    let copy = send(&mut world, &within(&segments));
    world.finish(0);
    world.abort(&[copy]);
    assert!(world.waits(copy));
    world.finish(0);
    world.answer(copy).aborted();
    assert_eq!(world.block(8), filled(b'A', 1));
    assert_eq!(world.block(9), filled(0, 1));
    world.assert_idle();
    // Before its part has gone out.
    let list = within(&segments);
    let copy = world.queue(&cdb::extended_copy(0, &list), out(&list));
    world.abort(&[copy]);
    world.answer(copy).aborted();
    world.finish_all();
    world.assert_idle();
}

#[test]
fn a_unit_cut_off_meanwhile_is_not_written_beyond_its_end() {
    let mut world = named(64);
    world.put(0, &filled(b'A', 1));
    let copy = send(&mut world, &within(&[segment(0, 0, 1, 0, 60)]));
    world.server.resize(BlockCount::new(32));
    world.finish(0);
    assert_eq!(world.ops(), []);
    world.answer(copy).check(aborted(Asc::COPY_TARGET_DEVICE_NOT_REACHABLE, 0));
    world.assert_idle();
}

#[test]
fn a_list_that_is_wrong_copies_nothing() {
    let mut world = named(64);
    let good = within(&[segment(0, 0, 1, 0, 8)]);
    for length in 1..good.len() {
        let copy = send(&mut world, &good[..length]);
        world.answer(copy).check(Sense::parameter_list_length_error());
    }
    let short = world.send(&cdb::extended_copy(0, &good), out(&good[..40]));
    world.answer(short).check(Sense::parameter_list_length_error());
    let oversized = [good.clone(), vec![0xff; 100_000]].concat();
    let copy = send(&mut world, &oversized);
    world.finish_all();
    world.answer(copy).good();
    let many = vec![segment(0, 0, 1, 0, 8); usize::from(limits::SEGMENT_DESCRIPTORS_MAX) + 1];
    let copy = send(&mut world, &within(&many));
    let field = FieldPointer::in_parameter_list(8, None);
    let sense = Sense::new(SenseKey::IllegalRequest, Asc::TOO_MANY_SEGMENT_DESCRIPTORS);
    world.answer(copy).check(sense.with_field(field));
    let many = vec![cscd(THIS, 512); usize::from(limits::CSCD_DESCRIPTORS_MAX) + 1];
    let copy = send(&mut world, &list(&many, &[segment(0, 0, 1, 0, 8)]));
    let field = FieldPointer::in_parameter_list(2, None);
    let sense = Sense::new(SenseKey::IllegalRequest, Asc::TOO_MANY_TARGET_DESCRIPTORS);
    world.answer(copy).check(sense.with_field(field));
    assert_eq!(world.ops(), []);
    world.assert_idle();
}

#[test]
fn what_is_known_of_a_copy_can_be_asked_for_a_while() {
    let mut world = named(64);
    world.put(0, &filled(b'A', 2));
    let status = cdb::receive_copy_results(0x00, 42 << 24);
    let unknown = world.execute(&status, room(1024));
    unknown.check(Sense::invalid_field_in_cdb(2, None));
    let copy = send(&mut world, &within(&[segment(0, 0, 1, 0, 8), segment(0, 0, 1, 1, 9)]));
    world.finish(0);
    world.finish(0);
    world.execute_at_once(&status, room(1024)).good_with(&[0, 0, 0, 8, 0, 0, 1, 0, 0, 0, 2, 0]);
    world.fail(0, BackstoreError::Medium);
    world.answer(copy).check(aborted(Asc::THIRD_PARTY_DEVICE_FAILURE, 1));
    world.execute(&status, room(1024)).good_with(&[0, 0, 0, 8, 2, 0, 1, 0, 0, 0, 2, 0]);
    let details = world.execute(&cdb::receive_copy_results(0x04, 42 << 24), room(1024));
    details.good();
    assert_eq!(details.data_in, Some(60 + 18));
    assert_eq!(details.bytes[60..63], [0x70, 0, 0x0a]);
    let lid4 = world.execute(&cdb::receive_copy_results(0x05, 42), room(1024));
    assert_eq!((lid4.data_in, lid4.bytes[5], lid4.bytes[12]), (Some(32 + 18), 0x02, 0x02));
    // Somebody else's command, later.
    let later = Instant::default().after(limits::COPY_RECORD_HELD);
    world.server.unit.copies.forget_old(later);
    world.execute(&status, room(1024)).check(Sense::invalid_field_in_cdb(2, None));
}

#[test]
fn the_limits_are_reported_as_they_are_kept() {
    let mut world = named(64);
    let reply = world.execute(&cdb::receive_copy_results(0x03, 0), room(1024));
    let expected = [
        &[0, 0, 0, 43, 1, 0, 0, 0, 0, 8, 0, 8, 0, 0, 4, 0, 1, 0, 0, 0][..],
        &[0; 14],
        &[0, 64, 64, 9, 0, 0, 0, 0, 0, 3, 0x02, 0x0a, 0xe4],
    ]
    .concat();
    reply.good_with(&expected);
    let page = world.execute(&cdb::inquiry(Some(0x8f)), room(512));
    page.good();
    assert_eq!(page.bytes[..4], [0, 0x8f, 0, 100]);
    assert_eq!(page.bytes[28..36], [0, 8, 0, 8, 0, 0, 4, 0]);
}

#[test]
fn more_copies_than_reported_are_told_to_wait() {
    let mut world = named(64);
    let list = within(&[segment(0, 0, 1, 0, 8)]);
    for _ in 0..limits::CONCURRENT_COPIES_MAX {
        send(&mut world, &list);
    }
    let one_more = send(&mut world, &list);
    assert_eq!(world.answer(one_more).status, Status::Busy);
    world.finish_all();
    world.assert_idle();
}

/// The other unit.
fn peer(serial: &str, geometry: Geometry) -> CopyPeer {
    let designators = Designators::new(&Identity::new(serial), &LuConfig::default());
    CopyPeer { unit: OTHER_ID, designators, geometry }
}

/// A unit that knows another one, of so many blocks of that length.
fn with_peer(block_length: BlockLength, blocks: u64) -> World {
    let mut world = named(64);
    let geometry = Geometry { block_length, blocks: BlockCount::new(blocks) };
    world.server.on_copy_peers(vec![peer(OTHER, geometry)]);
    world.poll();
    world
}

#[test]
fn who_is_not_among_the_peers_cannot_be_reached() {
    let mut world = named(64);
    let list = list(&[cscd(OTHER, 512), cscd(THIS, 512)], &[segment(0, 1, 1, 0, 8)]);
    let copy = send(&mut world, &list);
    assert_eq!((world.queries.as_slice(), world.peer_ops.len()), (&[Query::CopyPeers][..], 0));
    world.server.on_copy_peers(Vec::new());
    world.poll();
    world.answer(copy).check(aborted(Asc::COPY_TARGET_DEVICE_NOT_REACHABLE, 0));
    world.assert_idle();
}

#[test]
fn the_other_unit_can_be_source_or_destination_or_both() {
    let mut world = with_peer(BlockLength::B4096, 64);
    world.put(0, &filled(b'A', 8));
    let cscds = [cscd(THIS, 512), cscd(OTHER, 4096)];
    let copy = send(&mut world, &list(&cscds, &[segment(1, 0, 2, 5, 16)]));
    let mut read = world.peer_ops.pop().unwrap();
    assert_eq!((read.unit, read.op), (OTHER_ID, CopyOp::Read(range(5, 2))));
    read.buffer.fill(0, 8192, b'B');
    world.peer_did(read.tag, Outcome::GOOD, read.buffer);
    world.finish_all();
    world.answer(copy).good();
    assert_eq!(world.block(31), filled(b'B', 1));
    let copy = send(&mut world, &list(&cscds, &[segment(0, 1, 8, 0, 9)]));
    world.finish_all();
    let write = world.peer_ops.pop().unwrap();
    assert_eq!(write.op, CopyOp::Write(range(9, 1)));
    assert_eq!(write.buffer.first_difference(0, &filled(b'A', 8)), None);
    world.peer_did(write.tag, Outcome::GOOD, write.buffer);
    world.answer(copy).good();
    let copy = send(&mut world, &list(&cscds, &[segment(1, 1, 1, 0, 9)]));
    for _ in 0..2 {
        let part = world.peer_ops.pop().unwrap();
        world.peer_did(part.tag, Outcome::GOOD, part.buffer);
    }
    world.answer(copy).good();
    // Seven blocks here are no whole block there.
    let copy = send(&mut world, &list(&cscds, &[segment(0, 1, 7, 0, 9)]));
    world.answer(copy).check(aborted(Asc::UNEXPECTED_INEXACT_SEGMENT, 0));
    assert_eq!(world.queries, []);
    world.assert_idle();
}

#[test]
fn a_peer_that_has_gone_is_looked_for_anew() {
    let mut world = with_peer(BlockLength::B512, 64);
    let list = list(&[cscd(OTHER, 512)], &[segment(0, 0xffff, 1, 0, 8)]);
    let copy = send(&mut world, &list);
    let read = world.peer_ops.pop().unwrap();
    let gone =
        Sense::new(SenseKey::NotReady, Asc::LOGICAL_UNIT_NOT_READY_MANUAL_INTERVENTION_REQUIRED);
    world.peer_did(read.tag, Outcome::check(gone), none());
    world.answer(copy).check(aborted(Asc::COPY_TARGET_DEVICE_NOT_REACHABLE, 0));
    send(&mut world, &list);
    assert_eq!(world.queries, [Query::CopyPeers]);
}

#[test]
fn new_settings_forget_the_peers() {
    let mut world = with_peer(BlockLength::B512, 64);
    world.server.reconfigure(crate::LuConfig::default());
    send(&mut world, &list(&[cscd(OTHER, 512)], &[segment(0, 0xffff, 1, 0, 8)]));
    assert_eq!((world.queries.as_slice(), world.peer_ops.len()), (&[Query::CopyPeers][..], 0));
}

#[test]
fn a_part_for_another_unit_waits_for_its_range_and_leaves_unit_attentions_alone() {
    let mut world = World::default();
    world.put(8, &filled(b'A', 1));
    world.server.raise(crate::UnitAttention::CapacityDataHasChanged);
    world.do_for_peer(CopyOp::Read(range(8, 1)), pulsefield_backstore::OpTag(5), room(512));
    world.do_for_peer(CopyOp::Write(range(8, 1)), pulsefield_backstore::OpTag(6), room(512));
    world.do_for_peer(CopyOp::Read(range(64, 1)), pulsefield_backstore::OpTag(7), room(512));
    assert_eq!(world.ops(), [Op::Read { range: range(8, 1) }]);
    let (tag, outcome, _) = world.done_for_peers.pop().unwrap();
    assert_eq!((tag.0, outcome), (7, Outcome::check(Sense::lba_out_of_range())));
    world.finish_all();
    let (_, _, read) = &world.done_for_peers[0];
    assert_eq!(read.first_difference(0, &filled(b'A', 1)), None);
    assert_eq!(world.done_for_peers.len(), 2);
    let reply = world.execute(&cdb::TEST_UNIT_READY, none());
    reply.check_codes(SenseKey::UnitAttention, Asc::CAPACITY_DATA_HAS_CHANGED);
    world.assert_idle();
}

/// How a part ends that another unit asks for, once all that was begun is done.
fn end_of_part(world: &mut World, op: CopyOp) -> Outcome {
    world.do_for_peer(op, pulsefield_backstore::OpTag(5), room(512));
    world.finish_all();
    world.done_for_peers.pop().unwrap().1
}

#[test]
fn a_part_finds_the_unit_as_a_read_or_a_write_would() {
    let (read, write) = (CopyOp::Read(range(8, 1)), CopyOp::Write(range(8, 1)));
    let sense = |outcome: Outcome| outcome.sense.map(|sense| (sense.key, sense.asc));
    let mut world = World::with(|setup| setup.config.removable = true);
    assert_eq!(end_of_part(&mut world, write), Outcome::GOOD);
    world.execute(&cdb::write_long(8), none()).good();
    let marked = Asc::new(0x11, 0x14);
    assert_eq!(sense(end_of_part(&mut world, read)), Some((SenseKey::MediumError, marked)));
    assert_eq!(end_of_part(&mut world, write), Outcome::GOOD);
    assert_eq!(end_of_part(&mut world, read), Outcome::GOOD);
    // START STOP UNIT ejects.
    world.execute(&[0x1b, 0, 0, 0, 0x02, 0], none()).good();
    let no_medium = Asc::MEDIUM_NOT_PRESENT;
    for op in [read, write, CopyOp::WriteZeroes(range(8, 1))] {
        assert_eq!(sense(end_of_part(&mut world, op)), Some((SenseKey::NotReady, no_medium)));
    }
    world.assert_idle();

    let mut world = World::default();
    world.execute(&[0x1b, 0, 0, 0, 0x00, 0], none()).good();
    let stopped = Asc::LOGICAL_UNIT_NOT_READY_INITIALIZING_COMMAND_REQUIRED;
    assert_eq!(sense(end_of_part(&mut world, read)), Some((SenseKey::NotReady, stopped)));

    let mut world = World::default();
    let (sanitize, list) = cdb::overwrite(0, 1, &[0xaa]);
    let sanitize = world.send(&sanitize, out(&list));
    world.do_for_peer(write, pulsefield_backstore::OpTag(5), room(512));
    let (_, outcome, _) = world.done_for_peers.pop().unwrap();
    let sanitizing = Asc::LOGICAL_UNIT_NOT_READY_SANITIZE_IN_PROGRESS;
    assert_eq!(sense(outcome), Some((SenseKey::NotReady, sanitizing)));
    world.finish_all();
    world.answer(sanitize).good();
    world.assert_idle();
}

#[test]
fn a_unit_goes_by_the_designators_it_shows() {
    let mut world = named(64);
    world.put(0, &filled(b'A', 1));
    let naa = vec![0x50, 1, 2, 3, 4, 5, 6, 7];
    let config = LuConfig { naa: Some(naa.clone()), ..LuConfig::default() };
    world.server.reconfigure(config);
    world.execute(&cdb::TEST_UNIT_READY, none());
    let mut shown = vec![0xe4, 0, 0, 0, 0x01, 0x03, 0, 8];
    shown.extend(naa);
    shown.resize(32, 0);
    let copy = send(&mut world, &list(&[shown], &[segment(0, 0, 1, 0, 8)]));
    world.finish_all();
    world.answer(copy).good();
    assert_eq!(world.block(8), filled(b'A', 1));
    // What would follow from the serial number names nobody any more.
    let copy = send(&mut world, &within(&[segment(0, 0, 1, 0, 8)]));
    assert_eq!(world.queries.pop(), Some(Query::CopyPeers));
    world.server.on_copy_peers(Vec::new());
    world.poll();
    world.answer(copy).check(aborted(Asc::COPY_TARGET_DEVICE_NOT_REACHABLE, 0));
    world.assert_idle();
}

/// Carries parts of copies between two units, both of which are `OTHER_ID` to the other.
fn exchange(one: &mut World, two: &mut World) -> bool {
    let mut any = false;
    for part in std::mem::take(&mut one.peer_ops) {
        two.do_for_peer(part.op, part.tag, part.buffer);
        any = true;
    }
    for (tag, outcome, buffer) in std::mem::take(&mut one.done_for_peers) {
        two.peer_did(tag, outcome, buffer);
        any = true;
    }
    any
}

#[test]
fn two_units_that_copy_each_others_blocks_both_ways_come_to_an_end() {
    let mut worlds = [THIS, OTHER].map(|serial| {
        let mut world = World::default();
        let other = if serial == THIS { OTHER } else { THIS };
        world.server.on_identity(Identity::new(serial));
        let geometry = world.server.geometry();
        world.server.on_copy_peers(vec![peer(other, geometry)]);
        world.put(0, &filled(serial.as_bytes()[0], 64));
        world.poll();
        world
    });
    let cscds = [cscd(THIS, 512), cscd(OTHER, 512)];
    // Every copy reads what another one writes, on both units.
    let copies: Vec<_> = (0..32_u16)
        .map(|nth| {
            let (source, destination) = (nth % 2, (nth + 1) % 2);
            let list = list(&cscds, &[segment(source, destination, 64, 0, 0)]);
            let world = &mut worlds[usize::from(nth / 2 % 2)];
            send(world, &list)
        })
        .collect();
    let [one, two] = &mut worlds;
    loop {
        let mut any = exchange(one, two);
        any |= exchange(two, one);
        for world in [&mut *one, &mut *two] {
            any |= !world.ops().is_empty();
            world.finish_all();
        }
        if !any {
            break;
        }
    }
    for (nth, copy) in copies.into_iter().enumerate() {
        let world = if nth / 2 % 2 == 0 { &mut *one } else { &mut *two };
        world.answer(copy).good();
    }
    one.assert_idle();
    two.assert_idle();
    // Each part was atomic: no unit holds a bit of both.
    for world in [one, two] {
        assert!((1..64).all(|lba| world.block(lba) == world.block(0)));
    }
}
