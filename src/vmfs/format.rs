//! What is to be written on a device so that it holds a volume: the structures by which hosts agree who may
//! write what, at the places where VMFS has them, and no files.
//!
//! No I/O: whoever formats writes the pieces. A volume of [`Format`] is a *scratch* volume and marked as one,
//! so that it is known from a datastore and may be formatted again; [`Occupant`] tells.

mod occupant;

use std::ops::Range;
use std::time::Duration;

use thiserror::Error;

use crate::file_system::{FileSystem, HeartbeatRegion, LABEL_BYTES_MAX};
use crate::heartbeat::VMFS_6;
use crate::lvm::{METADATA_ALIGNMENT, PHYSICAL_EXTENT_BYTES, PHYSICAL_EXTENTS_MAX};
use crate::partition::table::{self, Table};
use crate::{
    DESCRIPTOR_OFFSET, DiskLock, Extent, Heartbeat, LockKind, LvmHeader, Partition, Scheme,
    Version, VolumeUuid,
};

pub use occupant::{Destructive, Occupant};

/// Where the data of a volume begins behind the volume manager's metadata, in bytes from the start of the
/// partition: as on every volume seen.
const VOLUME_OFFSET: u64 = 0x110_0000;
/// Where the metadata of a scratch volume ends, in bytes from the start of the volume. What follows is for the
/// data of files.
pub const METADATA_END: u64 = 16 << 20;
/// The most that a piece holds, in bytes: what one WRITE may carry on every fabric.
const PIECE_BYTES: u64 = 256 << 10;
/// How much is written at the end of the device, in bytes: more than the copy of a GPT takes.
const TAIL_BYTES: u64 = 64 << 10;
/// The file blocks of VMFS 5 and 6: 1 MiB.
const FILE_BLOCK_BYTES: u64 = 1 << 20;
/// The last six bytes of a scratch volume's UUID, where that of a datastore has the MAC address of the host
/// that made it. A locally administered address: no host has it.
const SCRATCH_MAC: [u8; 6] = *b"\x02pulse";

impl VolumeUuid {
    /// The UUID of a scratch volume, told from others by `unique`.
    pub fn scratch(unique: u64) -> Self {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&unique.to_le_bytes());
        bytes[10..].copy_from_slice(&SCRATCH_MAC);
        Self::from_bytes(bytes)
    }

    /// Whether it is the UUID of a scratch volume.
    pub fn is_scratch(&self) -> bool {
        self.mac_address() == SCRATCH_MAC
    }
}

/// A scratch volume that is to be. Everything else on the device is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// The version of the file system. It decides how far apart heartbeats and locks are: a sector and more on
    /// VMFS 3 and 5, pages of 4096 bytes on VMFS 6.
    pub version: Version,
    /// How the device is to be partitioned; `None` of the image of a partition.
    pub scheme: Option<Scheme>,
    /// Whether there is to be a volume manager, as on every datastore.
    pub lvm: bool,
    /// How long the device is, in bytes.
    pub device_bytes: u64,
    /// How long its logical blocks are, in bytes: 512, or 4096 for VMFS 6.
    pub block_length: u64,
    /// What the volume is named by; that of a scratch volume.
    pub uuid: VolumeUuid,
    /// Its label, at most 127 bytes.
    pub label: String,
    /// When it is formatted, in seconds since 1970 UTC.
    pub created_s: u32,
}

/// Why a device cannot be formatted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FormatError {
    /// It is too short.
    #[error("{device_bytes} bytes are too few for a volume, which takes {needed} at least")]
    TooSmall {
        /// How long it is, in bytes.
        device_bytes: u64,
        /// How long it must be, in bytes.
        needed: u64,
    },
    /// Its blocks are of a length that the version does not go with.
    #[error("{version} does not go with logical blocks of {block_length} bytes")]
    BlockLength {
        /// The version.
        version: Version,
        /// The length of a block, in bytes.
        block_length: u64,
    },
    /// The label is too long.
    #[error("a label of {length} bytes is too long: {LABEL_BYTES_MAX} is the most")]
    Label {
        /// How long it is, in bytes.
        length: usize,
    },
    /// The UUID is not that of a scratch volume.
    #[error("{uuid} is not the UUID of a scratch volume")]
    NotScratch {
        /// It.
        uuid: VolumeUuid,
    },
}

/// Bytes that are to be written in one go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where, in bytes from the start of the device; a multiple of its block length.
    pub offset: u64,
    /// What: whole blocks, and 256 KiB at most.
    pub bytes: Vec<u8>,
}

