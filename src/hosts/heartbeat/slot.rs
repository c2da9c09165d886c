//! Which slot a host takes: the same on all volumes of a version, and the same after an installation, so it
//! follows from the MAC address. By which function is not known; this one is ours.

use pulsefield_units::mix;
use pulsefield_vmfs::{HeartbeatRegion, HostUuid};

/// VMFS 3 and 5 have slots shorter than a page, and first choices that were seen begin one.
const PAGE: u64 = 4096;

/// The slots that `host` tries, in order: each slot of the region once.
pub(super) fn choices(region: HeartbeatRegion, host: HostUuid) -> impl Fn(u64) -> Option<u64> {
    let step = (PAGE / region.stride).max(1);
    let pages = (region.slots / step).max(1);
    let [a, b, c, d, e, f] = host.mac_address();
    let first = mix(u64::from_be_bytes([0, 0, a, b, c, d, e, f])) % pages;
    move |nth| {
        let slot = (first + nth) % pages * step + nth / pages;
        (nth < pages * step && slot < region.slots).then_some(slot)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const VMFS_5: HeartbeatRegion = HeartbeatRegion { slots: 2048, stride: 512 };
    const VMFS_6: HeartbeatRegion = HeartbeatRegion { slots: 1024, stride: 4096 };

    fn host(first: u8, mac: u8) -> HostUuid {
        let mut bytes = [first; 16];
        bytes[15] = mac;
        HostUuid::from_bytes(bytes).unwrap()
    }

    #[test]
    fn first_choices_begin_a_page_and_come_from_the_mac_address_alone() {
        let firsts: BTreeSet<_> =
            (0..64).map(|mac| choices(VMFS_5, host(1, mac))(0).unwrap()).collect();
        assert!(firsts.iter().all(|slot| slot % 8 == 0));
        assert!(firsts.len() > 48, "{firsts:?}");
        let mut other_installation = *host(1, 7).as_bytes();
        other_installation[0] = 0xff;
        let other_installation = HostUuid::from_bytes(other_installation).unwrap();
        assert_eq!(choices(VMFS_6, host(1, 7))(0), choices(VMFS_6, other_installation)(0));
    }

    #[test]
    fn in_the_end_every_slot_was_tried() {
        for region in [VMFS_5, VMFS_6] {
            let choice = choices(region, host(1, 7));
            let tried: BTreeSet<_> = (0..region.slots).map(|nth| choice(nth).unwrap()).collect();
            assert_eq!(tried.len() as u64, region.slots);
            assert_eq!(choice(region.slots), None);
        }
    }
}
