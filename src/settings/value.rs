//! The values a key can have: what [`Section::value`](crate::Section::value) is given to read one.

use pulsefield_units::{Lba, LbaRange};
use toml::de::DeValue;

use crate::Problem;

/// A half-open range of blocks, written `"first..end"`.
///
/// # Errors
/// If it is none, or an empty one.
pub fn range(key: &'static str, value: &DeValue<'_>) -> Result<LbaRange, Problem> {
    let text = string(key, value)?;
    parse_range(text).ok_or_else(|| Problem::Value {
        key,
        expected: "ranges of LBAs, each \"first..end\" with first below end",
        found: format!("\"{text}\""),
    })
}

fn parse_range(text: &str) -> Option<LbaRange> {
    let (first, end) = text.split_once("..")?;
    let first = Lba::new(lba(first)?);
    let blocks = Lba::new(lba(end)?).checked_sub(first)?;
    LbaRange::new(first, blocks)
}

fn lba(digits: &str) -> Option<u64> {
    // `parse` alone would also take a sign.
    digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// A name of the user's choice; the empty string names nothing.
///
/// # Errors
/// If it is no string.
pub fn name(key: &'static str, value: &DeValue<'_>) -> Result<Option<String>, Problem> {
    let name = string(key, value)?;
    Ok((!name.is_empty()).then(|| name.to_owned()))
}

/// True or false.
///
/// # Errors
/// If it is neither.
pub fn boolean(key: &'static str, value: &DeValue<'_>) -> Result<bool, Problem> {
    value.as_bool().ok_or_else(|| wrong_type(key, "true or false", value))
}

/// Text.
///
/// # Errors
/// If it is none.
pub fn string<'v>(key: &'static str, value: &'v DeValue<'_>) -> Result<&'v str, Problem> {
    value.as_str().ok_or_else(|| wrong_type(key, "a string", value))
}

/// A whole number.
///
/// # Errors
/// If it is none, or has more than 64 bits.
pub fn integer(key: &'static str, value: &DeValue<'_>) -> Result<i64, Problem> {
    let integer = value.as_integer().ok_or_else(|| wrong_type(key, "an integer", value))?;
    i64::from_str_radix(integer.as_str(), integer.radix()).map_err(|_| Problem::Value {
        key,
        expected: "an integer of 64 bits",
        found: integer.to_string(),
    })
}

fn wrong_type(key: &str, expected: &'static str, value: &DeValue<'_>) -> Problem {
    Problem::Type { key: key.to_owned(), expected, found: value.type_str() }
}
