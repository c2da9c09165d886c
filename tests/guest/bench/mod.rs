//! How fast it is, beside others, in one boot: the guest's half of `cargo xtask bench`.
//!
//! Every subject has its logical units at the same time, all of one size and fully written. A round goes
//! through the workloads, and each workload through the subjects, so that what is compared was measured
//! within a minute; the subjects' order turns from round to round. Nothing is judged here: what was
//! measured goes into the report as it is, and a check fails only if something could not be measured.

mod idle;
mod process;
mod samples;
mod subject;
mod target;
mod unit;
mod workload;

use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum as _};

use crate::report::Report;
use samples::Samples;
use unit::Units;
use workload::{Pace, Workload};

/// What to measure, and how thoroughly.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// How often to measure everything.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Measure each thing for a second or two.
    #[arg(long)]
    quick: bool,
    /// Only these workloads.
    #[arg(long, value_name = "WORKLOAD")]
    only: Vec<Workload>,
}

impl Options {
    fn pace(&self) -> Pace {
        let seconds = |usual, quick| Duration::from_secs(if self.quick { quick } else { usual });
        Pace {
            transfers: seconds(4, 1),
            caw_idle: seconds(3, 1),
            caw_loaded: seconds(8, 4),
            pulses: seconds(12, 4),
            idle: seconds(60, 20),
        }
    }

    fn workloads(&self) -> Vec<Workload> {
        let wanted = |workload: &Workload| self.only.is_empty() || self.only.contains(workload);
        Workload::value_variants().iter().copied().filter(wanted).collect()
    }
}

/// Measures, and reports the figures under `samples`.
pub fn run(report: &mut Report, options: &Options) {
    let mut samples = Samples::default();
    let outcome = measure(report, options, &mut samples);
    report.works("the bench runs to its end", outcome);
    println!("{}", samples.table());
    report.figure("samples", &samples);
}

fn measure(report: &mut Report, options: &Options, samples: &mut Samples) -> Result<()> {
    let pace = options.pace();
    let workloads = options.workloads();
    let (idle, busy): (Vec<_>, Vec<_>) =
        workloads.into_iter().partition(|workload| workload.subjects().is_empty());
    if !busy.is_empty() {
        let units = Units::new(report, busy.contains(&Workload::FourLuns))?;
        for round in 0..options.rounds {
            for &workload in &busy {
                measure_all(report, samples, &units, workload, pace, round);
            }
        }
        units.remove()?;
    }
    if !idle.is_empty() {
        report.step("a daemon with one logical unit, and with 256");
        let measured = idle::measure(report, samples, pace.idle);
        report.works("measuring a daemon that is idle", measured);
    }
    Ok(())
}

/// One workload on every subject, beginning with another one each round.
fn measure_all(
    report: &mut Report,
    samples: &mut Samples,
    units: &Units,
    workload: Workload,
    pace: Pace,
    round: usize,
) {
    let mut subjects = workload.subjects().to_vec();
    let first = round % subjects.len();
    subjects.rotate_left(first);
    for subject in subjects {
        let what = format!("{} on {subject}, round {}", workload.name(), round + 1);
        match workload.measure(subject, &units.by_subject[&subject], pace) {
            Ok(figures) => {
                let shown = figures
                    .iter()
                    .map(|(metric, value)| format!("{} {value:.1} {}", metric.name, metric.unit));
                report.step(format!("{what}: {}", shown.collect::<Vec<_>>().join(", ")));
                for (metric, value) in figures {
                    samples.add(workload, subject, metric, value);
                }
            }
            Err(error) => {
                report.works::<()>(&what, Err(error));
            }
        }
    }
}
