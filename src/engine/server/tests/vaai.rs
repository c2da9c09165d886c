//! What `esxcli storage core device vaai status get` needs to say "supported" four times (ATS, Clone,
//! Zero, Delete), byte by byte, asked as ESXi asks.
//!
//! ESXi finds a primitive by its page and then by using it: 05h/20h/00h or 05h/24h/00h and it is
//! "unsupported" for that unit. So each primitive is pinned twice, as it is advertised and as it is used.
//!
//! Source: tcmu-runner pull request 139, whose pages ESXi 5.5 took for all four; SCST's README for the
//! names; VMware's vmkapi headers, whose ATS has no length: it is of one block.

use pulsefield_scsi::{Sense, Status};
use pulsefield_units::BlockCount;

use crate::testing::{World, cdb, filled, none, out, room};
use crate::{Identity, LuConfig};

const SERIAL: &str = "0ab8b6e1-1c4a-4d0a-9f0e-c2b1b1b8d8f7";
/// `naa.60014050ab8b6e11c4a4d0a9f0ec2b1b`, the device's name on the host.
const NAA: [u8; 16] = *b"\x60\x01\x40\x50\xab\x8b\x6e\x11\xc4\xa4\xd0\xa9\xf0\xec\x2b\x1b";
/// The first heartbeat slot of VMFS on a partition that starts at LBA 2048.
const HEARTBEAT: u64 = 43008;
/// Blocks of 512 bytes in a MiB, the size in which VMFS zeroes and unmaps.
const MIB: u32 = 2048;

/// 32 MiB of thin medium with the settings that hold when nothing is configured.
fn datastore() -> World {
    let mut world = World::with(|setup| {
        setup.config = LuConfig::default();
        setup.geometry.blocks = BlockCount::new(u64::from(32 * MIB));
        setup.capabilities.atomic_write = false;
    });
    world.server.on_identity(Identity::new(SERIAL));
    world.poll();
    world
}

/// The data that a command returns to whoever has room for 512 bytes.
#[track_caller]
fn asked(world: &mut World, cdb: &[u8]) -> Vec<u8> {
    let tag = world.send(cdb, room(512));
    if world.waits(tag) {
        world.server.on_port_groups(vec![]);
        world.poll();
    }
    let reply = world.answer(tag);
    reply.good();
    reply.bytes[..reply.data_in.unwrap()].to_vec()
}

fn page(world: &mut World, code: u8) -> Vec<u8> {
    asked(world, &cdb::inquiry(Some(code)))
}

/// REPORT SUPPORTED OPERATION CODES of one command, which has this usage map.
#[track_caller]
fn is_supported(world: &mut World, usage: &[u8]) {
    let service_action = match usage[0] {
        0x83 | 0x84 | 0x9e | 0xa3 => usage[1] & 0x1f,
        _ => 0,
    };
    let report = [0xa3, 0x0c, 0x03, usage[0], 0, service_action, 0, 0, 2, 0, 0, 0];
    let length = u8::try_from(usage.len()).unwrap();
    assert_eq!(asked(world, &report), [&[0, 0x03, 0, length], usage].concat());
}

#[test]
fn it_is_a_disk_that_copies_and_has_one_name() {
    let mut world = datastore();
    let inquiry = asked(&mut world, &cdb::inquiry(None));
    assert_eq!(inquiry[..4], [0x00, 0x00, 0x06, 0x12], "a disk, fixed, SPC-4");
    assert_eq!(inquiry[5], 0x08, "3PC");
    assert_eq!(inquiry[7], 0x02, "CMDQUE");
    // ESXi copies only between units of one product, so all units have the same.
    assert_eq!(inquiry[8..36], *b"PULSEFLDPULSEFIELD LUN  0001");
    let pages = [0, 0x00, 0, 9, 0x00, 0x80, 0x83, 0x86, 0x8a, 0x8f, 0xb0, 0xb1, 0xb2];
    assert_eq!(page(&mut world, 0x00), pages);
    let designators = [
        &b"\x00\x83\x00\x44\x01\x03\x00\x10"[..],
        &NAA,
        b"\x02\x01\x00\x2cPULSEFLD",
        SERIAL.as_bytes(),
    ];
    assert_eq!(page(&mut world, 0x83), designators.concat());
    assert_eq!(page(&mut world, 0x86)[..8], [0, 0x86, 0, 0x3c, 0, 0x01, 0x09, 0], "SIMPSUP, V_SUP");
    assert_eq!(page(&mut world, 0xb1)[..6], [0, 0xb1, 0, 0x3c, 0, 1], "flash");
}

