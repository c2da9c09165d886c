//! What is done to a logical unit, and what of it is measured.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use clap::ValueEnum;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::samples::Metric;
use super::subject::Subject;
use super::unit::Unit;
use crate::command::{Run, Running};
use crate::control;
use crate::disk::Disk;
use crate::fio::{self, Done, Work};
use crate::latency::Latency;
use crate::pulse::Pulse;
use crate::wait::wait_until;

/// A workload, in the order in which a round goes through them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(super) enum Workload {
    /// Random reads of 4 KiB, one at a time.
    #[value(name = "read-1")]
    Read1,
    /// Random reads of 4 KiB, 32 at a time.
    #[value(name = "read-32")]
    Read32,
    /// Random writes of 4 KiB, one at a time.
    #[value(name = "write-1")]
    Write1,
    /// Random writes of 4 KiB, 32 at a time.
    #[value(name = "write-32")]
    Write32,
    /// Reads of 1 MiB one after the other, four at a time.
    SequentialRead,
    /// Writes of 1 MiB one after the other, four at a time.
    SequentialWrite,
    /// COMPARE AND WRITE back to back, nothing else.
    CawIdle,
    /// COMPARE AND WRITE every 5 ms, nothing else.
    CawPaced,
    /// COMPARE AND WRITE every 20 ms beside 64 random writes of 256 KiB, by hosts on processors of their own.
    CawLoaded,
    /// Random reads of 4 KiB, eight at a time on each of four logical units.
    FourLuns,
    /// 64 random writes of 256 KiB, alone and beside the heartbeats of 16 hosts.
    Pulses,
    /// A daemon with one logical unit that nobody uses.
    #[value(name = "idle-1")]
    Idle1,
    /// A daemon with 256 of them.
    #[value(name = "idle-256")]
    Idle256,
}

/// How long things go on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Reads and writes.
    pub(super) transfers: Duration,
    /// COMPARE AND WRITE back to back and paced.
    pub(super) caw_idle: Duration,
    /// COMPARE AND WRITE beside bulk.
    pub(super) caw_loaded: Duration,
    /// Bulk beside heartbeats.
    pub(super) pulses: Duration,
    /// A daemon that does nothing.
    pub(super) idle: Duration,
}

/// What is measured of a workload.
pub(super) type Figures = Vec<(Metric, f64)>;

const BULK: Work = Work { pattern: "randwrite", block_bytes: 256 << 10, depth: 64 };
/// ESXi's: once in three seconds each.
const HOSTS: u64 = 16;
const HEARTBEAT: Duration = Duration::from_secs(3);
const COMPARE_AND_WRITE: u8 = 0x89;
/// Where bulk and heartbeats are sent from that must not get into each other's way before they are LIO's: it has a queue
/// for each processor that commands come from, in order (`target_queue_submission`).
const BULK_PROCESSOR: usize = 0;
const HEARTBEAT_PROCESSOR: usize = 1;
/// fio's start and end, with an emulated processor.
const FIO_LIMIT: Duration = Duration::from_secs(120);
/// How much longer than what is measured beside it bulk runs.
const OVERHANG: Duration = Duration::from_secs(2);

impl Workload {
    /// Its name on the command line and in the report.
    pub(super) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// On whom it makes sense.
    pub(super) const fn subjects(self) -> &'static [Subject] {
        match self {
            Self::Read1
            | Self::Read32
            | Self::Write1
            | Self::Write32
            | Self::SequentialRead
            | Self::SequentialWrite
            | Self::CawPaced => &Subject::SERVERS,
            Self::CawIdle => &Subject::ALL,
            Self::CawLoaded => &[
                Subject::TcmuRunner,
                Subject::Fileio,
                Subject::Ramdisk,
                Subject::Bare,
                Subject::Null,
                Subject::Ram,
                Subject::File,
            ],
            Self::FourLuns | Self::Pulses => &Subject::ON_FILES,
            Self::Idle1 | Self::Idle256 => &[],
        }
    }

    /// Measures it once.
    ///
    /// # Errors
    /// It could not be done, or a command of it failed.
    pub(super) fn measure(self, subject: Subject, unit: &Unit, pace: Pace) -> Result<Figures> {
        let random = |pattern, depth| Work { pattern, block_bytes: 4 << 10, depth };
        let sequential = |pattern| Work { pattern, block_bytes: 1 << 20, depth: 4 };
        let first = [&unit.disks[0]];
        let all: Vec<_> = unit.disks.iter().collect();
        match self {
            Self::Read1 => transfer(random("randread", 1), &first, unit, pace),
            Self::Read32 => transfer(random("randread", 32), &first, unit, pace),
            Self::Write1 => transfer(random("randwrite", 1), &first, unit, pace),
            Self::Write32 => transfer(random("randwrite", 32), &first, unit, pace),
            Self::SequentialRead => transfer(sequential("read"), &first, unit, pace),
            Self::SequentialWrite => transfer(sequential("write"), &first, unit, pace),
            Self::FourLuns => transfer(random("randread", 8), &all, unit, pace),
            Self::CawIdle => {
                let mut pulse = start_pulse(subject, first[0])?;
                beats(&mut pulse, Duration::ZERO, pace.caw_idle).and_then(latency)
            }
            Self::CawPaced => {
                let mut pulse = start_pulse(subject, first[0])?;
                beats(&mut pulse, Duration::from_millis(5), pace.caw_idle).and_then(latency)
            }
            Self::CawLoaded => caw_loaded(subject, first[0], pace),
            Self::Pulses => pulses(first[0], pace),
            Self::Idle1 | Self::Idle256 => Ok(Vec::new()),
        }
    }
}

