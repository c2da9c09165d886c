//! `cargo xtask vm`: scenarios in a guest with a real LIO kernel.
//!
//! Build machines have no target core, no configfs and often no modules at all; a small Debian under
//! QEMU has everything. `image` builds it once, `standby` boots it once, `machine` goes on from there,
//! `scenario` says what runs inside, for how long, and what came back.

mod abreast;
mod dissect;
mod image;
mod machine;
mod scenario;
mod standby;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use clap::Args;

use crate::dist;
use crate::packages;
use crate::sim;
use crate::tally::Tally;
use crate::workshop::{cargo, run as run_command, target};
pub(crate) use image::Image;

pub(crate) use abreast::Abreast;
pub(crate) use scenario::{SCENARIOS, Scenario};

/// What to do with the guest.
#[derive(Args)]
pub(crate) struct Options {
    /// Scenarios, each in a fresh guest; or `shell` for a root shell on the guest's console; or `build`
    /// for the guest's image alone.
    #[arg(required = true, value_name = "SCENARIO|shell|build")]
    what: Vec<String>,
    /// Whose backstore `fabrics` and `conformance` use, to see what others score: pulsefield, tcmu-runner,
    /// fileio or ramdisk.
    #[arg(long, value_name = "KIND", default_value = OURS)]
    backstore: String,
    #[command(flatten)]
    abreast: Abreast,
}

/// What the scenarios are written for.
const OURS: &str = "pulsefield";

/// Runs what the command line asked for.
///
/// # Errors
/// When a scenario is unknown, or the guest cannot be built or booted.
pub(crate) fn run(options: &Options) -> Result<Tally> {
    match options.what.as_slice() {
        [one] if one == "build" => Image::ready().map(|_| Tally::one(true)),
        [one] if one == "shell" => shell().map(|()| Tally::one(true)),
        names => {
            let backstore = options.backstore.as_str();
            let run = |name: &String| Ok(Run { scenario: Scenario::named(name)?, backstore });
            let runs: Vec<_> = names.iter().map(run).collect::<Result<_>>()?;
            run_all(&runs, options.abreast.or(1))
        }
    }
}

/// The scenario that shows everything once. Also returns where its results are; beside them lies its report.
///
/// # Errors
/// As [`run`].
pub(crate) fn demo() -> Result<(Tally, PathBuf)> {
    let demo = Run::of_ours(Scenario::named("demo")?);
    let tally = run_all(&[demo], 1)?;
    Ok((tally, demo.results()))
}

fn run_all(runs: &[Run<'_>], abreast: usize) -> Result<Tally> {
    let guest = Guest::ready()?;
    let mut total = Tally::default();
    for ended in guest.run_abreast(runs, abreast, None) {
        total += ended.tally?;
    }
    println!("{total}");
    Ok(total)
}

/// A guest that can be booted, and what is to run inside.
pub(crate) struct Guest {
    image: Image,
    payload: Payload,
}

impl Guest {
    /// Builds what is not there yet: the image, the package and the program that runs inside.
    ///
    /// # Errors
    /// When one of them cannot be built.
    pub(crate) fn ready() -> Result<Self> {
        Self::on(Image::ready()?)
    }

    /// As [`Self::ready`], with an image that is there.
    pub(crate) fn on(image: Image) -> Result<Self> {
        Ok(Self { image, payload: Payload::for_scenarios()? })
    }

    /// Does `runs`, `abreast` of them at a time and in this order, each in a fresh guest whose lines
    /// carry the run's name if there are others beside it. What became of each, in the order in which
    /// they ended. What could not be begun by `begun_by` has failed.
    pub(crate) fn run_abreast<'a>(
        &self,
        runs: &[Run<'a>],
        abreast: usize,
        begun_by: Option<Instant>,
    ) -> Vec<Ended<'a>> {
        let abreast = abreast.clamp(1, runs.len().max(1));
        let waiting = Mutex::new(runs.iter());
        let ended = Mutex::new(Vec::new());
        let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
        let run_in_turn = || {
            while let Some(&run) = next() {
                let started = Instant::now();
                let label = if abreast == 1 { String::new() } else { run.name() };
                let tally = match begun_by.is_some_and(|latest| started > latest) {
                    true => Err(anyhow!("not begun: what was before it has taken too long")),
                    false => self.run(run, &label),
                };
                let one = Ended { run, tally, took: started.elapsed() };
                ended.lock().unwrap_or_else(PoisonError::into_inner).push(one);
            }
        };
        thread::scope(|scope| {
            for _ in 0..abreast {
                scope.spawn(run_in_turn);
            }
        });
        ended.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, run: Run<'_>, label: &str) -> Result<Tally> {
        let share = share(&run.name(), &self.payload)?;
        let arguments = format!("{} --backstore={}", run.scenario.name, run.backstore);
        run.scenario.run(&self.image, &share, &arguments, label)
    }
}

