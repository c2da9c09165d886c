//! The heartbeat of a host: one slot of the heartbeat region.

use std::io::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{HostUuid, JournalAddress, SECTOR};

/// Where the heartbeat region begins, in bytes from the start of the volume; the same on VMFS 3, 5
/// and 6.
pub const REGION_OFFSET: u64 = 0x30_0000;

/// How long after its last pulse others may take a host for dead (Broadcom KB 2136081; on VMFS 6 also
/// [`FileSystem::lease`](crate::FileSystem::lease)).
pub const LEASE: Duration = Duration::from_secs(16);

/// How often a host shows that it lives, on all its volumes at once (KB 2136081).
pub const PULSE_PERIOD: Duration = Duration::from_secs(3);

/// The major version of VMFS 6, whose slots lie a 4 KiB page apart; before, a sector.
pub(crate) const VMFS_6: u32 = 24;

/// `FS3_Heartbeat`: the same on all versions of VMFS, as far as each of them fills it. The rest of
/// the slot is zero.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Layout {
    state: U32,
    address: U64,
    generation: U64,
    stamp_us: U64,
    owner: [u8; 16],
    journal: U32,
    major: U32,
    minor: u8,
    lock_implementation: u8,
    /// Text, filled up with NULs.
    ip: [u8; 46],
    journal_offset: U64,
    replaying_host: [u8; 16],
    unknown: [u8; 24],
    replaying_heartbeat: U64,
    replaying_generation: U64,
}

const _: () = assert!(size_of::<Layout>() == 0xa4);

/// What a heartbeat slot is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeartbeatState {
    /// By nobody: `ABCDEF01h`.
    Clear,
    /// By its owner, who is alive while the stamp moves: `ABCDEF02h`.
    InUse,
    /// By another host, which replays the journal of the owner: probably `ABCDEF03h`. That there is
    /// such a state is VMware's word (KB 52879); the number is inferred.
    Replaying,
}

impl HeartbeatState {
    pub(crate) const fn decode(magic: u32) -> Option<Self> {
        match magic {
            0xabcd_ef01 => Some(Self::Clear),
            0xabcd_ef02 => Some(Self::InUse),
            0xabcd_ef03 => Some(Self::Replaying),
            _ => None,
        }
    }

    /// The first word of a slot in this state.
    pub const fn magic(self) -> u32 {
        match self {
            Self::Clear => 0xabcd_ef01,
            Self::InUse => 0xabcd_ef02,
            Self::Replaying => 0xabcd_ef03,
        }
    }

    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::InUse => "in use",
            Self::Replaying => "replaying",
        }
    }
}

/// The heartbeat of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// What the slot is used for.
    pub state: HeartbeatState,
    /// Where the slot lies, in bytes from the start of the volume.
    pub address: u64,
    /// Grows with every change of state, and only then.
    pub generation: u64,
    /// How long the owner had been up when it wrote this. Kept when the slot is cleared.
    pub stamp: Duration,
    /// Whose heartbeat this is; `None` of a clear slot.
    pub owner: Option<HostUuid>,
    /// Its journal, if it has one yet.
    pub journal: Option<JournalAddress>,
    /// The major version of the driver that wrote it: 4 is VMFS 3, 14 is VMFS 5, 24 is VMFS 6.
    pub major_version: u32,
    /// Its minor version.
    pub minor_version: u8,
    /// How the host locks: 3 was seen on a shared volume whose disk has no ATS, 1 on a local one, 0 from
    /// drivers of 2013. No complete list of the codes is known.
    pub lock_implementation: u8,
    /// The management address of the host that wrote it, if it is an address. Kept when the slot is cleared.
    pub management_address: Option<IpAddr>,
    /// Where the journal lies, in bytes from the start of the volume; 0 without one.
    pub journal_offset: u64,
    /// Who replays the journal of the owner. This and the two that follow are known from other readers,
    /// and were never seen.
    pub replaying_host: Option<HostUuid>,
    /// Where the heartbeat of that host lies, in bytes from the start of the volume.
    pub replaying_heartbeat: u64,
    /// The generation of that heartbeat.
    pub replaying_generation: u64,
}

impl Heartbeat {
    /// A slot that no host ever used, as formatting leaves it at `address`.
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

