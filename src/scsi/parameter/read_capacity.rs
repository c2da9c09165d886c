//! READ CAPACITY (10) and (16) parameter data (SBC-4).

use pulsefield_units::{BlockCount, BlockLength};

/// How large a logical unit is, and of what shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadCapacityData {
    /// How many blocks; at least one.
    pub blocks: BlockCount,
    /// Length of one logical block.
    pub block_length: BlockLength,
    /// LOGICAL BLOCKS PER PHYSICAL BLOCK EXPONENT: 2^n logical blocks are one physical block; 3 and
    /// 512-byte blocks are a 512e disk. 0 to 15.
    pub physical_block_exponent: u8,
    /// LOWEST ALIGNED LOGICAL BLOCK ADDRESS: the first block that begins a physical one. 14 bits.
    pub lowest_aligned_lba: u16,
    /// LBPME: logical block provisioning is managed (UNMAP and the like).
    pub provisioning_managed: bool,
    /// LBPRZ: unmapped blocks read as zeros.
    pub reads_zeros: bool,
}

const LBPME: u16 = 0x8000;
const LBPRZ: u16 = 0x4000;
const LOWEST_ALIGNED_LBA: u16 = 0x3fff;
const PHYSICAL_BLOCK_EXPONENT: u8 = 0x0f;

impl ReadCapacityData {
    /// RETURNED LOGICAL BLOCK ADDRESS: the last one.
    const fn last_lba(&self) -> u64 {
        self.blocks.as_u64().saturating_sub(1)
    }

    /// Appends the 8 bytes of READ CAPACITY (10) to `out`. A last block that 32 bits cannot tell is
    /// FFFFFFFFh: the initiator has to use READ CAPACITY (16).
    pub fn encode_10(&self, out: &mut Vec<u8>) {
        let last_lba = u32::try_from(self.last_lba()).unwrap_or(u32::MAX);
        out.extend_from_slice(&last_lba.to_be_bytes());
        out.extend_from_slice(&self.block_length.bytes().to_be_bytes());
    }

    /// Appends the 32 bytes of READ CAPACITY (16) to `out`.
    pub fn encode_16(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.last_lba().to_be_bytes());
        out.extend_from_slice(&self.block_length.bytes().to_be_bytes());
        // P_TYPE, PROT_EN: no protection information.
        out.push(0);
        out.push(self.physical_block_exponent & PHYSICAL_BLOCK_EXPONENT);
        let managed = if self.provisioning_managed { LBPME } else { 0 };
        let zeros = if self.reads_zeros { LBPRZ } else { 0 };
        let aligned = self.lowest_aligned_lba & LOWEST_ALIGNED_LBA;
        out.extend_from_slice(&(managed | zeros | aligned).to_be_bytes());
        out.extend_from_slice(&[0; 16]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(blocks: u64) -> ReadCapacityData {
        ReadCapacityData {
            blocks: BlockCount::new(blocks),
            block_length: BlockLength::B512,
            physical_block_exponent: 3,
            lowest_aligned_lba: 0x1234,
            provisioning_managed: true,
            reads_zeros: true,
        }
    }

    fn encode_10(blocks: u64) -> Vec<u8> {
        let mut out = Vec::new();
        data(blocks).encode_10(&mut out);
        out
    }

    #[test]
    fn ten_tells_the_last_block_if_it_can() {
        assert_eq!(encode_10(0x1000), [0, 0, 0x0f, 0xff, 0, 0, 2, 0]);
        assert_eq!(encode_10(0xffff_ffff)[..4], [0xff, 0xff, 0xff, 0xfe]);
        assert_eq!(encode_10(0x1_0000_0000)[..4], [0xff; 4]);
        assert_eq!(encode_10(0x1_0000_0001)[..4], [0xff; 4]);
    }

    #[test]
    fn sixteen_tells_of_provisioning_and_physical_blocks() {
        let mut out = Vec::new();
        data(0x1_0000_0001).encode_16(&mut out);
        assert_eq!(out[..16], [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2, 0, 0, 3, 0xd2, 0x34]);
        assert_eq!(out[16..], [0; 16]);
        out.clear();
        let thick = ReadCapacityData {
            block_length: BlockLength::B4096,
            physical_block_exponent: 0,
            lowest_aligned_lba: 0,
            provisioning_managed: false,
            reads_zeros: false,
            ..data(1)
        };
        thick.encode_16(&mut out);
        assert_eq!(out[..16], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0]);
    }
}
