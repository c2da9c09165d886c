//! Quantities as people read them.

use std::fmt;

use pulsefield_hostlog::WallTime;
use pulsefield_units::{Micros, Size};

/// A number with its thousands apart: `1,204,311`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count(pub(crate) u64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (nth, digit) in digits.chars().enumerate() {
            if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// A number whose name ends in its unit: `longest_us`.
pub(crate) fn figure(name: &str, value: u64) -> String {
    let (name, value) = match name.rsplit_once('_') {
        Some((name, "us")) => (name, Micros(value).to_string()),
        Some((name, "ms")) => (name, Micros(value.saturating_mul(1000)).to_string()),
        Some((name, "bytes")) => (name, Size(value).to_string()),
        Some(_) | None => (name, Count(value).to_string()),
    };
    format!("{} {value}", name.replace('_', " "))
}

/// How many of what: `1 host`, `16 hosts`.
pub(crate) fn many(count: u64, one: &str) -> String {
    format!("{} {one}{}", Count(count), if count == 1 { "" } else { "s" })
}

/// A moment of a run as a clock that began with it has it: `4:05`, `1:04:05`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// Since the run began.
    pub(crate) ms: u64,
    /// Whether tenths of a second are shown.
    pub(crate) tenths: bool,
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, tenths) = (self.ms / 1000, self.ms % 1000 / 100);
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        match hours {
            0 => write!(f, "{minutes}:{seconds:02}")?,
            _ => write!(f, "{hours}:{minutes:02}:{seconds:02}")?,
        }
        if self.tenths {
            write!(f, ".{tenths}")?;
        }
        Ok(())
    }
}

/// When something of a run happened.
pub(crate) const fn when(ms: u64) -> Clock {
    Clock { ms, tenths: true }
}

/// How long something took that people waited for: `45 s`, `10 min`, `1 h 5 min`.
pub(crate) fn lasting(ms: u64) -> String {
    let seconds = ms / 1000;
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let parts: &[_] = match (hours, minutes) {
        (0, 0) => &[(rest, "s")],
        (0, _) => &[(minutes, "min"), (rest, "s")],
        _ => &[(hours, "h"), (minutes, "min")],
    };
    let (first, others) = parts.split_first().expect("there are one or two");
    let mut words = format!("{} {}", first.0, first.1);
    for (amount, unit) in others.iter().filter(|(amount, _)| *amount > 0) {
        words += &format!(" {amount} {unit}");
    }
    words
}

/// A date by the wall clock: `2026-07-14 03:30:00 UTC`.
pub(crate) fn date(unix_ms: i64) -> String {
    let iso = iso_date(unix_ms);
    format!("{} UTC", iso.replace('T', " "))
}

/// The same as ISO 8601 and JUnit have it, in UTC without saying so: `2026-07-14T03:30:00`.
pub(crate) fn iso_date(unix_ms: i64) -> String {
    let mut iso = WallTime::from_micros(unix_ms.saturating_mul(1000)).to_string();
    iso.truncate(iso.find('.').unwrap_or(iso.len()));
    iso
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_easily_read() {
        for (count, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_204_311, "1,204,311")] {
            assert_eq!(Count(count).to_string(), text);
        }
        let figures = [("longest_us", 8_003_000), ("median_ms", 12), ("over_3_s", 1_042)];
        let figures = figures.map(|(name, value)| figure(name, value));
        assert_eq!(figures, ["longest 8.00 s", "median 12.0 ms", "over 3 s 1,042"]);
        assert_eq!((many(1, "host"), many(2_000, "host")), ("1 host".into(), "2,000 hosts".into()));
        for (ms, text) in [
            (999, "0 s"),
            (45_000, "45 s"),
            (600_000, "10 min"),
            (90_000, "1 min 30 s"),
            (3_900_000, "1 h 5 min"),
            (7_230_000, "2 h"),
        ] {
            assert_eq!(lasting(ms), text);
        }
        assert_eq!(when(245_360).to_string(), "4:05.3");
        assert_eq!(Clock { ms: 3_845_000, tenths: false }.to_string(), "1:04:05");
        assert_eq!(date(1_783_999_800_000), "2026-07-14 03:30:00 UTC");
        assert!(!date(i64::MIN).is_empty() && !date(i64::MAX).is_empty());
    }
}
