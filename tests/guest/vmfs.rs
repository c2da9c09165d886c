//! What ESXi hosts write on a VMFS 6 volume: the descriptor of the file system, heartbeats, locks.
//!
//! VMFS has no published layout. The places of the fields are those that vmfs-tools and dissect.vmfs
//! read; all integers are little-endian. The volume begins with the first byte of the device, without a
//! volume manager.

use std::fmt;

use crate::tally::SECTOR;

/// The block of the file system's descriptor, from byte 200000h on.
pub const DESCRIPTOR_LBA: u64 = 0x20_0000 / SECTOR as u64;
/// Where the heartbeat region begins, in bytes from the start of the volume.
const HEARTBEATS: u64 = 0x30_0000;
/// How far apart the slots of VMFS 6 lie, in bytes.
const SLOT_BYTES: u64 = 4096;
/// Where the file descriptors of a small volume begin, and how far apart they lie, in bytes.
const FILE_DESCRIPTORS: u64 = 0x72_0000;
const FILE_DESCRIPTOR_BYTES: u64 = 8192;
/// `2FABF15Eh`: a file system's descriptor.
const FILE_SYSTEM: u32 = 0x2fab_f15e;
/// `ABCDEF02h`: a slot that its owner uses.
const IN_USE: u32 = 0xabcd_ef02;
/// The lock of a file descriptor.
const FILE_DESCRIPTOR: u32 = 0x10c0_0001;
/// The driver's version that writes VMFS 6.
const VMFS_6: u32 = 24;
const VMFS_6_MINOR: u8 = 82;
const EXCLUSIVE: u32 = 1;
/// Where a lock keeps the number that grows whenever it is taken or released.
const TOKEN: usize = 0x1c;

/// A host, by its UUID as it lies on the medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Host([u8; 16]);

impl Host {
    /// 685eb8eb-7f3e3890-4544-bc2411b17e28
    pub const ESX: Self = Self([
        0xeb, 0xb8, 0x5e, 0x68, 0x90, 0x38, 0x3e, 0x7f, 0x44, 0x45, 0xbc, 0x24, 0x11, 0xb1, 0x7e,
        0x28,
    ]);

    /// One of many; not 0.
    pub const fn number(number: u8) -> Self {
        Self([number; 16])
    }
}

impl fmt::Display for Host {
    /// As ESXi writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g, h, i, j, k, node @ ..] = self.0;
        let first = u32::from_le_bytes([a, b, c, d]);
        let second = u32::from_le_bytes([e, g, h, i]);
        write!(f, "{first:08x}-{second:08x}-{:04x}-", u16::from_le_bytes([j, k]))?;
        node.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The descriptor of a file system with this label, whose metadata are aligned to 4 KiB.
pub fn descriptor(label: &str) -> [u8; SECTOR] {
    let mut sector = [0; SECTOR];
    put(&mut sector, 0x00, &FILE_SYSTEM.to_le_bytes());
    put(&mut sector, 0x04, &VMFS_6.to_le_bytes());
    put(&mut sector, 0x08, &[VMFS_6_MINOR]);
    put(&mut sector, 0x09, &[0x5a; 16]);
    put(&mut sector, 0x1d, label.as_bytes());
    put(&mut sector, 0xa1, &(1_u64 << 20).to_le_bytes());
    put(&mut sector, 0x134, &4096_u32.to_le_bytes());
    put(&mut sector, 0x14c, &16_000_u32.to_le_bytes());
    sector
}

/// The block of heartbeat slot `slot`.
pub const fn slot_lba(slot: u64) -> u64 {
    (HEARTBEATS + slot * SLOT_BYTES) / SECTOR as u64
}

/// The block of the lock of file descriptor `file`.
pub const fn lock_lba(file: u64) -> u64 {
    (FILE_DESCRIPTORS + file * FILE_DESCRIPTOR_BYTES) / SECTOR as u64
}

/// Heartbeat slot `slot` in use by `host`, in this generation of it; the host is up for `stamp_us`
/// microseconds, which is what changes with every pulse.
pub fn pulse(host: Host, slot: u64, generation: u64, stamp_us: u64) -> [u8; SECTOR] {
    let mut sector = [0; SECTOR];
    put(&mut sector, 0x00, &IN_USE.to_le_bytes());
    put(&mut sector, 0x04, &(HEARTBEATS + slot * SLOT_BYTES).to_le_bytes());
    put(&mut sector, 0x0c, &generation.to_le_bytes());
    put(&mut sector, 0x14, &stamp_us.to_le_bytes());
    put(&mut sector, 0x1c, &host.0);
    put(&mut sector, 0x30, &VMFS_6.to_le_bytes());
    sector
}

/// The same of one host, in its first generation.
pub fn heartbeat(slot: u64, stamp_us: u64) -> [u8; SECTOR] {
    pulse(Host::ESX, slot, 1, stamp_us)
}

/// The lock of file descriptor `file` after it was taken or released `token` times: exclusively of a host
/// with this heartbeat slot in its first generation, or free.
pub fn file_lock(file: u64, token: u64, owner: Option<(Host, u64)>) -> [u8; SECTOR] {
    let mut sector = [0; SECTOR];
    put(&mut sector, 0x00, &FILE_DESCRIPTOR.to_le_bytes());
    put(&mut sector, 0x04, &(FILE_DESCRIPTORS + file * FILE_DESCRIPTOR_BYTES).to_le_bytes());
    put(&mut sector, TOKEN, &token.to_le_bytes());
    if let Some((host, slot)) = owner {
        put(&mut sector, 0x0c, &(HEARTBEATS + slot * SLOT_BYTES).to_le_bytes());
        put(&mut sector, 0x14, &1_u64.to_le_bytes());
        put(&mut sector, 0x24, &EXCLUSIVE.to_le_bytes());
        put(&mut sector, 0x28, &host.0);
    }
    sector
}

/// The lock of a file descriptor, held by one host alone, after it was taken `token` times.
pub fn lock(token: u64) -> [u8; SECTOR] {
    file_lock(0, token, Some((Host::ESX, 0)))
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
        assert_eq!(file_lock(1, 7, None)[4..12], 0x72_2000_u64.to_le_bytes());
    }

    #[test]
    fn hosts_and_blocks_are_named_as_esxi_does() {
        assert_eq!(Host::ESX.to_string(), "685eb8eb-7f3e3890-4544-bc2411b17e28");
        assert_eq!(Host::number(0x11).to_string(), "11111111-11111111-1111-111111111111");
        assert_eq!([slot_lba(0), slot_lba(7), lock_lba(0)], [6144, 6200, 14_592]);
    }
}
