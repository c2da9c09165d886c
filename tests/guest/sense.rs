//! Sense data as an initiator reads it: fixed and descriptor format (SPC-5 4.4).
//!
//! Written from the standard and not shared with the target's own codec: a checker that used the
//! same code would agree with the same mistakes.

use std::fmt;

/// The parts of sense data that the checks look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sense {
    /// Sense key, 0 to 15.
    pub key: u8,
    /// Additional sense code.
    pub asc: u8,
    /// Additional sense code qualifier.
    pub ascq: u8,
    /// The INFORMATION field, if its VALID bit is set.
    pub information: Option<u64>,
    /// Byte and, if BPV is set, bit of the CDB or parameter list that was refused.
    pub field: Option<FieldPointer>,
}

/// Sense-key specific data of ILLEGAL REQUEST (SPC-5 4.4.2.4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldPointer {
    /// C/D: the CDB is at fault, not the parameter list.
    pub in_cdb: bool,
    /// Which byte.
    pub byte: u16,
    /// Which bit, if one is named.
    pub bit: Option<u8>,
}

impl Sense {
    /// Reads sense data; `None` if there is none or its response code is unknown.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        match bytes.first()? & 0x7f {
            0x70 | 0x71 => Self::parse_fixed(bytes),
            0x72 | 0x73 => Self::parse_descriptors(bytes),
            _ => None,
        }
    }

    fn parse_fixed(bytes: &[u8]) -> Option<Self> {
        let information = u32::from_be_bytes(bytes.get(3..7)?.try_into().ok()?);
        let key = bytes.get(2)? & 0x0f;
        let specific = bytes.get(15..18).and_then(|bytes| bytes.try_into().ok());
        Some(Self {
            key,
            asc: *bytes.get(12)?,
            ascq: *bytes.get(13)?,
            information: (bytes[0] & 0x80 != 0).then_some(information.into()),
            field: specific.and_then(|bytes| FieldPointer::parse(key, bytes)),
        })
    }

    fn parse_descriptors(bytes: &[u8]) -> Option<Self> {
        let mut sense = Self {
            key: bytes.get(1)? & 0x0f,
            asc: *bytes.get(2)?,
            ascq: *bytes.get(3)?,
            information: None,
            field: None,
        };
        let mut rest = bytes.get(8..)?;
        while let [kind, length, ..] = *rest {
            let Some(descriptor) = rest.get(2..2 + usize::from(length)) else { break };
            match (kind, descriptor) {
                (0x00, [valid, _, information @ ..]) if valid & 0x80 != 0 => {
                    sense.information = information.try_into().ok().map(u64::from_be_bytes);
                }
                (0x02, [_, _, first, second, third, ..]) => {
                    sense.field = FieldPointer::parse(sense.key, [*first, *second, *third]);
                }
                _ => {}
            }
            rest = &rest[2 + usize::from(length)..];
        }
        Some(sense)
    }
}

impl FieldPointer {
    const ILLEGAL_REQUEST: u8 = 0x05;

    fn parse(key: u8, [flags, high, low]: [u8; 3]) -> Option<Self> {
        (key == Self::ILLEGAL_REQUEST && flags & 0x80 != 0).then(|| Self {
            in_cdb: flags & 0x40 != 0,
            byte: u16::from_be_bytes([high, low]),
            bit: (flags & 0x08 != 0).then_some(flags & 0x07),
        })
    }
}

impl fmt::Display for Sense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02X}h/{:02X}h/{:02X}h", self.key, self.asc, self.ascq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_sense_with_information() {
        let mut bytes = [0_u8; 18];
        bytes[..8].copy_from_slice(&[0xf0, 0, 0x0e, 0, 0, 1, 0xff, 10]);
        bytes[12] = 0x1d;
        let sense = Sense::parse(&bytes).unwrap();
        assert_eq!(sense.to_string(), "0Eh/1Dh/00h");
        assert_eq!(sense.information, Some(511));
        bytes[0] = 0x70;
        assert_eq!(Sense::parse(&bytes).unwrap().information, None);
    }

    #[test]
    fn fixed_sense_with_a_field_pointer() {
        let mut bytes = [0_u8; 18];
        bytes[0] = 0x70;
        bytes[2] = 0x05;
        bytes[12] = 0x24;
        bytes[15..18].copy_from_slice(&[0xcb, 0, 1]);
        let field = Sense::parse(&bytes).unwrap().field.unwrap();
        assert_eq!(field, FieldPointer { in_cdb: true, byte: 1, bit: Some(3) });
    }

    #[test]
    fn descriptor_sense_with_both() {
        let mut bytes = vec![0x72, 0x05, 0x24, 0, 0, 0, 0, 20];
        bytes.extend([0x00, 0x0a, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
        bytes.extend([0x02, 0x06, 0, 0, 0xc0, 0, 13, 0]);
        let sense = Sense::parse(&bytes).unwrap();
        assert_eq!(sense.information, Some(7));
        assert_eq!(sense.field, Some(FieldPointer { in_cdb: true, byte: 13, bit: None }));
    }

    #[test]
    fn what_is_no_sense_is_none() {
        assert_eq!(Sense::parse(&[]), None);
        assert_eq!(Sense::parse(&[0x70, 0, 5]), None);
        assert_eq!(Sense::parse(&[0; 18]), None);
    }
}
