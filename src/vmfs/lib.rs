//! What VMFS keeps in one sector: the heartbeat of a host, and the lock of a piece of metadata.
//!
//! Floor 1: zerocopy; no I/O, no clock, no SCSI. Bytes in, meaning out: [`Object::decode`] says
//! what a sector is, and nothing here says what ought to be done about it.
//!
//! VMFS has no published layout. What stands here was read off real volumes of versions 3, 5 and 6
//! and agrees with the vmfs-tools and dissect.vmfs readers; a field that is only inferred says so.
//! All integers are little-endian, all structures packed, all addresses bytes from the start of
//! the volume, which is not the start of the logical unit.

mod heartbeat;
mod host_uuid;
mod lock;

pub use heartbeat::{Heartbeat, HeartbeatState, REGION_OFFSET};
pub use host_uuid::{HostUuid, HostUuidError};
pub use lock::{DiskLock, LockHolder, LockKind, LockMode};

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

    /// Whether a sector that begins with these bytes may be one of these objects: its magic. Cheap enough
    /// to be asked of every sector that goes by.
    pub const fn has_magic(first: [u8; 4]) -> bool {
        let magic = u32::from_le_bytes(first);
        HeartbeatState::decode(magic).is_some() || LockKind::decode(magic).is_some()
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
}
