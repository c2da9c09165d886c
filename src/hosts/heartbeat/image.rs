//! The images that hosts write into heartbeat slots (vmfs-tools, and what was read off real volumes).

use std::net::IpAddr;
use std::time::Duration;

use pulsefield_vmfs::{Heartbeat, HeartbeatState, HostUuid, LockHolder, Version};

use crate::{Locking, Sector};

/// What a host writes of itself.
#[derive(Clone, Debug)]
pub(crate) struct Author {
    /// Who it is.
    pub(crate) host: HostUuid,
    /// Its management address.
    pub(crate) management_address: Option<IpAddr>,
    /// The version of its driver.
    pub(crate) version: Version,
    /// How it locks on this volume.
    pub(crate) locking: Locking,
}

impl Author {
    /// A slot that was clear, taken.
    pub(crate) fn acquired(&self, clear: &Heartbeat, uptime: Duration) -> Heartbeat {
        Heartbeat {
            state: HeartbeatState::InUse,
            generation: clear.generation.saturating_add(1),
            stamp: uptime,
            owner: Some(self.host),
            journal: None,
            major_version: self.version.major,
            minor_version: self.version.minor,
            // 3 was seen where the device had no ATS; 4 for ATS alone is from memory of logs.
            lock_implementation: if self.locking.may_reserve() { 3 } else { 4 },
            management_address: self.management_address,
            journal_offset: 0,
            replaying_host: None,
            replaying_heartbeat: 0,
            replaying_generation: 0,
            ..clear.clone()
        }
    }
}

/// The image after `image`, `uptime` after its host's start: only the stamp moves, and it always does.
///
/// # Panics
/// If `image` is no heartbeat: a host keeps no other.
pub(super) fn pulsed(image: &Sector, uptime: Duration) -> Sector {
    let heartbeat = Heartbeat::decode(image).expect("a host keeps images of its heartbeat");
    let stamp = uptime.max(heartbeat.stamp + Duration::from_micros(1));
    Heartbeat { stamp, ..heartbeat }.encode()
}

/// A slot given back, by its owner or by whoever replayed its journal. Stamp, address and version stay.
pub(super) fn cleared(used: &Heartbeat) -> Heartbeat {
    Heartbeat {
        state: HeartbeatState::Clear,
        generation: used.generation.saturating_add(1),
        owner: None,
        journal: None,
        journal_offset: 0,
        replaying_host: None,
        replaying_heartbeat: 0,
        replaying_generation: 0,
        ..used.clone()
    }
}

/// The slot of a host that is taken for dead, while `by` replays its journal. That the generation stays is
/// inferred: KB 52879 has an owner find it grown by exactly one after the clearing that follows.
pub(super) fn replaying(dead: &Heartbeat, by: LockHolder) -> Heartbeat {
    Heartbeat {
        state: HeartbeatState::Replaying,
        replaying_host: Some(by.host),
        replaying_heartbeat: by.heartbeat_address,
        replaying_generation: by.heartbeat_generation,
        ..dead.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn author() -> Author {
        Author {
            host: "685eb8eb-7f3e3890-4544-bc2411b17e28".parse().unwrap(),
            management_address: Some(IpAddr::from([10, 0, 0, 229])),
            version: Version { major: 24, minor: 82 },
            locking: Locking::AtsAndScsi,
        }
    }

    /// Slot 64 of a VMFS 6 volume that was cleared once, as it lay on the medium.
    fn clear() -> Heartbeat {
        let mut sector = [0; 512];
        sector[..4].copy_from_slice(&[0x01, 0xef, 0xcd, 0xab]);
        sector[0x06] = 0x34;
        sector[0x0c] = 8;
        sector[0x14..0x18].copy_from_slice(&0x5c1a_7e67_u32.to_le_bytes());
        sector[0x30..0x36].copy_from_slice(&[0x18, 0, 0, 0, 0x52, 0x03]);
        sector[0x36..0x40].copy_from_slice(b"10.0.0.229");
        Heartbeat::decode(&sector).unwrap()
    }

    #[test]
    fn a_slot_is_used_as_esxi_uses_it_and_given_back_as_it_was_seen() {
        let uptime = Duration::from_micros(243_300_042_824);
        let used = author().acquired(&clear(), uptime);
        assert_eq!((used.state, used.generation, used.slot()), (HeartbeatState::InUse, 9, 64));
        let sector = used.encode();
        assert_eq!(
            sector[..0x14],
            [
                0x02, 0xef, 0xcd, 0xab, 0x00, 0x00, 0x34, 0x00, 0x00, 0x00, 0x00, 0x00, 0x09, 0x00,
                0x00, 0x00, 0x00, 0x00, 0x00, 0x00
            ]
        );
        assert_eq!(sector[0x14..0x1c], [0x48, 0x08, 0xd0, 0xa5, 0x38, 0, 0, 0]);
        let given_back = cleared(&used);
        let expected = Heartbeat { generation: 10, stamp: uptime, ..clear() };
        assert_eq!(given_back, expected);
    }

    #[test]
    fn a_pulse_moves_the_stamp_alone_and_always() {
        let used = author().acquired(&clear(), Duration::from_secs(3));
        let later = pulsed(&used.encode(), Duration::from_secs(6));
        let expected = Heartbeat { stamp: Duration::from_secs(6), ..used.clone() };
        assert_eq!(Heartbeat::decode(&later), Some(expected));
        assert_ne!(pulsed(&later, Duration::from_secs(6)), later);
    }

    #[test]
    fn who_replays_is_named_and_gone_when_it_is_done() {
        let dead = author().acquired(&clear(), Duration::from_secs(3));
        let by = LockHolder {
            heartbeat_address: 0x30_1000,
            heartbeat_generation: 5,
            host: HostUuid::from_bytes([7; 16]).unwrap(),
        };
        let replayed = replaying(&dead, by);
        assert_eq!((replayed.generation, replayed.owner), (dead.generation, dead.owner));
        assert_eq!(replayed.replaying_host, Some(by.host));
        assert_eq!(cleared(&replayed), cleared(&dead));
    }
}
