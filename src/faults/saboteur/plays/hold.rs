//! Faults that only hold a command up.

use std::time::Duration;

use pulsefield_units::Instant;

use super::Play;
use crate::saboteur::act::Act;
use crate::saboteur::rule::RuleId;
use crate::{Fault, Phase};

/// Until when a hit of this fault has consequences for every command that its rule is for.
pub(crate) fn lasting(fault: &Fault, now: Instant) -> Option<Instant> {
    if let Fault::Stall { duration } = fault {
        return Some(now.after(*duration));
    }
    matches!(fault, Fault::ReservationStuck).then_some(Instant::from_nanos(u64::MAX))
}

/// `latency` and `caw.slow`.
pub(super) fn slow(delay: Duration, phase: Phase) -> Play {
    let wait = Act::Wait(delay);
    let acts = match phase {
        Phase::Before => vec![wait, Act::Original],
        Phase::After => vec![Act::Original, wait],
    };
    Play::new(acts).with_delay(delay)
}

/// `starve`: a step for each command in flight beyond those that cost nothing.
pub(super) fn starved(step: Duration, free: u32, in_flight: usize) -> Play {
    let beyond = u32::try_from(in_flight).unwrap_or(u32::MAX).saturating_sub(free);
    slow(step.saturating_mul(beyond), Phase::Before)
}

/// `stall`: held until it is over.
pub(super) fn stalled(now: Instant, until: Instant) -> Play {
    Play::new(vec![Act::WaitUntil(until), Act::Original]).with_delay(until.since(now))
}

/// `caw.global-mutex`: one at a time, each so long.
pub(super) fn one_at_a_time(rule: RuleId, hold: Duration) -> Play {
    Play::new(vec![Act::TakeTurn(rule), Act::Original, Act::Wait(hold)]).with_delay(hold)
}

#[cfg(test)]
mod tests;
