//! Third-party Copy (8Fh): which copy commands there are, and what they may ask for.

use super::{VpdPage, encode_page};
use crate::encode::length_prefixed;
use crate::opcode;
use crate::parameter::{COPY_DESCRIPTOR_TYPES, CSCD_ID_SELF, CopyLimits};

/// The Third-party Copy page.
///
/// Spec: SPC-4, Third-party Copy VPD page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThirdPartyCopy {
    /// What one EXTENDED COPY may ask for.
    pub limits: CopyLimits,
}

/// THIRD-PARTY COPY DESCRIPTOR TYPE.
#[derive(Clone, Copy)]
#[repr(u16)]
enum Descriptor {
    SupportedCommands = 0x0001,
    ParameterData = 0x0004,
    SupportedDescriptors = 0x0008,
    SupportedCscdDescriptorIds = 0x000c,
    GeneralCopyOperations = 0x8001,
}

/// The operation codes whose service actions copy.
const COPY_OPCODES: [u8; 2] = [opcode::THIRD_PARTY_COPY_OUT, opcode::THIRD_PARTY_COPY_IN];

impl ThirdPartyCopy {
    /// Appends the page to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let limits = &self.limits;
        encode_page(VpdPage::ThirdPartyCopy, out, |out| {
            descriptor(Descriptor::SupportedCommands, out, |out| {
                length_prefixed::<1>(out, |out| {
                    COPY_OPCODES.iter().for_each(|op| commands(*op, out))
                });
            });
            descriptor(Descriptor::ParameterData, out, |out| {
                out.extend_from_slice(&[0; 4]);
                out.extend_from_slice(&limits.cscd_descriptors_max.to_be_bytes());
                out.extend_from_slice(&limits.segment_descriptors_max.to_be_bytes());
                out.extend_from_slice(&limits.descriptor_list_bytes_max.to_be_bytes());
                // MAXIMUM INLINE DATA LENGTH; reserved.
                out.extend_from_slice(&[0; 16]);
            });
            descriptor(Descriptor::SupportedDescriptors, out, |out| {
                length_prefixed::<1>(out, |out| out.extend_from_slice(&COPY_DESCRIPTOR_TYPES));
            });
            descriptor(Descriptor::SupportedCscdDescriptorIds, out, |out| {
                // The indices of the list need no mention.
                length_prefixed::<2>(out, |out| out.extend_from_slice(&CSCD_ID_SELF.to_be_bytes()));
            });
            descriptor(Descriptor::GeneralCopyOperations, out, |out| {
                let copies = u32::from(limits.concurrent_copies_max).to_be_bytes();
                out.extend_from_slice(&copies);
                out.extend_from_slice(&copies);
                out.extend_from_slice(&limits.segment_bytes_max.to_be_bytes());
                // No granularity of inline data, of which there is none; reserved.
                out.push(limits.granularity_exponent);
                out.extend_from_slice(&[0; 19]);
            });
        });
    }
}

/// Appends a third-party copy descriptor, filled up to a multiple of four bytes as SPC-4 asks.
fn descriptor(descriptor: Descriptor, out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(&(descriptor as u16).to_be_bytes());
    length_prefixed::<2>(out, |out| {
        let start = out.len();
        body(out);
        let length = out.len().saturating_sub(start).next_multiple_of(4);
        out.resize(start.saturating_add(length), 0);
    });
}

/// Appends an operation code and those of its service actions that the table of commands has.
fn commands(opcode: u8, out: &mut Vec<u8>) {
    out.push(opcode);
    length_prefixed::<1>(out, |out| {
        let actions = opcode::rows(opcode).iter().filter_map(|row| row.service_action);
        out.extend(actions.filter_map(|action| u8::try_from(action).ok()));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_lists_what_there_is() {
        let mut out = Vec::new();
        let limits = CopyLimits {
            cscd_descriptors_max: 0x0102,
            segment_descriptors_max: 0x1112,
            descriptor_list_bytes_max: 0x2122_2324,
            segment_bytes_max: 0x3132_3334,
            concurrent_copies_max: 0x4142,
            granularity_exponent: 12,
        };
        ThirdPartyCopy { limits }.encode(&mut out);
        let expected = [
            &[0x00, 0x8f, 0, 16 + 32 + 8 + 8 + 36][..],
            // Supported commands: EXTENDED COPY, RECEIVE COPY RESULTS.
            &[0x00, 0x01, 0, 12, 10, 0x83, 2, 0x00, 0x01, 0x84, 4, 0x00, 0x03, 0x04, 0x05, 0],
            &[0x00, 0x04, 0, 28, 0, 0, 0, 0, 0x01, 0x02, 0x11, 0x12, 0x21, 0x22, 0x23, 0x24],
            &[0; 16],
            &[0x00, 0x08, 0, 4, 3, 0x02, 0x0a, 0xe4],
            &[0x00, 0x0c, 0, 4, 0, 2, 0xff, 0xff],
            &[0x80, 0x01, 0, 32, 0, 0, 0x41, 0x42, 0, 0, 0x41, 0x42, 0x31, 0x32, 0x33, 0x34, 12],
            &[0; 19],
        ]
        .concat();
        assert_eq!(out, expected);
    }
}
