//! What one heartbeat that takes 8 s costs everybody else: nothing.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{LUN, Path, while_held};
use crate::fault;
use crate::latency;
use crate::report::Report;
use crate::vmfs;

/// The slot that is slow, and where it lies.
const SLOT: u64 = 3;
const SLOT_LBA: u64 = 8192;
const ELSEWHERE_LBA: u64 = 2048;
const COMMANDS: usize = 1000;
const DELAY: Duration = Duration::from_secs(8);

pub(super) fn run(report: &mut Report, paths: &[Path]) -> Result<()> {
    report.step("COMPARE AND WRITE elsewhere while one heartbeat slot takes 8 s");
    let (slow, other) = (paths.first().context("no path")?, paths.last().context("no path")?);
    slow.device.write_block(SLOT_LBA, &vmfs::heartbeat(SLOT, 0))?;
    let measure = || latency::measure(&other.disk, ELSEWHERE_LBA, COMMANDS);
    let before = measure()?;
    fault::arm(LUN, "caw.slow", &format!("delay=8s slot={SLOT}"))?;
    let pulse = || -> Result<Duration> {
        let sent = Instant::now();
        let (old, new) = (vmfs::heartbeat(SLOT, 0), vmfs::heartbeat(SLOT, 1));
        let reply = slow.device.compare_and_write(SLOT_LBA, &old, &new)?;
        ensure!(reply.is_good(), "the pulse was answered {}", reply.answer());
        Ok(sent.elapsed())
    };
    let (took, during) = while_held(pulse, measure)?;
    fault::disarm(LUN)?;
    let after = measure()?;
    report.at_least("ms that the slow pulse took", DELAY.as_millis(), took.as_millis());
    report.figure("neighbours.before", before);
    report.figure("neighbours.during", during);
    report.figure("neighbours.after", after);
    let undisturbed = (before.p50_us + after.p50_us) as f64 / 2.0;
    let ratio = during.p50_us as f64 / undisturbed;
    report.figure("neighbours.p50_ratio", ratio);
    report.step(format!(
        "p50 elsewhere {} µs, undisturbed {undisturbed} µs: ratio {ratio:.2}",
        during.p50_us
    ));
    Ok(())
}
