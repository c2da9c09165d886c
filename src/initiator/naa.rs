//! The name by which initiators know a logical unit on all its paths.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// An NAA designator (SPC-4, NAA designator format): 8 bytes, or 16 of NAA 6. Written `naa.6001405…`, as ESXi does.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Naa(Vec<u8>);

/// What is written is no NAA designator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an NAA identifier is 16 or 32 hexadecimal digits, with or without \"naa.\" before them")]
pub struct NaaError;

/// CODE SET: the designator is binary.
const BINARY: u8 = 0x01;
/// ASSOCIATION 00b, the logical unit, and DESIGNATOR TYPE 3h, NAA.
const NAA_OF_UNIT: u8 = 0x03;

impl Naa {
    /// The designator in these bytes; `None` unless there are 8 or 16.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        matches!(bytes.len(), 8 | 16).then(|| Self(bytes.to_vec()))
    }

    /// The first NAA designator of the logical unit in a Device Identification page (83h), of which `page` is as
    /// much as there is.
    pub fn in_page(page: &[u8]) -> Option<Self> {
        let length = usize::from(u16::from_be_bytes([*page.get(2)?, *page.get(3)?]));
        let mut rest = page.get(4..)?;
        rest = rest.get(..length).unwrap_or(rest);
        while let [code_set, kind, _, length, after @ ..] = rest {
            let (designator, after) = after.split_at_checked((*length).into())?;
            if (code_set & 0x0f, kind & 0x3f) == (BINARY, NAA_OF_UNIT) {
                return Self::from_bytes(designator);
            }
            rest = after;
        }
        None
    }

    /// The bytes of the designator.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Naa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("naa.")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Naa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Naa({self})")
    }
}

impl FromStr for Naa {
    type Err = NaaError;

    fn from_str(text: &str) -> Result<Self, NaaError> {
        let digits = text.strip_prefix("naa.").unwrap_or(text).as_bytes();
        let digit = |digit: &u8| char::from(*digit).to_digit(16);
        let byte = |pair: &[u8; 2]| u8::try_from(digit(&pair[0])? << 4 | digit(&pair[1])?).ok();
        let (pairs, []) = digits.as_chunks() else { return Err(NaaError) };
        let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
        bytes.and_then(|bytes| Self::from_bytes(&bytes)).ok_or(NaaError)
    }
}

#[cfg(test)]
mod tests {
    use pulsefield_scsi::parameter::Ascii;
    use pulsefield_scsi::vpd::DeviceIdentification;

    use super::*;

    const NAA_6: [u8; 16] = [0x60, 0x01, 0x40, 0x5a, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0xa, 0xb, 0xc];

    #[test]
    fn it_is_found_in_the_page_of_our_target() {
        let mut page = Vec::new();
        let identification = DeviceIdentification {
            naa: &NAA_6,
            vendor: Ascii::new("LIO-ORG"),
            serial: "7c2f",
            relative_target_port: Some(1),
            target_port_group: Some(2),
        };
        identification.encode(&mut page);
        let naa = Naa::in_page(&page).unwrap();
        assert_eq!(naa.to_string(), "naa.6001405a0102030405060708090a0b0c");
        assert_eq!("naa.6001405A0102030405060708090a0b0c".parse(), Ok(naa.clone()));
        assert_eq!("6001405a0102030405060708090a0b0c".parse(), Ok(naa));
    }

    #[test]
    fn it_is_found_behind_others_and_a_port_has_another() {
        let mut page = vec![0, 0x83, 0, 30];
        page.extend([0x02, 0x01, 0, 2, b'a', b'b']);
        page.extend([0x01, 0x13, 0, 8, 0x50, 0, 0, 0, 0, 0, 0, 1]);
        page.extend([0x01, 0x03, 0, 8, 0x60, 0x01, 0x40, 0x5a, 0, 0, 0, 1]);
        assert_eq!(Naa::in_page(&page).unwrap().to_string(), "naa.6001405a00000001");
        for length in 0..page.len() {
            assert_eq!(Naa::in_page(&page[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn other_text_is_no_name() {
        for text in [
            "",
            "naa.",
            "naa.600140",
            "eui.6001405a00000001",
            "6001405a0000000g",
            "6001405a0000000",
        ] {
            assert_eq!(text.parse::<Naa>(), Err(NaaError), "{text}");
        }
    }
}
