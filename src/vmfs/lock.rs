//! The lock of a piece of metadata: the sector before it.

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use crate::HostUuid;

/// How many hosts a lock can name that share it.
const HOLDERS_MAX: usize = 8;

/// `FS3_DiskLock`, up to the end of the holders; what follows is not needed here.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Layout {
    kind: U32,
    address: U64,
    heartbeat_address: U64,
    heartbeat_generation: U64,
    token: U64,
    mode: U32,
    owner: [u8; 16],
    modification_time: U64,
    holders_count: U32,
    holders: [HolderLayout; HOLDERS_MAX],
}

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct HolderLayout {
    heartbeat_address: U64,
    heartbeat_generation: U64,
    host: [u8; 16],
}

const _: () = assert!(size_of::<Layout>() == 0x144);

/// What a lock is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LockMode {
    /// It is not taken: 0.
    Free,
    /// By one host alone: 1.
    Exclusive,
    /// By hosts that only read: 2. They are the holders, and there is no owner.
    ReadOnly,
    /// By hosts that all write: 3.
    MultiWriter,
}

impl LockMode {
    /// All modes.
    pub const ALL: [Self; 4] = [Self::Free, Self::Exclusive, Self::ReadOnly, Self::MultiWriter];

    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Exclusive => "exclusive",
            Self::ReadOnly => "read-only",
            Self::MultiWriter => "multi-writer",
        }
    }

    const fn decode(mode: u32) -> Option<Self> {
        match mode {
            0 => Some(Self::Free),
            1 => Some(Self::Exclusive),
            2 => Some(Self::ReadOnly),
            3 => Some(Self::MultiWriter),
            _ => None,
        }
    }
}

/// What a lock protects; the last byte of its magic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LockKind {
    /// A file descriptor.
    FileDescriptor,
    /// A cluster of file blocks (on VMFS 6, of small ones).
    FileBlockCluster,
    /// A cluster of sub-blocks.
    SubBlockCluster,
    /// A cluster of pointer blocks.
    PointerBlockCluster,
    /// A cluster of file descriptors.
    FileDescriptorCluster,
    /// A cluster of secondary pointer blocks.
    PointerBlock2Cluster,
    /// A cluster of journal blocks.
    JournalCluster,
    /// A cluster of large file blocks.
    LargeFileBlockCluster,
    /// The unmap lock of a heartbeat slot.
    Unmap,
}

impl LockKind {
    pub(crate) const fn decode(magic: u32) -> Option<Self> {
        match magic {
            0x10c0_0001 => Some(Self::FileDescriptor),
            0x10c0_0002 => Some(Self::FileBlockCluster),
            0x10c0_0003 => Some(Self::SubBlockCluster),
            0x10c0_0004 => Some(Self::PointerBlockCluster),
            0x10c0_0005 => Some(Self::FileDescriptorCluster),
            0x10c0_0006 => Some(Self::PointerBlock2Cluster),
            0x10c0_0007 => Some(Self::JournalCluster),
            0x10c0_0008 => Some(Self::LargeFileBlockCluster),
            0x10c0_0009 => Some(Self::Unmap),
            _ => None,
        }
    }
}

/// A host that shares a lock with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockHolder {
    /// Where its heartbeat lies, in bytes from the start of the volume.
    pub heartbeat_address: u64,
    /// The generation of its heartbeat when it took the lock.
    pub heartbeat_generation: u64,
    /// The host.
    pub host: HostUuid,
}

impl LockHolder {
    fn read(layout: &HolderLayout) -> Option<Self> {
        Some(Self {
            heartbeat_address: layout.heartbeat_address.get(),
            heartbeat_generation: layout.heartbeat_generation.get(),
            host: HostUuid::from_bytes(layout.host)?,
        })
    }
}

