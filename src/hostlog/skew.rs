//! How far a host's clock is ahead of the target's, from what both have seen.
//!
//! Three things are in both accounts. The image of a heartbeat that a host says it has just written
//! is the image that the target has seen written: its stamp is unique. The stamp is the host's
//! uptime, so any line that names an uptime tells when, by the target's clock, it was. And a
//! command that failed was answered by the target with the same status and sense data; but that may
//! be said of many, so this decides only where nothing else does, and only if one difference
//! explains far more of the lines than any other.
//!
//! Each pair of accounts is a *support*: one value of the difference. Most supports that are
//! mistaken lie anywhere, and those that are right lie close together; so the closest crowd is the
//! answer, its median is the estimate, and how far its members lie from that is part of the
//! uncertainty.
//!
//! The difference is taken to be constant: of a clock that was set in between, the answer holds for
//! the side with more lines.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::target::{HeartbeatMark, Marks};
use crate::wall_time::SECOND_US;
use crate::{Event, Line, TargetEvent};

/// Supports no further apart than this are one crowd: twice as wide as lines of version 4 are
/// exact.
const CROWD_US: i64 = 2 * SECOND_US;

/// How much later than what it tells a line may be written while nothing is wrong, and how much
/// later than its stamp a heartbeat may reach the target. That no supports differ does not show it,
/// so it is part of every uncertainty.
const PROMPT: Duration = Duration::from_millis(100);

/// The target has seen one boot of a host if heartbeats' times and stamps differ by no more than
/// this: more than one may be late by, less than any host takes to boot.
const BOOT_US: i64 = 30 * SECOND_US;

/// Of failures, so many on each side are compared: every one with every other.
const FAILURES_MAX: usize = 1000;

/// So many lines about failures must agree, if there is nothing else: one fits anything.
const FAILURES_MIN: usize = 2;

/// How far a host's clock is ahead of the target's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skew {
    /// In microseconds; negative if it is behind.
    pub ahead_us: i64,
    /// It may be so much more or less.
    pub uncertainty: Duration,
    /// So many lines support it by the stamp of a heartbeat.
    pub by_stamp: usize,
    /// So many by the uptime that they name.
    pub by_uptime: usize,
    /// So many by a command that failed.
    pub by_failure: usize,
}

/// Why the clocks cannot be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoSkew {
    /// No line tells anything that the target has seen.
    #[error("its log and the record have nothing in common")]
    NothingInCommon,
    /// Some do, and no difference of the clocks explains clearly more of them than another.
    #[error(
        "what its log and the record have in common fits more than one difference of the clocks"
    )]
    Ambiguous,
}

/// One value of the difference.
#[derive(Clone, Copy)]
struct Support {
    /// Which line.
    line: usize,
    ahead_us: i64,
    kind: Kind,
    resolution: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Stamp,
    Uptime,
    Failure,
}

impl Skew {
    /// The skew of the clock by which the host has written `lines`, against the one by which the
    /// target has seen `target`.
    ///
    /// # Errors
    /// When they have too little in common to tell.
    pub fn estimate<'l>(
        lines: impl IntoIterator<Item = &'l Line>,
        target: &[TargetEvent],
    ) -> Result<Self, NoSkew> {
        Self::of_marks(lines, &Marks::of(target))
    }

    pub(crate) fn of_marks<'l>(
        lines: impl IntoIterator<Item = &'l Line>,
        marks: &Marks<'_>,
    ) -> Result<Self, NoSkew> {
        let lines: Vec<&Line> = lines.into_iter().collect();
        let mut exact = by_stamp(&lines, marks);
        exact.extend(by_uptime(&lines, marks));
        exact.sort_unstable_by_key(|support| support.ahead_us);
        let mut failures = by_failure(&lines, marks);
        failures.sort_unstable_by_key(|support| support.ahead_us);

        // A burst of like failures at equal intervals fits itself nearly as well one interval
        // later.
        let (supports, lines_min, rival_weight) =
            if exact.is_empty() { (&failures, FAILURES_MIN, 2) } else { (&exact, 1, 1) };
        let crowd = Crowd::densest(supports).filter(|crowd| crowd.lines >= lines_min);
        let crowd = crowd.ok_or(NoSkew::NothingInCommon)?;
        if crowd.rival_lines * rival_weight >= crowd.lines {
            return Err(NoSkew::Ambiguous);
        }
        let ahead_us = crowd.median_us();
        let count = |supports: &[Support], kind| {
            let near = supports.iter().filter(|support| support.is_near(ahead_us));
            let lines = near.filter(|support| support.kind == kind).map(|support| support.line);
            lines.collect::<HashSet<_>>().len()
        };
        Ok(Self {
            ahead_us,
            uncertainty: crowd.uncertainty(ahead_us),
            by_stamp: count(&exact, Kind::Stamp),
            by_uptime: count(&exact, Kind::Uptime),
            by_failure: count(&failures, Kind::Failure),
        })
    }

    /// How many supports it has.
    pub const fn supports(&self) -> usize {
        self.by_stamp + self.by_uptime + self.by_failure
    }
}

/// Supports that lie close together.
struct Crowd<'s> {
    /// By difference.
    members: &'s [Support],
    /// How many lines they are of.
    lines: usize,
    /// How many lines the largest crowd is of that shares nothing with it.
    rival_lines: usize,
}

impl<'s> Crowd<'s> {
    /// The crowd of the most lines, of supports in order.
    fn densest(sorted: &'s [Support]) -> Option<Self> {
        let crowds = Self::all(sorted);
        let &(start, end, lines) = crowds.iter().max_by_key(|(_, _, lines)| *lines)?;
        let rivals = crowds.iter().filter(|other| other.1 <= start || end <= other.0);
        let rival_lines = rivals.map(|(_, _, lines)| *lines).max().unwrap_or(0);
        Some(Self { members: sorted.get(start..end)?, lines, rival_lines })
    }

