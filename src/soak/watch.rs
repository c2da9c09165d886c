//! `pulsefield soak --watch`: real hosts on units that Pulsefield serves, checked by what the units' records tell.
//!
//! ```text
//!   record ─► Source ─► Unit (order, gaps, heartbeats and locks) ─► Collector ─► judgement ─► report
//! ```
//!
//! No command is sent, and the daemon is only asked whether it has the units. A promise that a record cannot decide
//! is not checked, which the report says (`decided.rs`).

mod claims;
mod command;
mod decided;
mod hosts;
mod pending;
mod sources;
#[cfg(test)]
mod tests;
mod unit;
mod volume;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use pulsefield_checkers::{HostId, OperationId, Panel, UnitId};
use pulsefield_control::Client;
use pulsefield_record::ReadError;
use pulsefield_report::{self as report, Emulation, Evidence, Recorder, Setup};
use pulsefield_units::Instant;
use pulsefield_vmfs::HostUuid;

use crate::clock;
use crate::collector::{Collector, Heard, Teller};
use crate::environment::environment;
use crate::outlet::Outlets;
use crate::progress::Progress;
use crate::signals::Interrupts;
use crate::soak::{Conclusion, SoakError, publish};
use decided::{DECIDED, Judgement, judge, note};
use hosts::Hosts;
use sources::Watched;
use unit::Unit;

pub use sources::WatchError;

/// How often it is looked for more: as often as somebody who watches can tell.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What is to be watched, as it was asked for.
#[derive(Clone, Debug)]
pub struct WatchOptions {
    /// Logical units, or files if there is a slash in their names.
    pub names: Vec<String>,
    /// The folder in which units are recorded.
    pub directory: PathBuf,
    /// The daemon's control socket.
    pub socket: PathBuf,
    /// For how long; until somebody ends it if it is not said.
    pub duration: Option<Duration>,
    /// Where the report goes.
    pub report: Option<PathBuf>,
    /// Where JUnit's XML goes.
    pub junit: Option<PathBuf>,
    /// Whether the report is printed as JSON.
    pub json: bool,
    /// What to type to repeat it.
    pub command: String,
    /// The program's version.
    pub version: String,
}

/// Watches units, and prints what was found to `out`, in a few lines or as JSON.
///
/// # Errors
/// If nothing could be watched, or nothing was kept of it. That promises were broken is a [`Conclusion`].
pub fn watch(options: &WatchOptions, out: &mut dyn Write) -> Result<Conclusion, SoakError> {
    let outlets = Outlets::open(options.report.as_deref(), options.junit.as_deref())?;
    let interrupts = Interrupts::watch().map_err(SoakError::System)?;
    let are_files = sources::are_files(&options.names)?;
    let client = Client::new(&options.socket);
    let open = |name: &String| match are_files {
        true => sources::read(Path::new(name)),
        false => sources::follow(name, &options.directory, &client),
    };
    let watched = options.names.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let times = Times::of(&watched);
    let recorder = Recorder::new(setup(options, &watched, &times), times.began);
    let (collector, teller) =
        Collector::start(Panel::of(&DECIDED), recorder).map_err(SoakError::System)?;
    let progress = Progress::new(options.duration, collector.counts(), options.json || are_files);
    let mut watch = Watch { watched, units: Vec::new(), hosts: Hosts::default(), operations: 0 };
    let outcome = match are_files {
        true => watch.read(&teller, &times),
        false => watch.follow(options.duration, &teller, &interrupts, &progress, &times),
    };
    progress.clear();
    drop(teller);
    let heard = collector.finish(outcome.at);
    watch.conclude(outcome, heard, |run| publish(&outlets, options.json, run, out))
}

/// Whom to tell what, and what all units share.
struct Telling<'t> {
    teller: &'t Teller,
    hosts: &'t mut Hosts,
    operations: &'t mut u64,
}

impl Telling<'_> {
    fn id(&mut self, uuid: Option<HostUuid>) -> HostId {
        self.hosts.id(uuid, self.teller)
    }

    /// A number for an operation.
    fn operation(&mut self) -> OperationId {
        *self.operations += 1;
        OperationId(*self.operations)
    }
}

/// When it began.
struct Times {
    /// By the clock of the records.
    began: Instant,
    /// By the wall clock, in milliseconds since 1970.
    began_unix_ms: i64,
}

impl Times {
    /// Of files their first record; of units now.
    fn of(watched: &[Watched]) -> Self {
        let first = watched.iter().filter_map(|watched| watched.records.first());
        match first.min_by_key(|record| record.at) {
            None => Self { began: clock::now(), began_unix_ms: clock::unix_ms() },
            Some(first) => {
                let nanos = first.wall.map_or(0, |wall| wall.as_nanos());
                let began_unix_ms = i64::try_from(nanos / 1_000_000).unwrap_or(i64::MAX);
                Self { began: first.at, began_unix_ms }
            }
        }
    }
}

/// How it ended.
struct Outcome {
    at: Instant,
    end: report::End,
}

struct Watch {
    watched: Vec<Watched>,
    units: Vec<Unit>,
    hosts: Hosts,
    operations: u64,
}

