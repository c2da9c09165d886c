//! Time: rounds of batches, those of all workloads of a group in turns, so that a busy machine slows all
//! of them; what the fastest tenth of the rounds took counts ([`fastest_tenth`]).

use std::time::{Duration, Instant as Clock};

use anyhow::Result;

use crate::figure::{Figure, Report};
use crate::stand::{DEPTH, Parts, Stand};
use crate::workload::Workload;

/// Batches of a round: a few milliseconds.
const BATCHES: u32 = 256;

/// Measures how long a command of each of these workloads takes.
///
/// # Errors
/// If a unit cannot be made, or a command is not answered GOOD.
pub(crate) fn measure(
    workloads: &[&Workload],
    per_workload: Duration,
    report: &mut Report,
) -> Result<()> {
    let mut parts: Vec<_> =
        workloads.iter().map(|workload| Parts::new(workload)).collect::<Result<_>>()?;
    let mut stands: Vec<_> = parts.iter_mut().map(Stand::new).collect::<Result<_>>()?;
    let mut rounds = vec![Vec::new(); stands.len()];
    let started = Clock::now();
    let patience = per_workload.saturating_mul(u32::try_from(stands.len()).unwrap_or(u32::MAX));
    while rounds.iter().any(Vec::is_empty) || started.elapsed() < patience {
        for (stand, rounds) in stands.iter_mut().zip(&mut rounds) {
            let mut took = Duration::ZERO;
            for _ in 0..BATCHES {
                took += stand.batch()?;
            }
            rounds.push(took.as_secs_f64() * 1e9 / (f64::from(BATCHES * DEPTH)));
        }
    }
    let nanos: Vec<f64> = rounds.iter_mut().map(|rounds| fastest_tenth(rounds)).collect();
    for (workload, nanos) in workloads.iter().zip(&nanos) {
        report.add(Figure::new(format!("{}.time", workload.name), *nanos, "ns/command"));
        let speed = Figure::new(format!("{}.speed", workload.name), 1e9 / nanos, "commands/s");
        report.add(match workload.target {
            Some(target) => speed.at_least(target),
            None => speed,
        });
    }
    Ok(())
}

/// What no more than a tenth of the rounds took less than.
///
/// Whoever shares the processor only adds to what a round takes: another process, and in a virtual machine a
/// stranger's on the other thread of the core, with whom it is a third slower for seconds on end. The fastest of all
/// would be an accident.
///
/// # Panics
/// If there are none.
pub(crate) fn fastest_tenth(rounds: &mut [f64]) -> f64 {
    rounds.sort_unstable_by(f64::total_cmp);
    rounds[rounds.len() / 10]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_that_somebody_else_disturbed_do_not_count() {
        let mut rounds: Vec<f64> =
            (0..20).map(|nth| if nth < 15 { 450.0 } else { 300.0 }).collect();
        rounds[7] = 10.0;
        assert_eq!(fastest_tenth(&mut rounds), 300.0);
        assert_eq!(fastest_tenth(&mut [5.0]), 5.0);
    }
}
