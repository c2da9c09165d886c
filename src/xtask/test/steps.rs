//! The steps beside the scenarios, cheapest first, and where each belongs when there are guests.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::tally::Tally;
use crate::vm::{PROFILE, build_optimised, optimised};
use crate::workshop::{cargo, run as run_command, within};
use crate::{deny, layers, metrics, packages, sim};

/// A name, when it runs, and what it runs.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) place: Place,
    pub(super) run: fn() -> Result<Tally>,
}

/// When a step runs if there are guests; if there are none, it runs in its turn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Before them: it takes seconds.
    Before,
    /// Beside them, on what they leave of the processors: it only computes.
    Beside,
    /// After them: it has threads that wait for one another, and deadlines.
    After,
}

/// How long all unit and property tests may run, once they are built: they take two minutes.
const TESTS_MAX: Duration = Duration::from_secs(15 * 60);
/// The same for a program that is one step.
const STEP_MAX: Duration = Duration::from_secs(20 * 60);

/// What the programs with the tests are built of. Not those in documentation: there are none, and to look for them
/// takes longer than most crates' tests.
const TESTS: [&str; 3] = ["--workspace", "--all-targets", "--all-features"];

/// The steps before the scenarios, cheapest first.
pub(super) const STEPS: &[Step] = &[
    before("fmt", || check(cargo().args(["fmt", "--all", "--", "--check"]))),
    before("layers", || layers::run().map(|()| Tally::one(true))),
    before("deny", || deny::run_checks().map(|()| Tally::one(true))),
    before("metrics", || metrics::run_checks().map(|()| Tally::one(true))),
    beside("clippy", || {
        let scope = ["clippy", "--quiet", "--workspace", "--all-targets", "--all-features"];
        check(cargo().args(scope).args(["--", "-D", "warnings"]))
    }),
    beside("tests", || check(cargo().args(["test", "--no-run", "--quiet"]).args(TESTS))),
    after("unit", || cargo_test(&[&TESTS[..], &["--no-fail-fast"]].concat())),
    beside("fuzz", || {
        build_optimised()?;
        let program = optimised("pulsefield-fuzz");
        check(&mut within(STEP_MAX, Command::new(program).arg("--commands=200000")))
    }),
    beside("sim", || {
        build_optimised()?;
        // With those that are kept, less than a minute on two processors.
        let program = optimised(sim::PROGRAM);
        check(&mut within(STEP_MAX, Command::new(program).args(["--seeds=20", "--hours=0.1"])))
    }),
    beside("docs", || {
        let scope = ["doc", "--quiet", "--workspace", "--no-deps", "--document-private-items"];
        check(cargo().args(scope).env("RUSTDOCFLAGS", "-D warnings"))
    }),
];

/// The steps that only `--all` or their name brings: what they install is large, or they take long.
pub(super) const NIGHTLY_STEPS: &[Step] = &[
    after("capture", || {
        packages::install(packages::CAPTURE)?;
        cargo_test(&["--package", "pulsefield-capture", "--", "--ignored"])
    }),
    after("determinism", || {
        let scope = ["--package", "pulsefield-faults", "--profile", PROFILE, "--", "--ignored"];
        cargo_test(&scope)
    }),
];

const fn before(name: &'static str, run: fn() -> Result<Tally>) -> Step {
    Step { name, place: Place::Before, run }
}

const fn beside(name: &'static str, run: fn() -> Result<Tally>) -> Step {
    Step { name, place: Place::Beside, run }
}

const fn after(name: &'static str, run: fn() -> Result<Tally>) -> Step {
    Step { name, place: Place::After, run }
}

fn check(command: &mut Command) -> Result<Tally> {
    run_command(command).map(|()| Tally::one(true))
}

/// `cargo test` with these arguments, passed through line by line and counted on the way. A test that hangs
/// fails, and the last line tells which; building takes as long as it takes.
fn cargo_test(arguments: &[&str]) -> Result<Tally> {
    let ours = arguments.split(|argument| *argument == "--").next().unwrap_or_default();
    run_command(cargo().args(["test", "--no-run", "--quiet"]).args(ours))?;
    let mut command = within(TESTS_MAX, &cargo());
    command.arg("test").args(arguments);
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start cargo test")?;
    let lines = BufReader::new(child.stdout.take().expect("the output is piped")).lines();
    let mut tally = Tally::default();
    for line in lines {
        let line = line.context("cargo test wrote no UTF-8")?;
        println!("{line}");
        if let Some(counts) = Tally::of_libtest(&line) {
            tally += counts;
        }
    }
    let status = child.wait().context("cannot wait for cargo test")?;
    if !status.success() && tally.failed == 0 {
        bail!("cargo test ended with {status}; 124 is for more than {} s", TESTS_MAX.as_secs());
    }
    Ok(tally)
}
