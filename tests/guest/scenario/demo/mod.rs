//! The main job for a person to watch, in chapters: a unit that four fabrics lead to, one sector that loses no
//! increment, and a soak of four hosts whose heartbeats are held up half-way, explained and reported.
//!
//! - `race`: the sector;
//! - `soak`: the hosts, the fault and the report.

mod race;
mod soak;

use anyhow::Result;

use crate::backstore::{Backstore, Kind};
use crate::disk::Disk;
use crate::fabric;
use crate::report::Report;

/// The unit that all of it happens on, as targetcli and the daemon call it.
const LUN: &str = "ds1";

pub(super) fn run(report: &mut Report) -> Result<()> {
    let unit = Backstore::new(Kind::Pulsefield, LUN, "1G");
    report.chapter("1. A logical unit in a file, and four fabrics that lead to it");
    let disks = export(report, &unit)?;
    report.chapter("2. One sector, four initiators at once: COMPARE AND WRITE loses no increment");
    race::run(report, &disks)?;
    report.chapter(
        "3. Four emulated ESXi hosts share the unit as a datastore, each over a fabric of its own",
    );
    let soaking = soak::start(report, &disks)?;
    report.chapter(
        "4. Half-way the unit begins to fail as a real array did: some heartbeats take 9 s",
    );
    let found = soaking.through_the_fault(report)?;
    report.chapter(
        "5. What checkers say of it: which promises held, and whether the fault explains the rest",
    );
    soak::judge(report, &found, disks.len());
    report.chapter("6. What the target knows of it: `pulsefield explain ds1`");
    soak::explain(report)
    // Nothing is taken down: the guest is switched off, and `tcm_fc` of Linux 6.1 never lets go of a port by which
    // a host has given a command up. That units can be removed is for the scenarios `removal` and `fabrics`.
}

/// Exports the unit with the scripts of targetcli-examples, and logs in over each fabric.
fn export(report: &mut Report, unit: &Backstore) -> Result<Vec<Disk>> {
    for fabric in fabric::ALL {
        let (script, transport) = (fabric.example().file_name(), fabric.transport());
        report.step(format!("{script}: exporting {} over {transport}", unit.name));
        fabric::export(fabric, unit)?;
    }
    let serial = unit.serial()?;
    let mut disks = Vec::new();
    for fabric in fabric::ALL {
        for disk in fabric::attach(fabric, &serial)? {
            report.step(format!("the initiator sees {disk}"));
            disks.push(disk);
        }
    }
    disks.dedup_by_key(|disk| disk.transport);
    report.equal("fabrics that show the logical unit", fabric::ALL.len(), disks.len());
    Ok(disks)
}
