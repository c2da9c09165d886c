//! Volumes made up: what formatting leaves, and whatever heartbeats and locks are put on it.
//!
//! For tests, of this room and of others (the feature `synthetic`). Only what this room reads is written.

use std::time::Duration;

use crate::file_system::{FileSystem, HeartbeatRegion};
use crate::lvm::PHYSICAL_EXTENT_BYTES;
use crate::{
    DESCRIPTOR_OFFSET, DiskLock, Heartbeat, HeartbeatState, LVM_HEADER_OFFSET, LockKind, LockMode,
    REGION_OFFSET, SECTOR, Scheme, Version,
};

/// Where the data of a volume begins, in bytes from the start of the partition: as on every volume seen.
const DATA_OFFSET: u64 = 0x110_0000;
/// Where the partition begins, in bytes.
const PARTITION_START: u64 = 1 << 20;
const METADATA_ALIGNMENT: u32 = 4096;

impl Heartbeat {
    /// A slot that no host ever used.
    pub const fn never_used(address: u64) -> Self {
        Self {
            state: HeartbeatState::Clear,
            address,
            generation: 0,
            stamp: Duration::ZERO,
            owner: None,
            journal: None,
            major_version: 0,
            minor_version: 0,
            lock_implementation: 0,
            management_address: None,
            journal_offset: 0,
            replaying_host: None,
            replaying_heartbeat: 0,
            replaying_generation: 0,
        }
    }
}

impl DiskLock {
    /// A lock that no host ever took.
    pub const fn never_taken(kind: LockKind, address: u64) -> Self {
        Self {
            kind,
            address,
            heartbeat_address: 0,
            heartbeat_generation: 0,
            token: 1,
            mode: LockMode::Free,
            owner: None,
            modification_time: 0,
            holders: [None; 8],
            global_holders: 0,
            global_generation: 0,
            global_break: 0,
            affinity: None,
        }
    }
}

/// A device with a volume on it, or with a part of one.
#[derive(Clone, Debug)]
pub struct SyntheticDevice {
    /// What the device is partitioned by; `None` of the image of a partition.
    pub scheme: Option<Scheme>,
    /// Whether there is a volume manager.
    pub lvm: bool,
    /// Which part of the volume this is, counted from 0, and of how many.
    pub extent: (u32, u32),
    /// The version of the file system.
    pub version: Version,
    /// Its label.
    pub label: &'static str,
    /// The heartbeats that differ from those that formatting leaves.
    pub heartbeats: Vec<Heartbeat>,
    /// The locks there are.
    pub locks: Vec<DiskLock>,
}

impl SyntheticDevice {
    /// The image of a partition with a volume of VMFS 5 or 6 on it that no host uses yet.
    pub const fn new(version: Version) -> Self {
        Self {
            scheme: None,
            lvm: true,
            extent: (0, 1),
            version,
            label: "synthetic",
            heartbeats: Vec::new(),
            locks: Vec::new(),
        }
    }

    /// Where the part of the volume begins, in bytes from the start of the device.
    pub const fn data_start(&self) -> u64 {
        let partition = if self.scheme.is_some() { PARTITION_START } else { 0 };
        partition + if self.lvm { DATA_OFFSET } else { 0 }
    }

    /// How long the device is, in bytes.
    pub const fn length(&self) -> u64 {
        self.data_start() + PHYSICAL_EXTENT_BYTES
    }

    /// What lies on the device, with the byte at which it begins; between there are zeros.
    pub fn pieces(&self) -> Vec<(u64, Vec<u8>)> {
        let mut pieces = Vec::new();
        if let Some(scheme) = self.scheme {
            pieces.extend(self.table(scheme));
        }
        let partition = if self.scheme.is_some() { PARTITION_START } else { 0 };
        if self.lvm {
            pieces.push((partition + LVM_HEADER_OFFSET, self.lvm_header()));
            let header = if self.is_vmfs_6() { METADATA_ALIGNMENT.into() } else { SECTOR as u64 };
            pieces.push((partition + LVM_HEADER_OFFSET + header, self.extent_descriptor()));
        }
        let start = u64::from(self.extent.0) * PHYSICAL_EXTENT_BYTES;
        let device_offset = |offset| self.data_start() + offset - start;
        if start == 0 {
            pieces.push((self.data_start() + DESCRIPTOR_OFFSET, self.file_system()));
            pieces.push((device_offset(REGION_OFFSET), self.region()));
        }
        let locks = self.locks.iter();
        pieces.extend(locks.map(|lock| (device_offset(lock.address), lock.encode().to_vec())));
        pieces
    }

