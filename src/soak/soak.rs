//! A soak from what was asked for to what is concluded.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use pulsefield_checkers::Panel;
use pulsefield_cluster::{Cluster, ClusterConfig, Mix, UNIT, UnknownMix};
use pulsefield_report::{self as report, Emulation, Path, Recorder, Setup, Unit, json, text};
use pulsefield_settings::{Diagnostic, Time};
use thiserror::Error;

use crate::area::{PrepareError, UnitFacts, prepare};
use crate::collector::{Collector, Heard};
use crate::devices::DevicesError;
use crate::environment::environment;
use crate::expectation::{Judgement, judge};
use crate::faults::{Faults, PlanError, PlanFile};
use crate::hosts::{HOSTS_MAX, described, hosts};
use crate::options::{On, SoakOptions};
use crate::outlet::{OutletError, Outlets};
use crate::progress::Progress;
use crate::run::{End, FaultTimes, Outcome, Run, Schedule};
use crate::signals::Interrupts;
use crate::transport::Transport;
use crate::watch::WatchError;
use crate::witness::{UnitRecord, Witness};
use crate::{clock, devices, embedded};

/// What is concluded from a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// Every promise held, and if there was a plan of faults, what it declares was seen.
    Held,
    /// A promise was broken, or a plan had other consequences than it declares, or the run broke off.
    Failed,
    /// Promises were broken exactly as the plan of faults declares.
    Caught,
}

