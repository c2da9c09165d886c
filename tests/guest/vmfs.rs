//! Sectors as ESXi hosts of a VMFS 6 volume bring them: a heartbeat in use, a lock that is held.
//!
//! VMFS has no published layout. The places of the fields are those that vmfs-tools and dissect.vmfs
//! read; all integers are little-endian.

use crate::tally::SECTOR;

/// Where the heartbeat region begins, in bytes from the start of the volume.
const HEARTBEATS: u64 = 0x30_0000;
/// How far apart the slots of VMFS 6 lie, in bytes.
const SLOT_BYTES: u64 = 4096;
/// `ABCDEF02h`: a slot that its owner uses.
const IN_USE: u32 = 0xabcd_ef02;
/// The lock of a file descriptor.
const FILE_DESCRIPTOR: u32 = 0x10c0_0001;
/// The driver's major version that writes VMFS 6.
const VMFS_6: u32 = 24;
const EXCLUSIVE: u32 = 1;
/// 685eb8eb-7f3e3890-4544-bc2411b17e28
const HOST: [u8; 16] = [
    0xeb, 0xb8, 0x5e, 0x68, 0x90, 0x38, 0x3e, 0x7f, 0x44, 0x45, 0xbc, 0x24, 0x11, 0xb1, 0x7e, 0x28,
];
/// Where a lock keeps the number that grows whenever it is taken or released.
const TOKEN: usize = 0x1c;

/// Heartbeat slot `slot` in use, with the host up for `stamp_us` microseconds: what changes with every
/// pulse.
pub fn heartbeat(slot: u64, stamp_us: u64) -> [u8; SECTOR] {
    let mut sector = [0; SECTOR];
    put(&mut sector, 0x00, &IN_USE.to_le_bytes());
    put(&mut sector, 0x04, &(HEARTBEATS + slot * SLOT_BYTES).to_le_bytes());
    put(&mut sector, 0x0c, &1_u64.to_le_bytes());
    put(&mut sector, 0x14, &stamp_us.to_le_bytes());
    put(&mut sector, 0x1c, &HOST);
    put(&mut sector, 0x30, &VMFS_6.to_le_bytes());
    sector
}

/// The lock of a file descriptor, held by one host alone, after it was taken `token` times.
pub fn lock(token: u64) -> [u8; SECTOR] {
    let mut sector = [0; SECTOR];
    put(&mut sector, 0x00, &FILE_DESCRIPTOR.to_le_bytes());
    put(&mut sector, 0x04, &0x1dd1_4000_u64.to_le_bytes());
    put(&mut sector, 0x0c, &HEARTBEATS.to_le_bytes());
    put(&mut sector, 0x14, &1_u64.to_le_bytes());
    put(&mut sector, TOKEN, &token.to_le_bytes());
    put(&mut sector, 0x24, &EXCLUSIVE.to_le_bytes());
    put(&mut sector, 0x28, &HOST);
    sector
}

/// How often the lock in a sector was taken.
pub fn token(sector: &[u8; SECTOR]) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&sector[TOKEN..TOKEN + 8]);
    u64::from_le_bytes(bytes)
}

fn put(sector: &mut [u8; SECTOR], at: usize, bytes: &[u8]) {
    sector[at..at + bytes.len()].copy_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pulse_changes_the_stamp_alone() {
        let (a, b) = (heartbeat(64, 1), heartbeat(64, 2));
        let changed: Vec<_> = (0..SECTOR).filter(|&at| a[at] != b[at]).collect();
        assert_eq!(changed, [0x14]);
        assert_eq!(a[..12], [0x02, 0xef, 0xcd, 0xab, 0, 0, 0x34, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_lock_tells_how_often_it_was_taken() {
        assert_eq!(token(&lock(0x0102_0304)), 0x0102_0304);
        assert_eq!(lock(0)[..4], [0x01, 0x00, 0xc0, 0x10]);
    }
}
