//! Quantities over time, as a run has them in the end.

use serde::{Deserialize, Serialize};

/// Something over time: the n-th bucket is of the `bucket_ms` milliseconds that begin `n × bucket_ms` after
/// the run began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series<T> {
    /// How long a bucket is, in milliseconds; never 0 where there are buckets.
    pub bucket_ms: u64,
    /// One after the other, without a gap.
    pub buckets: Vec<T>,
}

/// How times are spread. Percentiles are never too short, and too long by an eighth at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    /// How many times there are.
    pub count: u64,
    /// The shortest, in microseconds.
    pub min_us: u64,
    /// Half of them are not longer.
    pub p50_us: u64,
    /// 99 % of them are not longer.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
}

/// Times, all together and over time. `None` where there was none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latencies {
    /// All together.
    pub all: Option<Spread>,
    /// By when each began.
    pub over_time: Series<Option<Spread>>,
}

/// What was done in a bucket of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Commands that ended, however they did.
    pub commands: u64,
    /// Bytes that those moved that were done.
    pub bytes: u64,
}

/// How often which time lay between a pulse and the next one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intervals {
    /// How many were counted.
    pub count: u64,
    /// The longest, in milliseconds.
    pub longest_ms: u64,
    /// From which millisecond on, and how many from there to [`Intervals::BIN_MS`] later; ascending, and
    /// only where there are any. The last bin has all that is longer as well.
    pub bins: Vec<(u64, u64)>,
}

impl Intervals {
    /// The width of a bin in milliseconds.
    pub const BIN_MS: u64 = 50;

    /// How many bins there are at most: 20 s, more than a lease.
    pub const BINS_MAX: usize = 400;

    /// How many were not more than 100 ms off the 3 seconds at which hosts pulse.
    pub fn on_the_grid(&self) -> u64 {
        let near = |from: u64| (2_900..3_100).contains(&from);
        let bins = self.bins.iter().filter(|(from, _)| near(*from));
        bins.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }
}

impl<T> Default for Series<T> {
    fn default() -> Self {
        Self { bucket_ms: 0, buckets: Vec::new() }
    }
}

impl<T> Series<T> {
    /// The buckets, each with the milliseconds from the run's beginning to its own.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        let at = |nth: usize| self.bucket_ms.saturating_mul(nth as u64);
        self.buckets.iter().enumerate().map(move |(nth, bucket)| (at(nth), bucket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_one_another() {
        let series = Series { bucket_ms: 250, buckets: vec!['a', 'b', 'c'] };
        assert_eq!(series.iter().collect::<Vec<_>>(), [(0, &'a'), (250, &'b'), (500, &'c')]);
    }

    #[test]
    fn a_tenth_of_a_second_is_on_the_grid() {
        let bins = vec![(2_850, 1), (2_900, 2), (3_000, 4), (3_050, 8), (3_100, 16), (6_000, 32)];
        let intervals = Intervals { count: 63, longest_ms: 6_010, bins };
        assert_eq!(intervals.on_the_grid(), 14);
    }
}
