//! `pulsefield-bench`: what a command costs from its entry in the ring to its answer there.
//!
//! In front of the house: the daemon's conductor as it serves a device, with the real ring, device server
//! and media, but behind a simulated kernel in the same process and thread. The kernel's share is in no
//! figure. There is time, for one core, which a busy machine disturbs, and there are instructions as
//! callgrind counts them, which nothing disturbs; it counts each byte that `rep stosb` sets as one, so a
//! READ of zeros counts 4096 more than it is worth.
//!
//! Beside that: what a bare loop behind the same ring takes, with and without copying data, which is the
//! limit; and what the checkers of a soak take of an operation.

mod bare;
mod callgrind;
mod checking;
mod figure;
mod holding;
mod range_lock;
mod stand;
mod stopwatch;
mod workload;

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;

use crate::figure::Report;
use crate::stand::{Parts, Stand};
use crate::workload::{GROUPS, Group, Workload};

/// Measures what a command costs between the ring and the medium, without a kernel.
#[derive(Parser)]
#[command(name = "pulsefield-bench")]
struct Options {
    /// Print a JSON object a line: {"name", "value", "unit"}.
    #[arg(long)]
    json: bool,
    /// Measure only what has this in its name.
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// For how long to measure the time of each workload.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Do not count instructions, which takes a minute. Without valgrind they are not counted either.
    #[arg(long)]
    no_instructions: bool,
    /// Run this workload to be counted by callgrind: what this program starts itself with.
    #[arg(long, value_name = "WORKLOAD", hide = true)]
    counted: Option<String>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    if let Some(name) = &options.counted {
        return run_counted(name);
    }
    let per_workload = Duration::try_from_secs_f64(options.seconds).context("--seconds")?;
    let wanted = |name: &str| name.contains(&options.only);
    let mut report = Report::new(options.json);
    for group in GROUPS {
        let workloads: Vec<_> =
            group.workloads.iter().filter(|workload| wanted(workload.name)).collect();
        stopwatch::measure(&workloads, per_workload, &mut report)?;
        add_growth(group, "time", &mut report);
    }
    if wanted(range_lock::NAME) {
        range_lock::measure(&mut report);
    }
    if wanted(checking::NAME) {
        checking::measure(&mut report)?;
    }
    if !options.no_instructions && callgrind::is_installed() {
        for group in GROUPS {
            for workload in group.workloads.iter().filter(|workload| wanted(workload.name)) {
                callgrind::count(workload.name, callgrind::BATCHES * stand::DEPTH, &mut report)?;
            }
            add_growth(group, "instructions", &mut report);
        }
        if wanted(range_lock::NAME) {
            for held in range_lock::NUMBERS {
                callgrind::count(&range_lock::name(held), callgrind::BATCHES, &mut report)?;
            }
        }
        if wanted(checking::NAME) {
            for work in checking::Work::ALL {
                callgrind::count(work.name(), checking::OPERATIONS, &mut report)?;
            }
        }
    }
    ensure!(!report.is_empty(), "nothing is called `{}`", options.only);
    Ok(())
}

/// Adds how much more the last of a group costs than the first, if that is bounded and both were
/// measured.
fn add_growth(group: &Group, what: &str, report: &mut Report) {
    if let ([first, .., last], Some(growth_max)) = (group.workloads, group.growth_max) {
        let [first, last] = [first, last].map(|workload| format!("{}.{what}", workload.name));
        report.add_growth(format!("{}.{what}.growth", group.name), &first, &last, growth_max);
    }
}

/// What callgrind looks on at.
fn run_counted(name: &str) -> Result<()> {
    if let Some(number) = range_lock::number_in(name) {
        range_lock::run(number, callgrind::BATCHES);
        return Ok(());
    }
    if let Some(work) = checking::Work::called(name) {
        return checking::run(work);
    }
    let workload = Workload::called(name).with_context(|| format!("no workload `{name}`"))?;
    let mut parts = Parts::new(workload)?;
    let mut stand = Stand::new(&mut parts)?;
    for _ in 0..callgrind::BATCHES {
        stand.batch()?;
    }
    Ok(())
}
