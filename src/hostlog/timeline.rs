//! What hosts wrote and what the target saw, in one order: by the target's clock.

use std::fmt::{self, Write};
use std::time::Duration;

use crate::skew::micros;
use crate::target::Marks;
use crate::{Content, Event, Line, Log, NoSkew, Skew, TargetEvent, WallTime};

/// So much later than an answer of the target a line about it may be: the path, and a busy host.
const LATE: Duration = Duration::from_secs(1);

/// So many characters of a line that cannot be read are shown.
const SHOWN_MAX: usize = 160;

/// What the target's entries are headed with.
const TARGET: &str = "target";

/// A host: files that were written by one clock.
#[derive(Debug)]
pub struct Host {
    /// What to call it.
    pub name: String,
    /// Its logs.
    pub logs: Vec<Log>,
}

/// One order of what was written and what was seen. Its `Display` is the report.
#[derive(Debug)]
pub struct Timeline<'t> {
    hosts: Vec<HostClock<'t>>,
    /// In order.
    entries: Vec<Entry<'t>>,
    /// Of lines without a time.
    undated: Vec<Told<'t>>,
}

#[derive(Debug)]
struct HostClock<'t> {
    host: &'t Host,
    skew: Result<Skew, NoSkew>,
}

#[derive(Debug)]
struct Entry<'t> {
    /// By the target's clock.
    at: WallTime,
    what: What<'t>,
}

#[derive(Debug)]
enum What<'t> {
    Seen(&'t TargetEvent),
    Told(Told<'t>),
}

/// A line that reports something.
#[derive(Debug)]
struct Told<'t> {
    host: &'t str,
    log: &'t str,
    line: &'t Line,
    event: &'t Event,
    /// What the target has seen of it.
    seen: Option<&'t TargetEvent>,
}

impl HostClock<'_> {
    /// How far ahead it is taken to be: not at all, if that cannot be told.
    fn ahead_us(&self) -> i64 {
        self.skew.as_ref().map_or(0, |skew| skew.ahead_us)
    }
}

impl<'t> Timeline<'t> {
    /// Puts the lines of `hosts` and the events of `target` into one order.
    pub fn of(hosts: &'t [Host], target: &'t [TargetEvent]) -> Self {
        let mut timeline = Self { hosts: Vec::new(), entries: Vec::new(), undated: Vec::new() };
        let seen = target.iter().map(|event| Entry { at: event.at, what: What::Seen(event) });
        timeline.entries.extend(seen);
        let marks = Marks::of(target);
        for host in hosts {
            let lines = host.logs.iter().flat_map(|log| &log.events);
            let clock = HostClock { host, skew: Skew::of_marks(lines, &marks) };
            timeline.add(&clock, &marks);
            timeline.hosts.push(clock);
        }
        // Stable: of one moment, what the target saw comes first, and lines stay in their order.
        timeline.entries.sort_by_key(|entry| entry.at);
        timeline
    }

    /// For each host in order: how its clock stands against the target's.
    pub fn skews(&self) -> impl Iterator<Item = (&'t Host, Result<Skew, NoSkew>)> {
        self.hosts.iter().map(|clock| (clock.host, clock.skew))
    }

    fn add(&mut self, clock: &HostClock<'t>, marks: &Marks<'t>) {
        // With clocks that cannot be compared, nothing is the counterpart of anything.
        let reach_us = clock.skew.ok().map(|skew| micros(skew.uncertainty + LATE));
        for log in &clock.host.logs {
            for line in &log.events {
                let Some(event) = line.event() else { continue };
                let at = line.head.at.map(|at| at.earlier_by(clock.ahead_us()));
                let seen = at.and_then(|at| marks.counterpart(event, at, reach_us?));
                let (host, log) = (clock.host.name.as_str(), log.name.as_str());
                let told = Told { host, log, line, event, seen };
                match at {
                    Some(at) => self.entries.push(Entry { at, what: What::Told(told) }),
                    None => self.undated.push(told),
                }
            }
        }
    }
}

impl fmt::Display for Timeline<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "All times are the target's.")?;
        for clock in &self.hosts {
            match &clock.skew {
                Ok(skew) => writeln!(f, "{}: {skew}", Printable(&clock.host.name))?,
                Err(error) => writeln!(
                    f,
                    "{}: {error}; its times stand as they are",
                    Printable(&clock.host.name)
                )?,
            }
        }
        let names = self.hosts.iter().map(|clock| clock.host.name.chars().count());
        let width = names.chain([TARGET.len()]).max().unwrap_or_default();
        writeln!(f)?;
        for entry in &self.entries {
            match &entry.what {
                What::Seen(event) => {
                    writeln!(f, "{}  {TARGET:width$}  {}", entry.at, Printable(&event.text))?;
                }
                What::Told(told) => {
                    write!(f, "{}  {:width$}  ", entry.at, Printable(told.host).to_string())?;
                    told.write(f, Some(entry.at))?;
                }
            }
        }
        for told in &self.undated {
            write!(f, "{:24}  {:width$}  ", "without a time", Printable(told.host).to_string())?;
            told.write(f, None)?;
        }
        writeln!(f)?;
        let mut logs = self.hosts.iter().flat_map(|clock| &clock.host.logs);
        logs.try_for_each(|log| Account(log).fmt(f))
    }
}

impl Told<'_> {
    fn write(&self, f: &mut fmt::Formatter<'_>, at: Option<WallTime>) -> fmt::Result {
        let (log, line) = (Printable(self.log), self.line.number);
        write!(f, "{} ({log}:{line}", Printable(&self.event.to_string()))?;
        if let Some((at, seen)) = at.zip(self.seen) {
            let after = at.micros_after(seen.at);
            let apart = Duration::from_micros(after.unsigned_abs()).as_secs_f64();
            let which = if after < 0 { "after" } else { "before" };
            write!(f, "; the target saw it {apart:.3} s {which}")?;
        }
        writeln!(f, ")")
    }
}

/// What was read of a log, and what not.
struct Account<'l>(&'l Log);

impl fmt::Display for Account<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let log = self.0;
        writeln!(
            f,
            "{}: {} lines: {} in the timeline, {} about other things, {} that cannot be read",
            Printable(&log.name),
            log.line_count(),
            log.events.len(),
            log.unknown_count,
            log.unreadable_count,
        )?;
        for line in &log.unreadable {
            let Content::Unreadable(why) = &line.content else { continue };
            let shown: String = line.text.chars().take(SHOWN_MAX).collect();
            let more = if line.text.chars().nth(SHOWN_MAX).is_some() { " …" } else { "" };
            writeln!(f, "  line {} ({why}): {}{more}", line.number, Printable(&shown))?;
        }
        let kept = log.unreadable.len() as u64;
        if log.unreadable_count > kept {
            writeln!(f, "  and {} more", log.unreadable_count - kept)?;
        }
        if let Some(error) = &log.error {
            writeln!(f, "  {error}: {}", error.source)?;
        }
        Ok(())
    }
}

/// Text from outside, for a terminal: control characters are escaped, so that a log cannot steer
/// it.
struct Printable<'t>(&'t str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| {
            if c.is_control() { write!(f, "{}", c.escape_default()) } else { f.write_char(c) }
        })
    }
}

#[cfg(test)]
mod tests;
