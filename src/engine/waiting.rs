//! What a task waits for on its way, and for how long: kept in the task, where it costs a comparison
//! when nothing was waited for, and told when the task is over or when somebody asks.

use std::time::Duration;

use pulsefield_units::{Instant, LbaRange};

use crate::event::Observer;
use crate::lane::Lane;
use crate::server::DeviceServer;
use crate::task::{Phase, Task};

/// For how long a task has waited, by what for; the rest of its time it was with the medium, or waited
/// for the answer to a query, for a copy or for a background operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waited {
    /// For tasks that came before it and use the same blocks.
    pub blocks: Duration,
    /// For a slot of its lane.
    pub slot: Duration,
    /// At the gate of a pool of space, for what the medium says of its blocks.
    pub pool: Duration,
}

/// Where a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Waits for tasks that use the same blocks.
    Blocks,
    /// Waits for a slot of its lane.
    Slot,
    /// At the gate of a pool of space.
    Pool,
    /// With the medium.
    Medium,
    /// Waits for the answer to a query, for a copy or for a background operation.
    Elsewhere,
}

impl Stage {
    /// What the task waits for, in words that follow "waits for".
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blocks => "its blocks",
            Self::Slot => "a slot of its lane",
            Self::Pool => "the pool of space",
            Self::Medium => "the medium",
            Self::Elsewhere => "something else",
        }
    }
}

/// A task in flight, for whoever wonders why it is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whereabouts {
    /// Where it is.
    pub stage: Stage,
    /// Since when.
    pub since: Instant,
    /// The lane it is in, or will be.
    pub lane: Lane,
    /// The blocks that it claims, if it claims any.
    pub blocks: Option<LbaRange>,
}

impl<T> Task<T> {
    /// Goes on to `phase`, and counts what was waited for until `now`.
    pub(crate) fn enter(&mut self, phase: Phase, now: Instant) {
        if now != self.since {
            let took = now.since(self.since);
            match self.phase {
                Phase::Parked => self.waited.blocks += took,
                Phase::Ready => self.waited.slot += took,
                Phase::Running if self.gate.is_some() => self.waited.pool += took,
                Phase::Running | Phase::Asking | Phase::Copying => {}
            }
            self.since = now;
        }
        self.phase = phase;
    }

    /// Goes through the gate.
    pub(crate) fn leave_gate(&mut self, now: Instant) {
        self.enter(Phase::Running, now);
        self.gate = None;
    }

    const fn stage(&self) -> Stage {
        match self.phase {
            Phase::Parked => Stage::Blocks,
            Phase::Ready => Stage::Slot,
            Phase::Running if self.gate.is_some() => Stage::Pool,
            Phase::Running => Stage::Medium,
            Phase::Asking | Phase::Copying => Stage::Elsewhere,
        }
    }
}

impl<T, O: Observer> DeviceServer<T, O> {
    /// Where the command with this tag is; `None` if it is not here. Looks at every task.
    pub fn whereabouts(&mut self, tag: u16) -> Option<Whereabouts> {
        let at = *self.tasks.find(|task| task.tag == Some(tag)).first()?;
        let task = self.tasks.task(at);
        let (stage, since, lane) = (task.stage(), task.since, task.lane);
        Some(Whereabouts { stage, since, lane, blocks: task.claim.map(|(range, _)| range) })
    }
}

#[cfg(test)]
mod tests;
