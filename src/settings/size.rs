//! How much: bytes, and parts of a whole.

use std::fmt;

use serde::{Serialize, Serializer};
use toml::de::DeValue;

use crate::Problem;
use crate::value::{integer, string};

/// A number of bytes, written as people do: `"200GiB"`, `"64G"`, or a bare number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSize(u64);

/// The units, each 1024 times the one before.
const UNITS: [&str; 7] = ["", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

impl ByteSize {
    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// Reads one.
    ///
    /// # Errors
    /// If it is none, or 0.
    pub fn read(key: &'static str, value: &DeValue<'_>) -> Result<Self, Problem> {
        let expected = "a size above 0, as \"200GiB\", \"64G\" or a number of bytes";
        let (bytes, found) = if value.as_integer().is_some() {
            let bytes = integer(key, value)?;
            (u64::try_from(bytes).ok(), bytes.to_string())
        } else {
            let text = string(key, value)?;
            (Self::parse(text).map(Self::bytes), format!("\"{text}\""))
        };
        let bytes = bytes.filter(|bytes| *bytes > 0);
        bytes.map(Self).ok_or(Problem::Value { key, expected, found })
    }

    /// The size that `text` says, which may be 0; `None` if it says none.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let unit = unit.trim_start();
        // `GiB` and `G`; not `GB`, which is another number to half of its readers.
        let power = UNITS.iter().position(|known| unit == *known || is_short(unit, known))?;
        let factor = 1024_u64.checked_pow(u32::try_from(power).ok()?)?;
        number.parse::<u64>().ok()?.checked_mul(factor).map(Self)
    }
}

fn is_short(unit: &str, known: &str) -> bool {
    unit.len() == 1 && known.strip_suffix("iB") == Some(unit)
}

impl From<u64> for ByteSize {
    fn from(bytes: u64) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for ByteSize {
    /// With the largest unit of which it is a whole number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut number, mut power) = (self.0, 0);
        while number.is_multiple_of(1024) && number > 0 {
            (number, power) = (number / 1024, power + 1);
        }
        write!(f, "{number}{}", UNITS[power])
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A part of the whole, written `"80%"`: above 0 and below 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percentage(u8);

impl Percentage {
    /// That part of `whole`, rounded down.
    pub const fn of(self, whole: u64) -> u64 {
        // First divided: what is lost is less than a hundred, and nothing overflows.
        whole / 100 * self.0 as u64
    }

    /// Reads one.
    ///
    /// # Errors
    /// If it is none, or not between 0 and 100.
    pub fn read(key: &'static str, value: &DeValue<'_>) -> Result<Self, Problem> {
        let text = string(key, value)?;
        let number = text.strip_suffix('%').filter(|digits| !digits.starts_with('+'));
        let percent = number.and_then(|digits| digits.parse().ok());
        percent.filter(|percent| (1..100).contains(percent)).map(Self).ok_or_else(|| {
            Problem::Value {
                key,
                expected: "percentages from \"1%\" to \"99%\"",
                found: format!("\"{text}\""),
            }
        })
    }
}

impl Serialize for Percentage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}%", self.0))
    }
}