    /// The heartbeat in `sector`, of which at least 512 bytes are there. `None` if the first word
    /// is none of the states, or the address is none of a slot's.
    pub fn decode(sector: &[u8]) -> Option<Self> {
        let (layout, _) = Layout::ref_from_prefix(sector.first_chunk::<SECTOR>()?).ok()?;
        let heartbeat = Self {
            state: HeartbeatState::decode(layout.state.get())?,
            address: layout.address.get(),
            generation: layout.generation.get(),
            stamp: Duration::from_micros(layout.stamp_us.get()),
            owner: HostUuid::from_bytes(layout.owner),
            journal: JournalAddress::from_raw(layout.journal.get()),
            major_version: layout.major.get(),
            minor_version: layout.minor,
            lock_implementation: layout.lock_implementation,
            management_address: text(&layout.ip).and_then(|text| text.parse().ok()),
            journal_offset: layout.journal_offset.get(),
            replaying_host: HostUuid::from_bytes(layout.replaying_host),
            replaying_heartbeat: layout.replaying_heartbeat.get(),
            replaying_generation: layout.replaying_generation.get(),
        };
        (heartbeat.address >= REGION_OFFSET && heartbeat.address.is_multiple_of(512))
            .then_some(heartbeat)
    }

    /// Address and generation, if it begins as a heartbeat.
    pub(crate) fn serial(sector: &[u8]) -> Option<(u64, u64)> {
        let (layout, _) = Layout::ref_from_prefix(sector.first_chunk::<SECTOR>()?).ok()?;
        HeartbeatState::decode(layout.state.get())?;
        Some((layout.address.get(), layout.generation.get()))
    }

    /// The sector that a host would write. What no reader knows the meaning of is zero, as it was in every
    /// sector seen.
    pub fn encode(&self) -> [u8; SECTOR] {
        let bytes = |host: Option<HostUuid>| host.map_or([0; 16], |host| *host.as_bytes());
        let mut ip = [0; 46];
        if let Some(address) = self.management_address {
            // No address is longer than the field: 46 is INET6_ADDRSTRLEN.
            let _ = write!(&mut ip[..], "{address}");
        }
        let layout = Layout {
            state: self.state.magic().into(),
            address: self.address.into(),
            generation: self.generation.into(),
            stamp_us: u64::try_from(self.stamp.as_micros()).unwrap_or(u64::MAX).into(),
            owner: bytes(self.owner),
            journal: self.journal.map_or(0, JournalAddress::raw).into(),
            major: self.major_version.into(),
            minor: self.minor_version,
            lock_implementation: self.lock_implementation,
            ip,
            journal_offset: self.journal_offset.into(),
            replaying_host: bytes(self.replaying_host),
            unknown: FromZeros::new_zeroed(),
            replaying_heartbeat: self.replaying_heartbeat.into(),
            replaying_generation: self.replaying_generation.into(),
        };
        let mut sector = [0; SECTOR];
        sector[..size_of::<Layout>()].copy_from_slice(layout.as_bytes());
        sector
    }

    /// The number of the slot, counted from 0. Of a slot that was never used, whose version is not
    /// written yet, as if it were one of VMFS 3 or 5.
    pub fn slot(&self) -> u64 {
        (self.address - REGION_OFFSET) / if self.major_version == VMFS_6 { 4096 } else { 512 }
    }
}

/// The text before the first NUL.
pub(crate) fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(until_nul(bytes)).ok()
}

