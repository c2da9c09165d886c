//! Whether it pays to look for work a moment longer before a unit's thread sleeps.
//!
//! To fall asleep and to be woken costs several microseconds, more where the processor falls asleep too,
//! and an initiator that has one command in flight waits for that each time. So where things come in
//! closer together than [`LOOK_MAX`], the thread looks so long before it sleeps; after the first look in vain it
//! sleeps at once again. What that costs is bounded: an idle unit never looks, one that has little to do looks in
//! vain once after each [`SHORT_GAPS`] that were short, and all units together keep no more than half of the
//! processors busy, less one. Where a look is interrupted, somebody else wanted the processor: then
//! there is none for a while. Time is passed in.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use pulsefield_units::Instant;

/// How long to look before going to sleep: some times what sleeping and waking costs. Things that come further
/// apart are worth a sleep.
const LOOK_MAX: Duration = Duration::from_micros(50);

/// How often in a row something must have come in so soon.
const SHORT_GAPS: u32 = 8;

/// A look that lasts so much longer than it should was interrupted for somebody else. No interrupt takes so
/// long, and no scheduler gives anybody less.
const INTERRUPTED: Duration = Duration::from_micros(500);

/// How long nobody looks then.
const PAUSE: Duration = Duration::from_secs(1);

/// The processors that units may keep busy by looking; shared by all.
#[derive(Clone, Debug)]
pub(crate) struct SpareProcessors(Arc<AtomicUsize>);

/// One of them, until it is dropped.
#[derive(Debug)]
struct Processor(Arc<AtomicUsize>);

impl SpareProcessors {
    /// Those of this machine: half of them, less one. The others are for whoever sends commands, for media and
    /// for everybody else. `None` if there are none, as with less than four.
    pub(crate) fn of_machine() -> Option<Self> {
        let all = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let spare = (all / 2).saturating_sub(1);
        (spare > 0).then(|| Self::new(spare))
    }

    pub(crate) fn new(number: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(number)))
    }

    /// How many nobody has taken.
    #[cfg(test)]
    pub(crate) fn left(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Takes one, if there is one.
    fn take(&self) -> Option<Processor> {
        // A number and nothing else, hence relaxed.
        let less = |number: usize| number.checked_sub(1);
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        taken.is_ok().then(|| Processor(self.0.clone()))
    }
}

impl Drop for Processor {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The judgement on one unit.
#[derive(Debug, Default)]
pub(crate) struct Polling {
    /// `None` if nobody shall ever look.
    spare: Option<SpareProcessors>,
    /// Held from the first look of a row to the one in vain.
    processor: Option<Processor>,
    short_gaps: u32,
    /// Since when the thread has had nothing to do.
    resting_since: Option<Instant>,
    off_until: Instant,
}

impl Polling {
    /// Has it look while there are spare processors, or never.
    pub(crate) fn set(&mut self, spare: Option<SpareProcessors>) {
        *self = Self { spare, ..Self::default() };
    }

    /// Whether looking is to be considered at all. If not, nothing here needs to be called.
    pub(crate) const fn is_wanted(&self) -> bool {
        self.spare.is_some()
    }

    /// Whether it is in a row of looks.
    pub(crate) const fn is_looking(&self) -> bool {
        self.processor.is_some()
    }

    /// The thread has nothing to do: until when it shall look for something, if it shall not sleep at once.
    pub(crate) fn rest(&mut self, now: Instant) -> Option<Instant> {
        self.resting_since = Some(now);
        if self.short_gaps < SHORT_GAPS || now < self.off_until {
            self.processor = None;
            return None;
        }
        if self.processor.is_none() {
            self.processor = self.spare.as_ref()?.take();
        }
        self.processor.is_some().then(|| now.after(LOOK_MAX))
    }

    /// Something has come in, while it looked or while it slept.
    pub(crate) fn end_rest(&mut self, now: Instant) {
        let Some(since) = self.resting_since.take() else { return };
        let gap = now.since(since);
        if gap <= LOOK_MAX {
            self.short_gaps = self.short_gaps.saturating_add(1);
        } else {
            self.give_up(now, gap);
        }
    }

