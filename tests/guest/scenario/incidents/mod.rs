//! The plans of faults that ship, armed as they stand in the package: each shows the verdict that it
//! declares on a fabric.
//!
//! - `heartbeats`: plans that hurt a host's heartbeat;
//! - `locks`: plans that hosts contend under, and the control;
//! - `array`: plans that make the unit itself something else.

mod array;
mod heartbeats;
mod locks;

use anyhow::{Context, Result};

use crate::backstore::{Backstore, Kind};
use crate::cdb;
use crate::disk::{Disk, Transport};
use crate::fabric::{self, Fabric, Iscsi, Loopback, Srp};
use crate::fault;
use crate::report::Report;
use crate::sg::Data;
use crate::targetcli::targetctl;

/// The unit that most incidents happen to.
const LUN: &str = "ds1";
/// The one that fills up meanwhile.
const POOL: &str = "pool";

/// What it is exported over. Not FC: hosts here give commands up, which `tcm_fc` does not survive
/// (see the scenario `faults`).
const FABRICS: [&dyn Fabric; 3] = [&Loopback, &Iscsi, &Srp];

/// A plan, and what shows its verdict; it is armed then.
struct Incident {
    plan: &'static str,
    show: fn(&mut Report, &[Disk]) -> Result<()>,
}

const INCIDENTS: [Incident; 7] = [
    Incident { plan: "ibm-8-second-heartbeats", show: heartbeats::eight_seconds },
    Incident { plan: "lost-status", show: heartbeats::lost_status },
    Incident { plan: "hba-driver-bug", show: heartbeats::driver_bug },
    Incident { plan: "false-equality", show: locks::false_equality },
    Incident { plan: "non-ats-lun", show: array::without_ats },
    Incident { plan: "zero-lie", show: array::lie_about_zeros },
    Incident { plan: "starved-array", show: array::starved },
];

pub(super) fn run(report: &mut Report) -> Result<()> {
    let unit = Backstore::new(Kind::Pulsefield, LUN, "64M");
    let pool = Backstore::new(Kind::Pulsefield, POOL, "64M");
    let pool_disk = fabric::over_loopback(&pool)?;
    settle(&pool_disk)?;
    // It is full after two minutes, so all else comes in between.
    let filling = arm(report, POOL, "thin-pool-full") && array::threshold(report, &pool_disk)?;
    let disks = fabric::export_over(&FABRICS, &unit)?;
    disks.iter().chain([&pool_disk]).try_for_each(settle)?;
    locks::healthy_control(report, &disks)?;
    for Incident { plan, show } in INCIDENTS {
        if !arm(report, LUN, plan) {
            continue;
        }
        let shown = show(report, &disks);
        report.works(&format!("{plan}: its incident runs to the end"), shown);
        fault::disarm(LUN)?;
    }
    array::failover(report, &disks)?;
    if filling {
        array::full(report, &pool_disk)?;
    }
    fault::disarm(POOL)?;
    FABRICS.iter().try_for_each(|fabric| fabric::detach(*fabric))?;
    targetctl(&["clear"]).map(drop)
}

/// Takes what is pending: a power-on, and that there is a LUN more.
fn settle(disk: &Disk) -> Result<()> {
    disk.open()?.must(&cdb::TEST_UNIT_READY, Data::None)
}

/// Arms a plan as it stands; says whether that worked.
fn arm(report: &mut Report, lun: &str, plan: &str) -> bool {
    report.step(format!("{plan}.toml"));
    report.works(&format!("{plan}: pulsefield check"), fault::check_plan(plan));
    let armed = fault::arm_plan(lun, plan);
    armed.is_ok_and(|ended| {
        let name = format!("{plan}: pulsefield fault arm");
        report.check(&name, ended.code == 0, "ends with 0", ended.said())
    })
}

/// Records that a rule has hit at least `least` commands.
fn hit(report: &mut Report, plan: &str, rule: &str, least: u64) -> Result<()> {
    let hits = fault::hits_of(LUN, rule)?;
    report.at_least(&format!("{plan}: hits of \"{rule}\""), least, hits);
    Ok(())
}

/// The path over this fabric.
fn over(disks: &[Disk], transport: Transport) -> Result<&Disk> {
    let found = disks.iter().find(|disk| disk.transport == transport);
    found.with_context(|| format!("no path over {transport}"))
}
