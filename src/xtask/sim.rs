//! `cargo xtask sim`: clusters in virtual time, by `pulsefield-simulation`.

use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::tally::Tally;
use crate::vm::{build_optimised, optimised};
use crate::workshop::run as run_command;

/// The program that simulates.
pub(crate) const PROGRAM: &str = "pulsefield-simulation";

/// What to simulate.
#[derive(Args)]
pub(crate) struct Options {
    /// How many seeds to draw and run, besides those that are kept.
    #[arg(long, default_value_t = 20, conflicts_with = "seed")]
    seeds: u64,
    /// Run this seed alone, and say what it stands for.
    #[arg(long)]
    seed: Option<u64>,
    /// How many hours of virtual time a seed lasts.
    #[arg(long, default_value_t = 0.25)]
    hours: f64,
}

/// Builds the simulation, and runs the seeds that were asked for.
///
/// # Errors
/// If it cannot be built, or a seed has failed.
pub(crate) fn run(options: &Options) -> Result<Tally> {
    let Options { seeds, seed, hours } = options;
    let which = match seed {
        Some(seed) => format!("--seed={seed}"),
        None => format!("--seeds={seeds}"),
    };
    build_optimised()?;
    run_command(Command::new(optimised(PROGRAM)).arg(which).arg(format!("--hours={hours}")))?;
    Ok(Tally::one(true))
}
