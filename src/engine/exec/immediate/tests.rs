use pulsefield_backstore::Topology;
use pulsefield_scsi::parameter::{AccessState, AccessStates, Ascii};
use pulsefield_scsi::{Asc, Sense, SenseKey};
use pulsefield_units::{BlockCount, BlockLength};

use crate::testing::{STALE, World, cdb, none, room};
use crate::{Identity, LuConfig, PortGroup, Query};

const SERIAL: &str = "0ab8b6e1-1c4a-4d0a-9f0e-c2b1b1b8d8f7";

/// What a page answers once the unit has its names.
fn page(world: &mut World, code: u8) -> Vec<u8> {
    world.server.on_identity(Identity::new(SERIAL));
    let inquiry = world.send(&cdb::inquiry(Some(code)), room(512));
    world.server.on_port_groups(vec![]);
    world.poll();
    let reply = world.answer(inquiry);
    reply.good();
    reply.bytes[..reply.data_in.unwrap()].to_vec()
}

fn big_blocks() -> World {
    World::with(|setup| setup.geometry.block_length = BlockLength::B4096)
}

fn thick() -> World {
    World::with(|setup| {
        setup.capabilities.thin = false;
        setup.capabilities.atomic_write = false;
    })
}

#[test]
fn standard_inquiry_data() {
    let data = |groups: &[u8; 1]| {
        [
            &b"\x00\x00\x06\x12\x5b"[..],
            groups,
            b"\x00\x02PULSEFLDPULSEFIELD LUN  0001",
            &[0; 22],
            // SAM-5, SPC-4, SBC-3.
            b"\x00\xa0\x04\x60\x04\xc0",
            &[0; 32],
        ]
        .concat()
    };
    assert_eq!(data(&[0]).len(), 96);
    for (implicit, explicit, groups) in
        [(false, false, 0x08), (true, false, 0x18), (false, true, 0x28), (true, true, 0x38)]
    {
        let mut world = World::default();
        let inquiry = world.send(&cdb::inquiry(None), room(512));
        assert_eq!(world.queries, [Query::PortGroups], "names are not in it");
        world.server.on_port_groups(vec![PortGroup { implicit, explicit, ..group(0, vec![]) }]);
        world.poll();
        world.answer(inquiry).good_with(&data(&[groups]));
        // Known from now on.
        world.execute(&cdb::inquiry(None), room(512)).good_with(&data(&[groups]));
        assert_eq!(world.queries, [Query::PortGroups]);
    }
}

