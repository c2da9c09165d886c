//! The slowest commands of a unit.

use std::time::Duration;

use pulsefield_units::Instant;

use super::passage::{Parts, Passage};

/// How many are kept.
pub(crate) const SLOWEST_MAX: usize = 16;

/// A command that was slow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slow {
    pub(crate) passage: Passage,
    pub(crate) took: Duration,
    pub(crate) parts: Parts,
}

/// The [`SLOWEST_MAX`] slowest commands.
#[derive(Clone, Debug)]
pub(crate) struct Slowest {
    /// In no order.
    commands: Vec<Slow>,
    /// What the quickest of them took in nanoseconds, once there are enough.
    least_ns: u64,
}

impl Default for Slowest {
    fn default() -> Self {
        Self { commands: Vec::with_capacity(SLOWEST_MAX), least_ns: 0 }
    }
}

impl Slowest {
    /// Whether a command that took so long is one of them.
    pub(crate) const fn wants(&self, took_ns: u64) -> bool {
        took_ns > self.least_ns
    }

    /// Takes a command for which the doorbell has `rung`, in place of the quickest.
    pub(crate) fn insert(&mut self, passage: &Passage, rung: Instant, faults: bool) {
        let (took, parts) = (passage.took(rung), passage.parts(rung, faults));
        let slow = Slow { passage: *passage, took, parts };
        if self.commands.len() < SLOWEST_MAX {
            self.commands.push(slow);
        } else if let Some(quickest) = self.commands.iter_mut().min_by_key(|slow| slow.took) {
            *quickest = slow;
        }
        if self.commands.len() == SLOWEST_MAX {
            let least = self.commands.iter().map(|slow| slow.took).min().unwrap_or_default();
            self.least_ns = u64::try_from(least.as_nanos()).unwrap_or(u64::MAX);
        }
    }

    /// The slowest first.
    pub(crate) fn in_order(&self) -> Vec<Slow> {
        let mut commands = self.commands.clone();
        commands.sort_by_key(|slow| std::cmp::Reverse(slow.took));
        commands
    }
}

#[cfg(test)]
mod tests {
    use pulsefield_units::Cdb;

    use super::*;

    #[test]
    fn the_slowest_are_kept_whenever_they_come() {
        let mut slowest = Slowest::default();
        // 0, 37, 74, … in some order, each once.
        for nth in 0..100 {
            let nanos = nth * 37 % 100;
            let passage = Passage::new(Cdb::new(&[0x28]), Instant::default());
            if slowest.wants(nanos) {
                slowest.insert(&passage, Instant::from_nanos(nanos), false);
            }
        }
        let took: Vec<_> = slowest.in_order().iter().map(|slow| slow.took.as_nanos()).collect();
        assert_eq!(took, (84..100).rev().collect::<Vec<u128>>());
    }
}
