//! How one host pulses.

use std::collections::BTreeMap;
use std::time::Duration;

use pulsefield_checkers::{Pulse, UnitId};
use pulsefield_units::Instant;

use super::latencies::Recorded;
use crate::run::Pulses;
use crate::series::Intervals;

/// The heartbeats of one host.
#[derive(Debug)]
pub(super) struct HostPulses {
    alive: u64,
    failed: u64,
    took: Recorded,
    /// When the last pulse was sent that counts, on each unit.
    last: BTreeMap<UnitId, Instant>,
    bins: [u64; Intervals::BINS_MAX],
    longest: Duration,
}

impl Default for HostPulses {
    fn default() -> Self {
        Self {
            alive: 0,
            failed: 0,
            took: Recorded::default(),
            last: BTreeMap::new(),
            bins: [0; Intervals::BINS_MAX],
            longest: Duration::ZERO,
        }
    }
}

impl HostPulses {
    /// Takes one that was sent so long after the run's beginning.
    pub(super) fn take(&mut self, at: Duration, pulse: &Pulse) {
        self.took.add(at, pulse.returned.since(pulse.invoked));
        if !pulse.alive {
            self.failed += 1;
            return;
        }
        self.alive += 1;
        if let Some(last) = self.last.insert(pulse.unit, pulse.invoked) {
            let interval = pulse.invoked.since(last);
            let bin = interval.as_millis() / u128::from(Intervals::BIN_MS);
            let bin = usize::try_from(bin).unwrap_or(usize::MAX).min(Intervals::BINS_MAX - 1);
            self.bins[bin] += 1;
            self.longest = self.longest.max(interval);
        }
    }

    /// The host is gone, or has given up: its next pulse begins anew.
    pub(super) fn pause(&mut self) {
        self.last.clear();
    }

    pub(super) fn finish(self, host: u32, lasted: Duration) -> Pulses {
        let counted = self.bins.iter().enumerate().filter(|(_, count)| **count > 0);
        let intervals = Intervals {
            count: self.bins.iter().sum(),
            longest_ms: u64::try_from(self.longest.as_millis()).unwrap_or(u64::MAX),
            bins: counted.map(|(bin, count)| (bin as u64 * Intervals::BIN_MS, *count)).collect(),
        };
        let Self { alive, failed, took, .. } = self;
        Pulses { host, alive, failed, took: took.finish(lasted), intervals }
    }
}