/// A scenario, on whose backstore.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    pub(crate) scenario: &'static Scenario,
    /// As the guest's program names it.
    pub(crate) backstore: &'a str,
}

impl Run<'static> {
    pub(crate) const fn of_ours(scenario: &'static Scenario) -> Self {
        Self { scenario, backstore: OURS }
    }
}

impl Run<'_> {
    fn name(&self) -> String {
        match self.backstore {
            OURS => self.scenario.name.to_owned(),
            other => format!("{}-{other}", self.scenario.name),
        }
    }

    /// What the guest's program leaves behind.
    pub(crate) fn results(&self) -> PathBuf {
        folder(&self.name()).join(RESULTS)
    }
}

/// Where in the folder that it shares with us the guest's program leaves what it found.
const RESULTS: &str = "results/results.json";

/// What became of a run.
pub(crate) struct Ended<'a> {
    pub(crate) run: Run<'a>,
    /// What it found; an error if its guest could not be started at all.
    pub(crate) tally: Result<Tally>,
    pub(crate) took: Duration,
}

/// Measures in a guest that has what is shipped: built for release, without assertions. `arguments` are
/// those of `pulsefield-guest bench`. Also returns where its results are.
///
/// # Errors
/// As [`Guest::ready`]; or when the guest cannot be started.
pub(crate) fn bench(arguments: &str) -> Result<(Tally, PathBuf)> {
    let image = Image::ready()?;
    let share = share(scenario::BENCH.name, &Payload::for_bench()?)?;
    let arguments = format!("{} {arguments}", scenario::BENCH.name);
    let tally = scenario::BENCH.run(&image, &share, &arguments, "")?;
    Ok((tally, share.join(RESULTS)))
}

fn shell() -> Result<()> {
    let guest = Guest::ready()?;
    let share = share("shell", &guest.payload)?;
    machine::interactive(&guest.image, &share)
}

/// What goes into the guest.
struct Payload {
    package: PathBuf,
    programs: Vec<PathBuf>,
}

impl Payload {
    /// In the `guest` profile: optimised, with assertions on.
    fn for_scenarios() -> Result<Self> {
        build_optimised()?;
        let programs = vec![optimised("pulsefield-guest")];
        Ok(Self { package: dist::assemble(PROFILE)?, programs })
    }

    /// As it is shipped, and the bare loop to compare with.
    fn for_bench() -> Result<Self> {
        const SHIPPED: &str = "release";
        let programs = ["pulsefield-guest", "pulsefield-bare"];
        build(SHIPPED, &[&["pulsefield"], programs.as_slice()].concat())?;
        let programs = programs.map(|program| target().join(SHIPPED).join(program)).to_vec();
        Ok(Self { package: dist::assemble(SHIPPED)?, programs })
    }
}

/// The profile of what is tested as it is shipped.
pub(crate) const PROFILE: &str = "guest";

/// Builds all that is tested in that profile at once: built one after the other, each program would
/// want other features of what they share, and have it built anew.
///
/// # Errors
/// When something does not build.
pub(crate) fn build_optimised() -> Result<()> {
    build(PROFILE, &["pulsefield", "pulsefield-guest", "pulsefield-fuzz", sim::PROGRAM])
}

fn build(profile: &str, programs: &[&str]) -> Result<()> {
    packages::install(packages::BUILD)?;
    let programs = programs.iter().map(|program| format!("--package={program}"));
    run_command(cargo().args(["build", "--profile", profile]).args(programs))
}

/// Where [`build_optimised`] puts a program.
pub(crate) fn optimised(program: &str) -> PathBuf {
    target().join(PROFILE).join(program)
}

fn folder(name: &str) -> PathBuf {
    target().join("vm").join(name)
}

/// Lays out the folder that the guest sees as `/host`, empty of earlier results.
fn share(name: &str, payload: &Payload) -> Result<PathBuf> {
    let share = folder(name);
    if share.exists() {
        fs::remove_dir_all(&share).with_context(|| format!("cannot empty {}", share.display()))?;
    }
    fs::create_dir_all(share.join("bin"))?;
    fs::create_dir_all(share.join("results"))?;
    let bring = |from: &Path, to: &str| {
        fs::copy(from, share.join(to))
            .map(drop)
            .with_context(|| format!("cannot copy {} into the share", from.display()))
    };
    bring(&payload.package, "pulsefield.deb")?;
    for program in &payload.programs {
        let name = program.file_name().context("a program has a name")?.to_string_lossy();
        bring(program, &format!("bin/{name}"))?;
    }
    Ok(share)
}
