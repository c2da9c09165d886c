//! The descriptor of a file system, and where its heartbeats are.

use std::fmt;
use std::time::Duration;

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::heartbeat::{REGION_OFFSET, VMFS_6, lossy_text};
use crate::{HostUuid, SECTOR, VolumeUuid};

/// Where the descriptor is, in bytes from the start of the volume.
pub const DESCRIPTOR_OFFSET: u64 = 0x20_0000;

const MAGIC: u32 = 0x2fab_f15e;
const MAGIC_LOCAL: u32 = 0x2fab_f15f;
/// The flag of a file system in maintenance.
const MAINTENANCE: u32 = 0x8;
/// What metadata may be aligned to. VMFS 6 has 4096; nothing else was seen.
const ALIGNMENTS: std::ops::RangeInclusive<u32> = 512..=65536;
/// What the label leaves for a NUL.
pub(crate) const LABEL_BYTES_MAX: usize = 127;

/// `FS3_Descriptor`, up to what is read of it.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Layout {
    magic: U32,
    major: U32,
    minor: u8,
    uuid: [u8; 16],
    config: U32,
    label: [u8; 128],
    disk_block_length: U32,
    file_block_length: U64,
    created_s: U32,
    snapshot: U32,
    volume_info: [u8; 32],
    first_descriptor_cluster: U32,
    descriptor_clusters_per_group: U32,
    sub_block_length: U32,
    journal_slots_max: U32,
    pointer_blocks_2_offset: U64,
    pointer_blocks_2_descriptor: U32,
    creator: [u8; 16],
    generation: U64,
    system_folder_offset: U64,
    system_folder_descriptor: U32,
    checksum_type: u8,
    unmap_priority: U16,
    padding: [u8; 4],
    checksum_generation: U64,
    checksum: [u8; 16],
    physical_block_length: U32,
    metadata_alignment: U32,
    unmap: [u8; 16],
    journal_block_length: U32,
    lease_ms: U32,
    reclaim_window_ms: U32,
}

const _: () = assert!(size_of::<Layout>() == 0x154);

/// What a file system says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// Its version.
    pub version: Version,
    /// Whether it is a local one, VMFS-L, which one host alone uses.
    pub local: bool,
    /// Whether it is in maintenance.
    pub maintenance: bool,
    /// Its UUID.
    pub uuid: VolumeUuid,
    /// Its label: the name of the datastore.
    pub label: String,
    /// When it was formatted, in seconds since 1970 UTC.
    pub created_s: u32,
    /// The host that formatted it.
    pub creator: Option<HostUuid>,
    /// How long a file block is, in bytes.
    pub file_block_length: u64,
    /// How long after its last pulse a host may be taken for dead. VMFS 3 and 5 keep no such number: there
    /// [`LEASE`](crate::LEASE) is compiled into the driver.
    pub lease: Option<Duration>,
    /// Kept beside the lease; what hosts use it for is not known.
    pub reclaim_window: Option<Duration>,
    /// Where the heartbeats are.
    pub heartbeats: HeartbeatRegion,
}