impl Watch {
    /// Reads files from their beginnings to their ends.
    fn read(&mut self, teller: &Teller, times: &Times) -> Outcome {
        let mut at = times.began;
        for (nth, watched) in (0..).zip(&mut self.watched) {
            let records = std::mem::take(&mut watched.records);
            let since = records.first().map_or(times.began, |record| record.at);
            let mut unit = Unit::new(UnitId(nth), watched.source.lun(), since, watched.last);
            let Self { hosts, operations, .. } = self;
            let mut to = Telling { teller, hosts, operations };
            for record in &records {
                unit.take(record, &mut to);
                unit.settle(false, &mut to);
            }
            unit.finish(unit.latest(), &mut to);
            at = at.max(unit.latest());
            self.units.push(unit);
        }
        Outcome { at, end: report::End::Planned }
    }

    /// Follows units until it is time, or somebody wants it to end.
    fn follow(
        &mut self,
        duration: Option<Duration>,
        teller: &Teller,
        interrupts: &Interrupts,
        progress: &Progress,
        times: &Times,
    ) -> Outcome {
        let began = times.began;
        self.units = (0..)
            .zip(&self.watched)
            .map(|(nth, it)| Unit::new(UnitId(nth), it.source.lun(), began, it.last))
            .collect();
        let end = loop {
            let now = clock::now();
            progress.show(now.since(began), self.hosts.len());
            let is_over = duration.is_some_and(|duration| now.since(began) >= duration);
            let is_interrupted = interrupts.count() > 0;
            if let Err(error) = self.poll(teller) {
                let why = crate::soak::with_causes(&error);
                teller.incident(now, None, why.clone());
                break report::End::Broken { why };
            }
            match (is_over, is_interrupted) {
                (true, _) => break report::End::Planned,
                // Without a time that it is to take that is how it ends.
                (false, true) if duration.is_none() => break report::End::Planned,
                (false, true) => break report::End::Interrupted,
                (false, false) => thread::sleep(LOOK_EVERY),
            }
        };
        let at = clock::now();
        let Self { units, hosts, operations, .. } = self;
        let mut to = Telling { teller, hosts, operations };
        units.iter_mut().for_each(|unit| unit.finish(at, &mut to));
        Outcome { at, end }
    }

    fn poll(&mut self, teller: &Teller) -> Result<(), ReadError> {
        let Self { watched, units, hosts, operations } = self;
        let mut to = Telling { teller, hosts, operations };
        for (watched, unit) in watched.iter_mut().zip(units) {
            for record in watched.source.poll()? {
                unit.take(&record, &mut to);
            }
            unit.settle(false, &mut to);
        }
        Ok(())
    }

    fn conclude(
        &self,
        outcome: Outcome,
        heard: Heard,
        publish: impl FnOnce(&report::Run) -> Result<(), SoakError>,
    ) -> Result<Conclusion, SoakError> {
        let Outcome { at, end } = outcome;
        let Heard { verdicts, recorder, .. } = heard;
        let names = self.watched.iter().map(|watched| watched.source.lun());
        let seen: Vec<_> = names.zip(self.units.iter().map(Unit::sightings)).collect();
        let Judgement { verdicts, mut passed, mut reasons } = judge(verdicts, &seen);
        if let report::End::Broken { why } = &end {
            passed = false;
            reasons.push(format!("the watch broke off: {why}"));
        }
        let noted = verdicts.iter().filter_map(|verdict| {
            let note = note(verdict.promise)?;
            Some((verdict.promise, note.to_owned()))
        });
        let notes = noted.collect();
        let faults = faults(&recorder, &seen);
        let judgement = report::Judgement { passed, reasons };
        let expectations = Vec::new();
        let conclusion =
            report::Conclusion { end, judgement, verdicts, notes, expectations, faults };
        publish(&recorder.finish(at, conclusion))?;
        Ok(if passed { Conclusion::Held } else { Conclusion::Failed })
    }
}

fn setup(options: &WatchOptions, watched: &[Watched], times: &Times) -> Setup {
    let unit = |(id, watched): (u32, &Watched)| {
        let blocks = watched.start.map_or(0, |start| start.blocks.as_u64());
        let block_bytes = watched.start.map_or(0, |start| start.block_bytes);
        report::Unit {
            id,
            name: watched.source.lun().to_owned(),
            product: "recorded by pulsefield".to_owned(),
            bytes: blocks.saturating_mul(block_bytes.into()),
            block_bytes,
        }
    };
    Setup {
        version: options.version.clone(),
        command: options.command.clone(),
        began_unix_ms: times.began_unix_ms,
        emulation: Emulation::Watched,
        environment: environment(),
        evidence: Evidence::Hosts {
            why: "`pulsefield explain` does, of the units that were watched".to_owned(),
        },
        units: (0..).zip(watched).map(unit).collect(),
        ..Setup::default()
    }
}

/// What a report says of rules that were seen to hit.
fn faults(recorder: &Recorder, seen: &[(&str, &unit::Sightings)]) -> Vec<report::Fault> {
    let all = seen.iter().flat_map(|(unit, seen)| seen.hits.iter().map(move |hits| (unit, hits)));
    let faults = all.map(|(unit, (rule, (first, last, hits)))| report::Fault {
        rule: rule.clone(),
        fault: "recorded".to_owned(),
        sentence: format!("Hit commands of {unit}; from its first hit to its last."),
        from_ms: recorder.at_ms(*first),
        until_ms: Some(recorder.at_ms(*last)),
        hits: *hits,
    });
    faults.collect()
}