#[test]
fn the_limits_of_all_four_stand_in_one_page() {
    let expected = [
        [0x00, 0xb0, 0x00, 0x3c],
        // WSNZ; MAXIMUM COMPARE AND WRITE LENGTH: ATS is of one block; OPTIMAL TRANSFER LENGTH
        // GRANULARITY.
        [0x01, 0x01, 0x00, 0x01],
        // MAXIMUM and OPTIMAL TRANSFER LENGTH: 8 MiB, 1 MiB. MAXIMUM PREFETCH LENGTH.
        [0x00, 0x00, 0x40, 0x00],
        [0x00, 0x00, 0x08, 0x00],
        [0x00, 0x00, 0x00, 0x00],
        // MAXIMUM UNMAP LBA COUNT, MAXIMUM UNMAP BLOCK DESCRIPTOR COUNT.
        [0x00, 0x10, 0x00, 0x00],
        [0x00, 0x00, 0x00, 0x40],
        // OPTIMAL UNMAP GRANULARITY: 4 KiB, a factor of 1 MiB, or VMFS-6 does not unmap by itself.
        [0x00, 0x00, 0x00, 0x08],
        // UGAVALID, from block 0 on.
        [0x80, 0x00, 0x00, 0x00],
        // MAXIMUM WRITE SAME LENGTH: 16 MiB.
        [0x00, 0x00, 0x00, 0x00],
        [0x00, 0x00, 0x80, 0x00],
        // No atomic writes.
        [0; 4],
        [0; 4],
        [0; 4],
        [0; 4],
        [0; 4],
    ];
    assert_eq!(page(&mut datastore(), 0xb0), expected.as_flattened());
}

#[test]
fn ats() {
    let mut world = datastore();
    let usage = b"\x89\xf8\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\xff\x00\x04";
    is_supported(&mut world, usage);
    // A slot that was never written compares as zeros.
    let slot = usize::try_from(HEARTBEAT).unwrap();
    let acquire = [filled(0, 1), filled(b'A', 1)].concat();
    let ats = [0x89, 0, 0, 0, 0, 0, 0, 0, 0xa8, 0x00, 0, 0, 0, 1, 0, 0];
    assert_eq!(ats, cdb::compare_and_write(HEARTBEAT, 1));
    world.execute(&ats, out(&acquire)).good();
    assert_eq!(world.block(slot), filled(b'A', 1));
    // "Atomic test and set of disk block returned false for equality": 0Eh/1Dh/00h, and where.
    let second = world.execute(&ats, out(&acquire));
    assert_eq!((second.status, second.sense), (Status::CheckCondition, Some(Sense::miscompare(0))));
    assert_eq!(world.block(slot), filled(b'A', 1));
}

#[test]
fn clone() {
    let mut world = datastore();
    let [copy, parameters] = [[0x83, 0x00], [0x84, 0x03]].map(|[opcode, action]| {
        [opcode, action, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0x04]
    });
    is_supported(&mut world, &copy);
    is_supported(&mut world, &parameters);
    let expected = [
        // AVAILABLE DATA; SNLID.
        [0x00, 0x00, 0x00, 0x2b],
        [0x01, 0x00, 0x00, 0x00],
        // MAXIMUM CSCD DESCRIPTOR COUNT, MAXIMUM SEGMENT DESCRIPTOR COUNT, MAXIMUM DESCRIPTOR LIST LENGTH,
        // MAXIMUM SEGMENT LENGTH of 16 MiB, ESXi's largest.
        [0x00, 0x08, 0x00, 0x08],
        [0x00, 0x00, 0x04, 0x00],
        [0x01, 0x00, 0x00, 0x00],
        // No inline data, no held data, no stream devices.
        [0; 4],
        [0; 4],
        [0; 4],
        // TOTAL CONCURRENT COPIES, MAXIMUM CONCURRENT COPIES, DATA SEGMENT GRANULARITY of 2^9 bytes.
        [0x00, 0x00, 0x00, 0x40],
        [0x40, 0x09, 0x00, 0x00],
        // The descriptor types: block to block, with or without an offset, and the unit by its name.
        [0x00, 0x00, 0x00, 0x03],
        [0x02, 0x0a, 0xe4, 0x00],
    ];
    let ask = [0x84, 0x03, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0];
    assert_eq!(asked(&mut world, &ask), expected.as_flattened()[..47]);
    let third_party_copy = [
        &[0x00, 0x8f, 0, 100][..],
        &[0x00, 0x01, 0, 12, 10, 0x83, 2, 0x00, 0x01, 0x84, 4, 0x00, 0x03, 0x04, 0x05, 0],
        &[0x00, 0x04, 0, 28, 0, 0, 0, 0, 0, 8, 0, 8, 0, 0, 0x04, 0],
        &[0; 16],
        &[0x00, 0x08, 0, 4, 3, 0x02, 0x0a, 0xe4],
        &[0x00, 0x0c, 0, 4, 0, 2, 0xff, 0xff],
        &[0x80, 0x01, 0, 32, 0, 0, 0, 0x40, 0, 0, 0, 0x40, 0x01, 0, 0, 0, 9],
        &[0; 19],
    ];
    assert_eq!(page(&mut world, 0x8f), third_party_copy.concat());

    // LID1: source and destination by their NAA designators, one segment of 4 MiB.
    let unit = [&[0xe4, 0, 0, 0, 0x01, 0x03, 0, 16][..], &NAA, &[0, 0, 0, 0, 0, 0, 0x02, 0x00]];
    let list = [
        &[1, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 28, 0, 0, 0, 0][..],
        &unit.concat(),
        &unit.concat(),
        // From block 0 to 16 MiB further.
        &[0x02, 0, 0, 0x18, 0, 0, 0, 1, 0, 0, 0x20, 0x00],
        &[0, 0, 0, 0, 0, 0, 0, 0],
        &[0, 0, 0, 0, 0, 0, 0x80, 0x00],
    ]
    .concat();
    world.put(8191, &filled(b'A', 1));
    let copy = [0x83, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 108, 0, 0];
    world.execute(&copy, out(&list)).good();
    assert_eq!(world.block(0x8000 + 8191), filled(b'A', 1));
}

