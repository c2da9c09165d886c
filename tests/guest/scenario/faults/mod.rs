//! Every fault of the catalogue, armed with `pulsefield fault arm` and seen from initiators: what a
//! command is answered, what lies on the medium, what the log says, and that disarming ends it.
//!
//! - `rows`: faults that one command shows, in a table;
//! - `timing`: those that hold commands up, on every fabric;
//! - `silence`: those that never answer;
//! - `scenes`: those that take two commands, or time;
//! - `neighbours`: what one slow heartbeat costs all others.

mod neighbours;
mod probe;
mod rows;
mod scenes;
mod silence;
mod timing;

use std::collections::BTreeSet;
use std::fmt::Display;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::backstore::{Backstore, Kind};
use crate::cdb;
use crate::disk::Disk;
use crate::fabric;
use crate::fault::{self, Hit};
use crate::report::Report;
use crate::sg::{Data, Device};
use crate::targetcli::targetctl;
use crate::wait::wait_until;

/// The unit that is broken.
const LUN: &str = "ds1";
/// The block that most faults happen to: the first of a page of 4 KiB.
const LBA: u64 = 1000;
/// How long a hit may take to show in the log.
const HIT_LIMIT: Duration = Duration::from_secs(30);

/// One initiator's way to the unit.
struct Path {
    disk: Disk,
    device: Device,
}

pub(super) fn run(report: &mut Report) -> Result<()> {
    let unit = Backstore::new(Kind::Pulsefield, LUN, "64M");
    let open = |disk: Disk| disk.open().map(|device| Path { disk, device });
    let paths =
        fabric::export_everywhere(&unit)?.into_iter().map(open).collect::<Result<Vec<_>>>()?;
    settle(&paths)?;
    report.none("faults of the catalogue that nothing here shows", &missing()?);
    rows::run(report, &paths)?;
    timing::run(report, &paths)?;
    silence::run(report, &paths)?;
    neighbours::run(report, &paths)?;
    scenes::run(report, &paths)?;
    report.equal("rules armed at the end", 0, fault::armed(LUN)?.len());
    drop(paths);
    fabric::detach_everywhere()?;
    targetctl(&["clear"]).map(drop)
}

/// Faults that neither a table nor a scene names, and names that are no faults.
fn missing() -> Result<Vec<String>> {
    let known: BTreeSet<_> = fault::catalogue()?.into_iter().collect();
    let all = [rows::names(), timing::names(), silence::names(), scenes::names()];
    let shown: BTreeSet<_> = all.into_iter().flatten().map(str::to_owned).collect();
    Ok(known.symmetric_difference(&shown).cloned().collect())
}

/// Takes whatever unit attentions are pending on any path.
fn settle(paths: &[Path]) -> Result<()> {
    paths.iter().try_for_each(|path| path.device.must(&cdb::TEST_UNIT_READY, Data::None))
}

/// What a check is called: a fault as it is armed, and over what it is seen.
fn title(fault: &str, settings: &str, over: impl Display) -> String {
    match settings {
        "" => format!("{fault} over {over}"),
        settings => format!("{fault} {settings} over {over}"),
    }
}

/// Records what was wrong about one fault, and makes sure that none is armed any more.
fn conclude(report: &mut Report, name: &str, objections: Result<Vec<String>>) -> Result<()> {
    let objections = objections.unwrap_or_else(|error| vec![format!("{error:#}")]);
    report.none(name, &objections);
    fault::disarm(LUN)
}

/// What is wrong with the log, if the rule was to hit at least `least` commands since `from`.
fn log_objection(rule: &str, from: u64, least: usize) -> Result<Option<String>> {
    let hits = hits(rule, from)?;
    let answered = hits.iter().filter(|hit| hit.selected && hit.after.is_some()).count();
    Ok((answered < least).then(|| format!("the log has {answered} answered hits: {hits:?}")))
}

/// What is wrong if anything was hit since `from`.
fn lifted_objection(from: u64) -> Result<Option<String>> {
    let hits = fault::log(LUN, from)?;
    Ok((!hits.is_empty()).then(|| format!("hit though disarmed: {hits:?}")))
}

fn hits(rule: &str, from: u64) -> Result<Vec<Hit>> {
    Ok(fault::log(LUN, from)?.into_iter().filter(|hit| hit.rule == rule).collect())
}

/// Sends one command, and does something else once the log shows that it was hit.
fn while_held<T: Send, U>(
    send: impl FnOnce() -> Result<T> + Send,
    then: impl FnOnce() -> Result<U>,
) -> Result<(T, U)> {
    let from = fault::next_hit(LUN)?;
    thread::scope(|scope| {
        let sender = scope.spawn(send);
        wait_until(HIT_LIMIT, "the hit to show in the log", || {
            Ok(!fault::log(LUN, from)?.is_empty())
        })?;
        let then = then()?;
        let sent = sender.join().unwrap_or_else(|_| bail!("the sender panicked"))?;
        Ok((sent, then))
    })
}
