//! Standard INQUIRY data (SPC-4).

use super::{Ascii, DIRECT_ACCESS_BLOCK_DEVICE};
use crate::encode::length_prefixed;

/// TPGS: how the states of target port groups (ALUA) may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TargetPortGroupSupport {
    /// There are no target port groups.
    None = 0b00,
    /// Only the device server changes states.
    Implicit = 0b01,
    /// Only SET TARGET PORT GROUPS changes states.
    Explicit = 0b10,
    /// Both do.
    Both = 0b11,
}

/// Standard INQUIRY data of a logical unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InquiryData {
    /// T10 VENDOR IDENTIFICATION.
    pub vendor: Ascii<8>,
    /// PRODUCT IDENTIFICATION. ESXi copies between two logical units only if theirs are equal.
    pub product: Ascii<16>,
    /// PRODUCT REVISION LEVEL.
    pub revision: Ascii<4>,
    /// RMB: the medium can be taken out.
    pub removable: bool,
    /// TPGS.
    pub target_port_group_support: TargetPortGroupSupport,
    /// 3PC: third-party copy commands such as EXTENDED COPY are executed.
    pub third_party_copy: bool,
}

const RMB: u8 = 0x80;
/// VERSION: SPC-4.
const VERSION: u8 = 0x06;
/// HISUP: LIO addresses logical units by the hierarchical format; NORMACA stays 0.
const HISUP: u8 = 0x10;
const RESPONSE_DATA_FORMAT: u8 = 0x02;
const THIRD_PARTY_COPY: u8 = 0x08;
/// CMDQUE: many commands at a time.
const CMDQUE: u8 = 0x02;
/// SAM-5, SPC-4, SBC-3, each without a version claimed. The transport protocol is not known here.
const VERSION_DESCRIPTORS: [u16; 3] = [0x00a0, 0x0460, 0x04c0];

impl InquiryData {
    /// Appends the 96 bytes to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[
            DIRECT_ACCESS_BLOCK_DEVICE,
            if self.removable { RMB } else { 0 },
            VERSION,
            HISUP | RESPONSE_DATA_FORMAT,
        ]);
        // ADDITIONAL LENGTH counts from byte 5 on.
        length_prefixed::<1>(out, |out| {
            let third_party_copy = if self.third_party_copy { THIRD_PARTY_COPY } else { 0 };
            let groups = (self.target_port_group_support as u8) << 4;
            out.extend_from_slice(&[groups | third_party_copy, 0, CMDQUE]);
            out.extend_from_slice(self.vendor.as_bytes());
            out.extend_from_slice(self.product.as_bytes());
            out.extend_from_slice(self.revision.as_bytes());
            // Vendor specific, obsolete, reserved.
            out.extend_from_slice(&[0; 22]);
            out.extend(VERSION_DESCRIPTORS.iter().flat_map(|version| version.to_be_bytes()));
            // Room for five more version descriptors, and reserved bytes.
            out.extend_from_slice(&[0; 32]);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: InquiryData = InquiryData {
        vendor: Ascii::new("LIO-ORG"),
        product: Ascii::new("pulsefield"),
        revision: Ascii::new("0001"),
        removable: false,
        target_port_group_support: TargetPortGroupSupport::Implicit,
        third_party_copy: false,
    };

    #[test]
    fn the_data_has_96_bytes() {
        let mut out = Vec::new();
        DATA.encode(&mut out);
        let head = b"\x00\x00\x06\x12\x5b\x10\x00\x02LIO-ORG pulsefield      0001";
        assert_eq!(out.len(), 96);
        assert_eq!(out[..36], head[..]);
        assert_eq!(out[36..58], [0; 22]);
        assert_eq!(out[58..64], [0x00, 0xa0, 0x04, 0x60, 0x04, 0xc0]);
        assert_eq!(out[64..], [0; 32]);
    }

    #[test]
    fn byte_1_tells_whether_the_medium_can_be_taken_out() {
        let mut out = Vec::new();
        InquiryData { removable: true, ..DATA }.encode(&mut out);
        assert_eq!(out[1], 0x80);
    }

    #[test]
    fn byte_5_tells_of_groups_and_copying() {
        let byte_5 = |target_port_group_support, third_party_copy| {
            let mut out = Vec::new();
            InquiryData { target_port_group_support, third_party_copy, ..DATA }.encode(&mut out);
            out[5]
        };
        assert_eq!(byte_5(TargetPortGroupSupport::None, false), 0x00);
        assert_eq!(byte_5(TargetPortGroupSupport::Explicit, false), 0x20);
        assert_eq!(byte_5(TargetPortGroupSupport::Both, true), 0x38);
    }
}
