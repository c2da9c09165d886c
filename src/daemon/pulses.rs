//! What the control plane tells of hosts: the units are asked which ones pulse, and their answers are put
//! into words and numbers here, on the thread of whoever asked.

use std::time::Duration;

use pulsefield_control::UnitError;
use pulsefield_control::protocol::{HostPulse, LunHosts};
use pulsefield_units::Instant;

use crate::asking::{Promise, Reached, reach};
use crate::clock;
use crate::hosts::{Host, Intervals};
use crate::station::Message;
use crate::table::SharedTable;

/// Which hosts pulse on the unit `lun`, or on all that serve. Of all, those that do not answer are left
/// out: they have other troubles.
pub(crate) fn report(table: &SharedTable, lun: Option<&str>) -> Result<Vec<LunHosts>, UnitError> {
    let units = reach(table, lun)?;
    let ask = |unit: &Reached| unit.ask(|reply| Message::ReportHosts { reply });
    let promises: Vec<Promise<Vec<Host>>> = units.iter().map(ask).collect();
    let mut luns = Vec::new();
    for promise in promises {
        match promise.wait() {
            Ok((name, hosts)) => {
                let now = clock::now();
                let hosts = hosts.iter().map(|host| host_pulse(host, now)).collect();
                luns.push(LunHosts { lun: name, hosts });
            }
            Err(error) if lun.is_some() => return Err(error),
            Err(_) => {}
        }
    }
    luns.sort_by(|a, b| a.lun.cmp(&b.lun));
    Ok(luns)
}

fn host_pulse(host: &Host, now: Instant) -> HostPulse {
    let [_, in_time, _] = host.intervals.upto();
    HostPulse {
        host: host.uuid.to_string(),
        slot: host.slot,
        address: host.management_address.map(|address| address.to_string()),
        up_ms: millis(host.stamp),
        age_ms: millis(now.since(host.last)),
        intervals: host.intervals.count(),
        late: host.intervals.count() - in_time,
        longest_ms: millis(host.intervals.longest),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What [`HostPulse::late`] is about.
const _: () = assert!(Intervals::BOUNDS[1].as_secs() == 8);

#[cfg(test)]
mod tests {
    use pulsefield_vmfs::Heartbeat;

    use super::*;
    use crate::hosts::{Hosts, tests::sector};

    #[test]
    fn times_are_in_milliseconds_and_late_is_beyond_eight_seconds() {
        let second = |seconds: u64| Instant::from_nanos(seconds * 1_000_000_000);
        let mut hosts = Hosts::default();
        for at in [1_u64, 4, 13, 21] {
            let mut sector = sector(64, 7);
            sector[0x14..0x1c].copy_from_slice(&(at * 1_000_000).to_le_bytes());
            sector[0x36..0x3f].copy_from_slice(b"10.0.0.22");
            hosts.note(second(at), &Heartbeat::decode(&sector).unwrap());
        }
        let [host] = &hosts.report(second(22))[..] else { panic!("one host") };
        let pulse = HostPulse {
            host: "07070707-07070707-0707-070707070707".to_owned(),
            slot: 64,
            address: Some("10.0.0.22".to_owned()),
            up_ms: 21_000,
            age_ms: 1_000,
            intervals: 3,
            late: 1,
            longest_ms: 9_000,
        };
        assert_eq!(host_pulse(host, second(22)), pulse);
    }
}
