//! The one place where a soak reads clocks.

use std::time::{SystemTime, UNIX_EPOCH};

/// By the clock by which commands are timed: what is compared with their times must be told by the same.
pub(crate) use pulsefield_initiator::clock::now;

/// The time of day, in milliseconds since 1970.
pub(crate) fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