/// Locks of one kind that lie one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockArea {
    /// What they protect.
    pub kind: LockKind,
    /// Where the first one is, in bytes from the start of the volume.
    pub start: u64,
    /// From one to the next, in bytes: a lock, and the metadata that it protects.
    pub stride: u64,
    /// How many there are.
    pub count: u64,
}

/// Where VMFS 5 with file blocks of 1 MiB has them. VMFS 3 has been seen only as far as its heartbeats; it
/// gets the same.
const LOCKS_OF_5: &[LockArea] = &[
    LockArea { kind: LockKind::FileDescriptorCluster, start: 0x41_0000, stride: 1024, count: 16 },
    LockArea { kind: LockKind::FileDescriptor, start: 0x42_0000, stride: 2048, count: 768 },
    LockArea { kind: LockKind::FileBlockCluster, start: 0x61_0000, stride: 1024, count: 64 },
];

/// Where VMFS 6 has them.
const LOCKS_OF_6: &[LockArea] = &[
    LockArea { kind: LockKind::FileDescriptorCluster, start: 0x71_0000, stride: 8192, count: 8 },
    LockArea { kind: LockKind::FileDescriptor, start: 0x72_0000, stride: 8192, count: 240 },
    LockArea { kind: LockKind::LargeFileBlockCluster, start: 0x91_0000, stride: 8192, count: 8 },
    LockArea { kind: LockKind::FileBlockCluster, start: 0x92_0000, stride: 8192, count: 64 },
];

impl LockArea {
    /// The locks of a scratch volume of this version.
    pub const fn of(version: Version) -> &'static [Self] {
        if version.major < VMFS_6 { LOCKS_OF_5 } else { LOCKS_OF_6 }
    }

    /// Where its locks are, in bytes from the start of the volume.
    pub fn addresses(&self) -> impl Iterator<Item = u64> + use<> {
        let Self { start, stride, count, .. } = *self;
        (0..count).map(move |nth| start + nth * stride)
    }

    /// What of the volume the locks take, with what they protect, in bytes from its start.
    pub const fn range(&self) -> Range<u64> {
        self.start..self.start + self.count * self.stride
    }
}

impl Format {
    /// A volume as ESXi makes it: VMFS 3 in an MBR, VMFS 5 and 6 in a GPT, with a volume manager. `uuid` is that
    /// of a scratch volume.
    pub fn new(version: Version, device_bytes: u64, block_length: u64, uuid: VolumeUuid) -> Self {
        let mbr = version.major <= Version::VMFS_3.major;
        Self {
            version,
            scheme: Some(if mbr { Scheme::Mbr } else { Scheme::Gpt }),
            lvm: true,
            device_bytes,
            block_length,
            uuid,
            label: "pulsefield-scratch".to_owned(),
            created_s: 0,
        }
    }

    /// What is to be written, in this order. All pieces together are the device from its first byte to the end
    /// of the volume's metadata, and its last 64 KiB. They come from the end to the beginning: what makes a
    /// volume of it comes last, and a device that was formatted half holds none.
    ///
    /// # Errors
    /// [`FormatError`]
    pub fn pieces(&self) -> Result<impl Iterator<Item = Piece> + use<>, FormatError> {
        let (place, end) = self.check()?;
        let structures = self.structures(place);
        let tail = self.device_bytes - TAIL_BYTES..self.device_bytes;
        let ranges = (0..end.div_ceil(PIECE_BYTES))
            .rev()
            .map(move |nth| nth * PIECE_BYTES..((nth + 1) * PIECE_BYTES).min(end));
        Ok(std::iter::once(tail).chain(ranges).map(move |range| piece(range, &structures)))
    }

    /// Where the volume lies, and the byte of the device at which its metadata ends.
    fn check(&self) -> Result<(Place, u64), FormatError> {
        let Self { version, block_length, device_bytes, uuid, .. } = *self;
        let stride = heartbeats(version).stride;
        let goes_with = matches!(block_length, 512 | 4096) && block_length <= stride;
        if !goes_with || !device_bytes.is_multiple_of(block_length) {
            return Err(FormatError::BlockLength { version, block_length });
        }
        if self.label.len() > LABEL_BYTES_MAX {
            return Err(FormatError::Label { length: self.label.len() });
        }
        if !uuid.is_scratch() {
            return Err(FormatError::NotScratch { uuid });
        }
        let place = self.place().ok_or(FormatError::TooSmall {
            device_bytes,
            needed: self.partition_start()
                + self.volume_offset()
                + PHYSICAL_EXTENT_BYTES
                + TAIL_BYTES,
        })?;
        Ok((place, self.partition_start() + self.volume_offset() + METADATA_END))
    }

