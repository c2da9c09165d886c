//! The lock of a piece of metadata: the sector before it.

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{HostUuid, SECTOR};

/// How many hosts a lock can name that share it.
pub(crate) const HOLDERS_MAX: usize = 8;

/// What an affinity record bears that is one.
const AFFINITY_MAGIC: u32 = 0xcafe_babe;

/// `FS3_DiskLock`. The rest of the sector is zero.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
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
    unknown: [u8; 32],
    global_holders: U32,
    global_generation: U64,
    global_break: U32,
    unknown_too: [u8; 36],
    affinity: AffinityLayout,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct HolderLayout {
    heartbeat_address: U64,
    heartbeat_generation: U64,
    host: [u8; 16],
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct AffinityLayout {
    heartbeat_address: U64,
    heartbeat_generation: U32,
    magic: U32,
    host: [u8; 16],
}

const _: () = assert!(size_of::<Layout>() == 0x1b8);

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

    /// The number on the medium.
    pub const fn number(self) -> u32 {
        match self {
            Self::Free => 0,
            Self::Exclusive => 1,
            Self::ReadOnly => 2,
            Self::MultiWriter => 3,
        }
    }

    pub(crate) const fn decode(mode: u32) -> Option<Self> {
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

    /// The first word of such a lock.
    pub const fn magic(self) -> u32 {
        match self {
            Self::FileDescriptor => 0x10c0_0001,
            Self::FileBlockCluster => 0x10c0_0002,
            Self::SubBlockCluster => 0x10c0_0003,
            Self::PointerBlockCluster => 0x10c0_0004,
            Self::FileDescriptorCluster => 0x10c0_0005,
            Self::PointerBlock2Cluster => 0x10c0_0006,
            Self::JournalCluster => 0x10c0_0007,
            Self::LargeFileBlockCluster => 0x10c0_0008,
            Self::Unmap => 0x10c0_0009,
        }
    }

    /// What it protects, in words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FileDescriptor => "file descriptor",
            Self::FileBlockCluster => "file block cluster",
            Self::SubBlockCluster => "sub-block cluster",
            Self::PointerBlockCluster => "pointer block cluster",
            Self::FileDescriptorCluster => "file descriptor cluster",
            Self::PointerBlock2Cluster => "secondary pointer block cluster",
            Self::JournalCluster => "journal cluster",
            Self::LargeFileBlockCluster => "large file block cluster",
            Self::Unmap => "unmap",
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

    fn layout(holder: Option<Self>) -> HolderLayout {
        holder.map_or_else(HolderLayout::new_zeroed, |holder| HolderLayout {
            heartbeat_address: holder.heartbeat_address.into(),
            heartbeat_generation: holder.heartbeat_generation.into(),
            host: *holder.host.as_bytes(),
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
    /// When it was last taken, by a clock of the owner's of which only this is known: it is neither the
    /// time of day nor the time since start, and all of the host's volumes share it. Kept when the lock is
    /// released.
    pub modification_time: u64,
    /// Who shares it.
    pub holders: [Option<LockHolder>; HOLDERS_MAX],
    /// `gblnum` in the output of vmkfstools. Of this and the two that follow the meaning is not known.
    pub global_holders: u32,
    /// `gblgen`.
    pub global_generation: u64,
    /// `gblbrk`.
    pub global_break: u32,
    /// Of small file blocks of VMFS 6: the host for which the cluster is kept, or that had it last. Seen on
    /// media, and inferred from what lay there.
    pub affinity: Option<LockHolder>,
}

impl DiskLock {
    /// A lock that no host ever took, as formatting leaves it at `address`.
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
            holders: [None; HOLDERS_MAX],
            global_holders: 0,
            global_generation: 0,
            global_break: 0,
            affinity: None,
        }
    }

    /// The lock in `sector`, of which at least 512 bytes are there. `None` if the first word is
    /// none of a lock's, or the mode or the number of holders cannot be.
    pub fn decode(sector: &[u8]) -> Option<Self> {
        let (layout, _) = Layout::ref_from_prefix(sector.first_chunk::<SECTOR>()?).ok()?;
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
            modification_time: layout.modification_time.get(),
            holders,
            global_holders: layout.global_holders.get(),
            global_generation: layout.global_generation.get(),
            global_break: layout.global_break.get(),
            affinity: affinity(&layout.affinity),
        })
    }

    /// Address and token, if it begins as a lock.
    pub(crate) fn serial(sector: &[u8]) -> Option<(u64, u64)> {
        let (layout, _) = Layout::ref_from_prefix(sector.first_chunk::<SECTOR>()?).ok()?;
        LockKind::decode(layout.kind.get())?;
        Some((layout.address.get(), layout.token.get()))
    }

    /// The sector that a host would write. What no reader knows the meaning of is zero.
    pub fn encode(&self) -> [u8; SECTOR] {
        let layout = Layout {
            kind: self.kind.magic().into(),
            address: self.address.into(),
            heartbeat_address: self.heartbeat_address.into(),
            heartbeat_generation: self.heartbeat_generation.into(),
            token: self.token.into(),
            mode: self.mode.number().into(),
            owner: self.owner.map_or([0; 16], |owner| *owner.as_bytes()),
            modification_time: self.modification_time.into(),
            holders_count: self.holders_count().into(),
            holders: self.holders.map(LockHolder::layout),
            unknown: FromZeros::new_zeroed(),
            global_holders: self.global_holders.into(),
            global_generation: self.global_generation.into(),
            global_break: self.global_break.into(),
            unknown_too: FromZeros::new_zeroed(),
            affinity: self.affinity_layout(),
        };
        let mut sector = [0; SECTOR];
        sector[..size_of::<Layout>()].copy_from_slice(layout.as_bytes());
        sector
    }

    /// How many places for holders are in use: up to the last one that is.
    pub fn holders_count(&self) -> u32 {
        let last = self.holders.iter().rposition(Option::is_some);
        last.map_or(0, |last| u32::try_from(last + 1).expect("there are eight"))
    }

    /// Who has it now: the owner, if it is taken by one alone, and those who share it.
    pub fn claims(&self) -> impl Iterator<Item = LockHolder> {
        let owner = self.owner.filter(|_| self.mode != LockMode::Free).map(|host| LockHolder {
            heartbeat_address: self.heartbeat_address,
            heartbeat_generation: self.heartbeat_generation,
            host,
        });
        owner.into_iter().chain(self.holders.into_iter().flatten())
    }

    fn affinity_layout(&self) -> AffinityLayout {
        self.affinity.map_or_else(AffinityLayout::new_zeroed, |holder| AffinityLayout {
            heartbeat_address: holder.heartbeat_address.into(),
            // No more of it is kept there than 32 bits.
            heartbeat_generation: u32::try_from(holder.heartbeat_generation)
                .unwrap_or(u32::MAX)
                .into(),
            magic: AFFINITY_MAGIC.into(),
            host: *holder.host.as_bytes(),
        })
    }
}

