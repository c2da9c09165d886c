//! Volumes made up: what formatting leaves, and whatever heartbeats and locks are put on it.
//!
//! For tests, of this room and of others (the feature `synthetic`). Unlike [`Format`] it makes parts of spanned
//! volumes, and of metadata only the heartbeats, and the locks it is told of.

use crate::format::Format;
use crate::lvm::PHYSICAL_EXTENT_BYTES;
use crate::{
    DESCRIPTOR_OFFSET, DiskLock, Heartbeat, HeartbeatRegion, REGION_OFFSET, Scheme, Version,
    VolumeUuid,
};

/// Room for the copy of a GPT.
const TAIL_BYTES: u64 = 64 << 10;

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
    pub fn data_start(&self) -> u64 {
        let format = self.format(u64::MAX);
        format.partition_start() + format.volume_offset()
    }

    /// How long the device is, in bytes.
    pub fn length(&self) -> u64 {
        self.data_start() + PHYSICAL_EXTENT_BYTES + TAIL_BYTES
    }

    /// What lies on the device, with the byte at which it begins; between there are zeros.
    pub fn pieces(&self) -> Vec<(u64, Vec<u8>)> {
        let format = self.format(self.length());
        let mut pieces = Vec::new();
        if let Some(table) = format.table() {
            pieces.extend(table.encode(table.partition().expect("there is room for one")));
        }
        let [nth, devices] = [self.extent.0, self.extent.1].map(u64::from);
        let start = nth * PHYSICAL_EXTENT_BYTES;
        if self.lvm {
            let part = start..start + PHYSICAL_EXTENT_BYTES;
            let metadata = format.volume_manager(devices * PHYSICAL_EXTENT_BYTES, part);
            let partition = format.partition_start();
            pieces.extend(metadata.map(|(offset, bytes)| (partition + offset, bytes)));
        }
        let device_offset = |offset| self.data_start() + offset - start;
        if start == 0 {
            let file_system = format.file_system();
            pieces.push((device_offset(DESCRIPTOR_OFFSET), file_system.encode().to_vec()));
            pieces.push((device_offset(REGION_OFFSET), self.region(file_system.heartbeats)));
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

    fn format(&self, device_bytes: u64) -> Format {
        Format {
            scheme: self.scheme,
            lvm: self.lvm,
            label: self.label.to_owned(),
            ..Format::new(self.version, device_bytes, 512, VolumeUuid::from_bytes([0xf5; 16]))
        }
    }

    fn region(&self, HeartbeatRegion { slots, stride }: HeartbeatRegion) -> Vec<u8> {
        let address = |slot| REGION_OFFSET + slot * stride;
        let mut heartbeats: Vec<_> =
            (0..slots).map(|slot| Heartbeat::never_used(address(slot))).collect();
        for used in &self.heartbeats {
            let slot = usize::try_from((used.address - REGION_OFFSET) / stride).expect("a slot");
            heartbeats[slot] = used.clone();
        }
        let mut region = vec![0; usize::try_from(slots * stride).expect("a few MiB")];
        let places = region.chunks_exact_mut(usize::try_from(stride).expect("a page"));
        places.zip(heartbeats).for_each(|(place, heartbeat)| {
            let sector = heartbeat.encode();
            place[..sector.len()].copy_from_slice(&sector);
        });
        region
    }
}
