//! CDBs of 32 bytes: where they are allowed they do what their forms of 16 bytes do; else there are none.

use pulsefield_backstore::Op;
use pulsefield_scsi::Sense;

use crate::LuConfig;
use crate::testing::{Reply, World, cdb, filled, none, out, range, room};

const READ: u8 = 0x09;
const VERIFY: u8 = 0x0a;
const WRITE: u8 = 0x0b;
const WRITE_AND_VERIFY: u8 = 0x0c;
const WRITE_SAME: u8 = 0x0d;
const WRITE_ATOMIC: u8 = 0x0f;
/// BYTCHK of 01b.
const COMPARE: u8 = 0x02;

fn long_cdb(service_action: u8, byte_10: u8, lba: u64, blocks: u32) -> [u8; 32] {
    let mut cdb = [0; 32];
    (cdb[0], cdb[7], cdb[9], cdb[10]) = (0x7f, 0x18, service_action, byte_10);
    cdb[12..20].copy_from_slice(&lba.to_be_bytes());
    cdb[28..32].copy_from_slice(&blocks.to_be_bytes());
    cdb
}

fn world() -> World {
    World::with(|setup| setup.config.long_cdbs = true)
}

/// REPORT SUPPORTED OPERATION CODES about one service action of 7Fh.
fn supported(world: &mut World, service_action: u8) -> Reply {
    let cdb = [0xa3, 0x0c, 0x03, 0x7f, 0, service_action, 0, 0, 0x01, 0, 0, 0];
    world.execute(&cdb, room(256))
}

#[test]
fn they_read_write_verify_and_repeat_like_their_short_forms() {
    let mut world = world();
    world.execute(&long_cdb(WRITE, 0, 8, 2), out(&filled(b'A', 2))).good();
    world.execute(&cdb::read(8, 2), room(1024)).good_with(&filled(b'A', 2));
    world.execute(&long_cdb(READ, 0, 9, 1), room(512)).good_with(&filled(b'A', 1));
    world.execute(&long_cdb(VERIFY, COMPARE, 8, 2), out(&filled(b'A', 2))).good();
    world.execute(&long_cdb(VERIFY, COMPARE, 8, 1), out(&filled(b'B', 1))).miscompare(0);
    world.execute(&long_cdb(WRITE_AND_VERIFY, COMPARE, 0, 1), out(&filled(b'C', 1))).good();
    world.execute(&long_cdb(WRITE_SAME, 0, 16, 4), out(&filled(b'D', 1))).good();
    world.execute(&cdb::read(16, 4), room(2048)).good_with(&filled(b'D', 4));
    let unmap = world.send(&long_cdb(WRITE_SAME, cdb::UNMAP | cdb::NDOB, 16, 4), none());
    let zeroes = Op::WriteZeroes { range: range(16, 4), durable: false, may_unmap: true };
    assert_eq!(world.ops(), [zeroes]);
    world.finish_all();
    world.answer(unmap).good();
    world.assert_idle();
}

#[test]
fn what_is_refused_is_pointed_at_where_they_have_it() {
    let mut world = world();
    let past_the_end = world.execute(&long_cdb(READ, 0, 64, 1), room(512));
    past_the_end.check(Sense::lba_out_of_range());
    let protected = world.execute(&long_cdb(WRITE, 0x20, 0, 1), out(&filled(0, 1)));
    protected.check(Sense::invalid_field_in_cdb(10, Some(7)));
    let anchor = long_cdb(WRITE_SAME, 0x18, 0, 1);
    world.execute(&anchor, out(&filled(0, 1))).check(Sense::invalid_field_in_cdb(10, Some(4)));
}

#[test]
fn only_where_they_are_allowed_are_there_any() {
    let read = long_cdb(READ, 0, 0, 1);
    let mut world = World::default();
    world.execute(&read, room(512)).check(Sense::invalid_opcode());
    supported(&mut world, READ).good_with(&[0, 0x01, 0, 0]);
    world.server.reconfigure(LuConfig { long_cdbs: true, ..LuConfig::default() });
    world.execute(&read, room(512)).good();
    supported(&mut world, READ).good_with(&[
        0, 0x03, 0, 32, 0x7f, 0x04, 0, 0, 0, 0, 0, 0xff, 0x00, 0x09, 0xf8, 0, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
    ]);
}

#[test]
fn an_atomic_one_wants_a_medium_that_can() {
    for atomic_write in [false, true] {
        let mut world = World::with(|setup| {
            setup.config.long_cdbs = true;
            setup.capabilities.atomic_write = atomic_write;
        });
        let write = world.execute(&long_cdb(WRITE_ATOMIC, 0, 0, 1), out(&filled(b'A', 1)));
        if atomic_write {
            write.good();
            assert_eq!(world.block(0), filled(b'A', 1));
        } else {
            write.check(Sense::invalid_field_in_cdb(8, None));
        }
        let support = if atomic_write { 0x03 } else { 0x01 };
        assert_eq!(supported(&mut world, WRITE_ATOMIC).bytes[1], support);
    }
}
