//! When a short write may be done by whoever asks for it, instead of by a worker.
//!
//! To copy a few pages into the page cache takes microseconds, the way to another thread and back
//! several times as long. But the file system may make any write wait: for its journal, for the disk to
//! take what is dirty, for a backup that has frozen it. No call tells beforehand
//! (`docs/decisions/0018-…`), so it is judged by the writes before: as long as they were short the next
//! one will be. Time is passed in.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pulsefield_units::Instant;

/// What a write may take on average: beyond that it waits for something, and the way by the workers, several of
/// whom can wait at once, is the shorter one. Far above what copying takes, on an emulated processor too, and
/// below a disk's seek.
const ALLOWANCE: Duration = Duration::from_millis(2);

/// How much longer than allowed the latest writes may have taken together. One that waits so long is
/// enough; more than a tick of any kernel's clock (10 ms), which may fall into a short one.
const EXCESS_MAX: Duration = Duration::from_millis(20);

/// For how long there is no shortcut after that, the first time.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// … and at most, if it is no better whenever it is tried again.
const PAUSE_MAX: Duration = Duration::from_secs(64);

/// After so many times the last pause without trouble the next one is the shortest again: a write that
/// waits now and then costs less than to give the shortcut up.
const CALM_PAUSES: u32 = 16;

/// The judgement on one medium.
#[derive(Debug, Default)]
pub(crate) struct Shortcut {
    excess: Duration,
    closed_until: Instant,
    pause: Duration,
}

impl Shortcut {
    /// Whether a short write may be done on the spot.
    pub(crate) fn is_open(&self, now: Instant) -> bool {
        now >= self.closed_until
    }

    /// Takes note of how long a write has lasted. If that is too long, there is no shortcut from now on for
    /// as long as is returned.
    ///
    /// The times may come from a clock with coarse ticks: a write that a tick falls into counts as a whole
    /// tick then, and all others as nothing, which on average is right.
    pub(crate) fn note(&mut self, started: Instant, ended: Instant) -> Option<Duration> {
        self.excess = (self.excess + ended.since(started)).saturating_sub(ALLOWANCE);
        if self.excess <= EXCESS_MAX {
            return None;
        }
        self.excess = Duration::ZERO;
        let calm = started.since(self.closed_until) >= CALM_PAUSES * self.pause;
        self.pause = if calm { PAUSE_MIN } else { (2 * self.pause).min(PAUSE_MAX) };
        self.closed_until = ended.after(self.pause);
        Some(self.pause)
    }
}

/// The ops in progress that may have the file to themselves for long: while a file system gives back a
/// large range, or zeros it, it holds a lock that every write needs.
///
/// A count and nothing else, hence relaxed: who just misses one waits for it, as it may for any stranger.
#[derive(Debug, Default)]
pub(crate) struct LongOps(AtomicUsize);

/// One of them, until it is dropped.
pub(crate) struct LongOp(Arc<LongOps>);

impl LongOps {
    /// Notes that one begins.
    pub(crate) fn begin(self: &Arc<Self>) -> LongOp {
        self.0.fetch_add(1, Ordering::Relaxed);
        LongOp(Arc::clone(self))
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

impl Drop for LongOp {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(4);
    const STALL: Duration = Duration::from_millis(50);

    /// A shortcut, and the time.
    struct Story {
        shortcut: Shortcut,
        now: Instant,
    }

    impl Story {
        fn new() -> Self {
            Self { shortcut: Shortcut::default(), now: Instant::from_nanos(0) }
        }

        fn wait(&mut self, duration: Duration) {
            self.now = self.now.after(duration);
        }

        fn write(&mut self, took: Duration) -> Option<Duration> {
            assert!(self.shortcut.is_open(self.now));
            let started = self.now;
            self.wait(took);
            self.shortcut.note(started, self.now)
        }

        /// A write that waits; then the time until the shortcut is open again.
        fn stall(&mut self) -> u64 {
            let pause = self.write(STALL).expect("too long");
            assert!(!self.shortcut.is_open(self.now));
            self.wait(pause - Duration::from_nanos(1));
            assert!(!self.shortcut.is_open(self.now));
            self.wait(Duration::from_nanos(1));
            assert!(self.shortcut.is_open(self.now));
            pause.as_secs()
        }
    }

    #[test]
    fn short_writes_keep_it_open() {
        let mut story = Story::new();
        for _ in 0..1_000_000 {
            assert_eq!(story.write(Duration::from_micros(30)), None);
        }
    }

    #[test]
    fn a_coarse_clock_that_ticks_in_a_short_write_does_not_close_it() {
        let mut story = Story::new();
        // Writes of 30 µs, as a clock sees them that ticks every 4 ms; two ticks come together.
        for nth in 0..1_000_000 {
            let ticks = nth % 266 < 2;
            assert_eq!(story.write(if ticks { TICK } else { Duration::ZERO }), None);
        }
    }

    #[test]
    fn writes_that_are_slow_on_the_whole_close_it() {
        let mut story = Story::new();
        let closed = (0..100).position(|_| story.write(Duration::from_millis(3)).is_some());
        assert_eq!(closed, Some(20), "by a millisecond each");
    }

    #[test]
    fn each_try_that_fails_makes_the_pause_longer() {
        let mut story = Story::new();
        let pauses: Vec<_> = (0..9).map(|_| story.stall()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
    }

    #[test]
    fn a_long_time_without_trouble_makes_it_short_again() {
        let mut story = Story::new();
        assert_eq!((story.stall(), story.stall(), story.stall()), (1, 2, 4));
        story.wait(15 * Duration::from_secs(4));
        assert_eq!(story.stall(), 8);
        story.wait(16 * Duration::from_secs(8));
        assert_eq!(story.stall(), 1);
        story.wait(Duration::from_secs(30));
        assert_eq!(story.stall(), 1, "a stall every half a minute is put up with");
    }

    #[test]
    fn long_ops_are_counted_to_their_end() {
        let ops = Arc::new(LongOps::default());
        let (one, other) = (ops.begin(), ops.begin());
        drop(one);
        assert!(!ops.is_empty());
        drop(other);
        assert!(ops.is_empty());
    }
}
