//! VMFS's volume manager: what a device says of the volume that it is a part of.
//!
//! A header at a fixed place, `LVM_DevMetadata`, and after it the descriptor of the volume. A device could
//! hold several volumes, and never does: the first descriptor is read.

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use crate::heartbeat::lossy_text;
use crate::partition::DISK_BYTES_MAX;
use crate::{SECTOR, VolumeUuid};

/// Where the header is, in bytes from the start of the partition.
pub const LVM_HEADER_OFFSET: u64 = 0x10_0000;

/// Volumes are made of pieces of this length: 256 MiB.
pub(crate) const PHYSICAL_EXTENT_BYTES: u64 = 256 << 20;

const MAGIC: u32 = 0xc001_d00d;
/// Of these the descriptor follows the header after a unit of alignment; before, after a sector.
const ESX_6_0: u32 = 6;
/// The flag of a device that holds a local volume, VMFS-L.
const LOCAL: u32 = 1;

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct HeaderLayout {
    magic: U32,
    major: U32,
    minor: U32,
    /// What SCSI said of the disk when it was formatted.
    disk_id: [u8; 78],
    disk_block_length: U32,
    total_bytes: U64,
    volumes: U32,
    physical_extents: U32,
    last_physical_extent: U32,
    generation: U64,
    data_offset: U64,
    device: [u8; 16],
    initialised_us: U64,
    modified_us: U64,
    locked_by: [u8; 16],
    locked_us: U64,
    unknown: U32,
    physical_extent_maps: U32,
    more_metadata_offset: U64,
    metadata_alignment: U32,
    physical_extents_of_6: U32,
    flags: U32,
}

const _: () = assert!(size_of::<HeaderLayout>() == 0xd6);

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct VolumeLayout {
    logical_bytes: U64,
    generation: U64,
    state: U32,
    name: [u8; 64],
    uuid: [u8; 16],
    snapshot: U32,
    created_us: U64,
    index: U32,
    physical_extents: U32,
    first_physical_extent: U64,
    last_physical_extent: U64,
    modified_us: U64,
    devices: U32,
}

const _: () = assert!(size_of::<VolumeLayout>() == 0x94);

/// The header of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LvmHeader {
    /// The version of the format: 3 to 6.
    pub major_version: u32,
    /// Its minor version.
    pub minor_version: u32,
    /// The device.
    pub device: VolumeUuid,
    /// How long the device was when it was formatted or last grown, in bytes.
    pub device_bytes: u64,
    /// Where the volume's data begins, in bytes from the start of the partition.
    pub data_offset: u64,
    /// Whether the volume is a local one, VMFS-L.
    pub local: bool,
    /// How many volumes the device takes part in: one, or none yet.
    pub volumes: u32,
    metadata_alignment: u32,
}

impl LvmHeader {
    /// The header that `bytes` begin with; `None` if they are none, or one that cannot be.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (layout, _) = HeaderLayout::ref_from_prefix(bytes).ok()?;
        let header = Self {
            major_version: layout.major.get(),
            minor_version: layout.minor.get(),
            device: VolumeUuid::from_bytes(layout.device),
            device_bytes: layout.total_bytes.get(),
            data_offset: layout.data_offset.get(),
            local: layout.flags.get() & LOCAL != 0,
            volumes: layout.volumes.get(),
            metadata_alignment: layout.metadata_alignment.get(),
        };
        let possible = layout.magic.get() == MAGIC && header.data_offset < DISK_BYTES_MAX;
        possible.then_some(header)
    }

    /// Where the descriptor of the volume is, in bytes from the start of the partition.
    pub fn descriptor_offset(&self) -> u64 {
        let header = match self.major_version {
            ..ESX_6_0 => SECTOR as u64,
            ESX_6_0.. => self.metadata_alignment.into(),
        };
        LVM_HEADER_OFFSET + header
    }
}

/// The part of a volume that lies on one device: an extent, as VMware's tools call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The volume.
    pub volume: VolumeUuid,
    /// What LVM calls the volume; the label is [`FileSystem::label`](crate::FileSystem::label).
    pub name: String,
    /// How long the volume is on all devices together, in bytes.
    pub volume_bytes: u64,
    /// On how many devices the volume lies.
    pub devices: u32,
    /// Where in the volume this part begins, in bytes.
    pub start: u64,
    /// How long it is, in bytes.
    pub length: u64,
}

impl Extent {
    /// The descriptor that `bytes` begin with; `None` if it cannot be one.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (layout, _) = VolumeLayout::ref_from_prefix(bytes).ok()?;
        let (first, last) = (layout.first_physical_extent.get(), layout.last_physical_extent.get());
        let extents = last.checked_sub(first)?.checked_add(1)?;
        let length = |extents: u64| extents.checked_mul(PHYSICAL_EXTENT_BYTES);
        let extent = Self {
            volume: VolumeUuid::from_bytes(layout.uuid),
            name: lossy_text(&layout.name),
            volume_bytes: layout.logical_bytes.get(),
            devices: layout.devices.get(),
            start: length(first)?,
            length: length(extents)?,
        };
        (extent.start.max(extent.length) < DISK_BYTES_MAX).then_some(extent)
    }

    /// Whether this part holds the beginning of the volume: the file system's descriptor, and the
    /// heartbeats.
    pub const fn is_head(&self) -> bool {
        self.start == 0
    }
}
