//! How checkers put moments and hosts into words.

use std::fmt;

use pulsefield_units::Instant;

use crate::HostId;

/// A moment in seconds since the clock's origin, to the microsecond.
pub(crate) struct Moment(pub(crate) Instant);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_nanos() / 1000;
        write!(f, "{}.{:06} s", micros / 1_000_000, micros % 1_000_000)
    }
}

/// A host by its number, or somebody.
pub(crate) struct Named(pub(crate) HostId);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            HostId::SOMEBODY => f.write_str("somebody"),
            HostId(number) => write!(f, "host {number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_seconds() {
        assert_eq!(Moment(Instant::from_nanos(61_000_042_999)).to_string(), "61.000042 s");
    }

    #[test]
    fn hosts_are_numbers_if_anybody_knows_who_they_are() {
        let named = [HostId(3), HostId::SOMEBODY].map(|host| Named(host).to_string());
        assert_eq!(named, ["host 3", "somebody"]);
    }
}
