//! What a daemon costs that has nothing to do.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::process::{Memory, Process, Ran};
use super::samples::{Metric, Samples};
use super::subject::Subject;
use super::target::Target;
use super::workload::Workload;
use crate::command::run;
use crate::daemon;
use crate::report::Report;
use crate::wait::wait_until;

const LUNS: u32 = 256;
const BYTES: u64 = 16 << 20;
/// For an initiator that looks at 256 new disks with an emulated processor.
const SETTLE_LIMIT: Duration = Duration::from_secs(180);
/// How many of the busiest threads are told of.
const SHOWN: usize = 8;
/// A daemon is at rest that took no more than a thousandth of the processor for so long: longer than a round
/// of the watchdog, which probes once more whoever had commands.
const REST: Duration = Duration::from_secs(20);

/// Starts the daemon anew and looks at it with one logical unit, exported and found by its initiator, and
/// with 256.
///
/// # Errors
/// They could not be made.
pub(super) fn measure(report: &Report, samples: &mut Samples, duration: Duration) -> Result<()> {
    daemon::stop()?;
    daemon::start()?;
    let process = Process(daemon::main_pid()?);
    // udev would read every disk, which is not idle, for minutes. It stays as it is: nothing comes after.
    run("udevadm", ["control", "--stop-exec-queue"]).output()?;
    let mut target = Target::new()?;
    let measured = (1..=LUNS).try_for_each(|count| {
        let name = format!("idle-{count}");
        let control = [
            format!("dev_config=pulsefield/file//srv/{name}.img"),
            format!("dev_size={BYTES}"),
            // The kernel has memory for 256 rings of this size.
            "cmd_ring_size_mb=1,max_data_area_mb=8".to_owned(),
        ];
        target.create(&name, ("user", control.to_vec())).with_context(|| name)?;
        target.export()?;
        match count {
            1 => look(report, samples, Workload::Idle1, process, duration),
            LUNS => look(report, samples, Workload::Idle256, process, duration),
            _ => Ok(()),
        }
    });
    measured.and(target.remove())
}

fn look(
    report: &Report,
    samples: &mut Samples,
    workload: Workload,
    process: Process,
    duration: Duration,
) -> Result<()> {
    wait_until(SETTLE_LIMIT, "the daemon to rest", || {
        let before = process.processor_time()?;
        thread::sleep(REST);
        Ok(process.processor_time()?.saturating_sub(before) <= REST / 1000)
    })?;
    let Memory { anonymous, file, shared } = process.memory()?;
    let (before, ran_before) = (process.processor_time()?, process.ran()?);
    thread::sleep(duration);
    let (now, ran_now) = (process.processor_time()?, process.ran()?);
    let (spent, ran) = (now.saturating_sub(before), since(&ran_before, ran_now));
    let percent = 100.0 * spent.as_secs_f64() / duration.as_secs_f64();
    let busiest: Vec<_> = ran.iter().take(SHOWN).map(Ran::to_string).collect();
    report.step(format!(
        "{percent:.3} % of a processor; of {} threads that ran: {}",
        ran.len(),
        busiest.join(", "),
    ));
    for (metric, value) in [
        (Metric::ANONYMOUS, anonymous as f64),
        (Metric::FILE, file as f64),
        (Metric::SHARED, shared as f64),
        (Metric::THREADS, process.threads()? as f64),
        (Metric::IDLE, percent),
    ] {
        samples.add(workload, Subject::File, metric, value);
    }
    Ok(())
}

/// What threads ran since `before`, those that ran longest first.
fn since(before: &BTreeMap<u32, Ran>, now: BTreeMap<u32, Ran>) -> Vec<Ran> {
    let mut ran: Vec<_> = now
        .into_iter()
        .map(|(id, Ran { name, time, times })| match before.get(&id) {
            Some(then) => Ran { name, time: time - then.time, times: times - then.times },
            None => Ran { name, time, times },
        })
        .filter(|thread| thread.times > 0)
        .collect();
    ran.sort_by_key(|thread| Reverse(thread.time));
    ran
}
