//! The places that claims are on, found by what they overlap: a grid for each size.
//!
//! The blocks of *level* n lie in cells of 2^n blocks. A place is filed at the lowest level whose cells
//! are as long as it is, in the cell where it begins; so whatever overlaps a cell was filed in that cell
//! or in the one before. To look for what a range overlaps is to look at a few cells of those levels
//! that have places at all, however many places there are: claims of a kind are of one or two sizes.
//! Cells are found by their hash. Only where a range has more cells than there could be places are all
//! of them gone through instead.

use std::iter;

use pulsefield_units::LbaRange;

use super::Holder;

/// Names a place: whoever is there, since nobody is at two.
type Name = Holder;

/// No place.
const NONE: Name = Name::MAX;

/// Levels there are: a range has less than 2^64 blocks.
const LEVELS: usize = 64;

/// Buckets there are at least, a power of two.
const BUCKETS_MIN: usize = 64;

/// Places, one each of some holders.
#[derive(Debug)]
pub(super) struct Places {
    /// By name.
    nodes: Vec<Option<Node>>,
    len: usize,
    /// The first place of each bucket; as many as a power of two.
    buckets: Vec<Name>,
    /// How many places each level has.
    counts: [u32; LEVELS],
    /// The levels that have any, a bit each.
    levels: u64,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    range: LbaRange,
    /// The next place in the same bucket.
    next: Name,
}

/// A piece of the medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    level: u32,
    nth: u64,
}

impl Cell {
    /// Where a place is filed.
    fn of(range: LbaRange) -> Self {
        let last_bit = range.blocks().as_u64() - 1;
        let level = (u64::BITS - last_bit.leading_zeros()).min(u64::BITS - 1);
        Self { level, nth: range.start().as_u64() >> level }
    }

    /// The first and the last cell of `level` where places are filed that overlap `range`.
    fn around(range: LbaRange, level: u32) -> (u64, u64) {
        let first = range.start().as_u64() >> level;
        (first.saturating_sub(1), range.last().as_u64() >> level)
    }

    /// Which of `buckets` buckets it is in.
    fn bucket(self, buckets: usize) -> usize {
        // Fibonacci hashing: the upper bits of a product with 2^64 divided by the golden ratio.
        let key = self.nth.rotate_left(LEVELS.ilog2()) ^ u64::from(self.level);
        let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        usize::try_from(hash >> 32).expect("half of a word") & (buckets - 1)
    }
}

impl Default for Places {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            len: 0,
            buckets: vec![NONE; BUCKETS_MIN],
            counts: [0; LEVELS],
            levels: 0,
        }
    }
}

impl Places {
    /// Adds a place. Its name must not be in use.
    pub(super) fn insert(&mut self, name: Name, range: LbaRange) {
        self.len += 1;
        if self.len > self.buckets.len() {
            self.grow();
        }
        let at = index(name);
        if self.nodes.len() <= at {
            self.nodes.resize(at + 1, None);
        }
        let cell = Cell::of(range);
        let first = self.first_mut(cell);
        let next = std::mem::replace(first, name);
        self.nodes[at] = Some(Node { range, next });
        self.counts[level_index(cell)] += 1;
        self.levels |= 1 << cell.level;
    }

    /// Takes a place out, and says where it was.
    ///
    /// # Panics
    /// If there is none of this name.
    pub(super) fn remove(&mut self, name: Name) -> LbaRange {
        let Node { range, next } = self.nodes[index(name)].take().expect("a place");
        let cell = Cell::of(range);
        self.len -= 1;
        let count = &mut self.counts[level_index(cell)];
        *count -= 1;
        if *count == 0 {
            self.levels &= !(1 << cell.level);
        }
        let mut before = *self.first_mut(cell);
        if before == name {
            *self.first_mut(cell) = next;
            return range;
        }
        loop {
            let node = self.nodes[index(before)].as_mut().expect("a place before it");
            if node.next == name {
                node.next = next;
                return range;
            }
            before = node.next;
        }
    }

