//! `pulsefield soak` on a unit of ours, by its paths over four fabrics: nothing is wrong with it, and what is
//! broken on purpose is seen as it must be.
//!
//! - `healthy`: every promise holds, and the volume is one;
//! - `catches`: faults of which hosts are told nothing, and which checkers catch;
//! - `plans`: the plans that ship, with the verdicts that they declare.

mod catches;
mod healthy;
mod plans;

use std::time::Duration;

use anyhow::Result;

use crate::backstore::{Backstore, Kind};
use crate::disk::Disk;
use crate::fabric;
use crate::report::Report;
use crate::targetcli::targetctl;

/// The unit.
const LUN: &str = "ds1";
/// Two over each fabric.
const HOSTS: usize = 8;
/// How long the healthy run is where it is one of many.
const HEALTHY: Duration = Duration::from_secs(60);
/// How long, where it is all there is.
const HALF_AN_HOUR: Duration = Duration::from_secs(30 * 60);
/// Where all that hosts draw comes from, unless there is more than one run of a kind.
const SEED: u64 = 7;

pub(super) fn run(report: &mut Report) -> Result<()> {
    let disks = export()?;
    healthy::run(report, &disks, HEALTHY)?;
    catches::run(report, &disks, &catches::FEW, SEED)?;
    plans::run(report, &disks, &plans::FEW)?;
    take_down()
}

/// Every plan, and every catch with one seed after the other.
pub(super) fn run_plans(report: &mut Report) -> Result<()> {
    const SEEDS: [u64; 3] = [1, 2, 3];
    let disks = export()?;
    plans::run(report, &disks, &plans::ALL)?;
    SEEDS.into_iter().try_for_each(|seed| catches::run(report, &disks, &catches::ALL, seed))?;
    take_down()
}

pub(super) fn run_half_hour(report: &mut Report) -> Result<()> {
    let disks = export()?;
    healthy::run(report, &disks, HALF_AN_HOUR)?;
    take_down()
}

fn export() -> Result<Vec<Disk>> {
    fabric::export_everywhere(&Backstore::new(Kind::Pulsefield, LUN, "512M"))
}

fn take_down() -> Result<()> {
    fabric::detach_everywhere()?;
    targetctl(&["clear"]).map(drop)
}
