//! libiscsi's conformance suite, all of it, over two portals.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::backstore::{Backstore, Kind};
use crate::command::run as command;
use crate::daemon;
use crate::fabric::{self, ISCSI_TARGET, Iscsi, PORTALS};
use crate::report::Report;
use crate::suite::{Expected, Outcome, Outcomes};

/// Three minutes on an idle machine, five times as long on one that is busy building.
const LIMIT: Duration = Duration::from_secs(1200);
const PASSED_LEAST: usize = 200;
const CLEAN_LEAST: usize = 100;
/// What this project is about, and what clusters need beside it.
const MUST_BE_CLEAN: [&str; 4] = ["CompareAndWrite", "MultipathIO", "Prout", "Prin"];
const OUTPUT: &str = "iscsi-test-cu.log";

/// A 512e disk: some tests want more than one logical block in a physical one.
const CONFIGURATION: &str = "[lun.ds1]\nphysical_block_bytes = 4096\n";

pub(super) fn run(report: &mut Report, kind: Kind) -> Result<()> {
    if kind == Kind::Pulsefield {
        daemon::configure(CONFIGURATION)?;
    }
    let ds1 = Backstore::new(kind, "ds1", "256M");
    ds1.create()?;
    fabric::export(&Iscsi, &ds1)?;
    report.step("iscsi-test-cu -t ALL over two portals");
    let urls = PORTALS.map(|portal| format!("iscsi://{portal}/{ISCSI_TARGET}/0"));
    let options = ["--dataloss", "--allow-sanitize", "-V", "-t", "ALL"].map(str::to_owned);
    let ended = command("iscsi-test-cu", options.into_iter().chain(urls)).limit(LIMIT).ended()?;
    fs::write(OUTPUT, &ended.stdout).context("keeping the suite's output")?;
    let outcomes = Outcomes::parse(&ended.stdout);
    let outcomes = outcomes.with_context(|| ended.stderr.trim().to_owned())?;
    judge(report, &outcomes)?;
    fabric::unexport(&Iscsi)?;
    ds1.delete()
}

fn judge(report: &mut Report, outcomes: &Outcomes) -> Result<()> {
    let [clean, skips, failed] =
        [Outcome::Clean, Outcome::Skips, Outcome::Failed].map(|outcome| outcomes.count(outcome));
    report.figure("clean", clean);
    report.figure("skips", skips);
    report.figure("failed", failed);
    report.step(format!("{clean} clean, {skips} with skips, {failed} failed; all in {OUTPUT}"));
    report.at_least("tests that pass", PASSED_LEAST, clean + skips);
    report.at_least("tests that pass and skip nothing", CLEAN_LEAST, clean);
    for suite in MUST_BE_CLEAN {
        report.none(&format!("tests of {suite} that are not clean"), &outcomes.not_clean(suite));
    }
    let expected = Expected::parse(include_str!("../expected.toml"))?;
    report.none("tests that did not go as expected.toml says", &outcomes.unexpected(&expected));
    Ok(())
}
