//! Block Limits (B0h): what one command may ask for.

use super::{VpdPage, encode_page};

/// The Block Limits page. Lengths are in logical blocks; unless a field says otherwise, 0 means
/// that no limit is reported.
///
/// Spec: SBC-4, Block Limits VPD page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockLimits {
    /// WSNZ: WRITE SAME of zero blocks is refused rather than taken as "to the end".
    pub write_same_non_zero: bool,
    /// The most blocks of a COMPARE AND WRITE; 0 says that there is no such command, and ESXi then
    /// does without ATS.
    pub maximum_compare_and_write_length: u8,
    /// The granularity in which transfers are best; 0 if there is none.
    pub optimal_transfer_length_granularity: u16,
    /// The most blocks of a READ, WRITE, VERIFY and the like.
    pub maximum_transfer_length: u32,
    /// The most blocks of a transfer that is still fast.
    pub optimal_transfer_length: u32,
    /// The most blocks of an UNMAP, in all its descriptors; 0 says that there is no UNMAP.
    pub maximum_unmap_lba_count: u32,
    /// The most descriptors of an UNMAP; 0 says that there is no UNMAP.
    pub maximum_unmap_block_descriptor_count: u32,
    /// The granularity in which unmapping gives space back.
    pub optimal_unmap_granularity: u32,
    /// UNMAP GRANULARITY ALIGNMENT: the first block at which such a granule begins; `None` leaves
    /// UGAVALID 0. 31 bits.
    pub unmap_granularity_alignment: Option<u32>,
    /// The most blocks of a WRITE SAME.
    pub maximum_write_same_length: u64,
    /// The most blocks of a WRITE ATOMIC; 0 says that there is no such command. It may start at any
    /// block and have any length up to this one, but no ATOMIC BOUNDARY.
    pub maximum_atomic_transfer_length: u32,
}

const WSNZ: u8 = 0x01;
const UGAVALID: u32 = 0x8000_0000;

impl BlockLimits {
    /// Appends the page to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        encode_page(VpdPage::BlockLimits, out, |out| {
            out.push(if self.write_same_non_zero { WSNZ } else { 0 });
            out.push(self.maximum_compare_and_write_length);
            out.extend_from_slice(&self.optimal_transfer_length_granularity.to_be_bytes());
            out.extend_from_slice(&self.maximum_transfer_length.to_be_bytes());
            out.extend_from_slice(&self.optimal_transfer_length.to_be_bytes());
            // MAXIMUM PREFETCH LENGTH: none is too long.
            out.extend_from_slice(&[0; 4]);
            out.extend_from_slice(&self.maximum_unmap_lba_count.to_be_bytes());
            out.extend_from_slice(&self.maximum_unmap_block_descriptor_count.to_be_bytes());
            out.extend_from_slice(&self.optimal_unmap_granularity.to_be_bytes());
            let alignment = self.unmap_granularity_alignment.map_or(0, |at| at | UGAVALID);
            out.extend_from_slice(&alignment.to_be_bytes());
            out.extend_from_slice(&self.maximum_write_same_length.to_be_bytes());
            out.extend_from_slice(&self.maximum_atomic_transfer_length.to_be_bytes());
            // ATOMIC ALIGNMENT and ATOMIC TRANSFER LENGTH GRANULARITY: none; MAXIMUM ATOMIC TRANSFER
            // LENGTH WITH ATOMIC BOUNDARY and MAXIMUM ATOMIC BOUNDARY SIZE: there is no boundary.
            out.extend_from_slice(&[0; 16]);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_its_place() {
        let mut out = Vec::new();
        BlockLimits {
            write_same_non_zero: true,
            maximum_compare_and_write_length: 0x11,
            optimal_transfer_length_granularity: 0x2122,
            maximum_transfer_length: 0x3132_3334,
            optimal_transfer_length: 0x4142_4344,
            maximum_unmap_lba_count: 0x5152_5354,
            maximum_unmap_block_descriptor_count: 0x6162_6364,
            optimal_unmap_granularity: 0x7172_7374,
            unmap_granularity_alignment: Some(0x0182_8384),
            maximum_write_same_length: 0x9192_9394_9596_9798,
            maximum_atomic_transfer_length: 0xa1a2_a3a4,
        }
        .encode(&mut out);
        let expected = [
            [0x00, 0xb0, 0x00, 0x3c],
            [0x01, 0x11, 0x21, 0x22],
            [0x31, 0x32, 0x33, 0x34],
            [0x41, 0x42, 0x43, 0x44],
            [0x00, 0x00, 0x00, 0x00],
            [0x51, 0x52, 0x53, 0x54],
            [0x61, 0x62, 0x63, 0x64],
            [0x71, 0x72, 0x73, 0x74],
            [0x81, 0x82, 0x83, 0x84],
            [0x91, 0x92, 0x93, 0x94],
            [0x95, 0x96, 0x97, 0x98],
            [0xa1, 0xa2, 0xa3, 0xa4],
        ];
        assert_eq!(out[..48], *expected.as_flattened());
        assert_eq!(out[48..], [0; 16]);
    }
}