fn start_pulse(subject: Subject, disk: &Disk) -> Result<Pulse> {
    if subject.keeps_data() { Pulse::start(disk, 0) } else { Pulse::start_on_nothing(disk, 0) }
}

/// fio alone.
fn transfer(work: Work, disks: &[&Disk], unit: &Unit, pace: Pace) -> Result<Figures> {
    let before = unit.process.map(|process| process.processor_time()).transpose()?;
    let done = finish(fio::for_so_long(work, disks, pace.transfers).start()?)?;
    let mut figures = vec![(Metric::IOPS, done.iops), (Metric::BANDWIDTH, mebibytes(&done))];
    if let (Some(process), Some(before)) = (unit.process, before) {
        let spent = process.processor_time()?.saturating_sub(before);
        figures.push((Metric::PROCESSOR, spent.as_secs_f64() * 1e6 / done.requests as f64));
    }
    Ok(figures)
}

/// One COMPARE AND WRITE every `interval`, for so long; back to back if it is zero.
fn beats(pulse: &mut Pulse, interval: Duration, duration: Duration) -> Result<Vec<Duration>> {
    let start = Instant::now();
    let mut due = Duration::ZERO;
    let mut times = Vec::new();
    while due < duration {
        thread::sleep(due.saturating_sub(start.elapsed()));
        times.push(pulse.beat()?);
        due = next_due(start.elapsed(), interval);
    }
    Ok(times)
}

/// The first multiple of `interval` that is still to come when `passed` is over: a slow command misses
/// some, and is not followed by a burst.
fn next_due(passed: Duration, interval: Duration) -> Duration {
    if interval.is_zero() {
        return passed;
    }
    // Less than an interval, so it fits.
    let into = u64::try_from(passed.as_nanos() % interval.as_nanos()).unwrap_or_default();
    passed - Duration::from_nanos(into) + interval
}

fn latency(times: Vec<Duration>) -> Result<Figures> {
    let Latency { p50_us, p99_us, max_us } = Latency::of(times)?;
    let microseconds = |value: u128| value as f64;
    Ok(vec![
        (Metric::P50, microseconds(p50_us)),
        (Metric::P99, microseconds(p99_us)),
        (Metric::MAX, microseconds(max_us)),
    ])
}

fn caw_loaded(subject: Subject, disk: &Disk, pace: Pace) -> Result<Figures> {
    let mut pulse = start_pulse(subject, disk)?;
    let bulk = bulk(disk, pace.caw_loaded + OVERHANG);
    let bulk = start_bulk(bulk.arg("--cpus_allowed", &BULK_PROCESSOR.to_string()), disk)?;
    if subject.is_ours() {
        // From here on it counts anew.
        ask_for_latency(subject)?;
    }
    let times = on_processor(HEARTBEAT_PROCESSOR, || {
        beats(&mut pulse, Duration::from_millis(20), pace.caw_loaded)
    });
    let done = finish(bulk)?;
    let mut figures = latency(times?)?;
    figures.push((Metric::BANDWIDTH, mebibytes(&done)));
    if subject.is_ours() {
        let counted = ask_for_latency(subject)?;
        let p99 = daemon_p99(&counted).with_context(|| format!("no heartbeats in {counted}"))?;
        figures.push((Metric::DAEMON_P99, p99));
    }
    Ok(figures)
}

/// What the daemon says of how long commands to the first LUN took, since this was asked before.
fn ask_for_latency(subject: Subject) -> Result<Value> {
    control::ask("latency", json!({ "lun": subject.lun(0), "clear": true }))
}

