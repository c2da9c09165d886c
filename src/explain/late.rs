//! Late heartbeats, and where their time went.

use std::fmt;
use std::time::Duration;

use pulsefield_record::ImageRole;
use pulsefield_units::{Instant, Span};
use pulsefield_vmfs::{HostUuid, Object, ObjectName};

use crate::told::Told;
use crate::traffic::Traffic;

/// When a heartbeat is late, and when it is too late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// Late: by default the 3 s between two pulses.
    pub warning: Duration,
    /// Too late: by default the 8 s after which ESXi aborts one (KB 2136081).
    pub error: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { warning: pulsefield_vmfs::PULSE_PERIOD, error: Duration::from_secs(8) }
    }
}

/// A command on a heartbeat slot that took longer than it may; or an ATS of which it is not recorded what it
/// was on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateHeartbeat<'r> {
    /// The command.
    pub told: Told<'r>,
    /// The slot; `None` if the data is not recorded, as of one that a fault never let through.
    pub object: Option<ObjectName>,
    /// Whose heartbeat it is.
    pub host: Option<HostUuid>,
    /// Whether it took longer than [`Deadlines::error`].
    pub too_late: bool,
    /// Where its time went.
    pub shares: Shares,
    /// If it waited for others on the same blocks: the one that had them for longest.
    pub behind: Option<Told<'r>>,
    /// The rule of a plan of faults that hit it, and for how long that was to hold it up. `None` without a
    /// hit, or if the hit's record is gone.
    pub rule: Option<(&'r str, Duration)>,
}

/// Where the time of a command went. Together they are the time from the ring to its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares([(Share, Duration); 6]);

/// A stage on the way of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Before the device server had it: only a fault holds it there.
    Before,
    /// Waiting for others on the same blocks.
    Blocks,
    /// Waiting for a slot of its lane.
    Slot,
    /// Waiting for the pool of space.
    Pool,
    /// Being carried out by the medium.
    Service,
    /// After the device server was done: only a fault holds it there.
    Completion,
}

impl Shares {
    fn of(told: Told<'_>) -> Self {
        let command = told.command;
        let waited = command.waited;
        let took = command.took();
        let completion =
            command.ended.map_or(Duration::ZERO, |ended| command.answered.since(ended));
        let started = command.started.or(command.ended).unwrap_or(command.answered);
        let lined_up = waited.blocks.saturating_add(waited.slot);
        let before = started.since(command.arrived).saturating_sub(lined_up);
        let waits = lined_up.saturating_add(waited.pool);
        let rest = took.saturating_sub(waits).saturating_sub(before).saturating_sub(completion);
        Self([
            (Share::Before, before),
            (Share::Blocks, waited.blocks),
            (Share::Slot, waited.slot),
            (Share::Pool, waited.pool),
            (Share::Service, rest),
            (Share::Completion, completion),
        ])
    }

    /// All of them, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (Share, Duration)> {
        self.0.iter().copied()
    }

    /// The longest; of equals the first.
    pub fn longest(&self) -> Share {
        let mut longest = self.0[0];
        for share in self.0 {
            if share.1 > longest.1 {
                longest = share;
            }
        }
        longest.0
    }
}

impl Share {
    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Before => "before the device server",
            Self::Blocks => "waiting for others on its blocks",
            Self::Slot => "waiting for a slot of its lane",
            Self::Pool => "waiting for the pool of space",
            Self::Service => "in service of the medium",
            Self::Completion => "after the device server",
        }
    }

    /// What an administrator should do if most of the time went there.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Before | Self::Completion => {
                "If no fault is armed, the machine of the target was short of processors: look at its load."
            }
            Self::Blocks => {
                "Look at the command that it waited for. Other users of one heartbeat slot are its own \
                 host, a host that takes it over, and bulk commands over it."
            }
            Self::Slot => "Too many slow heartbeats at once: the medium is slow, look at it.",
            Self::Pool => "The pool of space is nearly full: give it more.",
            Self::Service => {
                "The medium is slow: look at the disks below this unit, and at what else uses them."
            }
        }
    }
}

impl<'r> LateHeartbeat<'r> {
    /// If `told` is such a command, and took longer than `deadlines` say.
    pub(crate) fn of(traffic: &Traffic<'r>, told: Told<'r>, deadlines: Deadlines) -> Option<Self> {
        let took = told.command.took();
        if took < deadlines.warning.min(deadlines.error) {
            return None;
        }
        let heartbeat = [ImageRole::Written, ImageRole::Expected].into_iter().find_map(|role| {
            let image = told.command.image(role).filter(|image| image.offset == 0)?;
            Object::decode(&image.bytes).filter(|object| matches!(object, Object::Heartbeat(_)))
        });
        if heartbeat.is_none() && !(told.is_ats() && told.command.images.is_empty()) {
            return None;
        }
        let shares = Shares::of(told);
        let waited = told.command.waited.blocks;
        let behind = || {
            let until = told.command.started.unwrap_or(told.command.answered);
            let from = until.as_nanos().saturating_sub(nanos(waited));
            traffic.in_the_way(told, Instant::from_nanos(from), until)
        };
        Some(Self {
            told,
            object: heartbeat.as_ref().map(Object::name),
            host: heartbeat.as_ref().and_then(Object::owner),
            too_late: took >= deadlines.error,
            shares,
            behind: if waited.is_zero() { None } else { behind() },
            rule: traffic.hit(told).map(|hit| (hit.rule.as_str(), hit.delay)),
        })
    }

    /// Whether a fault did it: it was to hold the command up.
    pub fn is_injected(&self) -> bool {
        self.told.command.hit.is_some()
    }

    /// What an administrator should do.
    pub fn advice(&self) -> &'static str {
        match self.is_injected() {
            true => crate::FindingKind::Injected.advice(),
            false => self.shares.longest().advice(),
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl fmt::Display for LateHeartbeat<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} took {}", self.told, Span(self.told.command.took()))?;
        let longest = self.shares.longest();
        let spent = self.shares.iter().filter(|(_, time)| !time.is_zero());
        for (nth, (share, time)) in spent.enumerate() {
            let most = if share == longest { " (most of it)" } else { "" };
            let sign = if nth == 0 { ":" } else { "," };
            write!(f, "{sign} {} {}{most}", Span(time), share.name())?;
        }
        if let Some(behind) = self.behind {
            write!(f, "; it waited for {behind}")?;
        }
        match self.rule {
            Some((rule, delay)) if delay.is_zero() => write!(f, "; injected by rule \"{rule}\""),
            Some((rule, delay)) => {
                write!(f, "; injected by rule \"{rule}\", which held it up for {}", Span(delay))
            }
            None if self.is_injected() => f.write_str("; injected by a fault"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
