//! Something over time, in so many buckets and no more, however long it goes on.

use std::time::Duration;

use pulsefield_units::Histogram;

use crate::series::{Series, Spread, Traffic};

/// Buckets of a timeline: enough for a line as wide as a page. When they are used up, every two become one
/// and all are twice as long.
const BUCKETS_MAX: usize = 240;

/// How long a bucket is at first: a third of the time between two pulses.
const FIRST_MS: u64 = 1_000;

/// What can be added up.
pub(super) trait Absorb: Default {
    /// Adds what `other` has.
    fn absorb(&mut self, other: Self);
}

/// Something over time. With [`Times`] it takes half a MiB at most, with numbers 4 KiB.
#[derive(Debug)]
pub(super) struct Timeline<T> {
    bucket_ms: u64,
    buckets: Vec<T>,
}

impl<T> Default for Timeline<T> {
    fn default() -> Self {
        Self { bucket_ms: FIRST_MS, buckets: Vec::new() }
    }
}

impl<T: Absorb> Timeline<T> {
    /// The bucket of the moment `at`, counted from the run's beginning.
    pub(super) fn at(&mut self, at: Duration) -> &mut T {
        let at_ms = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        let bucket = |bucket_ms: u64| usize::try_from(at_ms / bucket_ms).unwrap_or(usize::MAX);
        while bucket(self.bucket_ms) >= BUCKETS_MAX {
            self.double();
        }
        let nth = bucket(self.bucket_ms);
        if nth >= self.buckets.len() {
            self.buckets.resize_with(nth + 1, T::default);
        }
        &mut self.buckets[nth]
    }

    fn double(&mut self) {
        self.bucket_ms *= 2;
        let mut all = std::mem::take(&mut self.buckets).into_iter();
        while let Some(mut first) = all.next() {
            if let Some(second) = all.next() {
                first.absorb(second);
            }
            self.buckets.push(first);
        }
    }

    /// What there is, up to the end of a run that `lasted` so long: timelines of one run have the same
    /// buckets, whatever was added to them.
    pub(super) fn finish<U>(mut self, lasted: Duration, each: impl FnMut(T) -> U) -> Series<U> {
        self.at(lasted.saturating_sub(Duration::from_millis(1)));
        let buckets = self.buckets.into_iter().map(each).collect();
        Series { bucket_ms: self.bucket_ms, buckets }
    }
}

impl Absorb for u64 {
    fn absorb(&mut self, other: Self) {
        *self += other;
    }
}

impl Absorb for Traffic {
    fn absorb(&mut self, other: Self) {
        self.commands += other.commands;
        self.bytes += other.bytes;
    }
}

/// Times, of which nothing is kept but how they are spread: 2 KiB once there is one.
#[derive(Debug, Default)]
pub(super) struct Times(Option<Box<Counted>>);

#[derive(Debug)]
struct Counted {
    histogram: Histogram,
    min_us: u64,
}

impl Times {
    /// Adds one.
    pub(super) fn add(&mut self, time: Duration) {
        let none = || Box::new(Counted { histogram: Histogram::default(), min_us: u64::MAX });
        let counted = self.0.get_or_insert_with(none);
        counted.histogram.record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), 1);
        counted.min_us = counted.min_us.min(micros(time));
    }

    /// How they are spread, if there are any.
    pub(super) fn spread(&self) -> Option<Spread> {
        let Counted { histogram, min_us } = self.0.as_deref()?;
        Some(Spread {
            count: histogram.count(),
            min_us: *min_us,
            p50_us: micros(histogram.quantile(500_000)),
            p99_us: micros(histogram.quantile(990_000)),
            max_us: micros(histogram.max()),
        })
    }
}

impl Absorb for Times {
    fn absorb(&mut self, other: Self) {
        let Some(theirs) = other.0 else { return };
        match &mut self.0 {
            Some(ours) => {
                ours.histogram.absorb(&theirs.histogram);
                ours.min_us = ours.min_us.min(theirs.min_us);
            }
            none => *none = Some(theirs),
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_timeline_stays_as_large_as_it_is_and_loses_nothing() {
        let mut timeline = Timeline::<u64>::default();
        for second in 0..100_000 {
            *timeline.at(seconds(second)) += 1;
        }
        assert_eq!(timeline.bucket_ms, 512_000);
        let series = timeline.finish(seconds(100_000), |count| count);
        assert_eq!(series.buckets.len(), 196);
        assert!(series.buckets[..195].iter().all(|count| *count == 512));
        assert_eq!(series.buckets.iter().sum::<u64>(), 100_000);
    }

    #[test]
    fn the_past_can_be_added_to_and_the_end_is_there() {
        let mut timeline = Timeline::<u64>::default();
        *timeline.at(seconds(5)) += 1;
        *timeline.at(seconds(1)) += 2;
        let series = timeline.finish(seconds(7), |count| count);
        assert_eq!(series, Series { bucket_ms: 1_000, buckets: vec![0, 2, 0, 0, 0, 1, 0] });
        let nothing = Timeline::<u64>::default().finish(seconds(600), |count| count);
        assert_eq!((nothing.bucket_ms, nothing.buckets.len()), (4_000, 150));
    }

    #[test]
    fn times_that_come_together_are_spread_as_if_they_had_always_been() {
        let mut timeline = Timeline::<Times>::default();
        for (at, millis) in [(0, 3), (1, 9), (2, 5)] {
            timeline.at(seconds(at)).add(Duration::from_millis(millis));
        }
        timeline.at(seconds(240)).add(Duration::from_secs(9));
        let series = timeline.finish(seconds(241), |times| times.spread());
        let first = series.buckets[0].unwrap();
        assert_eq!((first.count, first.min_us, first.max_us), (2, 3_000, 9_000));
        assert!((3_000..3_376).contains(&first.p50_us), "{first:?}");
        assert_eq!(series.buckets[1].unwrap().max_us, 5_000);
        assert_eq!(series.buckets[2], None);
        assert_eq!(series.buckets[120].unwrap().p99_us, 9_000_000);
    }
}
