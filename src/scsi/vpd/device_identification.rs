//! Device Identification (83h): the names of the logical unit and of the port it was reached by.

use super::{VpdPage, encode_page};
use crate::encode::length_prefixed;
use crate::parameter::Ascii;

/// The Device Identification page.
///
/// The designators of the logical unit must be the same on every path, for all that initiators
/// have to know two paths for one logical unit by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceIdentification<'a> {
    /// An NAA designator: 16 bytes of NAA 6, or 8 of any other.
    pub naa: &'a [u8],
    /// T10 VENDOR IDENTIFICATION of the T10 vendor ID based designator.
    pub vendor: Ascii<8>,
    /// VENDOR SPECIFIC IDENTIFIER after it, unique among that vendor's: the serial number, of which
    /// 247 bytes have room.
    pub serial: &'a str,
    /// The relative target port identifier, if the port is known.
    pub relative_target_port: Option<u16>,
    /// The target port group, if the port is known.
    pub target_port_group: Option<u16>,
}

/// CODE SET: the designator is binary.
const BINARY: u8 = 0x01;
/// CODE SET: the designator is printable ASCII.
const ASCII: u8 = 0x02;

/// The bytes before the first designation descriptor.
const HEADER_LENGTH: usize = 4;

/// What the one-byte DESIGNATOR LENGTH leaves for the serial number after the vendor.
const SERIAL_ROOM: usize = 247;

/// ASSOCIATION and DESIGNATOR TYPE, byte 1 of a designation descriptor.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Designator {
    T10VendorId = 0x01,
    Naa = 0x03,
    RelativeTargetPort = 0x14,
    TargetPortGroup = 0x15,
}

impl DeviceIdentification<'_> {
    /// Appends the page to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        encode_page(VpdPage::DeviceIdentification, out, |out| {
            descriptor(BINARY, Designator::Naa, &[self.naa], out);
            let serial = self.serial.as_bytes();
            let t10 = [self.vendor.as_bytes(), serial.get(..SERIAL_ROOM).unwrap_or(serial)];
            descriptor(ASCII, Designator::T10VendorId, &t10, out);
            if let Some(port) = self.relative_target_port {
                let port = [&[0, 0], &port.to_be_bytes()[..]];
                descriptor(BINARY, Designator::RelativeTargetPort, &port, out);
            }
            if let Some(group) = self.target_port_group {
                let group = [&[0, 0], &group.to_be_bytes()[..]];
                descriptor(BINARY, Designator::TargetPortGroup, &group, out);
            }
        });
    }

    /// Whether the page has this designator, which is how an initiator names a logical unit to
    /// EXTENDED COPY.
    pub fn has(
        &self,
        code_set: u8,
        association: u8,
        designator_type: u8,
        designator: &[u8],
    ) -> bool {
        let mut page = Vec::new();
        self.encode(&mut page);
        let mut rest = page.get(HEADER_LENGTH..).unwrap_or_default();
        while let [set, kind, _, length, after @ ..] = rest {
            let (bytes, after) = after.split_at_checked((*length).into()).unwrap_or((after, &[]));
            let kind_matches = *kind == (association << 4) | designator_type;
            if *set == code_set && kind_matches && bytes == designator {
                return true;
            }
            rest = after;
        }
        false
    }
}

/// Appends one designation descriptor. PIV stays 0: which protocol the command came by is not
/// known here.
fn descriptor(code_set: u8, designator: Designator, parts: &[&[u8]], out: &mut Vec<u8>) {
    out.extend_from_slice(&[code_set, designator as u8, 0]);
    length_prefixed::<1>(out, |out| parts.iter().for_each(|part| out.extend_from_slice(part)));
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAA: [u8; 16] = [0x60, 0x01, 0x40, 0x5a, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0xa, 0xb, 0xc];

    const PAGE: DeviceIdentification<'static> = DeviceIdentification {
        naa: &NAA,
        vendor: Ascii::new("LIO-ORG"),
        serial: "7c2f",
        relative_target_port: None,
        target_port_group: None,
    };

    const LOGICAL_UNIT: &[u8] = b"\x01\x03\x00\x10\
        \x60\x01\x40\x5a\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\
        \x02\x01\x00\x0cLIO-ORG 7c2f";

    #[test]
    fn a_logical_unit_without_a_known_port() {
        let mut out = Vec::new();
        PAGE.encode(&mut out);
        assert_eq!(out, [b"\x00\x83\x00\x24", LOGICAL_UNIT].concat());
    }

    #[test]
    fn a_designator_is_found_only_as_it_stands_in_the_page() {
        assert!(PAGE.has(1, 0, 3, &NAA));
        assert!(PAGE.has(2, 0, 1, b"LIO-ORG 7c2f"));
        assert!(!PAGE.has(1, 0, 3, &NAA[..15]));
        assert!(!PAGE.has(1, 1, 3, &NAA), "a port's");
        assert!(!PAGE.has(2, 0, 3, &NAA), "in ASCII");
        assert!(!PAGE.has(1, 0, 1, &NAA), "of another type");
        assert!(!PAGE.has(1, 0, 3, &[]));
    }

    #[test]
    fn port_and_group_have_the_association_of_a_port() {
        let mut out = Vec::new();
        let page = DeviceIdentification {
            relative_target_port: Some(0x0102),
            target_port_group: Some(3),
            ..PAGE
        };
        page.encode(&mut out);
        let port = b"\x01\x14\x00\x04\x00\x00\x01\x02\x01\x15\x00\x04\x00\x00\x00\x03";
        assert_eq!(out, [b"\x00\x83\x00\x34", LOGICAL_UNIT, port].concat());
    }
    #[test]
    fn a_serial_number_too_long_for_its_designator_is_cut_off() {
        let mut out = Vec::new();
        DeviceIdentification { serial: &"7".repeat(254), ..PAGE }.encode(&mut out);
        assert_eq!(out[..4], [0, 0x83, 0x01, 0x17]);
        assert_eq!(out[24..28], [2, 1, 0, 255]);
        assert_eq!(out.len(), 28 + 255);
    }
}
