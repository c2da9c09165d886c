//! What one heartbeat that takes 8 s costs everybody else: nothing.
//!
//! Rounds with and without such a heartbeat take turns, so that whatever else this machine does hits both
//! alike. A round ends by disarming, which lets the heartbeat go; only the last one takes its 8 s.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{LUN, Path, while_held};
use crate::fault;
use crate::latency::Latency;
use crate::pulse::Pulse;
use crate::report::Report;
use crate::vmfs;

/// The slot that is slow, and where it lies.
const SLOT: u64 = 3;
const SLOT_LBA: u64 = 8192;
/// Where another host's heartbeat lies.
const ELSEWHERE_LBA: u64 = 8200;
const ROUNDS: usize = 20;
/// In each round, of each kind.
const COMMANDS: usize = 40;
const DELAY: Duration = Duration::from_secs(8);
/// How much longer the median may be than without: what the figure's own noise is.
const RATIO_MAX: f64 = 1.1;

/// What was sent while the heartbeat was held, or while none was.
#[derive(Default)]
struct Samples {
    compare_and_write: Vec<Duration>,
    read: Vec<Duration>,
}

pub(super) fn run(report: &mut Report, paths: &[Path]) -> Result<()> {
    report.step("other commands while one heartbeat slot takes 8 s, and without that, in turns");
    let (slow, other) = (paths.first().context("no path")?, paths.last().context("no path")?);
    let mut neighbour = Pulse::start(&other.disk, ELSEWHERE_LBA)?;
    let mut host = Host { path: slow, stamp: 0 };
    slow.device.write_block(SLOT_LBA, &vmfs::heartbeat(SLOT, 0))?;
    let (mut with, mut without) = (Samples::default(), Samples::default());
    for _ in 0..ROUNDS {
        without.take(&mut neighbour)?;
        arm()?;
        while_held(
            || host.pulse(),
            || {
                with.take(&mut neighbour)?;
                let held = fault::log(LUN, 0)?.last().is_some_and(|hit| hit.after.is_none());
                ensure!(held, "the heartbeat was answered before the round was over");
                fault::disarm(LUN)
            },
        )?;
    }
    with.judge(report, without)?;

    arm()?;
    let took = host.pulse()?;
    fault::disarm(LUN)?;
    report.at_least("ms that the slow heartbeat takes", DELAY.as_millis(), took.as_millis());
    Ok(())
}

fn arm() -> Result<()> {
    fault::arm(LUN, "caw.slow", &format!("delay={}s slot={SLOT}", DELAY.as_secs()))
}

/// The host whose heartbeat is slow.
struct Host<'a> {
    path: &'a Path,
    stamp: u64,
}

impl Host<'_> {
    /// One heartbeat; how long it took.
    fn pulse(&mut self) -> Result<Duration> {
        let [old, new] = [self.stamp, self.stamp + 1].map(|stamp| vmfs::heartbeat(SLOT, stamp));
        let sent = Instant::now();
        let reply = self.path.device.compare_and_write(SLOT_LBA, &old, &new)?;
        ensure!(reply.is_good(), "a heartbeat was answered {}", reply.answer());
        self.stamp += 1;
        Ok(sent.elapsed())
    }
}

impl Samples {
    fn take(&mut self, neighbour: &mut Pulse) -> Result<()> {
        for _ in 0..COMMANDS {
            self.compare_and_write.push(neighbour.beat()?);
            self.read.push(neighbour.look()?);
        }
        Ok(())
    }

    /// These were taken with a slow heartbeat, the others without.
    fn judge(self, report: &mut Report, without: Self) -> Result<()> {
        for (name, with, without) in [
            ("COMPARE AND WRITE", self.compare_and_write, without.compare_and_write),
            ("READ", self.read, without.read),
        ] {
            let (with, without) = (Latency::of(with)?, Latency::of(without)?);
            let ratio = with.p50_ratio(&without);
            let key = name.to_lowercase().replace(' ', "-");
            report.figure(&format!("neighbours.{key}.with"), with);
            report.figure(&format!("neighbours.{key}.without"), without);
            report.figure(&format!("neighbours.{key}.p50_ratio"), ratio);
            let seen =
                format!("{} µs, without {} µs, ratio {ratio:.3}", with.p50_us, without.p50_us);
            let title = format!("half of the {name}s beside a slow heartbeat");
            report.check(&title, ratio <= RATIO_MAX, format!("ratio up to {RATIO_MAX}"), seen);
        }
        Ok(())
    }
}
