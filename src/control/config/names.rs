//! What initiators call a logical unit: INQUIRY texts and the NAA designator.

use std::fmt;

use pulsefield_settings::value::string;
use pulsefield_settings::{DeValue, Problem};
use serde::{Serialize, Serializer};

/// A text of standard INQUIRY data: printable ASCII, at most `N` characters.
///
/// Spec: SPC-4, Standard INQUIRY data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct InquiryText<const N: usize>(String);

impl<const N: usize> InquiryText<N> {
    /// The text, without the spaces that fill the field.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A default; `text` is one of ours.
    pub(super) fn of(text: &str) -> Self {
        debug_assert!(Self::fits(text));
        Self(text.to_owned())
    }

    fn fits(text: &str) -> bool {
        text.len() <= N && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
    }

    pub(super) fn read(key: &'static str, value: &DeValue<'_>) -> Result<Self, Problem> {
        let text = string(key, value)?;
        if Self::fits(text) {
            return Ok(Self(text.to_owned()));
        }
        let expected = match N {
            4 => "at most 4 printable ASCII characters",
            8 => "at most 8 printable ASCII characters",
            _ => "at most 16 printable ASCII characters",
        };
        Err(Problem::Value { key, expected, found: format!("\"{text}\"") })
    }
}

/// An NAA designator: the name by which hosts know a logical unit on every path.
///
/// Spec: SPC-4, NAA designator format: NAA 6 (IEEE Registered Extended) has 16 bytes, NAA 5 (IEEE
/// Registered) and NAA 3 (Locally Assigned) have 8.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Naa(Vec<u8>);

impl Naa {
    /// The designator as it stands on the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn read(key: &'static str, value: &DeValue<'_>) -> Result<Self, Problem> {
        let text = string(key, value)?;
        Self::parse(text).ok_or_else(|| Problem::Value {
            key,
            expected: "32 hexadecimal digits that begin with 6, or 16 that begin with 5 or 3",
            found: format!("\"{text}\""),
        })
    }

    /// Takes the name as ESXi writes it too, `naa.6…`.
    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("naa.").unwrap_or(text);
        let digits: Vec<u8> = digits
            .chars()
            .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect::<Option<_>>()?;
        if !matches!((digits.first(), digits.len()), (Some(6), 32) | (Some(3 | 5), 16)) {
            return None;
        }
        let (pairs, _) = digits.as_chunks();
        Some(Self(pairs.iter().map(|[high, low]| (high << 4) | low).collect()))
    }
}

impl fmt::Display for Naa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Naa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "naa.{self}")
    }
}

impl Serialize for Naa {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_designator_has_the_length_of_its_kind() {
        let six = "60014050ab8b6e11c4a4d0a9f0ec2b1b";
        assert_eq!(Naa::parse(six).unwrap().to_string(), six);
        let naa = Naa::parse(&format!("naa.{}", six.to_uppercase())).unwrap();
        assert_eq!(naa.as_bytes()[..3], [0x60, 0x01, 0x40]);
        for eight in ["5001405abcdef012", "3000000000000001"] {
            assert_eq!(Naa::parse(eight).unwrap().as_bytes().len(), 8);
        }
        for wrong in
            ["", "6", &six[..16], "20014050ab8b6e11", "5001405abcdef01g", "5 01405abcdef012"]
        {
            assert_eq!(Naa::parse(wrong), None, "{wrong}");
        }
    }
}
