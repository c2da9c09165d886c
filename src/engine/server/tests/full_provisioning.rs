//! A thin medium exported as a fully provisioned unit: nothing says otherwise, and nothing gives
//! space back.

use pulsefield_backstore::Op;
use pulsefield_scsi::{Asc, Sense, SenseKey};

use crate::testing::{World, cdb, filled, none, out, range, room};
use crate::{LuConfig, PoolLimits, SpaceReport};

const READ_CAPACITY_16: [u8; 16] = [0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0];

fn full() -> World {
    World::with(|setup| setup.config.fully_provisioned = true)
}

fn page(world: &mut World, code: u8) -> Vec<u8> {
    world.execute(&cdb::inquiry(Some(code)), room(512)).bytes
}

/// SUPPORT of REPORT SUPPORTED OPERATION CODES, for a command with this service action.
fn support(world: &mut World, opcode: u8, service_action: u8) -> u8 {
    let report = [0xa3, 0x0c, 0x03, opcode, 0, service_action, 0, 0, 1, 0, 0, 0];
    world.execute(&report, room(256)).bytes[1] & 0x07
}

#[test]
fn no_page_tells_of_provisioning() {
    let mut world = full();
    assert_eq!(world.execute(&READ_CAPACITY_16, room(32)).bytes[14..16], [0; 2], "LBPME, LBPRZ");
    assert_eq!(page(&mut world, 0xb1)[7] >> 6, 0, "WABEREQ");
    assert_eq!(page(&mut world, 0xb2)[..8], [0, 0xb2, 0, 4, 0, 0, 0, 0]);
    let block_limits = page(&mut world, 0xb0);
    assert_eq!(block_limits[4], 0, "WSNZ");
    assert_eq!(block_limits[20..36], [0; 16], "the limits of UNMAP");
    assert_eq!(block_limits[36..44], [0, 0, 0, 0, 0, 0, 0x80, 0], "those of WRITE SAME");
}

#[test]
fn what_gives_space_back_is_not_there() {
    let mut world = full();
    assert_eq!([support(&mut world, 0x42, 0), support(&mut world, 0x48, 2)], [1, 1]);
    let (unmap, list) = cdb::unmap(&[(0, 1)]);
    world.execute(&unmap, out(&list)).check(Sense::invalid_opcode());
    let erase = world.execute(&cdb::sanitize(2), none());
    erase.check(Sense::invalid_field_in_cdb(1, Some(4)));
    let write_same = world.execute(&cdb::write_same(0, 1, cdb::UNMAP), out(&filled(0, 1)));
    write_same.check(Sense::invalid_field_in_cdb(1, Some(3)));
    assert_eq!(world.ops(), []);
}

#[test]
fn zeros_are_written_and_keep_their_space() {
    let mut world = full();
    world.put(0, &filled(b'A', 64));
    let zeroes = |range| Op::WriteZeroes { range, durable: false, may_unmap: false };
    // Without a number of blocks: to the end of the medium.
    for (blocks, written) in [(2, range(60, 2)), (0, range(60, 4))] {
        let write_same = world.send(&cdb::write_same(60, blocks, 0), out(&filled(0, 1)));
        assert_eq!(world.ops(), [zeroes(written)]);
        world.finish(0);
        world.answer(write_same).good();
    }
    assert_eq!((world.block(59), world.block(63)), (&filled(b'A', 1)[..], &filled(0, 1)[..]));
    let format = world.send(&[0x04, 0, 0, 0, 0, 0], none());
    assert_eq!(world.ops(), [zeroes(range(0, 64))]);
    world.finish_all();
    world.answer(format).good();
    world.assert_idle();
}

#[test]
fn every_block_is_mapped_whatever_the_medium_has_done() {
    let mut world = full();
    let status = world.execute_at_once(&cdb::get_lba_status(8, 100), room(100));
    let mut data = [0; 24];
    (data[3], data[15], data[19]) = (20, 8, 56);
    status.good_with(&data);
    world.assert_idle();
}

#[test]
fn a_change_is_news_in_both_places() {
    let mut world = World::default();
    world.server.reconfigure(LuConfig { fully_provisioned: true, ..LuConfig::default() });
    for asc in [Asc::INQUIRY_DATA_HAS_CHANGED, Asc::CAPACITY_DATA_HAS_CHANGED] {
        let reply = world.execute(&cdb::TEST_UNIT_READY, none());
        reply.check_codes(SenseKey::UnitAttention, asc);
    }
    world.execute(&cdb::TEST_UNIT_READY, none()).good();
    assert_eq!(support(&mut world, 0x42, 0), 1);
}

#[test]
fn in_a_pool_it_is_bounded_but_not_warned() {
    let mut world = World::with(|setup| {
        setup.config.fully_provisioned = true;
        let (name, limit) = ("gold".to_owned(), 16 * 4096);
        setup.config.pool = Some(PoolLimits { name, limit, thresholds: vec![4096] });
    });
    let used = 16 * 4096;
    world.server.on_space(SpaceReport { allocated: used, used });
    world.execute(&cdb::TEST_UNIT_READY, none()).good();
    assert_eq!(page(&mut world, 0xb2)[4], 0, "THRESHOLD EXPONENT");
    let log_page = world.execute(&[0x4d, 0, 0x4c, 0, 0, 0, 0, 0, 255, 0], room(255));
    log_page.check(Sense::invalid_field_in_cdb(2, Some(5)));
    let write = world.execute(&cdb::write(0, 1), out(&filled(b'A', 1)));
    write.check_codes(SenseKey::DataProtect, Asc::SPACE_ALLOCATION_FAILED_WRITE_PROTECT);
    world.assert_idle();
}
