//! `cargo xtask test`: what CI runs, cheapest first, with a summary table.
//!
//! A step that fails does not stop the ones that can still tell something; the guest scenarios need the
//! package and are left out without it. The last line counts everything: each unit test and each check
//! in a guest is one, and so is each of the other steps.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::tally::Tally;
use crate::vm::{
    Abreast, Guest, Image, PROFILE, Run, SCENARIOS, Scenario, build_optimised, optimised,
};
use crate::workshop::{cargo, output, run as run_command, within};
use crate::{deny, layers, metrics, packages, sim};

/// Which steps to run.
#[derive(Args)]
pub(crate) struct Options {
    /// Leave out the package and everything that runs in the guest.
    #[arg(long)]
    no_guest: bool,
    /// Run the nightly scenarios and steps too, which CI has no time for.
    #[arg(long)]
    all: bool,
    /// Run this step alone: a name from the summary table, or of a scenario.
    #[arg(long, value_name = "STEP")]
    only: Option<String>,
    #[command(flatten)]
    abreast: Abreast,
}

/// A name and what it runs.
type Step = (&'static str, fn() -> Result<Tally>);

/// How long all unit and property tests may run, once they are built: they take two minutes.
const TESTS_MAX: Duration = Duration::from_secs(15 * 60);
/// The same for a program that is one step.
const STEP_MAX: Duration = Duration::from_secs(10 * 60);

/// The steps before the guest, cheapest first.
const STEPS: &[Step] = &[
    ("fmt", || check(cargo().args(["fmt", "--all", "--", "--check"]))),
    ("layers", || layers::run().map(|()| Tally::one(true))),
    ("deny", || deny::run_checks().map(|()| Tally::one(true))),
    ("metrics", || metrics::run_checks().map(|()| Tally::one(true))),
    ("clippy", || {
        let scope = ["clippy", "--quiet", "--workspace", "--all-targets", "--all-features"];
        check(cargo().args(scope).args(["--", "-D", "warnings"]))
    }),
    // Not the tests in documentation: there are none, and rustdoc takes longer to say so than most crates' tests.
    ("unit", || {
        cargo_test(&["--workspace", "--all-targets", "--all-features", "--no-fail-fast"])
    }),
    ("fuzz", || {
        build_optimised()?;
        check(&mut within(
            STEP_MAX,
            Command::new(optimised("pulsefield-fuzz")).arg("--commands=200000"),
        ))
    }),
    ("sim", || {
        build_optimised()?;
        // With those that are kept, less than a minute on two processors.
        let program = optimised(sim::PROGRAM);
        check(&mut within(STEP_MAX, Command::new(program).args(["--seeds=20", "--hours=0.1"])))
    }),
    ("docs", || {
        let scope = ["doc", "--quiet", "--workspace", "--no-deps", "--document-private-items"];
        check(cargo().args(scope).env("RUSTDOCFLAGS", "-D warnings"))
    }),
];

/// The steps that only `--all` or their name brings: what they install is large, or they take long.
const NIGHTLY_STEPS: &[Step] = &[
    ("capture", || {
        packages::install(packages::CAPTURE)?;
        cargo_test(&["--package", "pulsefield-capture", "--", "--ignored"])
    }),
    ("determinism", || {
        let scope = ["--package", "pulsefield-faults", "--profile", PROFILE, "--", "--ignored"];
        cargo_test(&scope)
    }),
];

/// The step that makes the guest and what goes into it.
const PREPARE: &str = "guest";

/// Runs the steps that were asked for.
///
/// # Errors
/// When `--only` names no step, or what the steps need cannot be installed.
pub(crate) fn run(options: &Options) -> Result<Tally> {
    let plan = Plan::of(options)?;
    install_packages(!plan.scenarios.is_empty())?;
    toolchain_components()?;

    // Beside the first steps: it downloads, and boots on one processor.
    let image = (!plan.scenarios.is_empty()).then(|| thread::spawn(Image::ready));
    let mut summary = Summary::default();
    for (name, step) in &plan.steps {
        summary.run(name, step);
    }
    if let Some(image) = image {
        let mut guest = None;
        summary.run(PREPARE, || {
            let image = image.join().unwrap_or_else(|_| bail!("building the image panicked"))?;
            guest = Some(Guest::on(image)?);
            Ok(Tally::one(true))
        });
        match &guest {
            Some(guest) => {
                println!("== scenarios");
                let abreast = options.abreast.or_what_fits();
                let runs: Vec<_> = plan.scenarios.into_iter().map(Run::of_ours).collect();
                for ended in guest.run_abreast(&runs, abreast) {
                    summary.add(ended.run.scenario.name, ended.tally, ended.took);
                }
            }
            None => plan.scenarios.iter().for_each(|one| summary.leave_out(one.name)),
        }
    }
    Ok(summary.print())
}

/// All that any step wants, at once: apt does not run twice at a time.
fn install_packages(guest: bool) -> Result<()> {
    let mut wanted = [packages::BUILD, packages::TEST, packages::PYTHON].concat();
    if guest {
        wanted.extend([packages::DIST, packages::GUEST].concat());
    }
    packages::install(&wanted)
}

/// What is to be run.
struct Plan {
    steps: Vec<Step>,
    scenarios: Vec<&'static Scenario>,
}

impl Plan {
    fn of(options: &Options) -> Result<Self> {
        let wanted = |name: &str| options.only.as_deref().is_none_or(|only| only == name);
        let guest = !options.no_guest;
        let nightly = options.all || options.only.is_some();
        let plan = Self {
            steps: STEPS
                .iter()
                .chain(if nightly { NIGHTLY_STEPS } else { &[] })
                .copied()
                .filter(|(name, _)| wanted(name))
                .collect(),
            scenarios: SCENARIOS
                .iter()
                .filter(|one| guest && wanted(one.name))
                .filter(|one| !one.nightly || nightly)
                .collect(),
        };
        if plan.steps.is_empty() && plan.scenarios.is_empty() {
            let steps = STEPS.iter().chain(NIGHTLY_STEPS).map(|(name, _)| *name);
            let names: Vec<_> = steps.chain(SCENARIOS.iter().map(|one| one.name)).collect();
            bail!("no such step; there are {}", names.join(", "));
        }
        Ok(plan)
    }
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

/// rustfmt and clippy, where the toolchain came without them.
fn toolchain_components() -> Result<()> {
    for component in ["fmt", "clippy"] {
        if output(cargo().args([component, "--version"])).is_err() {
            let name = if component == "fmt" { "rustfmt" } else { component };
            println!("installing {name}");
            run_command(Command::new("rustup").args(["component", "add", name]))?;
        }
    }
    Ok(())
}

/// What each step came to.
#[derive(Default)]
struct Summary {
    rows: Vec<Row>,
}

struct Row {
    name: &'static str,
    /// `None` for a step that could not be run for want of an earlier one.
    result: Option<(Tally, Duration)>,
}

impl Summary {
    fn run(&mut self, name: &'static str, step: impl FnOnce() -> Result<Tally>) {
        println!("== {name}");
        let started = Instant::now();
        let result = step();
        self.add(name, result, started.elapsed());
    }

    fn add(&mut self, name: &'static str, result: Result<Tally>, took: Duration) {
        let tally = result.unwrap_or_else(|error| {
            println!("{name}: {error:#}");
            Tally::one(false)
        });
        self.rows.push(Row { name, result: Some((tally, took)) });
    }

    fn leave_out(&mut self, name: &'static str) {
        self.rows.push(Row { name, result: None });
    }

    /// Prints the table and, alone on the last line, the sum.
    fn print(&self) -> Tally {
        println!("\n{:12} {:>8}  result", "step", "seconds");
        let mut total = Tally::default();
        for row in &self.rows {
            match row.result {
                Some((tally, took)) => {
                    total += tally;
                    println!("{:12} {:8.1}  {tally}", row.name, took.as_secs_f64());
                }
                None => println!("{:12} {:>8}  not run", row.name, "-"),
            }
        }
        println!("\n{total}");
        total
    }
}
