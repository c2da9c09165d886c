//! `pulsefield-simulation`: whole clusters in virtual time.
//!
//! In front of the house: emulated hosts and their work (`cluster`), a fabric that is late and loses things,
//! the real daemon's conductor over a simulated kernel and a medium in memory (`embedded`), faults, kills of
//! daemon and hosts, and the checkers. A seed decides everything: what a cluster is made of, and all that
//! happens to it. Each seed runs twice, and must be the same twice. Exit code 1 is an objection, which
//! a panic is as well.

mod agenda;
mod disk;
mod fabric;
mod faults;
mod judge;
mod mortal;
mod run;
mod seeds;
mod swarm;
mod trace;
mod world;

use std::hash::{BuildHasher as _, RandomState};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;

use crate::seeds::{Kept, Tally};

/// Simulates clusters of hosts on a logical unit, and checks what they were promised.
#[derive(Parser)]
#[command(name = "pulsefield-simulation")]
struct Options {
    /// How many seeds to draw and run, besides those that are kept.
    #[arg(long, default_value_t = 20, conflicts_with = "seed")]
    seeds: u64,
    /// Run this seed alone, and say what it stands for.
    #[arg(long)]
    seed: Option<u64>,
    /// How many hours of virtual time a seed lasts.
    #[arg(long, default_value_t = 0.25)]
    hours: f64,
    /// Leave out the seeds that are kept.
    #[arg(long)]
    only_new: bool,
}

fn main() -> Result<ExitCode> {
    let Options { seeds, seed, hours, only_new } = Options::parse();
    let lasting = Duration::try_from_secs_f64(hours * 3600.0).context("--hours")?;
    let mut kept = if only_new || seed.is_some() { Vec::new() } else { Kept::all() };
    match seed {
        Some(seed) => {
            println!("seed {seed}: {}", swarm::Swarm::of(seed));
            kept.push(Kept { seed, lasting });
        }
        None => {
            // Different each time: what was run before has been seen.
            let start = RandomState::new().hash_one(());
            let new = |nth: u64| Kept { seed: pulsefield_units::mix(start ^ nth), lasting };
            kept.extend((0..seeds).map(new));
        }
    }
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let tally = Tally::of(&kept, threads);
    println!("{tally}");
    Ok(if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
