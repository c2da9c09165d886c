//! The heartbeat of a host: one slot of the heartbeat region.

use std::net::Ipv4Addr;
use std::time::Duration;

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use crate::HostUuid;

/// Where the heartbeat region begins, in bytes from the start of the volume; the same on VMFS 3, 5
/// and 6.
pub const REGION_OFFSET: u64 = 0x30_0000;

/// The major version of VMFS 6, whose slots lie a 4 KiB page apart; before, a sector.
const VMFS_6: u32 = 24;

/// `FS3_Heartbeat`: the same on all versions of VMFS, as far as each of them fills it. The rest of
/// the slot is zero.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
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
    /// How the host locks: 3 was seen on a shared volume whose disk has no ATS. No complete list of
    /// the codes is known.
    lock_implementation: u8,
    /// Text, filled up with NULs.
    ip: [u8; 46],
    journal_address: U64,
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
    /// The major version of the driver that wrote it: 4 is VMFS 3, 14 is VMFS 5, 24 is VMFS 6.
    pub major_version: u32,
    /// Its minor version.
    pub minor_version: u8,
    /// The management address of the host that wrote it, if it is one of IPv4.
    pub management_address: Option<Ipv4Addr>,
    /// Who replays the journal of the owner; known from other readers, never seen.
    pub replaying_host: Option<HostUuid>,
}

impl Heartbeat {
    /// The heartbeat in `sector`, of which at least 512 bytes are there. `None` if the first word
    /// is none of the states, or the address is none of a slot's.
    pub fn decode(sector: &[u8]) -> Option<Self> {
        let (layout, _) = Layout::ref_from_prefix(sector.first_chunk::<512>()?).ok()?;
        let heartbeat = Self {
            state: HeartbeatState::decode(layout.state.get())?,
            address: layout.address.get(),
            generation: layout.generation.get(),
            stamp: Duration::from_micros(layout.stamp_us.get()),
            owner: HostUuid::from_bytes(layout.owner),
            major_version: layout.major.get(),
            minor_version: layout.minor,
            management_address: text(&layout.ip).and_then(|text| text.parse().ok()),
            replaying_host: HostUuid::from_bytes(layout.replaying_host),
        };
        (heartbeat.address >= REGION_OFFSET && heartbeat.address.is_multiple_of(512))
            .then_some(heartbeat)
    }

    /// The number of the slot, counted from 0. Of a slot that was never used, whose version is not
    /// written yet, as if it were one of VMFS 3 or 5.
    pub fn slot(&self) -> u64 {
        (self.address - REGION_OFFSET) / if self.major_version == VMFS_6 { 4096 } else { 512 }
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    std::str::from_utf8(&bytes[..end]).ok()
}

#[cfg(test)]
mod tests {
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
        assert_eq!(heartbeat.management_address, Some(Ipv4Addr::new(10, 0, 0, 229)));
        assert_eq!(heartbeat.replaying_host, None);
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
        sector[0] = 0x03;
        assert_eq!(Heartbeat::decode(&sector).unwrap().state, HeartbeatState::Replaying);
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
}
