//! `cargo xtask`: everything a person or CI does with this repository beyond plain cargo.
//!
//! One file per command; `workshop` (folders, child processes) and `packages` (what must be installed)
//! are shared by all of them. Depends on no room of the house, so that it still builds, and can still
//! say what is wrong, when a room does not.

mod bench;
mod conformance;
mod demo;
mod deny;
mod dist;
mod faults;
mod layers;
mod metrics;
mod packages;
mod picture;
mod python;
mod sim;
mod tally;
mod test;
mod vm;
mod vmfs_images;
mod workshop;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use tally::Tally;

/// The project's own commands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything CI runs, cheapest first; installs what it needs.
    Test(test::Options),
    /// Check that no crate depends on a room it may not know.
    Layers,
    /// Simulate clusters in virtual time; a seed that fails prints what repeats it.
    Sim(sim::Options),
    /// Run scenarios in a guest with a real LIO kernel.
    Vm(vm::Options),
    /// Write docs/conformance.md: libiscsi's suite on our logical units and on others'.
    Conformance(conformance::Options),
    /// Measure how fast it is, beside others in the same guest; writes docs/performance.md.
    Bench(bench::Options),
    /// Write the catalogue of faults into docs/faults.md.
    Faults,
    /// Compare what `pulsefield vmfs` says of real volumes with another reader.
    VmfsImages,
    /// Make the Debian package.
    Dist(dist::Options),
    /// Show the main job done for real, step by step, in under five minutes: four fabrics, four hosts, a fault
    /// half-way, and a report.
    Demo(demo::Options),
}

fn main() -> ExitCode {
    match run() {
        Ok(tally) if tally.failed == 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<Tally> {
    let tally = match Arguments::parse().command {
        Command::Test(options) => test::run(&options)?,
        Command::Layers => layers::run().map(|()| Tally::one(true))?,
        Command::Sim(options) => sim::run(&options)?,
        Command::Vm(options) => vm::run(&options)?,
        Command::Conformance(options) => conformance::run(&options)?,
        Command::Bench(options) => bench::run(&options)?,
        Command::Faults => faults::run().map(|()| Tally::one(true))?,
        Command::VmfsImages => vmfs_images::run()?,
        Command::Dist(options) => dist::run(&options).map(|()| Tally::one(true))?,
        Command::Demo(options) => demo::run(&options)?,
    };
    Ok(tally)
}