    /// Nothing has come in while it looked, and it goes to sleep.
    pub(crate) fn look_in_vain(&mut self, now: Instant) {
        let gap = self.resting_since.map_or(Duration::ZERO, |since| now.since(since));
        self.give_up(now, gap);
    }

    /// Ends a row of looks, if there was one, the last of which took `gap`.
    fn give_up(&mut self, now: Instant, gap: Duration) {
        let looked = self.processor.take().is_some();
        if looked && gap >= LOOK_MAX + INTERRUPTED {
            self.off_until = now.after(PAUSE);
        }
        self.short_gaps = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_micros(20);
    const LONG: Duration = Duration::from_millis(5);

    /// A unit's thread, and the time.
    struct Story {
        polling: Polling,
        now: Instant,
    }

    impl Story {
        fn new(spare: &SpareProcessors) -> Self {
            let mut polling = Polling::default();
            polling.set(Some(spare.clone()));
            Self { polling, now: Instant::from_nanos(1) }
        }

        fn wait(&mut self, duration: Duration) {
            self.now = self.now.after(duration);
        }

        /// Has nothing to do for so long; says whether it looked for work.
        fn rest(&mut self, gap: Duration) -> bool {
            let until = self.polling.rest(self.now);
            if let Some(until) = until
                && until < self.now.after(gap)
            {
                self.polling.look_in_vain(until);
            }
            self.wait(gap);
            self.polling.end_rest(self.now);
            until.is_some()
        }

        /// A row of short gaps; says how many of them it looked in.
        fn row(&mut self, length: u32) -> usize {
            (0..length).filter(|_| self.rest(SHORT)).count()
        }
    }

    #[test]
    fn it_looks_while_things_come_close_together() {
        let spare = SpareProcessors::new(1);
        let mut story = Story::new(&spare);
        assert_eq!(story.row(SHORT_GAPS), 0, "is it worth it?");
        assert_eq!(story.row(1_000), 1_000);
        assert!(story.polling.is_looking());
        assert!(story.rest(LONG), "the one in vain");
        assert!(!story.polling.is_looking());
        assert_eq!(spare.left(), 1);
        assert!(!story.rest(LONG) && !story.rest(SHORT));
        assert_eq!(story.row(SHORT_GAPS), 1);
    }

    #[test]
    fn a_unit_whose_commands_come_apart_never_looks() {
        let spare = SpareProcessors::new(1);
        let mut story = Story::new(&spare);
        assert!((0..1_000).all(|_| !story.rest(LONG)));
        assert_eq!(story.row(SHORT_GAPS - 1), 0);
        assert!((0..1_000).all(|_| !story.rest(LONG)));
    }

    #[test]
    fn no_more_units_look_than_there_are_processors_to_spare() {
        let spare = SpareProcessors::new(1);
        let (mut one, mut other) = (Story::new(&spare), Story::new(&spare));
        assert_eq!((one.row(20), other.row(20)), (12, 0));
        one.rest(LONG);
        assert_eq!(other.row(1), 1, "it has become free");
        drop(other);
        assert_eq!(spare.left(), 1, "and is again");
        assert_eq!(Story::new(&SpareProcessors::new(0)).row(1_000), 0);
    }

    #[test]
    fn whoever_is_interrupted_leaves_the_processor_to_others() {
        for in_vain in [false, true] {
            let spare = SpareProcessors::new(1);
            let mut story = Story::new(&spare);
            story.row(SHORT_GAPS);
            let until = story.polling.rest(story.now).unwrap();
            story.now = until.after(INTERRUPTED);
            if in_vain {
                story.polling.look_in_vain(story.now);
            }
            story.polling.end_rest(story.now);
            assert_eq!(spare.left(), 1);
            assert_eq!(story.row(1_000), 0, "{:?}", story.now);
            story.wait(PAUSE);
            assert_eq!(story.row(1), 1, "tried again");
        }
    }

    #[test]
    fn it_can_be_switched_off_in_the_midst() {
        let spare = SpareProcessors::new(1);
        let mut story = Story::new(&spare);
        story.row(SHORT_GAPS + 1);
        assert_eq!(spare.left(), 0);
        story.polling.set(None);
        assert_eq!(spare.left(), 1);
        assert!(!story.polling.is_wanted());
    }
}
