//! Findings as people read them.

use std::fmt;
use std::io::{self, Write};

use pulsefield_explain::{FindingKind, LateHeartbeat, Miscompare, Told, Unanswered};
use pulsefield_record::Record;
use pulsefield_vmfs::{HostUuid, ObjectName};

use super::Explained;
use crate::trace::Utc;

/// Every MISCOMPARE and late heartbeat, in the order in which they were answered, and then the heartbeats
/// that were not; of contention only how much there was, unless `all` is asked for.
pub(super) fn findings(one: &Explained<'_>, all: bool, out: &mut dyn Write) -> io::Result<()> {
    let is_told =
        |miscompare: &&Miscompare<'_>| all || miscompare.finding.kind() != FindingKind::Contention;
    let account = &one.account;
    let mut miscompares = account.miscompares.iter().filter(is_told).peekable();
    let mut late = account.late.iter().peekable();
    loop {
        let next = miscompares.peek().map(|it| it.told().record.sequence);
        match (next, late.peek().map(|it| it.told.record.sequence)) {
            (None, None) => break,
            (Some(next), other) if other.is_none_or(|other| next <= other) => {
                miscompares.next().map_or(Ok(()), |it| miscompare(one.lun, it, out))?;
            }
            _ => late.next().map_or(Ok(()), |it| late_heartbeat(one.lun, it, out))?,
        }
        writeln!(out)?;
    }
    account.unanswered.iter().try_for_each(|it| unanswered(one.lun, it, out))?;
    let left_out = account.miscompares.iter().filter(|it| !is_told(it)).count();
    match left_out {
        0 => Ok(()),
        left_out => writeln!(out, "{left_out} by contention alone: --all shows them.\n"),
    }
}

fn miscompare(lun: &str, miscompare: &Miscompare<'_>, out: &mut dyn Write) -> io::Result<()> {
    let told = miscompare.told();
    let place = Place { object: miscompare.object(), host: miscompare.host() };
    writeln!(out, "{} {lun} MISCOMPARE of {told}: {place}", When(told.record))?;
    miscompare.to_string().lines().try_for_each(|line| writeln!(out, "  {line}"))?;
    writeln!(out, "  to do:    {}", miscompare.finding.kind().advice())
}

fn late_heartbeat(lun: &str, late: &LateHeartbeat<'_>, out: &mut dyn Write) -> io::Result<()> {
    let place = Place { object: late.object, host: late.host };
    let how = if late.too_late { "TOO LATE" } else { "LATE" };
    writeln!(out, "{} {lun} HEARTBEAT {how}: {place}", When(late.told.record))?;
    writeln!(out, "  finding:  {late}")?;
    writeln!(out, "  to do:    {}", late.advice())
}

fn unanswered(lun: &str, it: &Unanswered<'_>, out: &mut dyn Write) -> io::Result<()> {
    let place = Place { object: it.object, host: it.host };
    writeln!(out, "{} {lun} HEARTBEAT NOT ANSWERED: {place}", When(it.record))?;
    writeln!(out, "  finding:  {it}\n")
}

/// When a record was written.
pub(super) struct When<'r>(pub(super) &'r Record);

impl fmt::Display for When<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.wall {
            Some(wall) => Utc(wall).fmt(f),
            None => write!(f, "{} ns after boot", self.0.at.as_nanos()),
        }
    }
}

/// What a command was on.
struct Place {
    object: Option<ObjectName>,
    host: Option<HostUuid>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.object {
            Some(object) => write!(f, "{object}")?,
            None => f.write_str("not VMFS metadata, as far as is recorded")?,
        }
        self.host.map_or(Ok(()), |host| write!(f, ", host {host}"))
    }
}

/// A command with its time, for a list.
pub(super) struct Dated<'r>(pub(super) Told<'r>);

impl fmt::Display for Dated<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", When(self.0.record), self.0)
    }
}
