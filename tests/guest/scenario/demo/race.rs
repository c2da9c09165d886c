//! One sector that four initiators increment at once.

use std::env;
use std::time::Duration;

use anyhow::Result;

use crate::disk::Disk;
use crate::race::{Outcome, Race};
use crate::report::Report;
use crate::table::table;

const LBA: u64 = 200;
const INCREMENTS: u64 = 2_000;
const LIMIT: Duration = Duration::from_secs(120);

pub(super) fn run(report: &mut Report, disks: &[Disk]) -> Result<()> {
    report.step(format!("{INCREMENTS} increments, a writer per fabric"));
    let never = env::temp_dir().join("never");
    let outcome = Race::start(disks, LBA, INCREMENTS, &never)?.finish(&disks[0], LIMIT)?;
    outcome.judge(report, "race");
    report.equal("race: increments without GOOD", 0, outcome.unacknowledged());
    println!("\n{}\n", summary(&outcome));
    println!(
        "{} increments acknowledged, {} in the sector.",
        outcome.successes().len(),
        outcome.total
    );
    Ok(())
}

fn summary(outcome: &Outcome) -> String {
    let row = |(transport, log): &(String, crate::increment::Log)| {
        vec![transport.clone(), log.successes.len().to_string(), log.miscompares.len().to_string()]
    };
    let rows: Vec<_> = outcome.logs.iter().map(row).collect();
    table(&["fabric", "increments", "MISCOMPAREs"], &rows)
}
