//! libiscsi's conformance suite over two portals, on logical units of several kinds.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::backstore::{Backstore, Kind};
use crate::command::run as command;
use crate::daemon::{self, Incumbent};
use crate::fabric::{self, ISCSI_TARGET, Iscsi, PORTALS};
use crate::report::Report;
use crate::suite::{Expected, Outcome, Outcomes};

/// Three minutes on an idle machine, five times as long on one that is busy building.
const LIMIT: Duration = Duration::from_secs(1200);
/// Larger than MAXIMUM WRITE SAME LENGTH and MAXIMUM UNMAP LBA COUNT in what the suite does with them; not
/// more, for a SANITIZE writes all of it, and there are a dozen.
const SIZE: &str = "64M";
const TESTS: usize = 230;
const CLEAN_LEAST: usize = 207;
/// What this project is about, and what clusters need beside it.
const MUST_BE_CLEAN: [&str; 4] = ["CompareAndWrite", "MultipathIO", "Prout", "Prin"];

/// A kind of logical unit, and what of the suite it is to pass.
struct Profile {
    name: &'static str,
    cfgstring: &'static str,
    control: &'static str,
    /// What `[lun.NAME]` says.
    configuration: &'static str,
    /// Tests as `iscsi-test-cu -t` takes them.
    tests: &'static [&'static str],
}

/// The first passes the whole suite; the others, what can only be seen on them.
const PROFILES: [Profile; 6] = [
    Profile {
        name: "plain",
        cfgstring: "file//srv/plain.img",
        control: "",
        // Some tests want more than one logical block in a physical one.
        configuration: "physical_block_bytes = 4096",
        tests: &["ALL"],
    },
    Profile {
        name: "thin",
        cfgstring: "ram/",
        control: "",
        configuration: "",
        tests: &["ALL.WriteAtomic16"],
    },
    Profile {
        name: "full",
        cfgstring: "file//srv/full.img",
        control: "",
        configuration: "provisioning = \"full\"",
        tests: &["ALL.WriteSame10.ZeroBlocks", "ALL.WriteSame16.ZeroBlocks"],
    },
    Profile {
        name: "4Kn",
        cfgstring: "file//srv/4Kn.img",
        control: "hw_block_size=4096",
        configuration: "",
        // Not `Simple`: a thousand long commands, and none of them says more than a miscompare does.
        tests: &["ALL.CompareAndWrite.InvalidDataOutSize", "ALL.CompareAndWrite.Miscompare"],
    },
    Profile {
        name: "read-only",
        cfgstring: "file//srv/read-only.img",
        control: "",
        configuration: "read_only = true",
        tests: &["ALL.ReadOnly"],
    },
    Profile {
        name: "removable",
        cfgstring: "file//srv/removable.img",
        control: "",
        configuration: "removable = true",
        tests: &["ALL.NoMedia", "ALL.PreventAllow", "ALL.StartStopUnit"],
    },
];

pub(super) fn run(report: &mut Report, kind: Kind) -> Result<()> {
    let joined = if kind == Kind::Pulsefield { ours(report)? } else { theirs(report, kind)? };
    judge(report, &joined)
}

/// Every profile, one after the other.
fn ours(report: &Report) -> Result<Outcomes> {
    let tables = PROFILES
        .iter()
        .map(|Profile { name, configuration, .. }| format!("[lun.{name}]\n{configuration}\n"));
    daemon::configure(&tables.collect::<String>())?;
    let mut joined = Outcomes::default();
    for profile in &PROFILES {
        let backstore = Backstore {
            cfgstring: profile.cfgstring.to_owned(),
            control: profile.control,
            ..Backstore::new(Kind::Pulsefield, profile.name, SIZE)
        };
        for outcomes in run_on(report, &backstore, profile.tests)? {
            joined.join(outcomes);
        }
    }
    Ok(joined)
}

/// What another backstore scores, as it is.
fn theirs(report: &Report, kind: Kind) -> Result<Outcomes> {
    let _incumbent = (kind == Kind::TcmuRunner).then(Incumbent::start).transpose()?;
    let outcomes = run_on(report, &Backstore::new(kind, "plain", SIZE), &["ALL"])?;
    outcomes.into_iter().next().context("no outcome")
}

/// Runs tests on one logical unit; one outcome for each of `tests`.
fn run_on(report: &Report, backstore: &Backstore, tests: &[&str]) -> Result<Vec<Outcomes>> {
    backstore.create()?;
    fabric::export(&Iscsi, backstore)?;
    let outcomes = tests.iter().map(|tests| run_suite(report, &backstore.name, tests)).collect();
    fabric::unexport(&Iscsi)?;
    backstore.delete()?;
    outcomes
}

fn run_suite(report: &Report, profile: &str, tests: &str) -> Result<Outcomes> {
    report.step(format!("iscsi-test-cu -t {tests} on {profile}, over two portals"));
    let urls = PORTALS.map(|portal| format!("iscsi://{portal}/{ISCSI_TARGET}/0"));
    let options = ["--dataloss", "--allow-sanitize", "-V", "-t", tests].map(str::to_owned);
    let ended = command("iscsi-test-cu", options.into_iter().chain(urls)).limit(LIMIT).ended()?;
    let log = format!("{profile}.{tests}.log");
    fs::write(&log, &ended.stdout).context("keeping the suite's output")?;
    let outcomes = Outcomes::parse(&ended.stdout);
    let outcomes = outcomes.with_context(|| format!("{log}: {}", ended.stderr.trim()))?;
    let [clean, skips, failed] = counts(&outcomes);
    report.step(format!("{clean} clean, {skips} with skips, {failed} failed; all in {log}"));
    Ok(outcomes)
}

fn counts(outcomes: &Outcomes) -> [usize; 3] {
    [Outcome::Clean, Outcome::Skips, Outcome::Failed].map(|outcome| outcomes.count(outcome))
}

fn judge(report: &mut Report, outcomes: &Outcomes) -> Result<()> {
    let [clean, skips, failed] = counts(outcomes);
    report.figure("clean", clean);
    report.figure("skips", skips);
    report.figure("failed", failed);
    report.figure("outcomes", outcomes);
    report.step(format!(
        "on some unit {clean} clean; {skips} with skips everywhere, {failed} failed"
    ));
    report.equal("tests of the suite", TESTS, outcomes.total());
    report.at_least("tests that pass and skip nothing", CLEAN_LEAST, clean);
    for suite in MUST_BE_CLEAN {
        report.none(&format!("tests of {suite} that are not clean"), &outcomes.not_clean(suite));
    }
    let expected = Expected::parse(include_str!("../expected.toml"))?;
    report.none("tests that did not go as expected.toml says", &outcomes.unexpected(&expected));
    Ok(())
}
