//! The sectors of which it may be asked who wrote them: those that an ATS uses, and those that the device
//! server takes for metadata of VMFS.
//!
//! A table of fixed size in which the later of two sectors that share a place is known, and before it a
//! filter, so that most of bulk is dismissed at once. To know too little makes a write of metadata a brief
//! record, which still says who wrote; to know too much costs room.

use pulsefield_units::{Lba, LbaRange};

/// Sectors that can be known: those of the heartbeats and locks in use.
const PLACES: usize = 1024;

/// A region is 2^11 blocks long, 1 MiB of sectors: a volume keeps its heartbeats in a few.
const REGION_BITS: u32 = 11;

/// Regions that the filter tells from one another.
const FILTER_BITS: u64 = 4096;

/// The most blocks that are looked up one by one.
const BLOCKS_MAX: u64 = 64;

/// No LBA: the last block of any range is below it.
const NOBODY: u64 = u64::MAX;

#[derive(Debug)]
pub(crate) struct Watched {
    places: Box<[u64; PLACES]>,
    filter: Box<[u64; 64]>,
}

impl Default for Watched {
    fn default() -> Self {
        Self { places: Box::new([NOBODY; PLACES]), filter: Box::new([0; 64]) }
    }
}

impl Watched {
    /// Watches the first blocks of `range`.
    pub(crate) fn watch(&mut self, range: LbaRange) {
        let first = range.start().as_u64();
        for lba in first..first + range.blocks().as_u64().min(BLOCKS_MAX) {
            self.places[place(lba)] = lba;
            let (word, bit) = filter_bit(lba >> REGION_BITS);
            self.filter[word] |= bit;
        }
    }

    /// The first block of `range` that is watched.
    pub(crate) fn first_in(&self, range: LbaRange) -> Option<Lba> {
        let (first, last) = (range.start().as_u64(), range.last().as_u64());
        let mut regions = first >> REGION_BITS..=last >> REGION_BITS;
        let long = last - first >= BLOCKS_MAX << REGION_BITS;
        if !long && !regions.any(|region| self.has_region(region)) {
            return None;
        }
        let watched = if last - first < BLOCKS_MAX {
            (first..=last).find(|lba| self.places[place(*lba)] == *lba)
        } else {
            self.places.iter().copied().filter(|lba| (first..=last).contains(lba)).min()
        };
        watched.map(Lba::new)
    }

    fn has_region(&self, region: u64) -> bool {
        let (word, bit) = filter_bit(region);
        self.filter[word] & bit != 0
    }
}

/// The only place where `lba` can be: Fibonacci hashing, which keeps apart what is evenly spaced, as slots
/// and locks are.
fn place(lba: u64) -> usize {
    let hash = lba.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - PLACES.ilog2());
    usize::try_from(hash).expect("below the number of places")
}

fn filter_bit(region: u64) -> (usize, u64) {
    let bit = (region ^ (region >> 12)) % FILTER_BITS;
    (usize::try_from(bit / 64).expect("below 64"), 1 << (bit % 64))
}

#[cfg(test)]
mod tests {
    use pulsefield_units::BlockCount;

    use super::*;

    fn range(first: u64, blocks: u64) -> LbaRange {
        LbaRange::new(Lba::new(first), BlockCount::new(blocks)).unwrap()
    }

    #[test]
    fn a_write_over_a_watched_sector_is_found_whatever_its_length() {
        let mut watched = Watched::default();
        assert_eq!(watched.first_in(range(0, u64::MAX)), None);
        watched.watch(range(8193, 1));
        watched.watch(range(8200, 2));
        for (written, found) in [
            (range(8193, 1), Some(8193)),
            (range(8192, 1), None),
            (range(8194, 6), None),
            (range(8194, 7), Some(8200)),
            (range(8201, 100), Some(8201)),
            (range(0, 8193), None),
            (range(0, 8194), Some(8193)),
            (range(0, u64::MAX), Some(8193)),
            (range(1 << 40, 1 << 20), None),
        ] {
            assert_eq!(watched.first_in(written).map(Lba::as_u64), found, "{written}");
        }
    }

    #[test]
    fn a_heartbeat_region_fits() {
        let mut watched = Watched::default();
        for slot in 0..256 {
            watched.watch(range(8192 + slot * 8, 1));
        }
        let known = (0..256).filter(|slot| watched.first_in(range(8192 + slot * 8, 1)).is_some());
        assert_eq!(known.count(), 256);
    }
}
