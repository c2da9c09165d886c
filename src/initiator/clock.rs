//! The clock by which commands are timed.

use nix::time::{ClockId, clock_gettime};
use pulsefield_units::Instant;

/// Now, in nanoseconds of CLOCK_MONOTONIC: the clock of the daemon's records and of the kernel's traces.
pub fn now() -> Instant {
    match clock_gettime(ClockId::CLOCK_MONOTONIC) {
        Ok(time) => {
            let seconds = u64::try_from(time.tv_sec()).unwrap_or_default();
            let nanos = u64::try_from(time.tv_nsec()).unwrap_or_default();
            Instant::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
        }
        Err(error) => unreachable!("every Linux has CLOCK_MONOTONIC: {error}"),
    }
}
