//! Faults that hold commands up: never shorter than they say, over every fabric. How much longer is the
//! machine's affair and no check.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::probe::{self, BLOCK, NEW, OLD};
use super::{
    LBA, LUN, Path, conclude, hits, lifted_objection, log_objection, settle, title, while_held,
};
use crate::cdb;
use crate::command::run as command;
use crate::disk::COMMAND_LIMIT;
use crate::fault;
use crate::reply::Reply;
use crate::report::Report;
use crate::sg::{Data, Device};

/// How long a fault holds one command up.
const LEAST: Duration = Duration::from_millis(400);

/// A fault, and a command that it holds up for [`LEAST`] or longer.
struct Row {
    fault: &'static str,
    settings: &'static str,
    command: fn(&Device) -> Result<Reply>,
}

#[rustfmt::skip]
const ROWS: [Row; 6] = [
    Row { fault: "latency", settings: "delay=400ms lba=1000 command=read", command: read },
    Row { fault: "caw.slow", settings: "delay=400ms phase=before", command: compare_and_write },
    Row { fault: "caw.slow", settings: "delay=400ms phase=after", command: compare_and_write },
    Row { fault: "caw.global-mutex", settings: "hold=400ms", command: compare_and_write },
    Row { fault: "starve", settings: "step=400ms free=0 lba=1000 command=read", command: read },
    Row { fault: "stall", settings: "duration=400ms lba=1000 command=read", command: read },
];

pub(super) fn names() -> Vec<&'static str> {
    ROWS.iter().map(|row| row.fault).collect()
}

pub(super) fn run(report: &mut Report, paths: &[Path]) -> Result<()> {
    report.step("faults that hold commands up");
    for row in &ROWS {
        let name = title(row.fault, row.settings, "every fabric");
        conclude(report, &name, row.objections(paths))?;
    }
    conclude(report, "caw.global-mutex: one at a time over four fabrics", one_at_a_time(paths))?;
    conclude(report, "latency as fio measures it, over every fabric", by_fio(paths))?;
    conclude(report, "stall: what is held is let go by disarming", let_go(paths))
}

impl Row {
    fn objections(&self, paths: &[Path]) -> Result<Vec<String>> {
        let Self { fault, settings, command } = *self;
        let mut wrong = Vec::new();
        let from = fault::next_hit(LUN)?;
        fault::arm(LUN, fault, settings)?;
        for path in paths {
            probe::put(&path.device, LBA)?;
            let sent = Instant::now();
            let answer = command(&path.device)?.answer();
            let took = sent.elapsed();
            if answer != crate::reply::Answer::Good || took < LEAST {
                wrong.push(format!("{}: {answer} after {took:?}", path.disk.transport));
            }
        }
        wrong.extend(log_objection(fault, from, paths.len())?);
        let least = u64::try_from(LEAST.as_micros())?;
        let hasty = hits(fault, from)?.into_iter().filter(|hit| hit.delay_us < least);
        wrong.extend(hasty.map(|hit| format!("by the log no delay of {LEAST:?}: {hit:?}")));
        fault::disarm(LUN)?;
        let from = fault::next_hit(LUN)?;
        for path in paths {
            probe::put(&path.device, LBA)?;
            ensure!(command(&path.device)?.is_good(), "not GOOD when disarmed");
        }
        wrong.extend(lifted_objection(from)?);
        Ok(wrong)
    }
}

fn read(device: &Device) -> Result<Reply> {
    Ok(device.execute(&cdb::read_16(LBA, 1), Data::In(&mut [0; BLOCK]), COMMAND_LIMIT)?)
}

fn compare_and_write(device: &Device) -> Result<Reply> {
    probe::compare_and_write(device, LBA, &OLD, &NEW)
}

/// As many COMPARE AND WRITEs at once as there are fabrics, each of another block: the last one has
/// waited for all others.
fn one_at_a_time(paths: &[Path]) -> Result<Vec<String>> {
    let blocks: Vec<_> = (LBA..).step_by(100).take(paths.len()).collect();
    blocks.iter().try_for_each(|lba| probe::put(&paths[0].device, *lba))?;
    fault::arm(LUN, "caw.global-mutex", "hold=400ms")?;
    let started = Instant::now();
    thread::scope(|scope| {
        let senders: Vec<_> = paths
            .iter()
            .zip(&blocks)
            .map(|(path, lba)| {
                scope.spawn(|| probe::compare_and_write(&path.device, *lba, &OLD, &NEW))
            })
            .collect();
        senders.into_iter().try_for_each(|sender| {
            let reply = sender.join().unwrap_or_else(|_| bail!("a sender panicked"))?;
            ensure!(reply.is_good(), "{}", reply.answer());
            Ok(())
        })
    })?;
    let (took, least) = (started.elapsed(), LEAST * u32::try_from(paths.len())?);
    Ok((took < least).then(|| format!("all through after {took:?}")).into_iter().collect())
}

/// The part of fio's report that says how long its reads took.
#[derive(Deserialize)]
struct Measured {
    jobs: Vec<Job>,
}

#[derive(Deserialize)]
struct Job {
    read: Reads,
}

#[derive(Deserialize)]
struct Reads {
    lat_ns: Spread,
}

#[derive(Deserialize)]
struct Spread {
    min: u64,
}

fn by_fio(paths: &[Path]) -> Result<Vec<String>> {
    fault::arm(LUN, "latency", "delay=400ms command=read")?;
    let mut wrong = Vec::new();
    for path in paths {
        let words = [
            "--name=read",
            "--rw=randread",
            "--direct=1",
            "--bs=4k",
            "--number_ios=3",
            "--size=1M",
            "--output-format=json",
            "--readonly",
        ];
        let file = format!("--filename={}", path.disk.block.display());
        let said = command("fio", words.into_iter().chain([&*file])).output()?;
        let json = said.find('{').map(|at| &said[at..]).context("fio printed no report")?;
        let measured: Measured = serde_json::from_str(json).context("fio's report")?;
        let shortest = measured.jobs.first().context("fio ran no job")?.read.lat_ns.min;
        if u128::from(shortest) < LEAST.as_nanos() {
            wrong.push(format!("{}: {shortest} ns at least", path.disk.transport));
        }
    }
    Ok(wrong)
}

/// A READ that would be held for an hour is answered once the fault is disarmed.
fn let_go(paths: &[Path]) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for path in paths {
        probe::put(&path.device, LBA)?;
        fault::arm(LUN, "stall", "duration=1h lba=1000 command=read")?;
        let (reply, ()) = while_held(|| read(&path.device), || fault::disarm(LUN))?;
        if !reply.is_good() {
            wrong.push(format!("{}: {}", path.disk.transport, reply.answer()));
        }
    }
    settle(paths)?;
    Ok(wrong)
}
