//! One track of a file being written: where the next record goes.

use std::io;

use crate::format::Extent;
use crate::map::Map;

/// Space is taken in pieces of this many bytes, as it is needed for the first time: an idle unit takes two of
/// them for each track, and there may be hundreds. Longer than any record.
const PIECE: u64 = 32 << 10;

/// A ring of records. All places are offsets in the file.
#[derive(Debug)]
pub(crate) struct Track {
    start: usize,
    /// Where it ends: earlier than the file says if the file system has no more space.
    end: usize,
    /// Up to where there is space.
    allocated: usize,
    /// Where the next record goes, if it fits.
    next: usize,
    /// The sequence number of the last record; 0 if there is none.
    last: u64,
}

impl Track {
    /// The track at `extent`, whose last record ends at `next`.
    pub(crate) fn new(extent: Extent, next: u64, last: u64) -> Self {
        let place = |offset: u64| usize::try_from(offset).expect("a file that is mapped");
        let start = place(extent.offset.get());
        let next = place(next);
        let end = start + place(extent.bytes.get());
        Self { start, end, allocated: next, next, last }
    }

    /// A place for a record of at most `bytes` bytes; `None` if there is no space for it.
    pub(crate) fn place(&mut self, bytes: usize, map: &Map) -> Option<usize> {
        if self.next + bytes > self.end {
            self.next = self.start;
        }
        if self.next + bytes > self.allocated && self.allocate(map).is_err() {
            // The ring is as long as what it has got.
            self.end = self.allocated;
            self.next = self.start;
        }
        (self.next + bytes <= self.allocated).then_some(self.next)
    }

    /// Takes space for the next piece, if there is one.
    #[cold]
    pub(crate) fn allocate(&mut self, map: &Map) -> io::Result<()> {
        if self.allocated == self.end {
            return Ok(());
        }
        let from = self.allocated as u64;
        let to = ((from / PIECE + 2) * PIECE).min(self.end as u64);
        map.allocate(from, to - from)?;
        self.allocated = usize::try_from(to).expect("at most the end of the track");
        Ok(())
    }

    /// The sequence number of the last record.
    pub(crate) const fn last(&self) -> u64 {
        self.last
    }

    /// A record of so many bytes stands at the place that was given last.
    pub(crate) const fn advance(&mut self, bytes: usize, sequence: u64) {
        self.next += bytes;
        self.last = sequence;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A track of 64 KiB from byte 4096 of a file on.
    fn extent() -> Extent {
        Extent { offset: 4096.into(), bytes: (64 << 10).into() }
    }

    fn map() -> Map {
        let file = tempfile::tempfile().unwrap();
        file.set_len(4096 + (64 << 10)).unwrap();
        Map::new(file).unwrap()
    }

    #[test]
    fn a_track_whose_last_record_ends_where_it_does_goes_on_at_its_start() {
        let (map, end) = (map(), 4096 + (64 << 10));
        let mut track = Track::new(extent(), end, 7);
        track.allocate(&map).unwrap();
        assert_eq!((track.place(512, &map), track.last()), (Some(4096), 7));
    }

    #[test]
    fn space_is_taken_as_it_is_needed() {
        let map = map();
        let mut track = Track::new(extent(), 4096, 0);
        track.allocate(&map).unwrap();
        assert_eq!(track.allocated, 64 << 10);
        for nth in 0..128 {
            assert_eq!(track.place(512, &map), Some(4096 + 512 * nth));
            track.advance(512, 1 + nth as u64);
        }
        assert_eq!((track.allocated, track.place(512, &map)), (track.end, Some(4096)));
    }
}
