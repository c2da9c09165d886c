//! The daemon killed ten times while four initiators write, read back, compare and write.

use std::env;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::backstore::{Backstore, Kind};
use crate::daemon;
use crate::disk::Disk;
use crate::fabric;
use crate::load::{Load, Region};
use crate::processes;
use crate::race::{Race, total};
use crate::report::Report;
use crate::wait::wait_until;

const KILLS: u32 = 10;
const RACE_LBA: u64 = 8;
/// More than ten kills leave time for.
const INCREMENTS: u64 = 100_000;
/// Increments before each kill: the load is truly running.
const PROGRESS: u64 = 40;
/// How long an increment may be away: the old daemon's end, systemd's restart, the initiators' retries.
const PROGRESS_LIMIT: Duration = Duration::from_secs(60);
const FINISH_LIMIT: Duration = Duration::from_secs(120);
/// How long a unit's thread may be like everybody after its load.
const FIRST_LIMIT: Duration = Duration::from_secs(30);
/// Each fabric's bulk load has its own part of the medium.
const REGION_BYTES: u64 = 8 << 20;
const FIRST_REGION: u64 = 64 << 20;

pub(super) fn run(report: &mut Report) -> Result<()> {
    report.step("ds1 over four fabrics; COMPARE AND WRITE and fio verify on each");
    let ds1 = Backstore::new(Kind::Pulsefield, "ds1", "512M");
    let disks = fabric::export_everywhere(&ds1)?;
    let stop = env::temp_dir().join("stop");
    let race = Race::start(&disks, RACE_LBA, INCREMENTS, &stop)?;
    let loads = (0..).zip(&disks).map(|(place, disk)| {
        let path = disk.block.to_string_lossy().into_owned();
        let offset = FIRST_REGION + place * REGION_BYTES;
        Load::start(Region { path, offset, bytes: REGION_BYTES })
    });
    let loads: Vec<_> = loads.collect::<Result<_>>()?;

    let killed = kill_repeatedly(report, &disks[0]);
    fs::write(&stop, "").context("stopping the writers")?;
    for (load, disk) in loads.into_iter().zip(&disks) {
        let passed = load.finish()?;
        report.none(&format!("fio verify over {}", disk.transport), &passed.errors);
        report.at_least(&format!("fio passes over {}", disk.transport), 1, passed.passes);
    }
    let outcome = race.finish(&disks[0], FINISH_LIMIT)?;
    outcome.judge(report, "increments");
    killed?;
    let first = go_first(&disks[0]);
    report.works("the unit's thread goes before everybody once its load is over", first);
    for disk in &disks {
        let state = disk.state()?;
        report.equal(&format!("the path over {}", disk.transport), "running", state.as_str());
    }
    fabric::detach_everywhere()?;
    for fabric in fabric::ALL {
        fabric::unexport(fabric)?;
    }
    ds1.delete()
}

/// Waits until the threads of units go before everybody, as those do that sleep in between.
fn go_first(disk: &Disk) -> Result<()> {
    let device = disk.open()?;
    let daemon = daemon::main_pid()?;
    wait_until(FIRST_LIMIT, "a unit's thread to be real-time", || {
        // It learns that its load is over when something comes in.
        total(&device, RACE_LBA)?;
        Ok(processes::like_everybody(daemon, "lu")?.is_empty())
    })
}

fn kill_repeatedly(report: &mut Report, disk: &Disk) -> Result<()> {
    let device = disk.open()?;
    let mut gaps_ms = Vec::new();
    for kill in 1..=KILLS {
        let before = total(&device, RACE_LBA)?;
        wait_until(PROGRESS_LIMIT, "increments before a kill", || {
            Ok(total(&device, RACE_LBA)? >= before + PROGRESS)
        })?;
        let at = total(&device, RACE_LBA)?;
        let killed = Instant::now();
        daemon::kill_and_await_successor()?;
        wait_until(PROGRESS_LIMIT, "an increment after a kill", || {
            Ok(total(&device, RACE_LBA)? > at)
        })?;
        let gap = killed.elapsed();
        report.step(format!("kill {kill}: increments again after {} ms", gap.as_millis()));
        gaps_ms.push(u64::try_from(gap.as_millis())?);
    }
    report.figure("gaps_ms", &gaps_ms);
    report.check(
        "daemon killed and back",
        true,
        format!("{KILLS} times"),
        format!("{KILLS} times"),
    );
    Ok(())
}