#[test]
fn zero() {
    let mut world = datastore();
    let usage = b"\x93\xf9\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x04";
    is_supported(&mut world, usage);
    world.put(0, &filled(b'A', 2 * MIB as usize));
    // A block of zeros, 1 MiB of times.
    let write_same = [0x93, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x08, 0x00, 0, 0];
    world.execute(&write_same, out(&filled(0, 1))).good();
    assert!(world.medium[..1 << 20].iter().all(|byte| *byte == 0));
    assert_eq!(world.block(MIB as usize), filled(b'A', 1));
}

#[test]
fn delete() {
    let mut world = datastore();
    is_supported(&mut world, b"\x42\x01\x00\x00\x00\x00\x00\xff\xff\x04");
    // LBPU, LBPWS, LBPWS10, LBPRZ; thin; no threshold.
    assert_eq!(page(&mut world, 0xb2), [0x00, 0xb2, 0x00, 0x04, 0x00, 0xe4, 0x02, 0x00]);
    let read_capacity = [0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0];
    let capacity = [
        // The last block, the length of each; no protection; LBPME and LBPRZ.
        &[0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0x02, 0x00, 0, 0, 0xc0, 0][..],
        &[0; 16],
    ];
    assert_eq!(asked(&mut world, &read_capacity), capacity.concat());
    world.put(0, &filled(b'A', 2 * MIB as usize));
    let unmap = [0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0];
    let list = [0, 22, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x08, 0x00, 0, 0, 0, 0];
    assert_eq!((unmap, list.to_vec()), cdb::unmap(&[(0, MIB)]));
    world.execute(&unmap, out(&list)).good();
    assert!(world.medium[..1 << 20].iter().all(|byte| *byte == 0));
    assert_eq!(world.block(MIB as usize), filled(b'A', 1));
}

/// What ESXi asks besides when it claims a device and formats a datastore.
#[test]
fn a_claimed_device_answers_the_rest_too() {
    let mut world = datastore();
    world.execute(&cdb::TEST_UNIT_READY, none()).good();
    // Caching with WCE, Control, Informational Exceptions without any; nothing is write-protected.
    let pages: [&[u8]; 3] = [
        b"\x17\x00\x10\x00\x88\x12\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        b"\x0f\x00\x10\x00\x8a\x0a\x02\x10\x00\x40\x00\x00\xff\xff\x00\x00",
        b"\x0f\x00\x10\x00\x1c\x0a\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00",
    ];
    for (code, data) in [0x08, 0x0a, 0x1c].into_iter().zip(pages) {
        assert_eq!(asked(&mut world, &[0x1a, 0x08, code, 0, 255, 0]), data);
    }
    assert_eq!(asked(&mut world, &[0x1a, 0x08, 0x3f, 0, 255, 0])[1..4], [0, 0x10, 0]);
    assert_eq!(
        asked(&mut world, &[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        [0, 0, 0xff, 0xff, 0, 0, 2, 0]
    );
    assert_eq!(asked(&mut world, &cdb::REPORT_TARGET_PORT_GROUPS), [0; 4]);
    // Formatting a datastore wants these two even where there is ATS; LIO executes them.
    is_supported(&mut world, b"\x16\x00\x00\x00\x00\x00");
    is_supported(&mut world, b"\x17\x00\x00\x00\x00\x00");
}