/// In which all but one in a hundred of the heartbeats were answered, in µs.
fn daemon_p99(answer: &Value) -> Option<f64> {
    let commands = answer["luns"][0]["commands"].as_array()?;
    let heartbeats = commands
        .iter()
        .find(|command| command["opcode"] == COMPARE_AND_WRITE && command["lane"] == "heartbeat")?;
    heartbeats["total"]["p99_us"].as_f64()
}

fn pulses(disk: &Disk, pace: Pace) -> Result<Figures> {
    let work = || finish(start_bulk(bulk(disk, pace.pulses), disk)?);
    let alone = work()?;
    let (beside, times) = beside_hosts(disk, work)?;
    let mut figures = latency(times)?;
    figures.push((Metric::BANDWIDTH_ALONE, mebibytes(&alone)));
    figures.push((Metric::BANDWIDTH, mebibytes(&beside)));
    Ok(figures)
}

/// Does `work` while every host pulses; returns how long the pulses took, too.
fn beside_hosts(disk: &Disk, work: impl FnOnce() -> Result<Done>) -> Result<(Done, Vec<Duration>)> {
    thread::scope(|scope| {
        let mut stops = Vec::new();
        let mut hosts = Vec::new();
        for host in 0..HOSTS {
            // A slot is as large as a page of the medium, as on VMFS 6.
            let mut pulse = Pulse::start(disk, host * 8)?;
            let (stop, stopped) = mpsc::channel();
            stops.push(stop);
            let phase = HEARTBEAT.mul_f64(host as f64 / HOSTS as f64);
            hosts.push(scope.spawn(move || live(&mut pulse, phase, &stopped)));
        }
        let done = work();
        drop(stops);
        let mut times = Vec::new();
        for host in hosts {
            times.extend(host.join().map_err(|_| anyhow!("a host panicked"))??);
        }
        Ok((done?, times))
    })
}

/// Pulses every three seconds until nobody holds the other end of `stopped`.
fn live(pulse: &mut Pulse, phase: Duration, stopped: &Receiver<()>) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    let mut wait = phase;
    while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
        let took = pulse.beat()?;
        wait = HEARTBEAT.saturating_sub(took);
        times.push(took);
    }
    Ok(times)
}

/// Does something on a thread that runs nowhere else.
fn on_processor<T: Send>(number: usize, act: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let bound = || {
        let mut only = CpuSet::new();
        only.set(number)?;
        sched_setaffinity(Pid::from_raw(0), &only)?;
        act()
    };
    thread::scope(|scope| scope.spawn(bound).join().map_err(|_| anyhow!("a host panicked"))?)
}

/// fio sending bulk for so long.
fn bulk(disk: &Disk, duration: Duration) -> Run {
    fio::for_so_long(BULK, &[disk], duration)
}

/// Starts bulk, and waits until the disk has a good part of it.
fn start_bulk(bulk: Run, disk: &Disk) -> Result<Running> {
    let mut bulk = bulk.start()?;
    wait_until(FIO_LIMIT, "bulk in flight", || {
        Ok(disk.in_flight()? >= BULK.depth / 4 || bulk.has_ended()?)
    })?;
    Ok(bulk)
}

fn finish(bulk: Running) -> Result<Done> {
    let ended = bulk.wait(FIO_LIMIT)?;
    fio::done(&ended.stdout).with_context(|| format!("fio: {}", ended.said()))
}

fn mebibytes(done: &Done) -> f64 {
    done.bandwidth / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_command_misses_its_turn() {
        let ms = Duration::from_millis;
        assert_eq!(next_due(ms(1), ms(20)), ms(20));
        assert_eq!(next_due(ms(20), ms(20)), ms(40));
        assert_eq!(next_due(ms(65), ms(20)), ms(80));
        assert_eq!(next_due(ms(65), ms(0)), ms(65));
    }

    #[test]
    fn of_all_commands_those_that_are_heartbeats() {
        let command = |opcode, lane, p99| json!({ "opcode": opcode, "lane": lane, "total": { "p99_us": p99 } });
        let commands = |commands: &[Value]| json!({ "luns": [{ "commands": commands }] });
        let writes = command(0x2a, "heartbeat", 10);
        let heartbeats = command(0x89, "heartbeat", 20);
        assert_eq!(daemon_p99(&commands(&[writes.clone(), heartbeats])), Some(20.0));
        assert_eq!(daemon_p99(&commands(&[writes, command(0x89, "bulk", 30)])), None);
    }
}
