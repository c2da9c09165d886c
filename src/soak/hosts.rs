//! The hosts of a run: who they are, and how they differ.

use pulsefield_hosts::{HeartbeatMode, HostConfig, Locking};
use pulsefield_report::{Host, Path};
use pulsefield_units::{Random, mix};
use pulsefield_vmfs::HostUuid;

/// The most that one process has: a volume of VMFS 6 is for 64 hosts.
pub(crate) const HOSTS_MAX: u32 = 64;

/// The hosts of a run with this seed.
pub(crate) fn hosts(count: u32, seed: u64) -> Vec<HostConfig> {
    (0..count).map(|nth| host(nth, seed)).collect()
}

fn host(nth: u32, seed: u64) -> HostConfig {
    let mut random = Random::new(mix(seed ^ mix(u64::from(nth) + 1)));
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&random.any().to_le_bytes());
    // A locally administered MAC address, whose last bytes count.
    let [.., high, low] = nth.to_be_bytes();
    bytes[10..].copy_from_slice(&[0x02, 0x50, 0x46, random.byte(), high, low]);
    let uuid = HostUuid::from_bytes(bytes).expect("it has an address");
    // Releases of several ages beside each other, as in a cluster that is being upgraded.
    let heartbeat = match nth % 4 {
        3 => HeartbeatMode::Ats,
        _ => HeartbeatMode::AtsReadBack,
    };
    HostConfig { uuid, management_address: None, heartbeat, seed: random.any() }
}

/// What host `nth` is called.
pub(crate) fn name(nth: u32) -> String {
    format!("esx{:02}", nth + 1)
}

/// What a report says of host `nth`.
pub(crate) fn described(nth: u32, config: &HostConfig, locking: Locking, paths: Vec<Path>) -> Host {
    Host {
        id: nth,
        uuid: config.uuid.to_string(),
        name: name(nth),
        modes: vec![
            format!("heartbeats by {}", config.heartbeat.name()),
            locking.name().to_owned(),
        ],
        paths,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn hosts_differ_and_a_seed_repeats_them() {
        let all = hosts(HOSTS_MAX, 7);
        let uuids: HashSet<_> = all.iter().map(|host| host.uuid).collect();
        let addresses: HashSet<_> = all.iter().map(|host| host.uuid.mac_address()).collect();
        assert_eq!((uuids.len(), addresses.len()), (64, 64));
        assert_eq!(all, hosts(HOSTS_MAX, 7));
        assert_ne!(all, hosts(HOSTS_MAX, 8));
    }
}
