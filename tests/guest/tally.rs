//! The one sector that several writers increment: what it holds, and how two of its values differ.
//!
//! A value is the number of increments so far. Every increment adds one to the total, to its writer's
//! own count, and to one *mark*, a byte whose place is a scrambled function of the total. So:
//!
//! - two values differ first at the lowest mark between them, a place known beforehand and spread
//!   over the whole sector: a target that reports a constant, or the difference of other bytes, is
//!   caught;
//! - a torn or mixed sector does not match its own total;
//! - a writer that got no clear answer finds in its own count whether it was applied, however many
//!   increments came after.

use std::fmt;

use crate::random::scramble;

/// Bytes in the sector.
pub const SECTOR: usize = 512;
/// How many writers it has room for.
pub const WRITERS_MAX: usize = 8;

const MARKS: usize = 440;
const COUNT_BYTES: usize = 8;
/// How far a total may be ahead of the last one seen; garbage is further.
const LEAP_MAX: u64 = 1_000_000;
const TOTAL_AT: usize = SECTOR - COUNT_BYTES;
const _: () = assert!(MARKS + WRITERS_MAX * COUNT_BYTES == TOTAL_AT);

/// One value of the sector.
#[derive(Clone, PartialEq, Eq)]
pub struct Tally([u8; SECTOR]);

/// Bytes that are no value the sector can have now: torn, mixed, stale, or not ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    total: u64,
    counts: [u64; WRITERS_MAX],
    seen: u64,
}

impl Tally {
    /// Nothing incremented yet.
    pub const ZERO: Self = Self([0; SECTOR]);

    /// The sector after one more increment by `writer`.
    ///
    /// # Panics
    /// If there is no such writer.
    #[must_use]
    pub fn incremented_by(&self, writer: usize) -> Self {
        let mut next = self.clone();
        let total = self.total() + 1;
        add_mark(&mut next.0, total);
        next.set_count(Self::count_at(writer), self.count_of(writer) + 1);
        next.set_count(TOTAL_AT, total);
        next
    }

    /// How many increments there were.
    pub fn total(&self) -> u64 {
        self.count(TOTAL_AT)
    }

    /// How many of them `writer` made.
    ///
    /// # Panics
    /// If there is no such writer.
    pub fn count_of(&self, writer: usize) -> u64 {
        self.count(Self::count_at(writer))
    }

    /// The sector's bytes.
    pub const fn as_bytes(&self) -> &[u8; SECTOR] {
        &self.0
    }

    fn count_at(writer: usize) -> usize {
        assert!(writer < WRITERS_MAX, "writer {writer} of {WRITERS_MAX}");
        MARKS + writer * COUNT_BYTES
    }

    fn count(&self, at: usize) -> u64 {
        let mut bytes = [0; COUNT_BYTES];
        bytes.copy_from_slice(&self.0[at..at + COUNT_BYTES]);
        u64::from_be_bytes(bytes)
    }

    fn set_count(&mut self, at: usize, count: u64) {
        self.0[at..at + COUNT_BYTES].copy_from_slice(&count.to_be_bytes());
    }
}

/// Reads sectors and makes sure that all parts of each belong together, and that none is older than one
/// read before. So it keeps the marks of the last one and adds what came since.
#[derive(Debug)]
pub struct Reader {
    total: u64,
    marks: [u8; MARKS],
}

impl Reader {
    /// A reader that has seen nothing yet.
    pub const fn new() -> Self {
        Self { total: 0, marks: [0; MARKS] }
    }

    /// Reads a sector.
    ///
    /// # Errors
    /// A torn, foreign or stale sector.
    pub fn read(&mut self, sector: [u8; SECTOR]) -> Result<Tally, Malformed> {
        let tally = Tally(sector);
        let total = tally.total();
        let counts = std::array::from_fn(|writer| tally.count_of(writer));
        let malformed = Malformed { total, counts, seen: self.total };
        let sum = counts.iter().try_fold(0_u64, |sum, &count| sum.checked_add(count));
        let ahead = total.checked_sub(self.total);
        if sum != Some(total) || ahead.is_none_or(|ahead| ahead > LEAP_MAX) {
            return Err(malformed);
        }
        let mut marks = self.marks;
        (self.total + 1..=total).for_each(|total| add_mark(&mut marks, total));
        if marks != sector[..MARKS] {
            return Err(malformed);
        }
        *self = Self { total, marks };
        Ok(tally)
    }
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

/// Marks wrap. Two values would be mistaken for each other only with 256 increments of one mark
/// between them, a hundred thousand increments in all.
fn add_mark(marks: &mut [u8], total: u64) {
    let mark = &mut marks[mark_of(total)];
    *mark = mark.wrapping_add(1);
}

/// Which byte the increment to `total` marks.
pub fn mark_of(total: u64) -> usize {
    // The remainder is below MARKS, so it fits.
    usize::try_from(scramble(total) % MARKS as u64).unwrap_or_default()
}

/// Where the sectors of the values `from` and `to` differ first, for `from < to`.
pub fn first_difference(from: u64, to: u64) -> Option<usize> {
    (from + 1..=to).map(mark_of).min()
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tally({})", self.total())
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { total, counts, seen } = self;
        write!(
            f,
            "a torn or stale sector: total {total}, counts {counts:?}, after a total of {seen}"
        )
    }
}

impl std::error::Error for Malformed {}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(increments: u64) -> Tally {
        (0..increments).fold(Tally::ZERO, |tally, step| {
            tally.incremented_by(usize::try_from(step % 3).unwrap())
        })
    }

    #[test]
    fn values_survive_the_sector() {
        let tally = counted(10);
        assert_eq!(Reader::new().read(*tally.as_bytes()).unwrap(), tally);
        assert_eq!((tally.total(), tally.count_of(0), tally.count_of(2)), (10, 4, 3));
    }

    #[test]
    fn a_reader_follows_totals_that_rise_and_refuses_older_ones() {
        let mut reader = Reader::new();
        for increments in [0, 3, 3, 40] {
            let tally = counted(increments);
            assert_eq!(reader.read(*tally.as_bytes()), Ok(tally));
        }
        assert!(reader.read(*counted(39).as_bytes()).is_err());
    }

    #[test]
    fn the_first_difference_is_where_the_bytes_say() {
        for (from, to) in [(0, 1), (7, 8), (7, 12), (100, 140)] {
            let (a, b) = (counted(from), counted(to));
            let seen = a.as_bytes().iter().zip(b.as_bytes()).position(|(a, b)| a != b);
            assert_eq!(first_difference(from, to), seen);
        }
        let places: std::collections::BTreeSet<_> =
            (0..100).filter_map(|value| first_difference(value, value + 1)).collect();
        assert!(places.len() > 80, "the places are spread, so that a constant is caught");
    }

    #[test]
    fn torn_and_mixed_sectors_are_seen() {
        let (old, new) = (counted(50), counted(51));
        for cut in [100, 440, 448, 504] {
            let mut torn = *old.as_bytes();
            torn[..cut].copy_from_slice(&new.as_bytes()[..cut]);
            let whole = torn == *old.as_bytes() || torn == *new.as_bytes();
            assert_eq!(Reader::new().read(torn).is_ok(), whole, "cut at {cut}");
        }
        assert!(Reader::new().read([0xff; SECTOR]).is_err());
        let mut far = [0; SECTOR];
        far[TOTAL_AT..].copy_from_slice(&(1_u64 << 60).to_be_bytes());
        far[MARKS..MARKS + 8].copy_from_slice(&(1_u64 << 60).to_be_bytes());
        assert!(Reader::new().read(far).is_err());
    }
}