fn affinity(layout: &AffinityLayout) -> Option<LockHolder> {
    let host = HostUuid::from_bytes(layout.host)?;
    (layout.magic.get() == AFFINITY_MAGIC).then(|| LockHolder {
        heartbeat_address: layout.heartbeat_address.get(),
        heartbeat_generation: layout.heartbeat_generation.get().into(),
        host,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
        assert_eq!(lock.modification_time, 0x2_fc8e);
        let claims: Vec<_> = lock.claims().map(|claim| claim.heartbeat_address).collect();
        assert_eq!(claims, [0x34_0000]);
        assert_eq!(lock.encode(), held());
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
        assert_eq!(lock.claims().collect::<Vec<_>>(), [holder]);
        assert_eq!(lock.encode(), sector);
    }

    #[test]
    fn a_released_lock_keeps_its_history_and_is_nobodys() {
        let mut sector = held();
        sector[0x1c] = 5;
        sector[0x24] = 0;
        sector[0x28..0x38].fill(0);
        let lock = DiskLock::decode(&sector).unwrap();
        assert_eq!((lock.mode, lock.heartbeat_address), (LockMode::Free, 0x34_0000));
        assert_eq!(lock.claims().count(), 0);
        assert_eq!(lock.encode(), sector);
    }

    #[test]
    fn a_cluster_of_small_file_blocks_is_kept_for_a_host() {
        let mut sector = held();
        sector[0] = 0x02;
        sector[0x19a] = 0x34;
        sector[0x1a0] = 3;
        sector[0x1a4..0x1a8].copy_from_slice(&[0xbe, 0xba, 0xfe, 0xca]);
        sector[0x1a8..0x1b8].copy_from_slice(&HOST);
        let lock = DiskLock::decode(&sector).unwrap();
        let affinity = lock.affinity.unwrap();
        assert_eq!((affinity.heartbeat_address, affinity.heartbeat_generation), (0x34_0000, 3));
        assert_eq!(lock.encode(), sector);
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

    proptest! {
        /// Whatever lies in a sector: no panic, and what is understood stays what it is.
        #[test]
        fn any_bytes_are_read_or_refused(
            mut sector in proptest::collection::vec(any::<u8>(), 0..600),
            kind in 0..11_u8,
            mode in 0..5_u8,
            count in 0..10_u8,
        ) {
            for (at, bytes) in [(0, [kind, 0, 0xc0, 0x10]), (0x24, [mode, 0, 0, 0]), (0x40, [count, 0, 0, 0])] {
                if let Some(field) = sector.get_mut(at..at + 4) {
                    field.copy_from_slice(&bytes);
                }
            }
            if let Some(lock) = DiskLock::decode(&sector) {
                prop_assert_eq!(DiskLock::decode(&lock.encode()), Some(lock));
            }
        }
    }
}
