//! Every cause of an ATS miscompare and of a late heartbeat, brought about over real fabrics, and what
//! `pulsefield explain` says of it: the finding, the writer and when it wrote. Whatever it says besides is wrong.
//!
//! - `script`: hosts that do as a scene wants, and what is to be found about it;
//! - `scenes`: what hosts, tools and media do to one another;
//! - `injected`: the same by rules of plans of faults;
//! - `slow`: a disk that takes its time;
//! - `clean`: many hosts that do nothing wrong;
//! - `records`: what else is read of a record, and records that are none;
//! - `top`: the dashboard in a terminal;
//! - `watching`: `pulsefield soak --watch`, which judges what is recorded.

mod clean;
mod injected;
mod records;
mod scenes;
mod script;
mod slow;
mod top;
mod watching;

use anyhow::{Context, Result};

use crate::backstore::{Backstore, Kind};
use crate::cdb;
use crate::disk::{Disk, Transport};
use crate::fabric;
use crate::report::Report;
use crate::sg::Data;
use crate::targetcli::targetctl;

/// The unit that most scenes happen on.
const LUN: &str = "ds1";

pub(super) fn run(report: &mut Report) -> Result<()> {
    let clean = clean::export()?;
    let unit = Backstore::new(Kind::Pulsefield, LUN, "64M");
    let disks = fabric::export_everywhere(&unit)?;
    disks.iter().try_for_each(settle)?;
    on_one_unit(report, &disks)?;
    records::run(report)?;
    let shown = top::run(report, &disks);
    report.works("top: the scene runs to its end", shown);
    let watched = watching::run(report, &disks);
    report.works("watch: the scenes run to their end", watched);
    records::raised(report)?;
    slow::run(report)?;
    clean::run(report, &clean, clean::SHORT)?;
    fabric::detach_everywhere()?;
    targetctl(&["clear"]).map(drop)
}

/// An hour in which nothing goes wrong.
pub(super) fn run_clean_hour(report: &mut Report) -> Result<()> {
    clean::run(report, &clean::export()?, clean::HOUR)?;
    fabric::detach_everywhere()?;
    targetctl(&["clear"]).map(drop)
}

/// All scenes of the first unit, each in its own slot or lock, and what is explained of them together.
fn on_one_unit(report: &mut Report, disks: &[Disk]) -> Result<()> {
    let silent = scenes::fall_silent(disks)?;
    let mut script = script::Script::default();
    for (name, play) in scenes::ALL.into_iter().chain(injected::ALL) {
        report.step(name);
        let played = play(disks, &mut script).with_context(|| format!("the scene \"{name}\""));
        report.works(&format!("{name}: runs to its end"), played);
    }
    report.step("takeover after a missed lease");
    silent.taken_over(&mut script)?;
    script.judge(report, LUN)
}

/// Takes what is pending: a power-on, and that there is a LUN more.
fn settle(disk: &Disk) -> Result<()> {
    disk.open()?.must(&cdb::TEST_UNIT_READY, Data::None)
}

/// The path over this fabric.
fn over(disks: &[Disk], transport: Transport) -> Result<&Disk> {
    let found = disks.iter().find(|disk| disk.transport == transport);
    found.with_context(|| format!("no path over {transport}"))
}
