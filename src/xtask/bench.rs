//! `cargo xtask bench`: how fast it is, beside others, and beside itself of earlier.
//!
//! Two halves: the guest, where a real kernel carries the commands and others can be compared with in the
//! same boot; and native micro-benchmarks over the simulated kernel (`src/bench`), for what an emulated
//! processor cannot show. Every run leaves its figures in the target folder; one of both halves and all
//! workloads is written to `docs/performance.md` as well. Nothing fails because it is slow.

mod native;
mod page;
mod plot;
mod record;
mod seen;
mod targets;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::tally::Tally;
use crate::vm;
use record::Record;

/// What to measure.
#[derive(Args)]
pub(crate) struct Options {
    /// How often everything is measured in the guest; three times unless --quick.
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// A round of short measurements, for development: the page is not written.
    #[arg(long)]
    quick: bool,
    /// Only these workloads of the guest: the page is not written.
    #[arg(long, value_name = "WORKLOAD", value_parser = PossibleValuesParser::new(page::workloads()))]
    only: Vec<String>,
    /// Only what is measured in the guest.
    #[arg(long, conflicts_with = "native")]
    guest: bool,
    /// Only the micro-benchmarks.
    #[arg(long)]
    native: bool,
    /// Show the figures beside those of an earlier run: a file of target/bench.
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Measure nothing: write the page of this record, a file of target/bench.
    #[arg(long, value_name = "FILE", exclusive = true)]
    page: Option<PathBuf>,
}

impl Options {
    fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 1 } else { 3 })
    }

    /// As `pulsefield-guest bench` takes them.
    fn for_guest(&self) -> String {
        let only = self.only.iter().map(|workload| format!(" --only={workload}"));
        let quick = if self.quick { " --quick" } else { "" };
        format!("--rounds={}{quick}{}", self.rounds(), only.collect::<String>())
    }

    /// Whether the run shows all that the page tells of the guest.
    fn is_thorough(&self) -> bool {
        !self.quick && self.only.is_empty() && !self.native
    }
}

/// Measures, shows, and keeps the figures.
///
/// # Errors
/// When something cannot be built or run, or the page not be written.
pub(crate) fn run(options: &Options) -> Result<Tally> {
    if let Some(path) = &options.page {
        show(&Record::read(path)?)?;
        return Ok(Tally::one(true));
    }
    let earlier = options.compare.as_deref().map(Record::read).transpose()?;
    let mut record = Record::new(options.rounds(), options.quick)?;
    let mut tally = Tally::default();
    if !options.native {
        let (guest, results) = vm::bench(&options.for_guest())?;
        tally += guest;
        record.add_guest(&results)?;
    }
    if !options.guest {
        // What the guest took half an hour for is not lost with the other half.
        let measured = native::measure();
        tally += Tally::one(measured.is_ok());
        match measured {
            Ok(figures) => record.native = figures,
            Err(error) => println!("native: {error:#}"),
        }
    }
    record.finish()?;
    println!("{}", targets::table(&record));
    if let Some(earlier) = &earlier {
        println!("{}", record.beside(earlier));
    }
    println!("{}", record.write()?.display());
    if options.is_thorough() {
        show(&record)?;
    }
    Ok(tally)
}

fn show(record: &Record) -> Result<()> {
    let written = page::write(record).context("writing the page")?;
    println!("{}", written.display());
    Ok(())
}
