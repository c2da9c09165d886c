//! The bytes of a file, as any other program would have to read them.

use super::*;

#[test]
fn a_file_byte_by_byte() {
    let desk = Desk::new(MIB);
    let mut recorder = desk.open();
    recorder.fault_hit(at(5), 2, "r1", 0x0102, 0x89, Duration::from_nanos(3));
    drop(recorder);
    let bytes = fs::read(desk.path()).unwrap();
    assert_eq!(bytes.len() as u64, MIB);
    assert_eq!(bytes[..12], *b"PULSEREC\x01\0\0\0");
    // Two tracks: from 4096 on three quarters, and the rest.
    let number = |at: usize| u64::from_le_bytes(bytes[at..][..8].try_into().unwrap());
    let heartbeat = 786_432;
    let extents = [24, 32, 40, 48].map(number);
    assert_eq!(extents, [4096, heartbeat, 4096 + heartbeat, MIB - 4096 - heartbeat]);
    assert_eq!(bytes[56..60], *b"ds1\0");
    assert_eq!(bytes[296..300], [3, 0, 0, 0]);
    // The hint of the first track: the second record.
    let second = 4096 + 72;
    assert_eq!([2048, 2056, 2112, 2120].map(number), [second as u64, 2, 0, 0]);
    let header = [
        &bytes[4096..4100], // the checksum
        &[72, 0, 0, 0],
        &1_u64.to_le_bytes(),
        &0_u64.to_le_bytes(),
        &1000_u64.to_le_bytes(),
        &[1, 0, 0, 0, 1, 0, 0, 0],
    ]
    .concat();
    assert_eq!(bytes[4096..4136], header);
    let start = [
        &(BOOT + 1000).to_le_bytes()[..],
        &(1_u64 << 21).to_le_bytes(),
        &512_u32.to_le_bytes(),
        &std::process::id().to_le_bytes(),
        &[0; 8],
    ]
    .concat();
    assert_eq!(bytes[4136..second], start);
    let hit = [
        &bytes[second..second + 4],
        &[72, 0, 0, 0],
        &2_u64.to_le_bytes(),
        &1_u64.to_le_bytes(),
        &5000_u64.to_le_bytes(),
        &[1, 0, 0, 0, 7, 0, 0, 0],
        &2_u64.to_le_bytes(),
        &3_u64.to_le_bytes(),
        &[2, 1, 0x89, 0, 2, 0, 0, 0],
        b"r1\0\0\0\0\0\0",
    ]
    .concat();
    assert_eq!(bytes[second..second + 72], hit);
    assert!(bytes[second + 72..].iter().all(|byte| *byte == 0));
    // CRC-32C, begun with that of the identity and the place.
    let seed = crc32c::crc32c(&bytes[16..24]) ^ u32::try_from(second / 8).unwrap();
    let checksum = crc32c::crc32c_append(seed, &bytes[second + 4..second + 72]);
    assert_eq!(bytes[second..second + 4], checksum.to_le_bytes());
}

#[test]
fn an_ats_of_a_heartbeat_takes_half_a_kilobyte() {
    let desk = Desk::new(MIB);
    let mut recorder = desk.open();
    let slot = [7; 164];
    Told::ats(1, &slot, &slot).tell(&mut recorder, 40);
    let bytes = fs::read(desk.path()).unwrap();
    let length = u32::from_le_bytes(bytes[4096 + 72 + 4..][..4].try_into().unwrap());
    // Header, what is said of every command, CDB, waiting, and two images without their zeros.
    assert_eq!(length, 40 + 56 + 16 + 24 + 2 * (16 + 168));
}
