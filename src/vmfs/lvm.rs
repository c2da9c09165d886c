//! VMFS's volume manager: what a device says of the volume that it is a part of.
//!
//! A header at a fixed place, `LVM_DevMetadata`, and after it the descriptor of the volume. A device could
//! hold several volumes, and never does: the first descriptor is read.

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::heartbeat::lossy_text;
use crate::partition::DISK_BYTES_MAX;
use crate::{SECTOR, VolumeUuid};

/// Where the header is, in bytes from the start of the partition.
pub const LVM_HEADER_OFFSET: u64 = 0x10_0000;

/// What the name of a volume leaves for a NUL.
const NAME_BYTES_MAX: usize = 63;
/// What VMFS 6 aligns metadata to, the volume manager's and the file system's.
pub(crate) const METADATA_ALIGNMENT: u32 = 4096;

/// Volumes are made of pieces of this length: 256 MiB.
pub(crate) const PHYSICAL_EXTENT_BYTES: u64 = 256 << 20;

const MAGIC: u32 = 0xc001_d00d;
/// The number of the only volume of a device, by which its physical extents name it.
const VOLUME: u32 = 1;
/// `LVM_NORMAL`, the state of a volume that is in order.
const NORMAL: u32 = 1;
/// From the end of the header to the first map of physical extents: room for 1024 volumes of a sector each,
/// however many there may be.
const MAP_OFFSET: u64 = 512 << 10;
/// A map has a bit for each entry of the table behind it.
const TABLE_ENTRIES: u32 = 8192;
/// The physical extents that a table has room for: 2 TiB.
pub(crate) const PHYSICAL_EXTENTS_MAX: u64 = TABLE_ENTRIES as u64;
const ENTRY_BYTES: usize = 128;
/// Of these the descriptor follows the header after a unit of alignment; before, after a sector.
const ESX_6_0: u32 = 6;
/// The flag of a device that holds a local volume, VMFS-L.
const LOCAL: u32 = 1;

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
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

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
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

/// An entry of the table of physical extents.
#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct PhysicalExtentLayout {
    used: u8,
    number: U32,
    volume: U32,
    /// From the start of the partition.
    physical_offset: U64,
    /// From the start of the volume.
    logical_offset: U64,
    bytes: U64,
}

const _: () = assert!(size_of::<PhysicalExtentLayout>() == 0x21);

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

    /// A header of the version that goes with a file system of VMFS 6, or with an older one.
    pub(crate) fn new(
        vmfs_6: bool,
        device: VolumeUuid,
        device_bytes: u64,
        data_offset: u64,
    ) -> Self {
        Self {
            major_version: if vmfs_6 { ESX_6_0 } else { 5 },
            minor_version: 0,
            device,
            device_bytes,
            data_offset,
            local: false,
            volumes: 1,
            metadata_alignment: if vmfs_6 { METADATA_ALIGNMENT } else { 0 },
        }
    }

    /// What the volume manager keeps of a device that holds `extent` and nothing else, with the bytes of the
    /// partition at which it begins: the header, the descriptor of the volume, and the table of physical
    /// extents with its map. What no reader looks at is zero.
    pub(crate) fn encode(&self, extent: &Extent) -> [(u64, Vec<u8>); 3] {
        let extents = extent.length / PHYSICAL_EXTENT_BYTES;
        let count = u32::try_from(extents).map_or(TABLE_ENTRIES, |it| it.min(TABLE_ENTRIES));
        let mut layout = HeaderLayout::new_zeroed();
        layout.magic = MAGIC.into();
        layout.major = self.major_version.into();
        layout.minor = self.minor_version.into();
        layout.disk_block_length = U32::new(512);
        layout.total_bytes = self.device_bytes.into();
        layout.volumes = self.volumes.into();
        layout.physical_extents = count.into();
        layout.last_physical_extent = count.saturating_sub(1).into();
        layout.generation = U64::new(1);
        layout.data_offset = self.data_offset.into();
        layout.device = *self.device.as_bytes();
        layout.physical_extent_maps = U32::new(1);
        layout.metadata_alignment = self.metadata_alignment.into();
        layout.flags = if self.local { LOCAL } else { 0 }.into();

        let map_bytes = self.metadata_alignment.max(TABLE_ENTRIES / 8);
        let table = physical_extents(count, self.data_offset, extent.start, map_bytes);
        let map_offset = self.descriptor_offset() + MAP_OFFSET;
        [
            (LVM_HEADER_OFFSET, sector(layout.as_bytes())),
            (self.descriptor_offset(), extent.encode(count)),
            (map_offset, table),
        ]
    }
}

/// A map of physical extents, of which the first `count` are used, and the entries of these.
fn physical_extents(count: u32, data_offset: u64, start: u64, map_bytes: u32) -> Vec<u8> {
    let entry = |number: u32| {
        let within = u64::from(number) * PHYSICAL_EXTENT_BYTES;
        let layout = PhysicalExtentLayout {
            used: 1,
            number: number.into(),
            volume: VOLUME.into(),
            physical_offset: (data_offset + within).into(),
            logical_offset: (start + within).into(),
            bytes: PHYSICAL_EXTENT_BYTES.into(),
        };
        let mut entry = [0; ENTRY_BYTES];
        entry[..size_of::<PhysicalExtentLayout>()].copy_from_slice(layout.as_bytes());
        entry
    };
    let map = (0..map_bytes).map(|byte| {
        let numbers = byte * 8..byte * 8 + 8;
        numbers.rev().fold(0, |bits, number| bits << 1 | u8::from(number < count))
    });
    map.chain((0..count).flat_map(entry)).collect()
}

fn sector(structure: &[u8]) -> Vec<u8> {
    let mut sector = structure.to_vec();
    sector.resize(SECTOR, 0);
    sector
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

    /// The descriptor of the volume on a device with so many physical extents of it.
    fn encode(&self, physical_extents: u32) -> Vec<u8> {
        let first = self.start / PHYSICAL_EXTENT_BYTES;
        let mut layout = VolumeLayout::new_zeroed();
        layout.logical_bytes = self.volume_bytes.into();
        layout.generation = U64::new(1);
        layout.state = NORMAL.into();
        let name = &self.name.as_bytes()[..self.name.floor_char_boundary(NAME_BYTES_MAX)];
        layout.name[..name.len()].copy_from_slice(name);
        layout.uuid = *self.volume.as_bytes();
        layout.index = VOLUME.into();
        layout.physical_extents = physical_extents.into();
        layout.first_physical_extent = first.into();
        layout.last_physical_extent =
            (first + u64::from(physical_extents).saturating_sub(1)).into();
        layout.devices = self.devices.into();
        sector(layout.as_bytes())
    }

    /// Whether this part holds the beginning of the volume: the file system's descriptor, and the
    /// heartbeats.
    pub const fn is_head(&self) -> bool {
        self.start == 0
    }
}
