//! How long locks are nobody's between two hosts.

use std::collections::HashMap;
use std::time::Duration;

use pulsefield_checkers::{Claim, HostId, UnitId};
use pulsefield_units::Instant;
use pulsefield_vmfs::LEASE;

use super::latencies::Recorded;
use crate::series::Latencies;

/// Locks of which it is remembered who let go of them and when: 3 MiB. Those beyond are not followed until
/// others have been taken again.
const LET_GO_MAX: usize = 65_536;

/// From when a host lets go of a lock to when another one has it.
#[derive(Debug, Default)]
pub(super) struct Handovers {
    let_go: HashMap<(UnitId, u64), (HostId, Instant)>,
    took: Recorded,
}

impl Handovers {
    /// A host let go of a lock.
    pub(super) fn left(&mut self, claim: &Claim) {
        let lock = (claim.unit, claim.lock);
        if self.let_go.len() < LET_GO_MAX || self.let_go.contains_key(&lock) {
            self.let_go.insert(lock, (claim.host, claim.at));
        }
    }

    /// A host has a lock, so long after the run's beginning. A lock that nobody took for longer than a lease
    /// is one that nobody wanted.
    pub(super) fn taken(&mut self, at: Duration, claim: &Claim) {
        let Some((from, since)) = self.let_go.remove(&(claim.unit, claim.lock)) else { return };
        let free = claim.at.since(since);
        if from != claim.host && free <= LEASE {
            self.took.add(at, free);
        }
    }

    pub(super) fn finish(self, lasted: Duration) -> Latencies {
        self.took.finish(lasted)
    }
}

#[cfg(test)]
mod tests {
    use pulsefield_checkers::ClaimMode;

    use super::*;

    fn claim(host: u32, lock: u64, millis: u64) -> Claim {
        Claim {
            host: HostId(host),
            unit: UnitId(0),
            at: Instant::from_nanos(millis * 1_000_000),
            lock,
            mode: ClaimMode::Exclusive,
            token: 1,
        }
    }

    #[test]
    fn only_what_goes_from_one_host_to_another_counts() {
        let mut handovers = Handovers::default();
        for (left, taken) in [
            (claim(1, 8, 100), claim(2, 8, 105)),
            // Its own again.
            (claim(1, 16, 100), claim(1, 16, 101)),
            // Nobody wanted it.
            (claim(1, 24, 100), claim(2, 24, 20_000)),
            // Another lock.
            (claim(1, 32, 100), claim(2, 40, 101)),
        ] {
            handovers.left(&left);
            handovers.taken(Duration::from_secs(1), &taken);
        }
        // Somebody has it since.
        handovers.taken(Duration::from_secs(1), &claim(3, 8, 106));
        let all = handovers.finish(Duration::from_secs(30)).all.unwrap();
        assert_eq!((all.count, all.max_us), (1, 5_000));
    }
}