    /// Calls `each` for the places that share a block with `range`.
    pub(super) fn overlapping(&self, range: LbaRange, mut each: impl FnMut(Name)) {
        let cells = self.levels().map(|level| Cell::around(range, level));
        let cells = cells.fold(0_u64, |sum, (first, last)| sum.saturating_add(last - first + 1));
        if cells > self.nodes.len() as u64 {
            for (place, name) in self.ranges() {
                if place.overlaps(range) {
                    each(name);
                }
            }
            return;
        }
        for level in self.levels() {
            let (first, last) = Cell::around(range, level);
            for nth in first..=last {
                self.overlapping_in(Cell { level, nth }, range, &mut each);
            }
        }
    }

    /// Whether there are none.
    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All places, with their names.
    pub(super) fn ranges(&self) -> impl Iterator<Item = (LbaRange, Name)> {
        self.nodes.iter().zip(0..).filter_map(|(node, name)| Some((node.as_ref()?.range, name)))
    }

    /// Those of them that are filed in `cell`.
    fn overlapping_in(&self, cell: Cell, range: LbaRange, each: &mut impl FnMut(Name)) {
        let mut name = self.buckets[cell.bucket(self.buckets.len())];
        while name != NONE {
            let node = self.nodes[index(name)].as_ref().expect("a place of a bucket");
            // Other cells have the same bucket. They are told apart last, since hardly any place overlaps.
            if node.range.overlaps(range) && Cell::of(node.range) == cell {
                each(name);
            }
            name = node.next;
        }
    }

    /// The levels that have places.
    fn levels(&self) -> impl Iterator<Item = u32> {
        let mut left = self.levels;
        iter::from_fn(move || {
            let level = left.trailing_zeros();
            left &= left.wrapping_sub(1);
            (level < u64::BITS).then_some(level)
        })
    }

    fn first_mut(&mut self, cell: Cell) -> &mut Name {
        let bucket = cell.bucket(self.buckets.len());
        &mut self.buckets[bucket]
    }

    /// Twice as many buckets.
    fn grow(&mut self) {
        self.buckets = vec![NONE; 2 * self.buckets.len()];
        for (node, name) in self.nodes.iter_mut().zip(0..) {
            if let Some(Node { range, next }) = node {
                let bucket = Cell::of(*range).bucket(self.buckets.len());
                *next = std::mem::replace(&mut self.buckets[bucket], name);
            }
        }
    }
}

fn level_index(cell: Cell) -> usize {
    index(cell.level)
}

fn index(name: Name) -> usize {
    usize::try_from(name).expect("a table index")
}

#[cfg(test)]
mod tests {
    use pulsefield_units::{BlockCount, Lba};

    use super::*;

    fn range(start: u64, blocks: u64) -> LbaRange {
        LbaRange::new(Lba::new(start), BlockCount::new(blocks)).unwrap()
    }

    fn found(places: &Places, range: LbaRange) -> Vec<Name> {
        let mut found = Vec::new();
        places.overlapping(range, |name| found.push(name));
        found.sort_unstable();
        found
    }

    #[test]
    fn a_place_is_found_from_its_first_block_to_its_last() {
        for blocks in [1, 2, 7, 8, 9, 100, 1 << 40, u64::MAX / 2 + 7] {
            let mut places = Places::default();
            places.insert(0, range(1001, blocks));
            // Enough others, far away, for cells to be looked at.
            for name in 1..32 {
                places.insert(name, range(u64::MAX - u64::from(name) * 8, 8));
            }
            let end = 1001 + blocks;
            for (block, hit) in [(1000, false), (1001, true), (end - 1, true), (end, false)] {
                assert_eq!(found(&places, range(block, 1)) == [0], hit, "{block} of {blocks}");
            }
            assert_eq!(places.remove(0), range(1001, blocks));
            assert!(found(&places, range(1001, 1)).is_empty());
        }
    }

    #[test]
    fn all_of_ten_thousand_are_found_and_go() {
        let mut places = Places::default();
        for name in 0..10_000 {
            places.insert(name, range(u64::from(name) * 8, 8));
        }
        assert_eq!(found(&places, range(16, 17)), [2, 3, 4]);
        assert_eq!(found(&places, range(0, 80_000)).len(), 10_000);
        for name in (0..10_000).rev().filter(|name| name % 2 == 1) {
            places.remove(name);
        }
        assert_eq!(found(&places, range(16, 17)), [2, 4]);
        assert_eq!(places.ranges().count(), 5_000);
    }
}
