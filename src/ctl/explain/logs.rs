//! What hosts wrote in their logs, beside what the target saw.

use std::collections::{BTreeMap, HashSet};
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::str::FromStr;

use pulsefield_explain::Told;
use pulsefield_hostlog::{
    Event as Logged, FailureMark, HeartbeatMark, HeartbeatRecord, Host, Log, Mark, TargetEvent,
    Timeline, WallTime as LogTime,
};
use pulsefield_record::{ImageRole, Record, WallTime};
use pulsefield_scsi::Status;
use pulsefield_units::Span;
use pulsefield_vmfs::{Change, Heartbeat, HeartbeatChange, Object, ObjectName};

use super::{ExplainError, Explained};
use crate::cli::ExplainArgs;
use crate::trace::{SenseText, Utc, event};

/// A file that a host wrote: `FILE`, or `HOST=FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogFile {
    /// What to call the host; files of one host are read by one clock. The file's name without one.
    host: String,
    path: PathBuf,
}

impl FromStr for LogFile {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let named =
            text.split_once('=').filter(|(host, _)| !host.is_empty() && !host.contains('/'));
        let (host, path) = named.unwrap_or((text, text));
        Ok(Self { host: host.to_owned(), path: path.into() })
    }
}

/// Prints one timeline of both sides.
pub(super) fn timeline(
    explained: &[Explained<'_>],
    args: &ExplainArgs,
    now: WallTime,
    out: &mut dyn Write,
) -> Result<(), ExplainError> {
    let last = explained.iter().filter_map(|one| one.records.last()?.wall).max();
    let hosts = hosts(&args.vmkernel_log, Utc(last.unwrap_or(now)).log_time())?;
    let logged = hosts.iter().flat_map(|host| &host.logs).flat_map(|log| &log.events);
    let mentioned: HashSet<_> =
        logged.filter_map(|line| image_of(line.event()?)).map(mark_of_log).collect();
    let device = args.device.as_deref().unwrap_or_default();
    let mut seen = Vec::new();
    for one in explained {
        seen.extend(Seen::of(one, device, &mentioned).events());
    }
    Ok(write!(out, "{}", Timeline::of(&hosts, &seen))?)
}

/// The logs, host by host; `near` is about when they were written.
fn hosts(files: &[LogFile], near: LogTime) -> Result<Vec<Host>, ExplainError> {
    let mut hosts: Vec<Host> = Vec::new();
    for LogFile { host, path } in files {
        let unreadable = |source: io::Error| ExplainError::Log { path: path.clone(), source };
        let file = File::open(path).map_err(unreadable)?;
        let log = Log::read(&path.display().to_string(), file, near);
        match hosts.iter_mut().find(|known| known.name == *host) {
            Some(known) => known.logs.push(log),
            None => hosts.push(Host { name: host.clone(), logs: vec![log] }),
        }
    }
    Ok(hosts)
}

/// The image of a heartbeat that a line tells.
const fn image_of(event: &Logged) -> Option<&HeartbeatRecord> {
    if let Logged::HeartbeatWaiting { record, .. }
    | Logged::HeartbeatReclaiming { record, .. }
    | Logged::HeartbeatReclaimed { record, .. } = event
    {
        record.as_ref()
    } else {
        None
    }
}

const fn mark_of_log(record: &HeartbeatRecord) -> HeartbeatMark {
    HeartbeatMark { offset: record.offset, stamp: record.stamp }
}

const fn mark_of(heartbeat: &Heartbeat) -> HeartbeatMark {
    HeartbeatMark { offset: heartbeat.address, stamp: heartbeat.stamp }
}

/// What is to be shown of a record. Of pulses in good order only those that a log mentions, and the first
/// and the last of each host: by these its clock is known.
struct Seen<'s, 'r> {
    one: &'s Explained<'r>,
    device: &'s str,
    mentioned: &'s HashSet<HeartbeatMark>,
    ends: HashSet<u64>,
}

impl<'s, 'r> Seen<'s, 'r> {
    fn of(one: &'s Explained<'r>, device: &'s str, mentioned: &'s HashSet<HeartbeatMark>) -> Self {
        let mut of_host = BTreeMap::new();
        for record in one.records {
            let Some(told) = told(record).filter(Told::is_good) else { continue };
            if let Some(pulse) = told.pulse() {
                let key = (pulse.owner, pulse.address, record.epoch);
                of_host.entry(key).or_insert((record.sequence, 0)).1 = record.sequence;
            }
        }
        let ends = of_host.into_values().flat_map(|(first, last)| [first, last]).collect();
        Self { one, device, mentioned, ends }
    }

    fn events(&self) -> impl Iterator<Item = TargetEvent> {
        self.one.records.iter().filter_map(|record| self.event(record))
    }

    fn event(&self, record: &Record) -> Option<TargetEvent> {
        let (what, mark) = match told(record) {
            Some(told) if !told.is_good() => (self.failure(told), Some(self.mark(told))),
            Some(told) => self.pulse(told)?,
            None => (other(record)?, None),
        };
        let text = format!("{}: {what}", self.one.lun);
        Some(TargetEvent { at: Utc(record.wall?).log_time(), text, mark })
    }

    fn pulse(&self, told: Told<'_>) -> Option<(String, Option<Mark>)> {
        let pulse = told.pulse()?;
        let mark = mark_of(&pulse);
        let late = self.one.account.late.iter().find(|late| late.told == told);
        let image = |role| told.command.image(role).map(|image| image.bytes.as_slice());
        let written = image(ImageRole::Written)?;
        let change = image(ImageRole::Expected).map(|expected| Change::between(expected, written));
        let is_pulse =
            matches!(change, None | Some(Change::Heartbeat(HeartbeatChange::Pulse { .. })));
        let is_shown = !is_pulse
            || late.is_some()
            || self.mentioned.contains(&mark)
            || self.ends.contains(&told.record.sequence);
        let what = change.map_or_else(|| "a pulse without ATS".to_owned(), |it| it.to_string());
        let took = late
            .map_or_else(String::new, |_| format!(", late: it took {}", Span(told.command.took())));
        let stamp = mark.stamp.as_secs_f64();
        let what = format!("{what}, heartbeat at {}, stamp {stamp:.6} s{took}", mark.offset);
        is_shown.then_some((what, Some(Mark::Heartbeat(mark))))
    }

    fn failure(&self, told: Told<'_>) -> String {
        let status = Status::from_u8(told.command.status);
        let status = status.map_or_else(|| "an unknown status".to_owned(), |it| it.to_string());
        let sense = told.command.sense.map(|sense| format!(", {}", SenseText(sense)));
        let miscompares = &self.one.account.miscompares;
        let finding = miscompares.iter().find(|miscompare| miscompare.told() == told);
        let finding = finding.map(|it| format!(": {}: {}", it.finding.kind(), it.finding));
        let took = Span(told.command.took());
        let (sense, finding) = (sense.unwrap_or_default(), finding.unwrap_or_default());
        format!("{told} after {took}: {status}{sense}{finding}")
    }

    fn mark(&self, told: Told<'_>) -> Mark {
        let image =
            told.command.image(ImageRole::Expected).or(told.command.image(ImageRole::Written));
        let object = image.and_then(|image| Object::decode(&image.bytes)).map(|it| it.name());
        Mark::Failure(FailureMark {
            device: self.device.to_owned(),
            opcode: told.command.cdb.opcode().unwrap_or_default(),
            status: told.command.status,
            sense: told.command.sense.map(|sense| (sense.key, sense.asc, sense.ascq)),
            heartbeat_offset: match object {
                Some(ObjectName::Heartbeat { address }) => Some(address),
                Some(ObjectName::Lock { .. }) | None => None,
            },
        })
    }
}

/// What happened, if it is no command and somebody's business.
fn other(record: &Record) -> Option<String> {
    let mut text = Vec::new();
    // Writing into memory never fails.
    let _ = event(record, None, &mut text);
    let text = String::from_utf8_lossy(&text).trim_start().to_owned();
    (!text.is_empty()).then_some(text)
}

fn told(record: &Record) -> Option<Told<'_>> {
    record.command().map(|command| Told { record, command })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_name_its_host() {
        for (text, host, path) in [
            ("esx01=logs/vmkernel.log", "esx01", "logs/vmkernel.log"),
            ("logs/vmkernel.log", "logs/vmkernel.log", "logs/vmkernel.log"),
            ("a/b=c.log", "a/b=c.log", "a/b=c.log"),
            ("=c.log", "=c.log", "=c.log"),
        ] {
            let expected = LogFile { host: host.to_owned(), path: path.into() };
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }
}