    /// Reads `pieces` as the device would be read, which ends after `length` bytes.
    pub fn read(pieces: &[(u64, Vec<u8>)], length: u64, offset: u64, buffer: &mut [u8]) -> usize {
        let within = usize::try_from(length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let read = buffer.len().min(within);
        for (byte, at) in buffer[..read].iter_mut().zip(offset..) {
            let piece = pieces.iter().find_map(|(start, bytes)| {
                bytes.get(usize::try_from(at.checked_sub(*start)?).ok()?)
            });
            *byte = piece.copied().unwrap_or(0);
        }
        read
    }

    fn is_vmfs_6(&self) -> bool {
        self.version.major >= 24
    }

    fn table(&self, scheme: Scheme) -> Vec<(u64, Vec<u8>)> {
        let first = PARTITION_START / 512;
        let blocks = self.length() / 512 - first;
        let mut boot = vec![0; SECTOR];
        put(&mut boot, 510, &[0x55, 0xaa]);
        match scheme {
            Scheme::Mbr => {
                boot[446 + 4] = 0xfb;
                put(&mut boot, 446 + 8, &low(first));
                put(&mut boot, 446 + 12, &low(blocks));
                vec![(0, boot)]
            }
            Scheme::Gpt => {
                boot[446 + 4] = 0xee;
                let mut header = vec![0; SECTOR];
                put(&mut header, 0, b"EFI PART");
                put(&mut header, 72, &2_u64.to_le_bytes());
                put(&mut header, 80, &128_u32.to_le_bytes());
                put(&mut header, 84, &128_u32.to_le_bytes());
                let mut entry = vec![0; SECTOR];
                put(&mut entry, 0, &[0x2a, 0xe0, 0x31, 0xaa, 0x0f, 0x40, 0xdb, 0x11]);
                put(&mut entry, 8, &[0x95, 0x90, 0x00, 0x0c, 0x29, 0x11, 0xd1, 0xb8]);
                put(&mut entry, 32, &first.to_le_bytes());
                put(&mut entry, 40, &(first + blocks - 1).to_le_bytes());
                vec![(0, boot), (512, header), (1024, entry)]
            }
        }
    }

    fn lvm_header(&self) -> Vec<u8> {
        let mut header = vec![0; SECTOR];
        put(&mut header, 0x00, &0xc001_d00d_u32.to_le_bytes());
        header[0x04] = if self.is_vmfs_6() { 6 } else { 5 };
        put(&mut header, 0x5e, &self.length().to_le_bytes());
        header[0x66] = 1;
        put(&mut header, 0x7a, &DATA_OFFSET.to_le_bytes());
        header[0x82..0x92].fill(0xd0);
        put(&mut header, 0xca, &METADATA_ALIGNMENT.to_le_bytes());
        header
    }

    fn extent_descriptor(&self) -> Vec<u8> {
        let (nth, devices) = self.extent;
        let mut descriptor = vec![0; SECTOR];
        let bytes = u64::from(devices) * PHYSICAL_EXTENT_BYTES;
        put(&mut descriptor, 0x00, &bytes.to_le_bytes());
        put(&mut descriptor, 0x14, b"synthetic volume");
        descriptor[0x54..0x64].fill(0x10);
        put(&mut descriptor, 0x78, &u64::from(nth).to_le_bytes());
        put(&mut descriptor, 0x80, &u64::from(nth).to_le_bytes());
        put(&mut descriptor, 0x90, &devices.to_le_bytes());
        descriptor
    }

    fn file_system(&self) -> Vec<u8> {
        let mut descriptor = vec![0; SECTOR];
        put(&mut descriptor, 0x00, &0x2fab_f15e_u32.to_le_bytes());
        put(&mut descriptor, 0x04, &self.version.major.to_le_bytes());
        descriptor[0x08] = self.version.minor;
        descriptor[0x09..0x19].fill(0xf5);
        put(&mut descriptor, 0x1d, self.label.as_bytes());
        put(&mut descriptor, 0xa1, &(1_u64 << 20).to_le_bytes());
        if self.is_vmfs_6() {
            put(&mut descriptor, 0x134, &METADATA_ALIGNMENT.to_le_bytes());
            put(&mut descriptor, 0x14c, &16_000_u32.to_le_bytes());
            put(&mut descriptor, 0x150, &4_000_u32.to_le_bytes());
        }
        descriptor
    }

    fn region(&self) -> Vec<u8> {
        let HeartbeatRegion { slots, stride } =
            FileSystem::decode(&self.file_system()).expect("it was just made").heartbeats;
        let address = |slot| REGION_OFFSET + slot * stride;
        let mut heartbeats: Vec<_> =
            (0..slots).map(|slot| Heartbeat::never_used(address(slot))).collect();
        for used in &self.heartbeats {
            let slot = usize::try_from((used.address - REGION_OFFSET) / stride).expect("a slot");
            heartbeats[slot] = used.clone();
        }
        let mut region = vec![0; usize::try_from(slots * stride).expect("a few MiB")];
        let places = region.chunks_exact_mut(usize::try_from(stride).expect("a page"));
        places.zip(heartbeats).for_each(|(place, heartbeat)| put(place, 0, &heartbeat.encode()));
        region
    }
}

fn put(sector: &mut [u8], at: usize, bytes: &[u8]) {
    sector[at..at + bytes.len()].copy_from_slice(bytes);
}

fn low(number: u64) -> [u8; 4] {
    let [a, b, c, d, ..] = number.to_le_bytes();
    [a, b, c, d]
}
