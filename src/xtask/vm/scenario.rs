//! The scenarios: their names, how long they may take, and what they leave behind.
//!
//! Inside the guest `pulsefield-guest NAME` runs as root in `/host/results` and writes `results.json`
//! there; the guest adds its own logs and the exit status. A scenario passes when it ended with
//! success and its report holds no failed check, nor has what it left any fault that is looked for outside.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::dissect;
use super::image::Image;
use super::machine::{self, End};
use crate::tally::Tally;

/// How much of a log is shown when a scenario failed.
const TAIL_LINES: usize = 60;

/// One program for the guest.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// What it shows, in a few words.
    pub(crate) about: &'static str,
    timeout: Duration,
    /// Whether it is left to `test --all`.
    pub(crate) nightly: bool,
    /// What is looked at outside the guest, of what it left in this folder.
    afterwards: Option<fn(&Path) -> Result<Tally>>,
}

/// Every scenario, in the order in which they are started: the longest first, so that none is left to run
/// alone. The minutes are for a guest that hangs: several times what is usual, since the machine may be
/// busy with something else.
///
/// CI has half an hour on two emulated processors. The nightly ones go deep into one room each, whose unit
/// tests CI runs; whoever changes that room runs them by name, and `test --all` runs them all.
pub(crate) const SCENARIOS: &[Scenario] = &[
    nightly("clean-hour", "an hour in which nothing is to be explained", 90),
    nightly("soak-half-hour", "half an hour of emulated hosts, and no false alarm", 60),
    nightly("soak-plans", "each plan of faults in a soak, and what it declares", 60),
    scenario("conformance", "iscsi-test-cu over two portals", 22),
    scenario("fabrics", "four fabrics increment one sector; collisions; mkfs, fio", 20),
    nightly("faults", "every fault of the catalogue, as initiators see it", 20),
    scenario("restart", "kill -9 under load, ten times", 12),
    scenario("bad-input", "commands and configurations that are wrong", 12),
    nightly("incidents", "the plans of faults that ship, and what they promise", 20),
    nightly("reservations", "SCSI-2 and persistent reservations from four fabrics", 20),
    nightly("changes", "paths, size, modes, medium and space changing under initiators", 12),
    nightly("soak-peers", "the same soak on units of LIO and of tcmu-runner", 30),
    nightly("rearming", "faults armed, disarmed and reloaded under load", 12),
    nightly("tools", "sg3_utils, mkfs and fstrim, EXTENDED COPY", 10),
    scenario("examples", "targetcli-examples as they stand", 8),
    scenario("soak", "emulated hosts on four fabrics, and faults that are caught", 15),
    nightly("soak-bad-input", "what a soak cannot work on, and units that vanish in one", 12),
    Scenario {
        afterwards: Some(dissect::captured),
        ..nightly("explaining", "every cause of a miscompare, and what explain says of it", 15)
    },
    scenario("removal", "LUNs removed, resized and reconfigured under load", 12),
    scenario("demo", "four fabrics, four hosts, a fault half-way, step by step", 12),
    nightly("block", "block devices as media: loop, scsi_debug", 8),
];

/// What `cargo xtask bench` runs, with options of its own.
pub(super) const BENCH: Scenario = scenario("bench", "how fast it is, beside others", 60);

const fn scenario(name: &'static str, about: &'static str, minutes: u64) -> Scenario {
    let timeout = Duration::from_secs(minutes * 60);
    Scenario { name, about, timeout, nightly: false, afterwards: None }
}

const fn nightly(name: &'static str, about: &'static str, minutes: u64) -> Scenario {
    Scenario { nightly: true, ..scenario(name, about, minutes) }
}

impl Scenario {
    /// The scenario of that name.
    ///
    /// # Errors
    /// When there is none; the message lists what there is.
    pub(crate) fn named(name: &str) -> Result<&'static Self> {
        let found = SCENARIOS.iter().find(|scenario| scenario.name == name);
        found.with_context(|| {
            let known =
                SCENARIOS.iter().map(|known| format!("  {:12} {}", known.name, known.about));
            format!("no scenario {name}; there are\n{}", known.collect::<Vec<_>>().join("\n"))
        })
    }

    /// Starts a guest on `share` and runs this scenario in it with `arguments`, printing its lines, each
    /// after `label`, as they come.
    ///
    /// # Errors
    /// When QEMU cannot be started or the share not be read.
    pub(super) fn run(
        &self,
        image: &Image,
        share: &Path,
        arguments: &str,
        label: &str,
    ) -> Result<Tally> {
        let Self { name, about, timeout, nightly: _, afterwards } = self;
        let program = format!("#!/bin/sh\nexec /host/bin/pulsefield-guest {arguments}\n");
        write_executable(&share.join("run"), &program)?;
        let results = share.join("results");

        println!("{name}: {about}");
        let started = Instant::now();
        let console = results.join("console.log");
        let end = machine::run_scenario(image, share, &console, *timeout, |line| match label {
            "" => println!("  {line}"),
            label => println!("{label:11} {line}"),
        })?;

        let told = |error| {
            println!("{name}: {error:#}");
            Tally::one(false)
        };
        let mut tally = self.verdict(&end, &results).unwrap_or_else(told);
        if let Some(look) = afterwards {
            tally += look(&results).unwrap_or_else(told);
        }
        if tally.failed > 0 {
            print!("{}", logs(&results));
        }
        println!(
            "{name}: {tally}, {:.0} s; logs in {}",
            started.elapsed().as_secs_f64(),
            results.display()
        );
        Ok(tally)
    }

    fn verdict(&self, end: &End, results: &Path) -> Result<Tally> {
        match end {
            End::NeverStarted => bail!("the guest did not go on"),
            End::TimedOut => {
                bail!("not done after {} minutes: killed", self.timeout.as_secs() / 60)
            }
            End::PoweredOff => {}
        }
        let status = fs::read_to_string(results.join("status"))
            .context("the guest ended before the scenario did")?;
        let report = fs::read_to_string(results.join("results.json"))
            .with_context(|| format!("no report; exit status {}", status.trim()))?;
        let report: Report = serde_json::from_str(&report).context("results.json")?;
        let tally = report.tally();
        if status.trim() != "0" && tally.failed == 0 {
            bail!("no check failed, and yet the exit status is {}", status.trim());
        }
        Ok(tally)
    }
}

/// The part of `results.json` that is counted; the names of what failed were printed on the way.
#[derive(Deserialize)]
struct Report {
    checks: Vec<Check>,
}

#[derive(Deserialize)]
struct Check {
    passed: bool,
}

impl Report {
    fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for check in &self.checks {
            tally += Tally::one(check.passed);
        }
        tally
    }
}

fn write_executable(path: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// The ends of the logs, as one piece: nothing of another guest comes between.
fn logs(results: &Path) -> String {
    let mut text = String::new();
    for name in ["console.log", "install.log", "daemon.log"] {
        let Ok(bytes) = fs::read(results.join(name)) else {
            continue;
        };
        let log = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
        text += &format!("---- {name}\n{}\n", tail.join("\n"));
    }
    text + "----\n"
}
