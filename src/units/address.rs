//! Where on the medium: logical block addresses, counts, and ranges.

use std::fmt;
use std::num::NonZeroU64;

/// A logical block address (SBC-4 3.1.60): the position of a block, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lba(u64);

impl Lba {
    /// The block at position `lba`.
    pub const fn new(lba: u64) -> Self {
        Self(lba)
    }

    /// The address as a number.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The address `blocks` further on, or `None` past the 64-bit address space.
    pub const fn checked_add(self, blocks: BlockCount) -> Option<Self> {
        match self.0.checked_add(blocks.0) {
            Some(lba) => Some(Self(lba)),
            None => None,
        }
    }

    /// How many blocks lie between `earlier` and this address, or `None` if it is not earlier.
    pub const fn checked_sub(self, earlier: Self) -> Option<BlockCount> {
        match self.0.checked_sub(earlier.0) {
            Some(blocks) => Some(BlockCount(blocks)),
            None => None,
        }
    }
}

impl fmt::Display for Lba {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A number of logical blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BlockCount(u64);

impl BlockCount {
    /// No blocks at all.
    pub const ZERO: Self = Self(0);

    /// `blocks` logical blocks.
    pub const fn new(blocks: u64) -> Self {
        Self(blocks)
    }

    /// The count as a number.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// Whether this is zero blocks.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for BlockCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A half-open range of logical blocks, `start..end`: never empty, and its end never overflows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LbaRange {
    start: Lba,
    /// The address just past the last block, which is never 0: so an `Option` of a range is no longer than a
    /// range, and there is one in every task, claim and record of a command.
    end: NonZeroU64,
}

impl LbaRange {
    /// The `blocks` blocks from `start` on; `None` for zero blocks or an end past 2^64 - 1.
    #[inline]
    pub const fn new(start: Lba, blocks: BlockCount) -> Option<Self> {
        if blocks.is_zero() {
            return None;
        }
        match start.checked_add(blocks) {
            Some(end) => Some(Self::between(start, end)),
            None => None,
        }
    }

    /// From `start` to before `end`, which is later.
    #[inline]
    const fn between(start: Lba, end: Lba) -> Self {
        Self { start, end: NonZeroU64::new(end.0).expect("later than another") }
    }

    /// The first block of the range.
    pub const fn start(self) -> Lba {
        self.start
    }

    /// The address just past the last block.
    pub const fn end(self) -> Lba {
        Lba(self.end.get())
    }

    /// The last block of the range.
    pub const fn last(self) -> Lba {
        Lba(self.end.get() - 1)
    }

    /// How many blocks the range holds; at least one.
    pub const fn blocks(self) -> BlockCount {
        BlockCount(self.end.get() - self.start.0)
    }

    /// Whether the two ranges share a block.
    pub const fn overlaps(self, other: Self) -> bool {
        self.start.0 < other.end.get() && other.start.0 < self.end.get()
    }

    /// Whether every block of `other` lies in this range.
    pub const fn contains(self, other: Self) -> bool {
        self.start.0 <= other.start.0 && other.end.get() <= self.end.get()
    }

    /// Whether the whole range lies below `capacity` blocks.
    pub const fn fits(self, capacity: BlockCount) -> bool {
        self.end.get() <= capacity.0
    }

    /// The first `blocks` blocks and the rest, if there is a rest; `blocks` must not be zero.
    ///
    /// # Panics
    /// If `blocks` is zero: a range cannot be empty.
    pub const fn split_first(self, blocks: BlockCount) -> (Self, Option<Self>) {
        assert!(!blocks.is_zero(), "a range cannot be split at its start");
        if blocks.0 >= self.blocks().0 {
            return (self, None);
        }
        // Never wraps: start + blocks lies strictly inside the range.
        let middle = Lba(self.start.0 + blocks.0);
        (Self::between(self.start, middle), Some(Self { start: middle, end: self.end }))
    }
}

impl fmt::Display for LbaRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, blocks: u64) -> LbaRange {
        LbaRange::new(Lba::new(start), BlockCount::new(blocks)).unwrap()
    }

    #[test]
    fn a_range_is_never_empty_and_never_wraps() {
        assert_eq!(LbaRange::new(Lba::new(7), BlockCount::ZERO), None);
        assert_eq!(LbaRange::new(Lba::new(u64::MAX), BlockCount::new(1)), None);
        assert_eq!(LbaRange::new(Lba::new(2), BlockCount::new(u64::MAX - 1)), None);
        assert_eq!(range(u64::MAX - 1, 1).last(), Lba::new(u64::MAX - 1));
        assert_eq!(size_of::<Option<LbaRange>>(), size_of::<LbaRange>());
    }

    #[test]
    fn neighbours_do_not_overlap() {
        assert!(!range(0, 8).overlaps(range(8, 1)));
        assert!(range(0, 9).overlaps(range(8, 1)));
        assert!(range(8, 1).overlaps(range(0, 9)));
        assert!(range(0, 9).contains(range(8, 1)));
        assert!(!range(8, 1).contains(range(0, 9)));
    }

    #[test]
    fn capacity_counts_the_last_block() {
        assert!(range(99, 1).fits(BlockCount::new(100)));
        assert!(!range(99, 2).fits(BlockCount::new(100)));
    }

    #[test]
    fn splitting_loses_no_block() {
        assert_eq!(
            range(10, 5).split_first(BlockCount::new(2)),
            (range(10, 2), Some(range(12, 3)))
        );
        assert_eq!(range(10, 5).split_first(BlockCount::new(5)), (range(10, 5), None));
        assert_eq!(range(10, 5).split_first(BlockCount::new(9)), (range(10, 5), None));
    }
}