    fn median_us(&self) -> i64 {
        self.members[self.members.len() / 2].ahead_us
    }

    /// From each support on, those that are no more than [`CROWD_US`] further: where they start and
    /// end, and how many lines they are of.
    fn all(sorted: &[Support]) -> Vec<(usize, usize, usize)> {
        let mut lines: HashMap<usize, usize> = HashMap::new();
        let mut crowds = Vec::with_capacity(sorted.len());
        let mut end = 0;
        for (start, first) in sorted.iter().enumerate() {
            while let Some(next) = sorted.get(end) {
                if next.ahead_us.saturating_sub(first.ahead_us) > CROWD_US {
                    break;
                }
                *lines.entry(next.line).or_default() += 1;
                end += 1;
            }
            crowds.push((start, end, lines.len()));
            if let Some(count) = lines.get_mut(&first.line) {
                *count -= 1;
                if *count == 0 {
                    lines.remove(&first.line);
                }
            }
        }
        crowds
    }

    fn uncertainty(&self, ahead_us: i64) -> Duration {
        let apart = self.members.iter().map(|one| one.ahead_us.abs_diff(ahead_us)).max();
        let rounded = self.members.iter().map(|one| one.resolution / 2).max();
        Duration::from_micros(apart.unwrap_or(0)) + rounded.unwrap_or(Duration::ZERO) + PROMPT
    }
}

/// Lines that say which image the host has just written, with the command that wrote it.
fn by_stamp(lines: &[&Line], marks: &Marks<'_>) -> Vec<Support> {
    let reclaimed = lines.iter().enumerate().filter_map(|(index, line)| {
        // Of the others the image is older than the line by no known time.
        let event =
            line.event().filter(|event| matches!(event, Event::HeartbeatReclaimed { .. }))?;
        let mark = HeartbeatMark::of(event)?;
        // So it was once in vobd.log, too, where the uptime shows it.
        let is_fresh = |uptime: Duration| micros(uptime.abs_diff(mark.stamp)) <= CROWD_US;
        let seen = marks.heartbeats.get(&mark).filter(|_| line.head.uptime.is_none_or(is_fresh))?;
        Support::of(index, line, seen.at.as_micros(), Kind::Stamp)
    });
    reclaimed.collect()
}

/// Lines that name the host's uptime, with its boot as the target knows it from heartbeats.
fn by_uptime(lines: &[&Line], marks: &Marks<'_>) -> Vec<Support> {
    let events = lines.iter().filter_map(|line| line.event());
    let slots: HashSet<u64> =
        events.filter_map(HeartbeatMark::of).map(|mark| mark.offset).collect();
    let ours = marks.heartbeats.iter().filter(|(mark, _)| slots.contains(&mark.offset));
    let mut boots: Vec<i64> =
        ours.map(|(mark, event)| event.at.earlier_by(micros(mark.stamp)).as_micros()).collect();
    boots.sort_unstable();
    // Of each boot the earliest: a heartbeat reaches the target late, and never early.
    boots.dedup_by(|later, earlier| later.saturating_sub(*earlier) <= BOOT_US);
    let mut supports = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some(uptime) = line.head.uptime else { continue };
        supports.extend(boots.iter().filter_map(|boot| {
            let moment = boot.saturating_add(micros(uptime));
            Support::of(index, line, moment, Kind::Uptime)
        }));
    }
    supports
}

/// Lines about commands that failed, with every command that the target answered so.
fn by_failure(lines: &[&Line], marks: &Marks<'_>) -> Vec<Support> {
    let told = lines.iter().enumerate().filter(|(_, line)| {
        matches!(line.event(), Some(Event::CommandFailed(_) | Event::AtsMiscompare { .. }))
    });
    let mut supports = Vec::new();
    for (index, line) in told.take(FAILURES_MAX) {
        let Some(event) = line.event() else { continue };
        let failures = marks.failures.iter().take(FAILURES_MAX);
        let alike = failures.filter(|(mark, _)| mark.is_told_by(event));
        supports.extend(
            alike.filter_map(|(_, seen)| {
                Support::of(index, line, seen.at.as_micros(), Kind::Failure)
            }),
        );
    }
    supports
}

impl Support {
    /// A line that was written when the target's clock showed `moment_us`; `None` if it has no
    /// time.
    fn of(index: usize, line: &Line, moment_us: i64, kind: Kind) -> Option<Self> {
        // A time is rounded down: in the middle it is off by half as much at most.
        let resolution = line.head.resolution;
        let at_us = line.head.at?.as_micros().saturating_add(micros(resolution / 2));
        Some(Self { line: index, ahead_us: at_us.saturating_sub(moment_us), kind, resolution })
    }

    const fn is_near(&self, ahead_us: i64) -> bool {
        self.ahead_us.abs_diff(ahead_us) <= CROWD_US.unsigned_abs() / 2
    }
}

/// Microseconds; the end of time for what is longer.
pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ahead = Duration::from_micros(self.ahead_us.unsigned_abs());
        let which = if self.ahead_us < 0 { "behind" } else { "ahead of" };
        write!(
            f,
            "its clock is {:.3} s {which} the target's, ± {:.3} s; {} supports: {} by stamp, {} by \
             uptime, {} by failed commands",
            ahead.as_secs_f64(),
            self.uncertainty.as_secs_f64(),
            self.supports(),
            self.by_stamp,
            self.by_uptime,
            self.by_failure
        )
    }
}

#[cfg(test)]
mod tests;