    /// `None` if there is no room.
    fn place(&self) -> Option<Place> {
        let partition = match self.table() {
            Some(table) => Some(table.partition()?),
            None => None,
        };
        let end = partition.map_or(self.device_bytes, |it| it.start + it.length);
        let end = end.min(self.device_bytes.checked_sub(TAIL_BYTES)?);
        let room = end.checked_sub(self.partition_start() + self.volume_offset())?;
        let extents = (room / PHYSICAL_EXTENT_BYTES).min(PHYSICAL_EXTENTS_MAX);
        (extents > 0).then_some(Place { partition, volume_bytes: extents * PHYSICAL_EXTENT_BYTES })
    }

    pub(crate) fn table(&self) -> Option<Table> {
        let Self { device_bytes, block_length, uuid: id, .. } = *self;
        self.scheme.map(|scheme| Table { scheme, device_bytes, block_length, id })
    }

    pub(crate) const fn partition_start(&self) -> u64 {
        if self.scheme.is_some() { table::START } else { 0 }
    }

    pub(crate) const fn volume_offset(&self) -> u64 {
        if self.lvm { VOLUME_OFFSET } else { 0 }
    }

    fn structures(&self, place: Place) -> Vec<(u64, Vec<u8>)> {
        let start = self.partition_start();
        let volume = start + self.volume_offset();
        let mut structures = Vec::new();
        if let (Some(table), Some(partition)) = (self.table(), place.partition) {
            structures.extend(table.encode(partition));
        }
        if self.lvm {
            let metadata = self.volume_manager(place.volume_bytes, 0..place.volume_bytes);
            structures.extend(metadata.map(|(offset, bytes)| (start + offset, bytes)));
        }
        structures.push((volume + DESCRIPTOR_OFFSET, self.file_system().encode().to_vec()));
        let region = heartbeats(self.version);
        let slots = (0..region.slots).filter_map(|slot| region.address(slot));
        let slots = slots.map(|at| (volume + at, Heartbeat::never_used(at).encode().to_vec()));
        structures.extend(slots);
        for area in LockArea::of(self.version) {
            let lock = |at| (volume + at, DiskLock::never_taken(area.kind, at).encode().to_vec());
            structures.extend(area.addresses().map(lock));
        }
        structures
    }

    /// What the volume manager writes on a device that holds `part` of a volume, from the start of its partition
    /// on.
    pub(crate) fn volume_manager(
        &self,
        volume_bytes: u64,
        part: Range<u64>,
    ) -> [(u64, Vec<u8>); 3] {
        let vmfs_6 = self.version.major >= VMFS_6;
        let header = LvmHeader::new(vmfs_6, self.uuid, self.device_bytes, VOLUME_OFFSET);
        let extent = Extent {
            volume: self.uuid,
            name: self.label.clone(),
            volume_bytes,
            devices: u32::try_from(volume_bytes.div_ceil(part.end - part.start)).unwrap_or(1),
            start: part.start,
            length: part.end - part.start,
        };
        header.encode(&extent)
    }

    pub(crate) fn file_system(&self) -> FileSystem {
        // Before VMFS 6 both are compiled into the driver.
        let written = |interval| (self.version.major >= VMFS_6).then_some(interval);
        FileSystem {
            version: self.version,
            local: false,
            maintenance: false,
            uuid: self.uuid,
            label: self.label.clone(),
            created_s: self.created_s,
            creator: None,
            file_block_length: FILE_BLOCK_BYTES,
            lease: written(crate::LEASE),
            reclaim_window: written(Duration::from_secs(4)),
            heartbeats: heartbeats(self.version),
        }
    }
}

/// Where a volume comes to lie.
#[derive(Clone, Copy)]
struct Place {
    partition: Option<Partition>,
    volume_bytes: u64,
}

fn heartbeats(version: Version) -> HeartbeatRegion {
    HeartbeatRegion::of(version, METADATA_ALIGNMENT).expect("4096 is an alignment")
}

/// What is to be written in `range` of the device: `structures`, and zeros between them.
fn piece(range: Range<u64>, structures: &[(u64, Vec<u8>)]) -> Piece {
    let length = usize::try_from(range.end - range.start).expect("a few hundred KiB");
    let mut bytes = vec![0; length];
    for (offset, structure) in structures {
        let end = offset + structure.len() as u64;
        let (from, to) = (range.start.max(*offset), range.end.min(end));
        if from < to {
            let within =
                |at: u64, origin: u64| usize::try_from(at - origin).expect("within a piece");
            bytes[within(from, range.start)..within(to, range.start)]
                .copy_from_slice(&structure[within(from, *offset)..within(to, *offset)]);
        }
    }
    Piece { offset: range.start, bytes }
}

#[cfg(test)]
mod tests;
