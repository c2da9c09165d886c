//! How long: times as people write them.

use std::fmt;
use std::time::Duration;

use toml::de::DeValue;

use crate::Problem;
use crate::value::string;

/// A span of time, written as people do: `"8s"`, `"250ms"`, `"1.5 s"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(Duration);

/// The units in nanoseconds, the longest first.
const UNITS: &[(&str, u64)] = &[
    ("h", 3_600_000_000_000),
    ("min", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

impl Time {
    /// The longest: a year. Whoever means more means for ever, and that is said in another way.
    pub const MAX: Duration = Duration::from_secs(365 * 24 * 3600);

    /// As a duration.
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// Reads one.
    ///
    /// # Errors
    /// If it is none, or longer than [`Time::MAX`].
    pub fn read(key: &'static str, value: &DeValue<'_>) -> Result<Self, Problem> {
        let text = string(key, value)?;
        Self::parse(text).ok_or_else(|| Problem::Value {
            key,
            expected: "a time up to a year, as \"8s\", \"250ms\" or \"1.5min\"",
            found: format!("\"{text}\""),
        })
    }

    /// The time that `text` says; `None` if it says none, or one longer than [`Time::MAX`].
    pub fn parse(text: &str) -> Option<Self> {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        // Also the two micro signs, U+00B5 and U+03BC.
        let unit = unit.trim_start().replace(['µ', 'μ'], "u");
        let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let tenths = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        let fraction = fraction.parse::<u64>().ok()?.checked_mul(*nanos)? / tenths;
        let nanos = whole.parse::<u64>().ok()?.checked_mul(*nanos)?.checked_add(fraction)?;
        let duration = Duration::from_nanos(nanos);
        (duration <= Self::MAX).then_some(Self(duration))
    }
}

impl From<Duration> for Time {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl fmt::Display for Time {
    /// With the longest unit of which it is a whole number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        let whole = |(_, unit): &&(&str, u64)| nanos.is_multiple_of(u128::from(*unit));
        match UNITS.iter().find(whole).filter(|_| nanos > 0) {
            Some((name, unit)) => write!(f, "{}{name}", nanos / u128::from(*unit)),
            None => f.write_str("0s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, nanos) in [
            ("8s", 8_000_000_000),
            ("250ms", 250_000_000),
            ("1.5 s", 1_500_000_000),
            ("0.25ms", 250_000),
            ("7us", 7_000),
            ("7µs", 7_000),
            ("2min", 120_000_000_000),
            ("1h", 3_600_000_000_000),
            ("0s", 0),
        ] {
            let time = Time::parse(text).unwrap();
            assert_eq!(time.duration(), Duration::from_nanos(nanos), "{text}");
            assert_eq!(Time::parse(&time.to_string()), Some(time), "{text}");
        }
        for text in ["", "8", "s", "-1s", "+1s", "8 sec", "1..5s", ".5s", "1.s", "9000h", "1e3s"] {
            assert_eq!(Time::parse(text), None, "{text}");
        }
    }

    #[test]
    fn times_are_written_as_whole_numbers() {
        for (millis, words) in [(1_500, "1500ms"), (8_000, "8s"), (90_000, "90s"), (0, "0s")] {
            assert_eq!(Time::from(Duration::from_millis(millis)).to_string(), words);
        }
        assert_eq!(Time::from(Time::MAX).to_string(), "8760h");
    }
}
