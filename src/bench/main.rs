//! `pulsefield-bench`: what a command costs from its entry in the ring to its answer there.
//!
//! Beside the house: the real ring, device server and media, behind a simulated kernel in the same
//! process and thread, and between them a loop that mirrors the daemon's conductor (`conductor.rs`). The
//! kernel's share is in no figure. There is time, for one core, which a busy machine disturbs, and there
//! are instructions as callgrind counts them, which nothing disturbs; it counts each byte that `rep
//! stosb` sets as one, so a READ of zeros counts 4096 more than it is worth.

mod callgrind;
mod conductor;
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
use crate::stand::Stand;
use crate::workload::{WORKLOADS, Workload};

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
    for group in workload::groups() {
        let group: Vec<_> = group.iter().filter(|workload| wanted(workload.name)).collect();
        stopwatch::measure(&group, per_workload, &mut report)?;
    }
    if wanted(range_lock::NAME) {
        range_lock::measure(&mut report);
    }
    if !options.no_instructions && callgrind::is_installed() {
        for workload in WORKLOADS.iter().filter(|workload| wanted(workload.name)) {
            callgrind::count(workload.name, callgrind::BATCHES * stand::DEPTH, &mut report)?;
        }
        if wanted(range_lock::NAME) {
            for held in range_lock::NUMBERS {
                callgrind::count(&range_lock::name(held), callgrind::BATCHES, &mut report)?;
            }
        }
    }
    ensure!(!report.is_empty(), "nothing is called `{}`", options.only);
    Ok(())
}

/// What callgrind looks on at.
fn run_counted(name: &str) -> Result<()> {
    if let Some(number) = range_lock::number_in(name) {
        range_lock::run(number, callgrind::BATCHES);
        return Ok(());
    }
    let workload = Workload::called(name).with_context(|| format!("no workload `{name}`"))?;
    let mut stand = Stand::new(workload)?;
    for _ in 0..callgrind::BATCHES {
        stand.batch()?;
    }
    Ok(())
}