/// A lock on the medium.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskLock {
    /// What it protects.
    pub kind: LockKind,
    /// Where it lies, in bytes from the start of the volume.
    pub address: u64,
    /// Where the heartbeat of the owner lies; kept when the lock is released.
    pub heartbeat_address: u64,
    /// The generation of that heartbeat when the lock was taken.
    pub heartbeat_generation: u64,
    /// Grows whenever the lock is taken or released.
    pub token: u64,
    /// What it is taken for.
    pub mode: LockMode,
    /// Who has it alone.
    pub owner: Option<HostUuid>,
    /// Who shares it.
    pub holders: [Option<LockHolder>; HOLDERS_MAX],
}

impl DiskLock {
    /// The lock in `sector`, of which at least 512 bytes are there. `None` if the first word is
    /// none of a lock's, or the mode or the number of holders cannot be.
    pub fn decode(sector: &[u8]) -> Option<Self> {
        let (layout, _) = Layout::ref_from_prefix(sector.first_chunk::<512>()?).ok()?;
        let kind = LockKind::decode(layout.kind.get())?;
        let count = usize::try_from(layout.holders_count.get()).ok()?;
        let mut holders = [None; HOLDERS_MAX];
        for (holder, layout) in holders.get_mut(..count)?.iter_mut().zip(&layout.holders) {
            *holder = LockHolder::read(layout);
        }
        Some(Self {
            kind,
            address: layout.address.get(),
            heartbeat_address: layout.heartbeat_address.get(),
            heartbeat_generation: layout.heartbeat_generation.get(),
            token: layout.token.get(),
            mode: LockMode::decode(layout.mode.get())?,
            owner: HostUuid::from_bytes(layout.owner),
            holders,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: [u8; 16] = [
        0xeb, 0xb8, 0x5e, 0x68, 0x90, 0x38, 0x3e, 0x7f, 0x44, 0x45, 0xbc, 0x24, 0x11, 0xb1, 0x7e,
        0x28,
    ];

    /// The lock of a journal cluster of a VMFS 6 volume, held, as it lay on the medium.
    fn held() -> [u8; 512] {
        let mut sector = [0; 512];
        let head = [
            0x07, 0x00, 0xc0, 0x10, 0x00, 0x40, 0xd1, 0x1d, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
            0x34, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
            0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,
        ];
        sector[..head.len()].copy_from_slice(&head);
        sector[0x28..0x38].copy_from_slice(&HOST);
        sector[0x38..0x3b].copy_from_slice(&[0x8e, 0xfc, 0x02]);
        sector
    }

    #[test]
    fn a_lock_held_by_one_host_is_read() {
        let lock = DiskLock::decode(&held()).unwrap();
        assert_eq!(lock.kind, LockKind::JournalCluster);
        assert_eq!((lock.address, lock.token), (0x1dd1_4000, 4));
        assert_eq!((lock.heartbeat_address, lock.heartbeat_generation), (0x34_0000, 3));
        assert_eq!((lock.mode, lock.owner), (LockMode::Exclusive, HostUuid::from_bytes(HOST)));
        assert_eq!(lock.holders, [None; HOLDERS_MAX]);
    }

    #[test]
    fn a_lock_of_readers_has_holders_and_no_owner() {
        let mut sector = held();
        sector[0x24] = 2;
        sector[0x28..0x38].fill(0);
        sector[0x40] = 1;
        sector[0x44..0x4c].copy_from_slice(&0x34_2000_u64.to_le_bytes());
        sector[0x4c] = 9;
        sector[0x54..0x64].copy_from_slice(&HOST);
        let lock = DiskLock::decode(&sector).unwrap();
        assert_eq!((lock.mode, lock.owner), (LockMode::ReadOnly, None));
        let [Some(holder), None, ..] = lock.holders else { panic!("{lock:?}") };
        assert_eq!((holder.heartbeat_address, holder.heartbeat_generation), (0x34_2000, 9));
        assert_eq!(Some(holder.host), HostUuid::from_bytes(HOST));
    }

    #[test]
    fn what_cannot_be_a_lock_is_none() {
        for (at, byte) in [(0x00, 0x0a), (0x01, 0x01), (0x24, 4), (0x40, 9)] {
            let mut sector = held();
            sector[at] = byte;
            assert_eq!(DiskLock::decode(&sector), None, "{at:#x}");
        }
        assert_eq!(DiskLock::decode(&held()[..511]), None);
    }
}
