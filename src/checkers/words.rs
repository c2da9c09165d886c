//! How checkers put moments into words.

use std::fmt;

use pulsefield_units::Instant;

/// A moment in seconds since the clock's origin, to the microsecond.
pub(crate) struct Moment(pub(crate) Instant);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_nanos() / 1000;
        write!(f, "{}.{:06} s", micros / 1_000_000, micros % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_seconds() {
        assert_eq!(Moment(Instant::from_nanos(61_000_042_999)).to_string(), "61.000042 s");
    }
}