/// The text before the first NUL, for people to read: what is no text in it is marked.
pub(crate) fn lossy_text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(until_nul(bytes)).into_owned()
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    &bytes[..end]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Slot 64 of a VMFS 6 volume in use, as it lay on the medium.
    fn in_use() -> [u8; 512] {
        let mut sector = [0; 512];
        let head = [
            0x02, 0xef, 0xcd, 0xab, 0x00, 0x00, 0x34, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x00,
            0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x48, 0x08, 0xd0, 0xa5, 0x38, 0x00, 0x00, 0x00,
            0xeb, 0xb8, 0x5e, 0x68, 0x90, 0x38, 0x3e, 0x7f, 0x44, 0x45, 0xbc, 0x24, 0x11, 0xb1,
            0x7e, 0x28, 0x16, 0x00, 0x00, 0x00, 0x18, 0x00, 0x00, 0x00, 0x52, 0x03,
        ];
        sector[..head.len()].copy_from_slice(&head);
        sector[0x36..0x40].copy_from_slice(b"10.0.0.229");
        sector[0x64..0x6c].copy_from_slice(&0x1fd1_8000_u64.to_le_bytes());
        sector
    }

    #[test]
    fn a_slot_in_use_is_read() {
        let heartbeat = Heartbeat::decode(&in_use()).unwrap();
        assert_eq!(heartbeat.state, HeartbeatState::InUse);
        assert_eq!((heartbeat.address, heartbeat.slot()), (0x34_0000, 64));
        assert_eq!(heartbeat.generation, 5);
        assert_eq!(heartbeat.stamp, Duration::from_micros(243_300_042_824));
        let owner = heartbeat.owner.unwrap();
        assert_eq!(owner.to_string(), "685eb8eb-7f3e3890-4544-bc2411b17e28");
        assert_eq!((heartbeat.major_version, heartbeat.minor_version), (24, 82));
        assert_eq!(heartbeat.lock_implementation, 3);
        assert_eq!(heartbeat.management_address, Some(IpAddr::from([10, 0, 0, 229])));
        assert_eq!(heartbeat.journal.unwrap().to_string(), "<JB c2 r0>");
        assert_eq!(heartbeat.journal_offset, 0x1fd1_8000);
        assert_eq!(heartbeat.replaying_host, None);
        assert_eq!(heartbeat.encode(), in_use());
    }

    #[test]
    fn a_cleared_slot_has_no_owner_and_a_slot_of_vmfs_5_is_a_sector() {
        let mut sector = in_use();
        sector[0] = 0x01;
        sector[0x1c..0x2c].fill(0);
        sector[0x04..0x0c].copy_from_slice(&0x34_2000_u64.to_le_bytes());
        sector[0x30] = 14;
        let heartbeat = Heartbeat::decode(&sector).unwrap();
        assert_eq!((heartbeat.state, heartbeat.owner), (HeartbeatState::Clear, None));
        assert_eq!(heartbeat.slot(), 528);
    }

    /// Slot 64 of another VMFS 6 volume after a clean unmount, and a slot that nobody ever used.
    #[test]
    fn cleared_and_unused_slots_are_written_as_they_were_read() {
        let mut cleared = in_use();
        cleared[0] = 0x01;
        cleared[0x0c] = 0x08;
        cleared[0x14..0x1c].copy_from_slice(&[0x67, 0x7e, 0x1a, 0x5c, 0, 0, 0, 0]);
        cleared[0x1c..0x30].fill(0);
        cleared[0x64..0x6c].fill(0);
        let mut unused = [0; SECTOR];
        unused[..4].copy_from_slice(&[0x01, 0xef, 0xcd, 0xab]);
        unused[0x06] = 0x30;
        for sector in [cleared, unused] {
            assert_eq!(Heartbeat::decode(&sector).unwrap().encode(), sector);
        }
    }

    /// Made up: no volume in this state was ever seen.
    #[test]
    fn a_slot_whose_journal_is_replayed_names_who_does_it() {
        let mut sector = in_use();
        sector[0] = 0x03;
        sector[0x6c..0x7c].fill(0x22);
        sector[0x94..0x9c].copy_from_slice(&0x34_1000_u64.to_le_bytes());
        sector[0x9c] = 7;
        let heartbeat = Heartbeat::decode(&sector).unwrap();
        assert_eq!(heartbeat.state, HeartbeatState::Replaying);
        assert_eq!(heartbeat.replaying_host, HostUuid::from_bytes([0x22; 16]));
        assert_eq!((heartbeat.replaying_heartbeat, heartbeat.replaying_generation), (0x34_1000, 7));
        assert_eq!(heartbeat.encode(), sector);
    }

    #[test]
    fn the_magic_alone_is_no_heartbeat() {
        let mut sector = in_use();
        sector[0] = 0x04;
        assert_eq!(Heartbeat::decode(&sector), None);
        let mut sector = in_use();
        sector[0x06] = 0x10;
        assert_eq!(Heartbeat::decode(&sector), None);
        assert_eq!(Heartbeat::decode(&in_use()[..511]), None);
    }

    proptest! {
        /// Whatever lies in a sector: no panic, and what is understood stays what it is.
        #[test]
        fn any_bytes_are_read_or_refused(
            mut sector in proptest::collection::vec(any::<u8>(), 0..600),
            magic in 1..4_u8,
        ) {
            if let Some(head) = sector.first_chunk_mut::<12>() {
                *head = [magic, 0xef, 0xcd, 0xab, 0, 2, 0x34, 0, 0, 0, 0, 0];
            }
            if let Some(heartbeat) = Heartbeat::decode(&sector) {
                prop_assert_eq!(Heartbeat::decode(&heartbeat.encode()), Some(heartbeat));
            }
        }
    }
}
