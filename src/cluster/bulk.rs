//! What bulk I/O writes: blocks that say by themselves whose they are and where they belong, no two alike,
//! so that a block in the wrong place, an old one and a torn one are all told from the right one.

use pulsefield_units::{BlockLength, LbaRange, Random, mix};

/// The first bytes of every block.
const MAGIC: &[u8; 8] = b"pulsbulk";

/// Words of eight bytes before the filling: magic, address, host, sequence number.
const HEAD: usize = 4;

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
    use pulsefield_units::{BlockCount, Lba};

    use super::*;

    #[test]
    fn a_block_says_whose_it_is() {
        let blocks = LbaRange::new(Lba::new(70), BlockCount::new(2)).unwrap();
        let data = data(blocks, BlockLength::B512, 3, 9, 1);
        assert_eq!(data.len(), 1024);
        for (block, lba) in data.chunks_exact(512).zip(70_u64..) {
            let words = [*MAGIC, lba.to_le_bytes(), 3_u64.to_le_bytes(), 9_u64.to_le_bytes()];
            assert_eq!(block[..8 * HEAD], *words.as_flattened());
        }
        assert_ne!(data[32..512], data[544..], "the filling differs, too");
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
