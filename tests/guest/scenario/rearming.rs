//! Faults that come and go under load: armed, disarmed and reloaded as often as a minute and a half allows,
//! while two hosts take a lock and fio verifies what it writes. Nothing is lost, nothing leaks, and the
//! unit is at the end what it was.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::backstore::{Backstore, Kind};
use crate::command::run as command;
use crate::control::ask;
use crate::daemon;
use crate::disk::Disk;
use crate::fabric::{self, Loopback};
use crate::fault;
use crate::hammer::{Hammered, hammer};
use crate::load::{Load, Region};
use crate::processes::{self, Usage};
use crate::report::Report;
use crate::wait::wait_until;

const LUN: &str = "ds1";
/// For how long; in the first part caches and the allocator fill.
const DURATION: Duration = Duration::from_secs(90);
const WARM_UP: Duration = Duration::from_secs(30);
/// One turn in so many reloads the configuration, by turns with the plan in it and without.
const RELOAD_EVERY: u64 = 10;
/// One reload in so many is systemd's.
const SYSTEMD_EVERY: u64 = 20;
/// What the daemon may grow by after that: the log of hits fills up, a MiB, and the allocator has its own ideas.
/// On an idle machine a leak of a kilobyte a turn is more.
const GROWTH_MAX_KIB: u64 = 4096;
const LOCK_LBA: u64 = 4096;
const TAKINGS: usize = 50;
const REGION: u64 = 16 << 20;
/// What delays and retries hide, so that whatever is lost is lost by the rearming; and seldom, so that most
/// commands come and go while all this changes around them.
const PLAN: &str = r#"
[[rule]]
fault = "status"
status = "busy"
where = { lane = "bulk" }
when = { every = 100 }

[[rule]]
fault = "caw.slow"
delay = "1ms"
when = { every = 20 }

[[rule]]
fault = "latency"
delay = "1ms"
when = { every = 20 }
"#;
const PLAN_FILE: &str = "/etc/pulsefield/rearming.toml";
const WITH_PLAN: &str = "[lun.ds1]\nfaults = \"rearming.toml\"\n";
/// How long the unit may take to have answered what was in flight.
const SETTLE_LIMIT: Duration = Duration::from_secs(60);

/// How often it came to what.
#[derive(Default)]
struct Turns {
    armed: u64,
    reloaded: u64,
}

pub(super) fn run(report: &mut Report) -> Result<()> {
    fs::create_dir_all("/etc/pulsefield").context("creating /etc/pulsefield")?;
    fs::write(PLAN_FILE, PLAN).with_context(|| format!("writing {PLAN_FILE}"))?;
    let unit = Backstore::new(Kind::Pulsefield, LUN, "64M");
    let disk = fabric::over_loopback(&unit)?;

    report.step(format!("arming, disarming and reloading for {} s", DURATION.as_secs()));
    let path = disk.block.to_string_lossy().into_owned();
    let load = Load::start(Region { path, offset: REGION, bytes: 8 << 20 })?;
    let (turns, hammered) = while_hammered(&disk, || take_turns(report))?;
    let passed = load.finish()?;
    report.figure("turns", turns.armed);
    report.figure("reloads", turns.reloaded);
    report.at_least("turns", 100, turns.armed);
    report.none("fio verify", &passed.errors);
    report.at_least("fio passes", 1, passed.passes);
    let lost: Vec<_> = hammered.iter().filter(|it| it.acknowledged != it.counted).collect();
    report.equal("hammers whose sum is wrong", 0, lost.len());
    report.at_least("takings of the lock", 100, hammered.iter().map(|it| it.acknowledged).sum());

    fabric::unexport(&Loopback)?;
    unit.delete()
}

/// Does something while two hosts take a lock over and over.
fn while_hammered<T>(disk: &Disk, act: impl FnOnce() -> Result<T>) -> Result<(T, Vec<Hammered>)> {
    let (stop, hosts) = (AtomicBool::new(false), [disk.clone(), disk.clone()]);
    // Relaxed: the flag carries nothing with it.
    let take = || {
        let rounds = std::iter::from_fn(|| {
            (!stop.load(Ordering::Relaxed)).then(|| hammer(&hosts, LOCK_LBA, TAKINGS))
        });
        rounds.collect::<Result<Vec<_>>>()
    };
    thread::scope(|scope| {
        let hammer = scope.spawn(take);
        let done = act();
        stop.store(true, Ordering::Relaxed);
        let hammered = hammer.join().unwrap_or_else(|_| bail!("a host panicked"))?;
        Ok((done?, hammered))
    })
}

fn take_turns(report: &mut Report) -> Result<Turns> {
    let started = Instant::now();
    let mut turns = Turns::default();
    let mut warm = None;
    while started.elapsed() < DURATION {
        fault::arm_text(LUN, PLAN)?;
        fault::disarm(LUN)?;
        turns.armed += 1;
        if turns.armed.is_multiple_of(RELOAD_EVERY) {
            reload(turns.reloaded)?;
            turns.reloaded += 1;
        }
        if warm.is_none() && started.elapsed() > WARM_UP {
            warm = Some(processes::usage(daemon::main_pid()?)?);
        }
    }
    fs::write(daemon::CONFIGURATION, "").context("emptying the configuration")?;
    ask("reload", Value::Null)?;
    judge(report, warm.context("the warm-up never ended")?)?;
    Ok(turns)
}

/// Reloads the configuration for this time, with the plan in it if the number is even.
fn reload(number: u64) -> Result<()> {
    let text = if number.is_multiple_of(2) { WITH_PLAN } else { "" };
    fs::write(daemon::CONFIGURATION, text).context("writing the configuration")?;
    if number.is_multiple_of(SYSTEMD_EVERY) {
        command("systemctl", ["reload", "pulsefield.service"]).output().map(drop)
    } else {
        ask("reload", Value::Null).map(drop)
    }
}

/// What the daemon is like after all that, compared with how it was when it was `warm`.
fn judge(report: &mut Report, warm: Usage) -> Result<()> {
    let now = || processes::usage(daemon::main_pid()?);
    // The last client's socket may still be on its way out.
    let settled = wait_until(SETTLE_LIMIT, "descriptors to be closed", || {
        Ok(now()?.descriptors <= warm.descriptors)
    });
    report.works("as many descriptors as before", settled);
    let grown = now()?.own_kib.saturating_sub(warm.own_kib);
    report.figure("grown_kib", grown);
    let seen = format!("{grown} KiB");
    let expected = format!("up to {GROWTH_MAX_KIB} KiB");
    report.check("growth of the daemon's memory", grown <= GROWTH_MAX_KIB, expected, seen);
    let status = ask("status", Value::Null)?;
    report.equal("rules armed at the end", 0, status["faults_armed"].as_u64().unwrap_or(u64::MAX));
    let unit = ask("lun-show", json!({ "name": LUN }))?;
    for counter in ["restarts", "errors", "aborted"] {
        let count = unit["counters"][counter].as_u64().unwrap_or(u64::MAX);
        report.equal(&format!("the unit's count of {counter}"), 0, count);
    }
    Ok(())
}
