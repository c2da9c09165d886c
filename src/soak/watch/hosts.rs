//! Who the hosts are: those whose heartbeats and locks go by. Which initiator a command comes from a record does not
//! say.

use std::collections::BTreeMap;
use std::net::IpAddr;

use pulsefield_checkers::HostId;
use pulsefield_report::Host;
use pulsefield_vmfs::{Heartbeat, HostUuid};

use crate::collector::Teller;

/// The hosts that were seen, numbered in the order in which they were.
#[derive(Debug, Default)]
pub(super) struct Hosts(BTreeMap<HostUuid, Known>);

/// What is known of a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Known {
    id: u32,
    address: Option<IpAddr>,
    /// Whether it was seen to pulse by ATS, and by plain writes.
    by_ats: bool,
    by_writes: bool,
}

impl Hosts {
    /// How many were seen.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The host with this UUID; somebody, if nobody knows which.
    pub(super) fn id(&mut self, uuid: Option<HostUuid>, teller: &Teller) -> HostId {
        uuid.map_or(HostId::SOMEBODY, |uuid| self.change(uuid, teller, |_| {}))
    }

    /// The host that has sent this heartbeat.
    pub(super) fn pulse(
        &mut self,
        uuid: HostUuid,
        pulse: &Heartbeat,
        by_ats: bool,
        teller: &Teller,
    ) -> HostId {
        self.change(uuid, teller, |known| {
            known.address = pulse.management_address.or(known.address);
            known.by_ats |= by_ats;
            known.by_writes |= !by_ats;
        })
    }

    fn change(
        &mut self,
        uuid: HostUuid,
        teller: &Teller,
        change: impl FnOnce(&mut Known),
    ) -> HostId {
        let id = u32::try_from(self.0.len()).expect("a volume is for 64 hosts");
        let known = self.0.entry(uuid);
        let is_new = matches!(known, std::collections::btree_map::Entry::Vacant(_));
        let known = known.or_insert(Known { id, ..Known::default() });
        let before = *known;
        change(known);
        if is_new || *known != before {
            teller.host(described(uuid, known));
        }
        HostId(known.id)
    }
}

/// What a report says of a host. Breaches speak of hosts by their numbers, so that a name begins with it.
fn described(uuid: HostUuid, known: &Known) -> Host {
    let Known { id, address, by_ats, by_writes } = *known;
    let name = match address {
        Some(address) => format!("host {id} ({address})"),
        None => format!("host {id} ({uuid})"),
    };
    let modes = [(by_ats, "heartbeats by ATS"), (by_writes, "heartbeats by plain writes")];
    let modes = modes.into_iter().filter(|(seen, _)| *seen).map(|(_, mode)| mode.to_owned());
    Host { id, uuid: uuid.to_string(), name, modes: modes.collect(), paths: Vec::new() }
}
