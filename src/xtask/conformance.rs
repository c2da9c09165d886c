//! `cargo xtask conformance`: writes `docs/conformance.md`, how libiscsi's suite goes on our logical units
//! and on those of two others, in the same guest.
//!
//! Ten minutes and more, so not part of the test, which runs the suite on ours alone and
//! fails on any difference from `tests/guest/expected.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result};
use clap::Args;
use serde::Deserialize;

use crate::tally::Tally;
use crate::vm::{Abreast, Guest, Run, Scenario};
use crate::workshop::root;

const SCENARIO: &str = "conformance";
/// As the guest's program names them, ours first.
const BACKSTORES: [&str; 3] = ["pulsefield", "tcmu-runner", "fileio"];

/// What to write the page from.
#[derive(Args)]
pub(crate) struct Options {
    /// Run nothing: take what the last `vm conformance` of each backstore left.
    #[arg(long, conflicts_with = "wanted")]
    from_last_runs: bool,
    #[command(flatten)]
    abreast: Abreast,
}

/// Runs the suite on every backstore and writes the page.
///
/// # Errors
/// When the guest cannot be booted, a run left no results, or the page cannot be written.
pub(crate) fn run(options: &Options) -> Result<Tally> {
    let scenario = Scenario::named(SCENARIO)?;
    let runs = BACKSTORES.map(|backstore| Run { scenario, backstore });
    let verdict = match options.from_last_runs {
        true => Tally::one(true),
        false => run_all(&runs, &options.abreast)?,
    };
    write_page(&runs)?;
    Ok(verdict)
}

fn run_all(runs: &[Run<'static>], abreast: &Abreast) -> Result<Tally> {
    let mut verdict = Tally::default();
    for ended in Guest::ready()?.run_abreast(runs, abreast.or_what_fits(), None) {
        // What others miss is shown, not held against us.
        if ended.run.backstore == BACKSTORES[0] {
            verdict = ended.tally?;
        }
    }
    Ok(verdict)
}

fn write_page(runs: &[Run<'_>]) -> Result<()> {
    let columns: Vec<_> = runs.iter().map(outcomes).collect::<Result<_>>()?;
    let expected = fs::read_to_string(root().join("tests/guest/expected.toml"))?;
    let path = root().join("docs/conformance.md");
    fs::write(&path, page(&columns, &toml::from_str(&expected)?)?)
        .with_context(|| format!("writing {}", path.display()))?;
    println!("{}", path.display());
    Ok(())
}

/// How each test ended: `clean`, `skips` or `failed`.
type Outcomes = BTreeMap<String, String>;

fn outcomes(run: &Run<'_>) -> Result<Outcomes> {
    #[derive(Deserialize)]
    struct Results {
        figures: Figures,
    }
    #[derive(Deserialize)]
    struct Figures {
        outcomes: Outcomes,
    }
    let text = fs::read_to_string(run.results());
    let text = text.with_context(|| format!("no results of {}", run.backstore))?;
    let results: Results = serde_json::from_str(&text)?;
    Ok(results.figures.outcomes)
}

#[derive(Deserialize)]
struct Expected {
    exception: Vec<Exception>,
}

#[derive(Deserialize)]
struct Exception {
    outcome: String,
    reason: String,
    tests: Vec<String>,
}

const HEAD: &str = "\
# Conformance

libiscsi's suite (`iscsi-test-cu`, libiscsi 1.19, every test once) over two portals of the kernel's iSCSI target, in
the guest. *Clean* is a test that passed and left nothing out; the suite itself counts one that skipped everything as
passed. `cargo xtask conformance` wrote this page; `cargo xtask test` runs the suite again and fails on any difference
from `tests/guest/expected.toml`, a better outcome included.

Pulsefield is measured on six kinds of logical unit, since no single one can be both read-only and written to, or
both have blocks of 512 bytes and of 4096: a test that fails on any of them has failed. The others are measured as they
come: tcmu-runner with its qcow handler on a raw file, LIO with fileio.

Clean / with skips / failed:

";

fn page(columns: &[Outcomes], expected: &Expected) -> Result<String> {
    let mut page = HEAD.to_owned();
    writeln!(page, "| suite | {} |", BACKSTORES.join(" | "))?;
    writeln!(page, "|---{}|", "|---".repeat(BACKSTORES.len()))?;
    let suites = columns.iter().flat_map(BTreeMap::keys).filter_map(|test| test.split_once('.'));
    let suites: BTreeSet<_> = suites.map(|(suite, _)| suite).collect();
    for suite in suites {
        let of_suite = |test: &str| test.split_once('.').is_some_and(|(name, _)| name == suite);
        writeln!(page, "| {suite} | {} |", row(columns, of_suite))?;
    }
    writeln!(page, "| **all** | {} |", row(columns, |_| true))?;
    writeln!(page, "\n## What is not clean on ours, and why\n")?;
    for Exception { outcome, reason, tests } in &expected.exception {
        writeln!(page, "- **{outcome}**: {}. {}", tests.join(", "), reason.trim())?;
    }
    Ok(page)
}

fn row(columns: &[Outcomes], wanted: impl Fn(&str) -> bool) -> String {
    let cells = columns.iter().map(|column| {
        let count = |outcome: &str| {
            column.iter().filter(|(test, seen)| wanted(test) && *seen == outcome).count()
        };
        format!("{} / {} / {}", count("clean"), count("skips"), count("failed"))
    });
    cells.collect::<Vec<_>>().join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suite_has_a_row_and_every_exception_its_reason() {
        let column = |read: &str, inquiry: &str| {
            let tests =
                [("Read10.Simple", read), ("Read10.ZeroBlocks", "clean"), ("Inquiry.Bit", inquiry)];
            tests.map(|(test, outcome)| (test.to_owned(), outcome.to_owned())).into()
        };
        let columns =
            [column("clean", "skips"), column("failed", "clean"), column("clean", "clean")];
        let reason = "Because.\n".to_owned();
        let exception = Exception {
            outcome: "skips".to_owned(),
            reason,
            tests: vec!["Inquiry.Bit".to_owned()],
        };
        let page = page(&columns, &Expected { exception: vec![exception] }).unwrap();
        assert!(page.contains("| Read10 | 2 / 0 / 0 | 1 / 0 / 1 | 2 / 0 / 0 |\n"), "{page}");
        assert!(page.contains("| **all** | 2 / 1 / 0 | 2 / 0 / 1 | 3 / 0 / 0 |\n"), "{page}");
        assert!(page.ends_with("- **skips**: Inquiry.Bit. Because.\n"), "{page}");
    }
}
