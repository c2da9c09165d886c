//! A run in which nothing is wrong with the unit, though hosts crash and freeze.

use std::time::Duration;

use anyhow::Result;

use super::{HOSTS, SEED};
use crate::disk::Disk;
use crate::report::Report;
use crate::soak::{HELD, Soak, Volume};

/// Something of what these are about happens in every minute. `no-early-takeover` is left: it takes a host that
/// is away for longer than its lease, of whom another one wants something.
const PROMISES: [&str; 8] = [
    "lock-exclusion",
    "linearizable",
    "information",
    "heartbeat-deadline",
    "durability",
    "answered-once",
    "fairness",
    "monotonic",
];
/// How `pulsefield soak` labels its volumes.
const LABEL: &str = "pulsefield-scratch";
/// Of the 240 and 64 locks that it makes; more may be found.
const LOCKS: u64 = 304;
/// A host pulses every 3 s.
const PULSE_PERIOD_S: u64 = 3;

pub(super) fn run(report: &mut Report, disks: &[Disk], lasting: Duration) -> Result<()> {
    report.step(format!("{HOSTS} hosts on {} fabrics for {} s", disks.len(), lasting.as_secs()));
    let soak =
        Soak { name: "healthy", hosts: HOSTS, mix: "mixed", seed: SEED, lasting, plan: None };
    let soaked = soak.on(disks)?;
    let found = &soaked.found;
    soaked.must_end_with(report, "healthy", &[HELD]);
    report.none("healthy: breaches", &found.breaches().collect::<Vec<_>>());
    report.none("healthy: promises not checked", &found.not_held(&PROMISES));
    report.equal("healthy: on", "devices", &*found.setup.emulation);
    let spread = found.hosts_by_transport();
    for disk in disks {
        let transport = disk.transport.to_string();
        let hosts = spread.get(&*transport).copied().unwrap_or_default();
        report.equal(&format!("healthy: hosts over {transport}"), HOSTS / disks.len(), hosts);
    }
    // Half of what they would be, had no host ever crashed or frozen.
    let pulses = HOSTS as u64 * lasting.as_secs() / PULSE_PERIOD_S / 2;
    let heartbeats = found.heartbeats.all;
    report.at_least("healthy: heartbeats", pulses, heartbeats.map_or(0, |all| all.count));
    report.figure("healthy.heartbeats", heartbeats);
    for promise in &found.promises {
        report.figure(&format!("healthy.{}", promise.name), promise.checked);
    }
    let page = soaked.page.contains("<svg") && soaked.page.contains("PASS");
    report.check("healthy: the page for people", page, "has plots and the verdict", page);
    for disk in disks {
        let name = format!("healthy: the volume over {}", disk.transport);
        if let Some(volume) = report.works(&name, Volume::read(disk)) {
            report.equal(&format!("{name}: its label"), LABEL, &*volume.label);
            report.at_least(&format!("{name}: locks"), LOCKS, volume.locks);
            report.at_least(&format!("{name}: slots that were used"), HOSTS, volume.slots);
        }
    }
    Ok(())
}
