//! The main job for a person to watch: four fabrics, one sector, no lost increment.

use std::collections::BTreeMap;
use std::env;
use std::time::Duration;

use anyhow::Result;

use crate::backstore::{Backstore, Kind};
use crate::command::run as command;
use crate::disk::Transport;
use crate::fabric;
use crate::latency::{self, Latency};
use crate::race::{Outcome, Race};
use crate::report::Report;
use crate::table::table;

const RACE_LBA: u64 = 200;
const LATENCY_LBA: u64 = 300;
const INCREMENTS: u64 = 2_000;
const COMMANDS: usize = 500;
const RACE_LIMIT: Duration = Duration::from_secs(120);

pub(super) fn run(report: &mut Report, kind: Kind) -> Result<()> {
    let ds1 = Backstore::new(kind, "ds1", "1G");
    for fabric in fabric::ALL {
        report.step(format!(
            "{}: exporting {} over {}",
            fabric.example().file_name(),
            ds1.name,
            fabric.transport()
        ));
        fabric::export(fabric, &ds1)?;
    }
    let serial = ds1.serial()?;
    let mut disks = Vec::new();
    for fabric in fabric::ALL {
        for disk in fabric::attach(fabric, &serial)? {
            report.step(format!("the initiator sees {disk}"));
            disks.push(disk);
        }
    }
    disks.dedup_by_key(|disk| disk.transport);
    report.equal("fabrics that show the logical unit", fabric::ALL.len(), disks.len());
    println!("{}", command("targetcli", ["ls"]).output()?);

    report.step(format!("COMPARE AND WRITE, {COMMANDS} over each fabric, nothing else running"));
    let mut latencies = BTreeMap::new();
    for disk in &disks {
        let latency = latency::measure(disk, LATENCY_LBA, COMMANDS)?;
        report.figure(&format!("latency.{}", disk.transport), latency);
        latencies.insert(disk.transport, latency);
    }
    report.step(format!("one sector, four writers, {INCREMENTS} increments by COMPARE AND WRITE"));
    let never = env::temp_dir().join("never");
    let outcome =
        Race::start(&disks, RACE_LBA, INCREMENTS, &never)?.finish(&disks[0], RACE_LIMIT)?;
    outcome.judge(report, "race");
    report.equal("race: increments without GOOD", 0, outcome.unacknowledged());

    report.step("logging out and taking the targets down");
    fabric::detach_everywhere()?;
    for fabric in fabric::ALL {
        fabric::unexport(fabric)?;
    }
    ds1.delete()?;
    println!("\n{}\n", summary(&outcome, &latencies));
    println!(
        "{} increments acknowledged, {} in the sector.\n",
        outcome.successes().len(),
        outcome.total
    );
    Ok(())
}

fn summary(outcome: &Outcome, latencies: &BTreeMap<Transport, Latency>) -> String {
    let rows: Vec<_> = latencies
        .iter()
        .zip(&outcome.logs)
        .map(|((transport, latency), (_, log))| {
            vec![
                transport.to_string(),
                latency.p50_us.to_string(),
                latency.p99_us.to_string(),
                log.successes.len().to_string(),
                log.miscompares.len().to_string(),
            ]
        })
        .collect();
    table(&["fabric", "CAW p50 µs", "CAW p99 µs", "increments", "MISCOMPAREs"], &rows)
}