/// Why there was no run, or nothing was kept of it.
#[derive(Debug, Error)]
pub enum SoakError {
    /// There is no such mix.
    #[error(transparent)]
    UnknownMix(#[from] UnknownMix),
    /// The file of a mix cannot be read.
    #[error("cannot read {path}", path = path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file of a mix is none.
    #[error(transparent)]
    Mix(#[from] Box<Diagnostic>),
    /// Hosts are to do without ATS for a while, on a volume that knows nothing else.
    #[error("hosts of the mix {mix} do without ATS for a while, which takes --locking ats+scsi")]
    NothingButAts {
        /// The mix.
        mix: String,
    },
    /// The plan of faults cannot be used.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// More hosts than a volume is for, or none.
    #[error("{0} hosts: there are from 1 to {HOSTS_MAX}")]
    Hosts(u32),
    /// The plan would be armed when the run is over.
    #[error("a plan that is armed after {} is armed never: the run takes {}", Time::from(*after), Time::from(*duration))]
    PlanTooLate {
        /// When it is to be armed.
        after: Duration,
        /// How long the run takes.
        duration: Duration,
    },
    /// The report has nowhere to go.
    #[error(transparent)]
    Outlet(#[from] OutletError),
    /// The unit is not ready.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The devices are none that a run can be on.
    #[error(transparent)]
    Devices(#[from] DevicesError),
    /// There is nothing to watch.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// There is no unit in the process.
    #[error("the embedded unit cannot be made")]
    Embedded(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The operating system refused a thread or signals.
    #[error("the operating system refuses")]
    System(#[source] io::Error),
    /// The result cannot be printed.
    #[error("cannot print")]
    Print(#[source] io::Error),
}

/// A unit that a run can be on.
pub(crate) struct Place<T> {
    pub(crate) transport: T,
    pub(crate) unit: UnitFacts,
    /// By which ways hosts reach it; they are spread over them.
    pub(crate) paths: Vec<Path>,
    pub(crate) emulation: Emulation,
    /// What went through it, from its own side.
    pub(crate) record: UnitRecord,
}

/// All that is known before a device is touched.
pub(crate) struct Prepared<'o> {
    pub(crate) options: &'o SoakOptions,
    mix: Mix,
    pub(crate) seed: u64,
    schedule: Schedule,
    outlets: Outlets,
    interrupts: Interrupts,
}

/// Runs a soak and prints what was found to `out`, in a few lines or as JSON.
///
/// # Errors
/// If there was no run, or nothing was kept of it. That promises were broken is a [`Conclusion`].
pub fn soak(options: &SoakOptions, out: &mut dyn Write) -> Result<Conclusion, SoakError> {
    let prepared = Prepared::new(options)?;
    match &options.on {
        On::Embedded { virtual_time } => embedded::soak(*virtual_time, &prepared, out),
        On::Devices(nodes) => devices::soak(nodes, &prepared, out),
    }
}

impl<'o> Prepared<'o> {
    fn new(options: &'o SoakOptions) -> Result<Self, SoakError> {
        if !(1..=HOSTS_MAX).contains(&options.hosts) {
            return Err(SoakError::Hosts(options.hosts));
        }
        let mix = mix(&options.mix)?;
        if mix.lock_modes.is_some() && !options.locking.may_reserve() {
            return Err(SoakError::NothingButAts { mix: options.mix.clone() });
        }
        let duration = options.duration;
        let after = options.plan_after.unwrap_or(duration / 2);
        let plan = options.plan.as_deref().map(PlanFile::read).transpose()?;
        if plan.is_some() && after >= duration {
            return Err(SoakError::PlanTooLate { after, duration });
        }
        let schedule = Schedule { duration, plan: plan.map(|plan| (plan, after)) };
        let outlets = Outlets::open(options.report.as_deref(), options.junit.as_deref())?;
        let interrupts = Interrupts::watch().map_err(SoakError::System)?;
        // Short enough to be typed again.
        let seed = options.seed.unwrap_or_else(|| clock::now().as_nanos() % 1_000_000);
        Ok(Self { options, mix, seed, schedule, outlets, interrupts })
    }

    /// Runs hosts on a place, and concludes.
    pub(crate) fn run<T: Transport + Faults>(
        &self,
        place: Place<T>,
        out: &mut dyn Write,
    ) -> Result<Conclusion, SoakError> {
        let Place { mut transport, unit, paths, emulation, record } = place;
        let options = self.options;
        let area = prepare(&mut transport, &unit, options.locking, options.destroy)?;
        transport.set_out(&area);
        let began = transport.now();
        let hosts = hosts(options.hosts, self.seed);
        let mut setup = self.setup(&unit, emulation);
        setup.evidence = record.evidence();
        setup.hosts = (0_u32..)
            .zip(&hosts)
            .map(|(nth, host)| {
                let way = usize::try_from(nth).unwrap_or(0) % paths.len().max(1);
                let paths = paths.get(way).cloned().into_iter().collect();
                described(nth, host, options.locking, paths)
            })
            .collect();
        let cluster = Cluster::new(
            ClusterConfig {
                hosts,
                volume: area.volume,
                scratch: area.scratch,
                mix: self.mix.clone(),
                seed: self.seed,
            },
            began,
        );
        let recorder = Recorder::new(setup, began);
        let started = match record {
            UnitRecord::Followed(_) => Collector::with_witness(Panel::default(), recorder),
            UnitRecord::None { .. } => Collector::start(Panel::default(), recorder),
        };
        let (collector, teller) = started.map_err(SoakError::System)?;
        let (witness, looks) = match record {
            UnitRecord::Followed(source) => {
                // Nobody waits for virtual time to pass, so nothing may depend on who is faster.
                let waits = emulation == Emulation::Virtual;
                let started = Witness::start(*source, waits, began, teller.clone());
                let (witness, looks) = started.map_err(SoakError::System)?;
                (Some(witness), Some(looks))
            }
            UnitRecord::None { .. } => (None, None),
        };
        let progress = Progress::new(Some(options.duration), collector.counts(), options.json);
        let (schedule, interrupts) = (self.schedule.clone(), &self.interrupts);
        let progress = &progress;
        let run = Run { transport, cluster, teller, looks, schedule, interrupts, progress };
        let outcome = run.conduct(began);
        witness.into_iter().for_each(Witness::finish);
        progress.clear();
        let heard = collector.finish(outcome.at);
        self.conclude(outcome, heard, out)
    }

    fn setup(&self, unit: &UnitFacts, emulation: Emulation) -> Setup {
        let options = self.options;
        Setup {
            version: options.version.clone(),
            command: format!("{} --seed {}", options.command, self.seed),
            seed: self.seed,
            mix: options.mix.clone(),
            plan: options.plan.as_ref().map(|plan| plan.display().to_string()),
            began_unix_ms: clock::unix_ms(),
            emulation,
            environment: environment(),
            units: vec![Unit {
                id: UNIT.0,
                name: unit.name.clone(),
                product: unit.product.clone(),
                bytes: unit.bytes(),
                block_bytes: unit.block_length.bytes(),
            }],
            hosts: Vec::new(),
            evidence: report::Evidence::default(),
        }
    }

    fn conclude(
        &self,
        outcome: Outcome,
        heard: Heard,
        out: &mut dyn Write,
    ) -> Result<Conclusion, SoakError> {
        let Outcome { at, end, faults } = outcome;
        let Heard { verdicts, recorder, trouble } = heard;
        let plan = self.schedule.plan.as_ref().map(|(plan, _)| &plan.plan);
        let hits = faults.as_ref().map_or(&[][..], |faults| &faults.hits);
        let Judgement { expectations, all_held, mut objections } =
            judge(plan, hits, &verdicts, &trouble);
        let end = match end {
            End::Planned => report::End::Planned,
            End::Interrupted => report::End::Interrupted,
            End::Broken(error) => {
                let why = with_causes(&error);
                objections.push(format!("the run broke off: {why}"));
                report::End::Broken { why }
            }
        };
        let passed = objections.is_empty();
        let conclusion = match (passed, all_held) {
            (true, true) => Conclusion::Held,
            (true, false) => Conclusion::Caught,
            (false, _) => Conclusion::Failed,
        };
        let reasons = match conclusion {
            Conclusion::Held => vec!["all promises held".to_owned()],
            Conclusion::Caught => {
                vec!["promises were broken exactly as the plan of faults declares".to_owned()]
            }
            Conclusion::Failed => objections,
        };
        let expectations = expectations.into_iter().map(|seen| report::Expectation {
            rule: seen.rule,
            fault: seen.fault.to_owned(),
            expected: seen.expected.to_owned(),
            seen: seen.seen,
            met: seen.met,
        });
        let conclusion_of_report = report::Conclusion {
            end,
            judgement: report::Judgement { passed, reasons },
            verdicts,
            notes: Vec::new(),
            expectations: expectations.collect(),
            faults: self.armed(&recorder, faults.as_ref()),
        };
        let run = recorder.finish(at, conclusion_of_report);
        publish(&self.outlets, self.options.json, &run, out)?;
        Ok(conclusion)
    }

    /// What a report says of the rules of the plan.
    fn armed(&self, recorder: &Recorder, times: Option<&FaultTimes>) -> Vec<report::Fault> {
        let (Some((plan, _)), Some(times)) = (&self.schedule.plan, times) else {
            return Vec::new();
        };
        let rules = plan.plan.rules.iter().zip(plan.plan.sentences());
        let faults = rules.enumerate().map(|(position, (rule, sentence))| {
            let hits = times.hits.iter().find(|hits| hits.position == position);
            report::Fault {
                rule: rule.name.clone(),
                fault: rule.fault.name().to_owned(),
                sentence,
                from_ms: recorder.at_ms(times.from),
                until_ms: Some(recorder.at_ms(times.until)),
                hits: hits.map_or(0, |hits| hits.hits),
            }
        });
        faults.collect()
    }
}

/// Writes what was found where it goes, and prints it: as JSON, or in a few lines with the files there are.
pub(crate) fn publish(
    outlets: &Outlets,
    as_json: bool,
    run: &report::Run,
    out: &mut dyn Write,
) -> Result<(), SoakError> {
    let written = outlets.write(run)?;
    if as_json {
        return out.write_all(json::write(run).as_bytes()).map_err(SoakError::Print);
    }
    out.write_all(text::summary(run).as_bytes()).map_err(SoakError::Print)?;
    written
        .iter()
        .try_for_each(|path| writeln!(out, "{}", path.display()))
        .map_err(SoakError::Print)
}

/// The mix of this name, or in this file.
fn mix(name: &str) -> Result<Mix, SoakError> {
    if !name.contains(['/', '.']) {
        return Ok(Mix::named(name)?);
    }
    let text = std::fs::read_to_string(name)
        .map_err(|source| SoakError::Unreadable { path: PathBuf::from(name), source })?;
    Ok(Mix::parse(name, &text)?)
}

pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
