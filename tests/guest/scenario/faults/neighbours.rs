//! What one heartbeat that takes 8 s costs everybody else: nothing.
//!
//! Rounds with and without such a heartbeat take turns, and each is compared with the one before it, so that
//! whatever else this machine does hits both alike. A round ends by disarming, which lets the heartbeat go;
//! only the last one takes its 8 s.

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
const ROUNDS: usize = 40;
/// In each round, of each kind.
const COMMANDS: usize = 20;
/// Before those: whoever logs that something was armed or disarmed is through then.
const WARM_UP: usize = 10;
const DELAY: Duration = Duration::from_secs(8);
/// Whoever takes so long has waited for the heartbeat; how much longer the others take is a figure.
const TOO_LONG: Duration = Duration::from_secs(4);

/// Commands of one round.
struct Round {
    compare_and_write: Latency,
    read: Latency,
}

pub(super) fn run(report: &mut Report, paths: &[Path]) -> Result<()> {
    report.step("other commands while one heartbeat slot takes 8 s, and without that, in turns");
    let (slow, other) = (paths.first().context("no path")?, paths.last().context("no path")?);
    let mut neighbour = Pulse::start(&other.disk, ELSEWHERE_LBA)?;
    let mut host = Host { path: slow, stamp: 0 };
    slow.device.write_block(SLOT_LBA, &vmfs::heartbeat(SLOT, 0))?;
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let without = Round::of(&mut neighbour)?;
        arm()?;
        let during = || {
            let with = Round::of(&mut neighbour)?;
            let held = fault::log(LUN, 0)?.last().is_some_and(|hit| hit.after.is_none());
            ensure!(held, "the heartbeat was answered before the round was over");
            fault::disarm(LUN)?;
            Ok(with)
        };
        let (_, with) = while_held(|| host.pulse(), during)?;
        rounds.push((with, without));
    }
    judge(report, "COMPARE AND WRITE", &rounds, |round| round.compare_and_write);
    judge(report, "READ", &rounds, |round| round.read);

    arm()?;
    let took = host.pulse()?;
    fault::disarm(LUN)?;
    report.at_least("ms that the slow heartbeat takes", DELAY.as_millis(), took.as_millis());
    Ok(())
}

/// Compares the rounds with a slow heartbeat with those without, by the commands that `kind` picks.
fn judge(
    report: &mut Report,
    name: &str,
    rounds: &[(Round, Round)],
    kind: impl Fn(&Round) -> Latency,
) {
    let mut ratios: Vec<_> =
        rounds.iter().map(|(with, without)| kind(with).p50_ratio(&kind(without))).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    let ratio = ratios.get(ratios.len() / 2).copied().unwrap_or(f64::INFINITY);
    report.figure(&format!("neighbours.{name}.p50_ratios"), &ratios);
    report.figure(&format!("neighbours.{name}.p50_ratio"), ratio);
    let longest = rounds.iter().map(|(with, _)| kind(with).max_us).max().unwrap_or_default();
    let title = format!("{name}s beside a slow heartbeat that wait for it");
    let expected = format!("none takes {} ms", TOO_LONG.as_millis());
    let seen =
        format!("{} ms at most; half take {ratio:.3} times as long as without", longest / 1000);
    report.check(&title, longest < TOO_LONG.as_micros(), expected, seen);
}

fn arm() -> Result<()> {
    let delay = DELAY.as_secs();
    let rule = format!("delay = \"{delay}s\"\nwhere = {{ slot = {SLOT} }}\n");
    fault::arm_text(LUN, &format!("[[rule]]\nfault = \"caw.slow\"\n{rule}"))
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

impl Round {
    fn of(neighbour: &mut Pulse) -> Result<Self> {
        for _ in 0..WARM_UP {
            neighbour.beat()?;
        }
        let (mut compare_and_write, mut read) = (Vec::new(), Vec::new());
        for _ in 0..COMMANDS {
            compare_and_write.push(neighbour.beat()?);
            read.push(neighbour.look()?);
        }
        Ok(Self { compare_and_write: Latency::of(compare_and_write)?, read: Latency::of(read)? })
    }
}
