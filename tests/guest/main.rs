//! `pulsefield-guest SCENARIO`: runs one scenario, leaves `results.json` in the working directory, and
//! ends with 0 only if every check passed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};

use pulsefield_guest::backstore::Kind;
use pulsefield_guest::bench;
use pulsefield_guest::increment::increment;
use pulsefield_guest::report::Report;
use pulsefield_guest::scenario::Scenario;
use pulsefield_guest::sg::Device;

#[derive(Parser)]
#[command(about = "Runs scenarios on a real LIO kernel, as root, in a guest that may be broken")]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
struct Options {
    /// What to run.
    scenario: Option<Scenario>,
    /// Whose backstore to use in `fabrics` and `conformance`: what others score there.
    #[arg(long, default_value = "pulsefield")]
    backstore: Kind,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Subcommand)]
enum Part {
    /// One writer of a race, started by a scenario: increments a sector and prints its log as JSON.
    #[command(hide = true)]
    Increment(Increment),
    /// Measure how fast it is, beside others; started by `cargo xtask bench`.
    Bench(bench::Options),
}

#[derive(Args)]
struct Increment {
    /// The generic SCSI node to send commands to.
    #[arg(long)]
    device: PathBuf,
    /// The block to increment.
    #[arg(long)]
    lba: u64,
    /// Which of the sector's writers to be.
    #[arg(long)]
    writer: usize,
    /// The sum of all writers at which to stop.
    #[arg(long)]
    total: u64,
    /// A file whose appearance stops the writer too.
    #[arg(long)]
    stop: PathBuf,
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    let report = match options.part {
        Some(Part::Increment(part)) => return part.run().map(|()| ExitCode::SUCCESS),
        Some(Part::Bench(wanted)) => {
            let mut report = Report::new("bench");
            bench::run(&mut report, &wanted);
            report
        }
        None => {
            let scenario = options.scenario.context("which scenario?")?;
            let mut report = Report::new(&scenario.name());
            scenario.run(&mut report, options.backstore);
            report
        }
    };
    report.write(Path::new("."))?;
    Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Increment {
    fn run(self) -> Result<()> {
        let device = Device::open(&self.device)
            .with_context(|| format!("opening {}", self.device.display()))?;
        let stopped = || self.stop.exists();
        let log = increment(&device, self.lba, self.writer, self.total, &stopped)?;
        println!("{}", serde_json::to_string(&log)?);
        Ok(())
    }
}