impl FileSystem {
    /// The descriptor that `bytes` begin with; `None` if they are none, or one that cannot be.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (layout, _) = Layout::ref_from_prefix(bytes).ok()?;
        let local = match layout.magic.get() {
            MAGIC => false,
            MAGIC_LOCAL => true,
            _ => return None,
        };
        let version = Version { major: layout.major.get(), minor: layout.minor };
        let interval = |ms: U32| {
            let interval = Duration::from_millis(ms.get().into());
            (!interval.is_zero()).then_some(interval)
        };
        Some(Self {
            version,
            local,
            maintenance: layout.config.get() & MAINTENANCE != 0,
            uuid: VolumeUuid::from_bytes(layout.uuid),
            label: lossy_text(&layout.label),
            created_s: layout.created_s.get(),
            creator: HostUuid::from_bytes(layout.creator),
            file_block_length: layout.file_block_length.get(),
            lease: interval(layout.lease_ms),
            reclaim_window: interval(layout.reclaim_window_ms),
            heartbeats: HeartbeatRegion::of(version, layout.metadata_alignment.get())?,
        })
    }

    /// The sector that says this. Of the label there is room for 127 bytes; what is not read is zero.
    pub(crate) fn encode(&self) -> [u8; SECTOR] {
        let ms = |interval: Option<Duration>| {
            interval.map_or(0, |it| u32::try_from(it.as_millis()).unwrap_or(u32::MAX))
        };
        let mut layout = Layout::new_zeroed();
        layout.magic = if self.local { MAGIC_LOCAL } else { MAGIC }.into();
        layout.major = self.version.major.into();
        layout.minor = self.version.minor;
        layout.uuid = *self.uuid.as_bytes();
        layout.config = if self.maintenance { MAINTENANCE } else { 0 }.into();
        let label = &self.label.as_bytes()[..self.label.floor_char_boundary(LABEL_BYTES_MAX)];
        layout.label[..label.len()].copy_from_slice(label);
        layout.created_s = self.created_s.into();
        layout.creator = self.creator.map_or([0; 16], |host| *host.as_bytes());
        layout.file_block_length = self.file_block_length.into();
        if self.version.major >= VMFS_6 {
            layout.metadata_alignment =
                u32::try_from(self.heartbeats.stride).unwrap_or(*ALIGNMENTS.end()).into();
        }
        layout.lease_ms = ms(self.lease).into();
        layout.reclaim_window_ms = ms(self.reclaim_window).into();
        let mut sector = [0; SECTOR];
        sector[..size_of::<Layout>()].copy_from_slice(layout.as_bytes());
        sector
    }
}

/// The version of a file system, or of the driver that wrote a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// 4 is VMFS 3, 14 is VMFS 5, 24 is VMFS 6.
    pub major: u32,
    /// The minor version.
    pub minor: u8,
}

impl Version {
    /// VMFS 3 of ESX 3.5 and 4.
    pub const VMFS_3: Self = Self { major: 4, minor: 31 };
    /// VMFS 5 as ESXi 8 writes it.
    pub const VMFS_5: Self = Self { major: 14, minor: 81 };
    /// VMFS 6 as ESXi 8 writes it.
    pub const VMFS_6: Self = Self { major: VMFS_6, minor: 82 };
}

impl fmt::Display for Version {
    /// `VMFS 6 (24.82)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.major {
            ..=4 => "VMFS 3",
            5..VMFS_6 => "VMFS 5",
            VMFS_6.. => "VMFS 6",
        };
        write!(f, "{name} ({}.{})", self.major, self.minor)
    }
}

/// The heartbeat slots of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartbeatRegion {
    /// How many slots there are.
    pub slots: u64,
    /// How far apart they are, in bytes.
    pub stride: u64,
}

impl HeartbeatRegion {
    /// `None` if no file system is aligned like that.
    pub(crate) fn of(version: Version, metadata_alignment: u32) -> Option<Self> {
        if version.major < VMFS_6 {
            return Some(Self { slots: 2048, stride: 512 });
        }
        let possible =
            ALIGNMENTS.contains(&metadata_alignment) && metadata_alignment.is_power_of_two();
        possible.then(|| Self { slots: 1024, stride: metadata_alignment.into() })
    }

    /// Where the region begins and ends, in bytes from the start of the volume.
    pub const fn range(&self) -> std::ops::Range<u64> {
        REGION_OFFSET..REGION_OFFSET + self.slots * self.stride
    }

    /// Where a slot is, in bytes from the start of the volume: the `offset` of ESXi's logs. `None` if there
    /// is no such slot.
    pub fn address(&self, slot: u64) -> Option<u64> {
        (slot < self.slots).then(|| REGION_OFFSET + slot * self.stride)
    }

    /// The slot that holds a byte of the volume, if one does.
    pub fn slot_at(&self, offset: u64) -> Option<u64> {
        self.range().contains(&offset).then(|| (offset - REGION_OFFSET) / self.stride)
    }
}
