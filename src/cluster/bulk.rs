//! What bulk I/O writes: blocks that say by themselves whose they are and where they belong, no two alike,
//! so that a block in the wrong place, an old one and a torn one are all told from the right one.

use pulsefield_units::{BlockLength, Lba, LbaRange, Random, mix};

/// The first bytes of every block.
const MAGIC: &[u8; 8] = b"pulsbulk";

/// Words of eight bytes before the filling: magic, address, host, sequence number.
const HEAD: usize = 4;

/// Who writes what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The block's own address.
    pub lba: Lba,
    /// The number of the host.
    pub host: u32,
    /// Counts the writes of a run.
    pub sequence: u64,
}

impl Mark {
    /// The mark of a block; `None` if bulk I/O did not write it.
    pub fn of(block: &[u8]) -> Option<Self> {
        let mut words = block.as_chunks::<8>().0.iter();
        if words.next()? != MAGIC {
            return None;
        }
        let mut number = || words.next().map(|word| u64::from_le_bytes(*word));
        let (lba, host, sequence) = (number()?, number()?, number()?);
        Some(Self { lba: Lba::new(lba), host: u32::try_from(host).ok()?, sequence })
    }
}

/// The data of a write of these blocks, the `sequence`th of a run with this seed.
pub(crate) fn data(
    blocks: LbaRange,
    block_length: BlockLength,
    host: u32,
    sequence: u64,
    seed: u64,
) -> Vec<u8> {
    let block_bytes = usize::try_from(block_length.bytes()).unwrap_or(usize::MAX);
    let count = usize::try_from(blocks.blocks().as_u64()).unwrap_or(usize::MAX);
    let mut data = vec![0; count * block_bytes];
    for (block, lba) in data.chunks_exact_mut(block_bytes).zip(blocks.start().as_u64()..) {
        let words = block.as_chunks_mut::<8>().0;
        words[0] = *MAGIC;
        words[1] = lba.to_le_bytes();
        words[2] = u64::from(host).to_le_bytes();
        words[3] = sequence.to_le_bytes();
        let mut filling = Random::new(mix(seed ^ mix(sequence ^ mix(lba))));
        words[HEAD..].iter_mut().for_each(|word| *word = filling.any().to_le_bytes());
    }
    data
}

#[cfg(test)]
mod tests {
    use pulsefield_units::BlockCount;

    use super::*;

    #[test]
    fn a_block_says_whose_it_is() {
        let blocks = LbaRange::new(Lba::new(70), BlockCount::new(2)).unwrap();
        let data = data(blocks, BlockLength::B512, 3, 9, 1);
        assert_eq!(data.len(), 1024);
        let mark = |lba| Mark { lba: Lba::new(lba), host: 3, sequence: 9 };
        assert_eq!(Mark::of(&data[..512]), Some(mark(70)));
        assert_eq!(Mark::of(&data[512..]), Some(mark(71)));
        assert_ne!(data[32..512], data[544..], "the filling differs, too");
        assert_eq!(Mark::of(&[0; 512]), None);
        assert_eq!(Mark::of(&data[..16]), None, "cut short");
    }

    #[test]
    fn no_two_writes_are_alike() {
        let blocks = LbaRange::new(Lba::new(0), BlockCount::new(1)).unwrap();
        let write = |host, sequence, seed| data(blocks, BlockLength::B4096, host, sequence, seed);
        assert_eq!(write(1, 2, 3), write(1, 2, 3));
        assert_ne!(write(1, 2, 3), write(1, 3, 3));
        assert_ne!(write(1, 2, 3), write(2, 2, 3));
        assert_ne!(write(1, 2, 3)[32..], write(1, 2, 4)[32..]);
    }
}
