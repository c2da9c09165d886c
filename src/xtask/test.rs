//! `cargo xtask test`: what CI runs, with a summary table.
//!
//! Without guests, one step after the other, cheapest first. With guests, which take most of the time and leave a
//! third of the processors unused, what only computes runs beside them. A step that fails does not stop the
//! ones that can still tell something; the guest scenarios need the package and are left out without it. The
//! last line counts everything: each unit test and each check in a guest is one, and so is each of the other
//! steps.

mod steps;
mod summary;

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use rustix::process::nice;

use crate::packages;
use crate::tally::Tally;
use crate::vm::{Abreast, Guest, Image, Run, SCENARIOS, Scenario, build_optimised};
use crate::workshop::{cargo, output, run as run_command};
use steps::{NIGHTLY_STEPS, Place, STEPS, Step};
use summary::Summary;

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

/// The step that makes the guest and what goes into it.
const PREPARE: &str = "guest";

/// How long CI may have been at work when it begins another scenario. It has 90 minutes, and what it has not told by
/// then it never tells.
const BEGUN_WITHIN: Duration = Duration::from_secs(62 * 60);

/// How far what runs beside guests gives way to them, in steps of nice(2): as far as there is.
const BESIDE_NICE: i32 = 19;

/// Runs the steps that were asked for.
///
/// # Errors
/// When `--only` names no step, or what the steps need cannot be installed.
pub(crate) fn run(options: &Options) -> Result<Tally> {
    let started = Instant::now();
    let plan = Plan::of(options)?;
    install_packages(!plan.scenarios.is_empty())?;
    toolchain_components()?;

    let mut summary = Summary::default();
    if plan.scenarios.is_empty() {
        plan.steps.iter().for_each(|step| summary.run(step.name, step.run));
    } else {
        let is_for_ci = !options.all && options.only.is_none();
        let begun_by = is_for_ci.then(|| started + BEGUN_WITHIN);
        plan.run_with_guests(options.abreast.or_what_fits(), begun_by, &mut summary);
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
                .filter(|step| wanted(step.name))
                .collect(),
            scenarios: SCENARIOS
                .iter()
                .filter(|one| guest && wanted(one.name))
                .filter(|one| !one.nightly || nightly)
                .collect(),
        };
        if plan.steps.is_empty() && plan.scenarios.is_empty() {
            let steps = STEPS.iter().chain(NIGHTLY_STEPS).map(|step| step.name);
            let names: Vec<_> = steps.chain(SCENARIOS.iter().map(|one| one.name)).collect();
            bail!("no such step; there are {}", names.join(", "));
        }
        Ok(plan)
    }

    fn run_with_guests(&self, abreast: usize, begun_by: Option<Instant>, summary: &mut Summary) {
        // Beside the first steps: it downloads, and boots on one processor.
        let image = thread::spawn(Image::ready);
        self.run_steps(Place::Before, summary);
        let mut guest = None;
        summary.run(PREPARE, || {
            build_optimised()?;
            let image = image.join().unwrap_or_else(|_| bail!("building the image panicked"))?;
            guest = Some(Guest::on(image)?);
            Ok(Tally::one(true))
        });
        thread::scope(|scope| {
            let others = scope.spawn(|| self.run_beside());
            self.run_scenarios(guest.as_ref(), abreast, begun_by, summary);
            summary.append(others.join().expect("a step that fails does not panic"));
        });
        self.run_steps(Place::After, summary);
    }

    fn run_steps(&self, place: Place, summary: &mut Summary) {
        let steps = self.steps.iter().filter(|step| step.place == place);
        steps.for_each(|step| summary.run(step.name, step.run));
    }

    /// On a thread of its own: Linux has a nice value for each (sched(7)), and programs that it starts inherit it.
    fn run_beside(&self) -> Summary {
        if let Err(error) = nice(BESIDE_NICE) {
            println!("what runs beside the guests does not give way to them: {error}");
        }
        let mut summary = Summary::default();
        self.run_steps(Place::Beside, &mut summary);
        summary
    }

    fn run_scenarios(
        &self,
        guest: Option<&Guest>,
        abreast: usize,
        begun_by: Option<Instant>,
        summary: &mut Summary,
    ) {
        let Some(guest) = guest else {
            return self.scenarios.iter().for_each(|one| summary.leave_out(one.name));
        };
        println!("== scenarios");
        let runs: Vec<_> = self.scenarios.iter().copied().map(Run::of_ours).collect();
        for ended in guest.run_abreast(&runs, abreast, begun_by) {
            summary.add(ended.run.scenario.name, ended.tally, ended.took);
        }
    }
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
