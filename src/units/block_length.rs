//! The size of one logical block, and the only road from blocks to bytes.

use std::fmt;

use crate::{BlockCount, Lba, LbaRange};

/// The length of one logical block in bytes: 512 or 4096, the two an initiator meets in practice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlockLength {
    /// 512-byte blocks, what VMFS wants of a SAN LUN.
    B512,
    /// 4096-byte blocks (4Kn).
    B4096,
}

/// A block length that Pulsefield does not serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockLengthError(u64);

impl fmt::Display for BlockLengthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a logical block of {} bytes is not served; use 512 or 4096", self.0)
    }
}

impl std::error::Error for BlockLengthError {}

impl TryFrom<u64> for BlockLength {
    type Error = BlockLengthError;

    fn try_from(bytes: u64) -> Result<Self, Self::Error> {
        match bytes {
            512 => Ok(Self::B512),
            4096 => Ok(Self::B4096),
            other => Err(BlockLengthError(other)),
        }
    }
}

impl BlockLength {
    /// One block in bytes.
    pub const fn bytes(self) -> u32 {
        match self {
            Self::B512 => 512,
            Self::B4096 => 4096,
        }
    }

    const fn shift(self) -> u32 {
        self.bytes().trailing_zeros()
    }

    /// `blocks` blocks in bytes, or `None` past 2^64 - 1.
    pub const fn bytes_of(self, blocks: BlockCount) -> Option<u64> {
        blocks.as_u64().checked_mul(self.bytes() as u64)
    }

    /// The length of `range` in bytes, or `None` past 2^64 - 1.
    pub const fn bytes_in(self, range: LbaRange) -> Option<u64> {
        self.bytes_of(range.blocks())
    }

    /// The byte on the medium where `lba` begins, or `None` past 2^64 - 1.
    pub const fn offset_of(self, lba: Lba) -> Option<u64> {
        lba.as_u64().checked_mul(self.bytes() as u64)
    }

    /// How many whole blocks fit into `bytes`.
    pub const fn blocks_in(self, bytes: u64) -> BlockCount {
        BlockCount::new(bytes >> self.shift())
    }

    /// Whether `bytes` is a whole number of blocks.
    pub const fn divides(self, bytes: u64) -> bool {
        bytes & (self.bytes() as u64 - 1) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_512_and_4096_are_block_lengths() {
        assert_eq!(BlockLength::try_from(512), Ok(BlockLength::B512));
        assert_eq!(BlockLength::try_from(4096), Ok(BlockLength::B4096));
        for bytes in [0, 1, 520, 1024, 8192] {
            assert_eq!(BlockLength::try_from(bytes), Err(BlockLengthError(bytes)));
        }
    }

    #[test]
    fn blocks_become_bytes_without_wrapping() {
        assert_eq!(BlockLength::B4096.bytes_of(BlockCount::new(3)), Some(12_288));
        assert_eq!(BlockLength::B512.bytes_of(BlockCount::new(1 << 55)), None);
        assert_eq!(BlockLength::B512.offset_of(Lba::new(43_008)), Some(43_008 * 512));
        assert_eq!(BlockLength::B4096.blocks_in(12_287), BlockCount::new(2));
        assert!(BlockLength::B512.divides(1024) && !BlockLength::B512.divides(1025));
    }
}
