//! The one place where a soak reads clocks.

use std::time::{SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};
use pulsefield_units::Instant;

/// Now, in nanoseconds of CLOCK_MONOTONIC, as the daemon and the kernel count.
pub(crate) fn now() -> Instant {
    match clock_gettime(ClockId::CLOCK_MONOTONIC) {
        Ok(time) => {
            let seconds = u64::try_from(time.tv_sec()).unwrap_or_default();
            let nanos = u64::try_from(time.tv_nsec()).unwrap_or_default();
            Instant::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
        }
        Err(error) => unreachable!("every Linux has a monotonic clock: {error}"),
    }
}

/// The time of day, in milliseconds since 1970.
pub(crate) fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
