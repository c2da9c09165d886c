//! Values of a mix.

use std::time::Duration;

use pulsefield_settings::{DeValue, Problem, Time, value};

/// The most of anything that a mix counts.
const COUNT_MAX: u32 = 10_000;

/// A time above 0.
pub(crate) fn time(key: &'static str, value: &DeValue<'_>) -> Result<Duration, Problem> {
    let time = Time::read(key, value)?;
    match time.duration().is_zero() {
        false => Ok(time.duration()),
        true => Err(Problem::Value { key, expected: "a time above 0", found: time.to_string() }),
    }
}

/// A number of hosts, locks or commands.
pub(crate) fn count(key: &'static str, value: &DeValue<'_>) -> Result<u32, Problem> {
    let number = value::integer(key, value)?;
    let count = u32::try_from(number).ok().filter(|count| (1..=COUNT_MAX).contains(count));
    count.ok_or_else(|| Problem::Value {
        key,
        expected: "a number from 1 to 10000",
        found: number.to_string(),
    })
}

/// A part of all, as `"30%"`: from none to all.
pub(crate) fn percent(key: &'static str, value: &DeValue<'_>) -> Result<u8, Problem> {
    let text = value::string(key, value)?;
    let digits = text.strip_suffix('%').filter(|digits| !digits.starts_with('+'));
    let percent = digits.and_then(|digits| digits.parse().ok()).filter(|percent| *percent <= 100);
    percent.ok_or_else(|| Problem::Value {
        key,
        expected: "a percentage from \"0%\" to \"100%\"",
        found: format!("\"{text}\""),
    })
}
