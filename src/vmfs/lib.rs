//! What VMFS keeps on a disk, as far as hosts agree by it who may write what: where its volume is, the
//! heartbeat of each host, and the lock of each piece of metadata.
//!
//! Floor 1: zerocopy; no I/O, no clock, no SCSI. Bytes in, meaning out, and nothing here says what ought to
//! be done about it:
//!
//! - [`Object::decode`] says what a sector is, [`Difference`] what happened to it between two images;
//! - [`Volume::locate`] finds the volume on a device, and [`Volume::place`] says what lies at an address;
//! - [`mod@format`] says what is to be written for a volume to be there, and what would be lost by it;
//! - [`Standing`] says what a heartbeat means for a lock; [`esxi`] writes both as ESXi does.
//!
//! VMFS has no published layout. What stands here was read off real volumes of versions 3, 5 and 6
//! and agrees with the vmfs-tools and dissect.vmfs readers; a field that is only inferred says so.
//! All integers are little-endian, all structures packed, all addresses bytes from the start of
//! the volume, which is not the start of the logical unit.

mod difference;
pub mod esxi;
mod fields;
mod file_system;
pub mod format;
mod heartbeat;
mod host_uuid;
mod journal;
mod lock;
mod lvm;
mod partition;
mod serial;
mod standing;
#[cfg(any(test, feature = "synthetic"))]
pub mod synthetic;
mod volume;

use std::fmt;

pub use difference::{Change, Difference, HeartbeatChange, LockChange, ObjectName, Step};
pub use fields::{Field, FieldDiff, FieldValue};
pub use file_system::{DESCRIPTOR_OFFSET, FileSystem, HeartbeatRegion, Version};
pub use heartbeat::{Heartbeat, HeartbeatState, LEASE, PULSE_PERIOD, REGION_OFFSET};
pub use host_uuid::{HostUuid, HostUuidError, VolumeUuid};
pub use journal::JournalAddress;
pub use lock::{DiskLock, LockHolder, LockKind, LockMode};
pub use lvm::{Extent, LVM_HEADER_OFFSET, LvmHeader};
pub use partition::{Partition, Scheme};
pub use serial::Serial;
pub use standing::Standing;
pub use volume::{LocateError, Lvm, Place, Volume};

/// How long a heartbeat or a lock is, in bytes. On VMFS 6 it lies at the beginning of a page, the rest of
/// which it has to itself.
pub const SECTOR: usize = 512;

/// What a sector is.
// It is looked at once and not kept: a box would be an allocation for every command.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// The heartbeat slot of a host.
    Heartbeat(Heartbeat),
    /// The lock of a piece of metadata.
    Lock(DiskLock),
}

impl Object {
    /// The object that `sector` begins with: one logical block, or the bytes a command brings for
    /// one. `None` for anything else, and for less than 512 bytes.
    pub fn decode(sector: &[u8]) -> Option<Self> {
        let heartbeat = || Heartbeat::decode(sector).map(Self::Heartbeat);
        heartbeat().or_else(|| DiskLock::decode(sector).map(Self::Lock))
    }

    /// The locks among the sectors of `bytes`, which lie at `offset` of the volume: what looks like one and
    /// bears its own address. A copy of a lock, in a journal or in the data of a file, is none.
    pub fn locks_in(bytes: &[u8], offset: u64) -> impl Iterator<Item = DiskLock> {
        let sectors = (offset..).step_by(SECTOR).zip(bytes.chunks_exact(SECTOR));
        sectors
            .filter_map(|(own, sector)| DiskLock::decode(sector).filter(|lock| lock.address == own))
    }

    /// Whether a sector that begins with these bytes may be one of these objects: its magic. Cheap enough
    /// to be asked of every sector that goes by.
    pub const fn has_magic(first: [u8; 4]) -> bool {
        let magic = u32::from_le_bytes(first);
        HeartbeatState::decode(magic).is_some() || LockKind::decode(magic).is_some()
    }

    /// Which object of its volume it is.
    pub const fn name(&self) -> ObjectName {
        match self {
            Self::Heartbeat(heartbeat) => ObjectName::Heartbeat { address: heartbeat.address },
            Self::Lock(lock) => ObjectName::Lock { kind: lock.kind, address: lock.address },
        }
    }

    /// The host that owns it, if one alone does: nobody owns a clear heartbeat, a free lock, or one
    /// that several hosts share.
    pub const fn owner(&self) -> Option<HostUuid> {
        match self {
            Self::Heartbeat(heartbeat) => heartbeat.owner,
            Self::Lock(lock) => lock.owner,
        }
    }
}

impl fmt::Display for Object {
    /// What it says, in a few words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Heartbeat(it) => {
                write!(f, "heartbeat slot {} generation {}", it.slot(), it.generation)?;
                match it.owner {
                    Some(owner) => write!(f, " stamp {:.6} s of {owner}", it.stamp.as_secs_f64()),
                    None => write!(f, ", clear"),
                }
            }
            Self::Lock(lock) => {
                write!(f, "lock at {:#x} token {} {}", lock.address, lock.token, lock.mode.name())?;
                lock.owner.map_or(Ok(()), |owner| write!(f, " of {owner}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_sectors_are_nothing() {
        assert_eq!(Object::decode(&[]), None);
        assert_eq!(Object::decode(&[0; 512]), None);
        assert_eq!(Object::decode(&[0xff; 4096]), None);
        // The magic of a heartbeat, and no more.
        assert_eq!(Object::decode(&[0x02, 0xef, 0xcd, 0xab]), None);
    }

    #[test]
    fn magics_of_heartbeats_and_locks() {
        for magic in [0xabcd_ef01_u32, 0xabcd_ef03, 0x10c0_0001, 0x10c0_0009] {
            assert!(Object::has_magic(magic.to_le_bytes()), "{magic:#x}");
            assert!(!Object::has_magic(magic.to_be_bytes()), "{magic:#x}, the other way round");
        }
        for other in [0, u32::MAX, 0xabcd_ef04, 0x10c0_000a] {
            assert!(!Object::has_magic(other.to_le_bytes()), "{other:#x}");
        }
    }

    #[test]
    fn a_lock_is_where_it_says_that_it_is() {
        let lock = DiskLock::never_taken(LockKind::FileDescriptor, 0x72_0000).encode();
        let metadata = [[0; SECTOR], lock, lock].concat();
        let found: Vec<_> = Object::locks_in(&metadata, 0x71_fe00).map(|it| it.address).collect();
        assert_eq!(found, [0x72_0000], "the second is a copy");
    }
}
