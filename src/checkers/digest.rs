//! Blocks as short numbers: what a block holds is kept as a digest, and found by its address.

use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

use pulsefield_units::{Lba, LbaRange};

use crate::{Begun, UnitId};

/// 128 bits that stand for the content of one block. Two contents that were not made to collide have the same
/// one with a chance of about 2^-128; nothing here must withstand somebody who makes them so.
///
/// Folded multiplication, as of wyhash (Wang Yi, public domain), in two lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Digest([u64; 2]);

/// Odd numbers without a pattern: from the square roots of the first primes.
const KEYS: [u64; 4] =
    [0x6a09_e667_f3bc_c909, 0xbb67_ae85_84ca_a73b, 0x3c6e_f372_fe94_f82b, 0xa54f_f53a_5f1d_36f1];

impl Digest {
    /// That of zeros, however many.
    pub(crate) const ZEROS: Self = Self([0; 2]);

    pub(crate) fn of(block: &[u8]) -> Self {
        let (mut low, mut high, mut any) = (KEYS[0], KEYS[1], 0);
        let (chunks, rest) = block.as_chunks::<16>();
        let mut mix = |chunk: &[u8; 16]| {
            let [first, second] = words(chunk);
            any |= first | second;
            low = fold(first ^ KEYS[2], second ^ low);
            high = fold(second ^ KEYS[3], first ^ high);
        };
        chunks.iter().for_each(&mut mix);
        if !rest.is_empty() {
            let mut last = [0; 16];
            last[..rest.len()].copy_from_slice(rest);
            mix(&last);
        }
        if any == 0 { Self::ZEROS } else { Self([low, high]) }
    }
}

impl fmt::Display for Digest {
    /// Eight digits tell contents apart for who reads; zeros are named.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ZEROS => f.write_str("zeros"),
            Self([low, _]) => write!(f, "#{:08x}", low >> 32),
        }
    }
}

fn words(chunk: &[u8; 16]) -> [u64; 2] {
    let (words, _) = chunk.as_chunks::<8>();
    [u64::from_le_bytes(words[0]), u64::from_le_bytes(words[1])]
}

/// The product's halves, one over the other.
#[allow(clippy::cast_possible_truncation)] // A half each: nothing is lost.
const fn fold(left: u64, right: u64) -> u64 {
    let product = left as u128 * right as u128;
    product as u64 ^ (product >> 64) as u64
}

/// Where a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) unit: UnitId,
    pub(crate) lba: Lba,
}

impl Place {
    /// The blocks of a range.
    pub(crate) fn all(unit: UnitId, blocks: LbaRange) -> impl Iterator<Item = Self> {
        let lbas = blocks.start().as_u64()..blocks.end().as_u64();
        lbas.map(move |lba| Self { unit, lba: Lba::new(lba) })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block {}", self.lba)
    }
}

impl Begun {
    /// Whether it reads or writes this block.
    pub(crate) fn is_to(&self, place: Place) -> bool {
        let Self { unit, blocks, .. } = self;
        *unit == place.unit && blocks.start() <= place.lba && place.lba < blocks.end()
    }
}

/// Something for each block. Addresses come from our own hosts: a quick hash will do.
pub(crate) type PlaceMap<T> = std::collections::HashMap<Place, T, BuildHasherDefault<QuickHasher>>;

/// A hash of a few words that nobody attacks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct QuickHasher(u64);

impl Hasher for QuickHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64((*byte).into()));
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(word.into());
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = fold(self.0 ^ word ^ KEYS[2], KEYS[3]);
    }
}

/// The blocks, each with what `data` says that it holds; nothing, if `data` is not of as many whole blocks.
pub(crate) fn contents(
    unit: UnitId,
    blocks: LbaRange,
    data: &[u8],
) -> impl Iterator<Item = (Place, Option<&[u8]>)> {
    let count = usize::try_from(blocks.blocks().as_u64()).unwrap_or(usize::MAX);
    let length = data.len() / count;
    let whole = length > 0 && data.len() == length * count;
    let mut chunks = data.chunks_exact(length.max(1));
    Place::all(unit, blocks).map(move |place| (place, chunks.next().filter(|_| whole)))
}

#[cfg(test)]
mod tests {
    use pulsefield_units::BlockCount;

    use super::*;

    #[test]
    fn every_bit_and_its_place_count() {
        let mut digests: Vec<_> = (0..4096_usize)
            .map(|bit| {
                let mut block = [0x5a; 512];
                block[bit / 8] ^= 1 << (bit % 8);
                Digest::of(&block)
            })
            .collect();
        digests.push(Digest::of(&[0x5a; 512]));
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), 4097);
    }

    #[test]
    fn zeros_are_zeros_however_many() {
        assert_eq!(Digest::of(&[0; 512]), Digest::ZEROS);
        assert_eq!(Digest::of(&[0; 4096]), Digest::ZEROS);
        let mut nearly = [0; 512];
        nearly[511] = 1;
        assert_ne!(Digest::of(&nearly), Digest::ZEROS);
        assert_eq!(Digest::ZEROS.to_string(), "zeros");
    }

    #[test]
    fn data_falls_into_blocks_or_is_not_known() {
        let two = LbaRange::new(Lba::new(7), BlockCount::new(2)).unwrap();
        let unit = UnitId(1);
        let data: Vec<u8> = (0..8).collect();
        let place = |lba| Place { unit, lba: Lba::new(lba) };
        let found: Vec<_> = contents(unit, two, &data).collect();
        assert_eq!(found, [(place(7), Some(&data[..4])), (place(8), Some(&data[4..]))]);
        for unknown in [&data[..7], &[]] {
            let found: Vec<_> = contents(unit, two, unknown).collect();
            assert_eq!(found, [(place(7), None), (place(8), None)]);
        }
    }
}