#[test]
fn names_are_the_configured_ones_and_a_change_is_news() {
    let mut world = World::default();
    world.server.on_port_groups(vec![]);
    world.server.reconfigure(LuConfig {
        vendor: Ascii::new("ACME"),
        revision: Ascii::new("2"),
        naa: Some(vec![0x50, 1, 2, 3, 4, 5, 6, 7]),
        ..LuConfig::default()
    });
    let changed = world.execute(&cdb::TEST_UNIT_READY, none());
    changed.check_codes(SenseKey::UnitAttention, Asc::INQUIRY_DATA_HAS_CHANGED);
    let inquiry = world.execute(&cdb::inquiry(None), room(96));
    assert_eq!(inquiry.bytes[8..36], *b"ACME    PULSEFIELD LUN  2   ");
    let designators = page(&mut world, 0x83);
    assert_eq!(designators[4..16], [1, 3, 0, 8, 0x50, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(designators[20..28], *b"ACME    ");
}

#[test]
fn groups_that_can_be_set_otherwise_are_news() {
    let mut world = World::default();
    let mut heard = |explicit| {
        world.server.on_port_groups(vec![PortGroup { explicit, ..group(0, vec![]) }]);
        world.poll();
        world.execute(&cdb::TEST_UNIT_READY, none())
    };
    heard(false).good();
    heard(false).good();
    heard(true).check_codes(SenseKey::UnitAttention, Asc::INQUIRY_DATA_HAS_CHANGED);
    heard(true).good();
}

#[test]
fn port_and_group_are_named_where_there_is_no_other() {
    let t10 = 4 + 20 + 4 + 8 + SERIAL.len();
    for (groups, designators) in [
        // The only port there is.
        (vec![group(3, vec![0x0102])], "\x01\x14\0\x04\0\0\x01\x02\x01\x15\0\x04\0\0\0\x03"),
        // Several ports, all of one group; a group without ports is not in the way.
        (vec![group(3, vec![1, 2]), group(0, vec![])], "\x01\x15\0\x04\0\0\0\x03"),
        (vec![group(3, vec![1]), group(4, vec![2])], ""),
        (vec![], ""),
    ] {
        let mut world = World::default();
        world.server.on_identity(Identity::new(SERIAL));
        let inquiry = world.send(&cdb::inquiry(Some(0x83)), room(512));
        world.server.on_port_groups(groups);
        world.poll();
        let reply = world.answer(inquiry);
        assert_eq!(reply.bytes[t10..reply.data_in.unwrap()], *designators.as_bytes());
    }
}

#[test]
fn the_pages_with_names_wait_for_them() {
    for (code, data) in [
        (0x80, [&b"\x00\x80\x00\x24"[..], SERIAL.as_bytes()].concat()),
        (
            0x83,
            [
                b"\x00\x83\x00\x44",
                // NAA, binary, of the logical unit: LIO's own name for the same serial.
                &b"\x01\x03\x00\x10\x60\x01\x40\x50\xab\x8b\x6e\x11\xc4\xa4\xd0\xa9\xf0\xec\x2b\x1b"
                    [..],
                // T10 vendor ID based, ASCII.
                b"\x02\x01\x00\x2cPULSEFLD",
                SERIAL.as_bytes(),
            ]
            .concat(),
        ),
    ] {
        let mut world = World::default();
        let inquiry = world.send(&cdb::inquiry(Some(code)), room(512));
        assert!(world.waits(inquiry));
        assert_eq!(world.queries, [Query::Identity]);
        world.server.on_identity(Identity::new(SERIAL));
        world.poll();
        // Ports come and go; names are known from now on.
        let answer = |world: &mut World, inquiry| {
            if code == 0x83 {
                assert!(world.waits(inquiry));
                assert_eq!(world.queries.pop(), Some(Query::PortGroups));
                world.server.on_port_groups(vec![]);
                world.poll();
            }
            world.answer(inquiry)
        };
        let reply = answer(&mut world, inquiry);
        reply.good_with(&data);
        assert_eq!(reply.lane, None);
        let inquiry = world.send(&cdb::inquiry(Some(code)), room(512));
        answer(&mut world, inquiry).good_with(&data);
        assert_eq!(world.queries, [Query::Identity]);
        world.assert_idle();
    }
}

#[test]
fn a_serial_of_any_length_makes_a_page() {
    for serial in [String::new(), "7".repeat(254), "é".repeat(2000)] {
        let mut world = World::default();
        world.server.on_identity(Identity::new(serial));
        for code in [0x80, 0x83] {
            let inquiry = world.send(&cdb::inquiry(Some(code)), room(4096));
            world.server.on_port_groups(vec![]);
            world.poll();
            world.answer(inquiry).good();
        }
    }
}

#[test]
fn the_pages_that_there_are() {
    let pages = [0, 0, 0, 9, 0x00, 0x80, 0x83, 0x86, 0x8a, 0x8f, 0xb0, 0xb1, 0xb2];
    assert_eq!(page(&mut World::default(), 0x00), pages);
    let unknown = World::default().execute(&cdb::inquiry(Some(0x84)), room(512));
    unknown.check(Sense::invalid_field_in_cdb(2, None));
}

#[test]
fn every_power_condition_is_left_at_once() {
    let data = [0, 0x8a, 0, 0x0e, 0x03, 0x07, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(page(&mut World::default(), 0x8a), data);
}

#[test]
fn extended_inquiry_data_knows_of_the_cache() {
    let volatile = |write_cache| {
        let mut world = World::with(|setup| setup.capabilities.write_cache = write_cache);
        page(&mut world, 0x86)[6] & 0x01
    };
    assert_eq!((volatile(true), volatile(false)), (1, 0));
}

#[test]
fn block_limits_are_those_that_are_enforced() {
    let limits = |world: &mut World| page(world, 0xb0);
    let expected = |write_same_non_zero: u8, fields: [&[u8]; 9]| {
        let head = [0x00, 0xb0, 0x00, 0x3c, write_same_non_zero, 0x01, 0x00, 0x01];
        [&head, &fields.concat()[..], &[0; 16]].concat()
    };
    let maximum_transfer = [0, 0, 0x40, 0];
    let optimal_transfer = [0, 0, 0x08, 0];
    let write_same = [0, 0, 0, 0, 0, 0, 0x80, 0];
    assert_eq!(
        limits(&mut World::default()),
        // Last, as much WRITE ATOMIC as WRITE.
        expected(
            1,
            [
                &maximum_transfer,
                &optimal_transfer,
                &[0; 4],
                // UNMAP: 2^20 blocks, 64 descriptors, granules of 8 blocks, from block 0 on.
                &[0, 0x10, 0, 0],
                &[0, 0, 0, 64],
                &[0, 0, 0, 8],
                &[0x80, 0, 0, 0],
                &write_same,
                &maximum_transfer,
            ]
        )
    );
    assert_eq!(
        limits(&mut thick()),
        expected(
            0,
            [
                &maximum_transfer,
                &optimal_transfer,
                &[0; 4],
                &[0; 4],
                &[0; 4],
                &[0; 4],
                &[0; 4],
                &write_same,
                &[0; 4],
            ]
        )
    );
    assert_eq!(
        limits(&mut big_blocks()),
        expected(
            1,
            [
                &[0, 0, 0x08, 0],
                &[0, 0, 0x01, 0],
                &[0; 4],
                &[0, 0x10, 0, 0],
                &[0, 0, 0, 64],
                &[0, 0, 0, 1],
                &[0x80, 0, 0, 0],
                &[0, 0, 0, 0, 0, 0, 0x10, 0],
                &[0, 0, 0x08, 0],
            ]
        )
    );
}

#[test]
fn the_sizes_a_medium_works_in_are_told_in_logical_blocks() {
    let topology = Topology {
        physical_block_bytes: 4096,
        physical_alignment_bytes: 3584,
        transfer_granularity_bytes: 8192,
        // More than a transfer may be.
        transfer_optimal_bytes: 64 << 20,
        unmap_granularity_bytes: 65536,
        unmap_alignment_bytes: 4096,
    };
    let read_capacity_16 = [0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0];
    let mut world = World::with(|setup| setup.capabilities.topology = topology);
    let capacity = world.execute(&read_capacity_16, room(32)).bytes;
    assert_eq!(capacity[13..16], [3, 0xc0, 7], "512e, aligned at block 7");
    let limits = page(&mut world, 0xb0);
    assert_eq!(limits[6..8], [0, 16]);
    assert_eq!(limits[8..12], limits[12..16], "the longest transfer is the best");
    assert_eq!(limits[28..36], [0, 0, 0, 128, 0x80, 0, 0, 8]);
    let mut world = World::with(|setup| {
        setup.capabilities.topology = topology;
        setup.geometry.block_length = BlockLength::B4096;
    });
    let capacity = world.execute(&read_capacity_16, room(32)).bytes;
    assert_eq!(capacity[13..16], [0, 0xc0, 0]);
}

#[test]
fn the_maximum_compare_and_write_length_is_the_configured_one() {
    let mut world = World::with(|setup| {
        setup.config.compare_and_write_blocks_max = 255.try_into().unwrap();
    });
    assert_eq!(page(&mut world, 0xb0)[5], 255);
}

#[test]
fn characteristics_and_provisioning() {
    // WACEREQ, and WABEREQ where blocks can be erased.
    assert_eq!(page(&mut World::default(), 0xb1)[..8], [0, 0xb1, 0, 0x3c, 0, 1, 0, 0x50]);
    assert_eq!(page(&mut thick(), 0xb1)[..8], [0, 0xb1, 0, 0x3c, 0, 1, 0, 0x10]);
    assert_eq!(page(&mut World::default(), 0xb2), [0, 0xb2, 0, 4, 0, 0xe4, 2, 0]);
    assert_eq!(page(&mut thick(), 0xb2), [0, 0xb2, 0, 4, 0, 0, 0, 0]);
}

#[test]
fn capacity_names_the_last_block() {
    let read_capacity_10 = [0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let read_capacity_16 = [0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0];
    let mut world = big_blocks();
    world.execute(&read_capacity_10, room(8)).good_with(&[0, 0, 0, 63, 0, 0, 0x10, 0]);
    let mut data = [0; 32];
    (data[7], data[10]) = (63, 0x10);
    // LBPME, LBPRZ.
    data[14] = 0xc0;
    world.execute(&read_capacity_16, room(32)).good_with(&data);
    data[14] = 0;
    data[10] = 0x02;
    thick().execute(&read_capacity_16, room(32)).good_with(&data);
    let mut large = World::with(|setup| setup.geometry.blocks = BlockCount::new(1 << 33));
    let too_large_to_tell = [0xff, 0xff, 0xff, 0xff, 0, 0, 2, 0];
    large.execute(&read_capacity_10, room(8)).good_with(&too_large_to_tell);
}

#[test]
fn a_physical_block_holds_as_many_logical_ones_as_is_configured() {
    let read_capacity_16 = [0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0];
    for (block_length, exponent, granularity) in
        [(BlockLength::B512, 3, 8), (BlockLength::B4096, 0, 1)]
    {
        let mut world = World::with(|setup| {
            setup.geometry.block_length = block_length;
            setup.config.physical_block_bytes = 4096;
        });
        let reply = world.execute(&read_capacity_16, room(32));
        assert_eq!(reply.bytes[13], exponent, "of READ CAPACITY (16)");
        assert_eq!(
            page(&mut world, 0xb0)[6..8],
            [0, granularity],
            "OPTIMAL TRANSFER LENGTH GRANULARITY"
        );
    }
}

#[test]
fn there_are_no_defects() {
    let mut world = World::default();
    let short = [0x37, 0, 0x1d, 0, 0, 0, 0, 0, 32, 0];
    world.execute_at_once(&short, room(32)).good_with(&[0, 0x1d, 0, 0]);
    let long = [0xb7, 0x08, 0, 0, 0, 7, 0, 0, 0, 32, 0, 0];
    world.execute_at_once(&long, room(32)).good_with(&[0, 0x08, 0, 0, 0, 0, 0, 0]);
    let cut_off = [0xb7, 0x08, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0];
    world.execute_at_once(&cut_off, room(32)).good_with(&[0, 0x08, 0, 0, 0]);
}

#[test]
fn data_is_cut_off_at_what_was_asked_for_and_at_what_there_is_room_for() {
    let inquiry = |allocation_length| [0x12, 0, 0, 0, allocation_length, 0];
    let mut world = World::default();
    world.server.on_port_groups(vec![]);
    let reply = world.execute(&inquiry(36), room(100));
    assert_eq!(reply.data_in, Some(36));
    assert_eq!(reply.bytes[36..], [STALE; 64]);
    assert_eq!(world.execute(&inquiry(96), room(5)).data_in, Some(5));
    assert_eq!(world.execute(&inquiry(0), room(5)).data_in, Some(0));
    assert_eq!(world.execute(&inquiry(96), none()).data_in, Some(0));
    // A command without data that brought room for some.
    assert_eq!(world.execute(&cdb::TEST_UNIT_READY, room(5)).data_in, Some(0));
}

fn group(id: u16, ports: Vec<u16>) -> PortGroup {
    PortGroup {
        id,
        preferred: id == 0,
        state: AccessState::ActiveOptimized,
        supported: AccessStates::NONE
            .with(AccessState::ActiveOptimized)
            .with(AccessState::Unavailable),
        implicit: true,
        explicit: true,
        status_code: 0,
        ports,
    }
}

#[test]
fn port_groups_are_asked_for_every_time() {
    let mut world = World::default();
    for round in 1..=2 {
        let report = world.send(&cdb::REPORT_TARGET_PORT_GROUPS, room(512));
        assert!(world.waits(report));
        assert_eq!(world.queries, vec![Query::PortGroups; round]);
        world.server.on_port_groups(vec![group(0, vec![1, 7]), group(16, vec![])]);
        world.poll();
        world.answer(report).good_with(&[
            0, 0, 0, 24, // RETURN DATA LENGTH
            0x80, 0x09, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 7, // group 0
            0x00, 0x09, 0, 16, 0, 0, 0, 0, // group 16
        ]);
    }
    world.assert_idle();
}

#[test]
fn an_answer_ends_the_commands_that_asked_for_it_and_no_others() {
    let mut world = World::default();
    let report = world.send(&cdb::REPORT_TARGET_PORT_GROUPS, room(512));
    let inquiry = world.send(&cdb::inquiry(Some(0x80)), room(512));
    world.server.on_identity(Identity::new(SERIAL));
    world.poll();
    world.answer(inquiry).good();
    assert!(world.waits(report));
    world.server.on_port_groups(vec![]);
    world.poll();
    world.answer(report).good_with(&[0; 4]);
    world.assert_idle();
}

#[test]
fn a_group_reports_as_many_ports_as_its_count_can_tell() {
    let mut world = World::default();
    let report = world.send(&cdb::REPORT_TARGET_PORT_GROUPS, room(512));
    world.server.on_port_groups(vec![group(0, (0..300).collect())]);
    world.poll();
    assert_eq!(world.answer(report).bytes[11], 255);
}

#[test]
fn the_log_pages_that_there_are() {
    let mut world = World::default();
    let log_sense = |page, allocation_length| [0x4d, 0, page, 0, 0, 0, 0, 0, allocation_length, 0];
    let pages = [0x00, 0, 0, 4, 0x00, 0x0d, 0x19, 0x2f];
    world.execute(&log_sense(0x40, 255), room(255)).good_with(&pages);
    world.execute(&log_sense(0x4d, 6), room(255)).good_with(&[0x0d, 0, 0, 6, 0, 0]);
    let unknown = world.execute(&log_sense(0x50, 255), room(255));
    unknown.check(Sense::invalid_field_in_cdb(2, Some(5)));
}

#[test]
fn the_task_management_functions_are_the_kernels() {
    let report = [0xa3, 0x0d, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0];
    World::default().execute(&report, room(16)).good_with(&[0x88, 0, 0, 0]);
}
