//! What was found in the page cache a moment ago: its pages are still there.
//!
//! Before a short write is done on the spot the cache is asked whether it holds what the write leaves of its pages,
//! which is a system call. A COMPARE AND WRITE has just read what it writes, so for a heartbeat the answer is
//! known. Time is passed in.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pulsefield_units::{Instant, LbaRange};

/// How long a moment is: more than a tick of any kernel's clock (10 ms), and too short for the kernel to get round to
/// a page that was the last one used.
const MOMENT: Duration = Duration::from_millis(50);

/// The blocks that were read last.
///
/// Relaxed, since nobody notes and asks at a time; who did might be told of pages that are gone, and his write would
/// wait for the disk.
#[derive(Debug, Default)]
pub(crate) struct LatelyRead {
    start: AtomicU64,
    end: AtomicU64,
    until: AtomicU64,
}

impl LatelyRead {
    /// Takes note that all of `range` was there.
    pub(crate) fn note(&self, range: LbaRange, now: Instant) {
        self.start.store(range.start().as_u64(), Ordering::Relaxed);
        self.end.store(range.end().as_u64(), Ordering::Relaxed);
        self.until.store(now.after(MOMENT).as_nanos(), Ordering::Relaxed);
    }

    /// Whether that was just now, and all of `range` lies in it.
    pub(crate) fn covers(&self, range: LbaRange, now: Instant) -> bool {
        now.as_nanos() < self.until.load(Ordering::Relaxed)
            && self.start.load(Ordering::Relaxed) <= range.start().as_u64()
            && range.end().as_u64() <= self.end.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use pulsefield_units::{BlockCount, Lba};

    use super::*;

    #[test]
    fn what_was_read_is_there_for_a_moment_and_nothing_else() {
        let range =
            |start, blocks| LbaRange::new(Lba::new(start), BlockCount::new(blocks)).unwrap();
        let (read, soon, later) = (100, 140, 150);
        let at = |millis: u64| Instant::from_nanos(millis * 1_000_000);
        let lately = LatelyRead::default();
        assert!(!lately.covers(range(0, 1), at(0)));
        lately.note(range(8, 8), at(read));
        assert!(lately.covers(range(8, 8), at(soon)) && lately.covers(range(11, 1), at(soon)));
        assert!(!lately.covers(range(7, 2), at(soon)) && !lately.covers(range(15, 2), at(soon)));
        assert!(!lately.covers(range(8, 8), at(later)));
        lately.note(range(0, 1), at(later));
        assert!(!lately.covers(range(8, 8), at(later)), "only the last is known");
    }
}
