//! How long something took, for people: three digits and a unit.

use std::fmt;
use std::time::Duration;

/// A time as it was measured, rounded.
#[derive(Clone, Copy, Debug)]
pub struct Span(pub Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_secs_f64() * 1e6;
        let (value, unit) = match micros {
            ..1e3 => (micros, "µs"),
            ..1e6 => (micros / 1e3, "ms"),
            _ => (micros / 1e6, "s"),
        };
        let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
        write!(f, "{value:.digits$} {unit}")
    }
}

/// A time that is counted in microseconds, and never rounded up.
#[derive(Clone, Copy, Debug)]
pub struct Micros(pub u64);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, thousandths, unit) = match self.0 {
            us @ 0..1_000 => return write!(f, "{us} µs"),
            us @ 1_000..1_000_000 => (us / 1_000, us % 1_000, "ms"),
            us => (us / 1_000_000, us / 1_000 % 1_000, "s"),
        };
        match value {
            0..10 => write!(f, "{value}.{:02} {unit}", thousandths / 10),
            10..100 => write!(f, "{value}.{} {unit}", thousandths / 100),
            _ => write!(f, "{value} {unit}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits() {
        for (nanos, text) in [
            (120, "0.12 µs"),
            (9_990, "9.99 µs"),
            (412_000, "412 µs"),
            (12_345_678, "12.3 ms"),
            (8_003_000_000, "8.00 s"),
        ] {
            assert_eq!(Span(Duration::from_nanos(nanos)).to_string(), text);
        }
    }

    #[test]
    fn counted_times_are_not_rounded_up() {
        for (us, text) in [
            (0, "0 µs"),
            (999, "999 µs"),
            (1_000, "1.00 ms"),
            (12_345, "12.3 ms"),
            (999_999, "999 ms"),
            (8_003_000, "8.00 s"),
            (61_000_000, "61.0 s"),
            (3_600_000_000, "3600 s"),
        ] {
            assert_eq!(Micros(us).to_string(), text);
        }
    }
}
