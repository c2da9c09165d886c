//! A histogram of times, small enough for four of them per lane and operation code of 256 logical
//! units, and quick enough for every command: no division, no branch, no allocation.
//!
//! Log-linear, as HdrHistogram is: each octave has [`STEPS`] buckets of equal width, so that a time
//! is known to one part in eight whatever its size. Two decimal digits, the least that the crate of
//! that name keeps, would be seven times the memory, and nobody asks whether a heartbeat took 118 or
//! 119 µs.

use std::time::Duration;

/// Buckets an octave, as a power of two.
const STEPS_LOG2: u32 = 3;
const STEPS: usize = 1 << STEPS_LOG2;

/// What is shorter than 2^8 ns, a quarter of a microsecond, is with what is as long.
const FIRST_LOG2: u32 = 8;

/// What is longer than 2^37 ns, 137 s, is with the longest.
const OCTAVES: usize = 29;

const BUCKETS: usize = OCTAVES * STEPS;

/// How often which times were taken.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: [u64; BUCKETS],
    max_ns: u64,
    /// All together; stays where it is after 584 years.
    sum_ns: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: [0; BUCKETS], max_ns: 0, sum_ns: 0 }
    }
}

/// Bits of a floating-point number below those that tell the buckets of an octave apart.
const REST_BITS: u32 = f64::MANTISSA_DIGITS - 1 - STEPS_LOG2;

/// The bucket of a time. A floating-point number is log-linear as it stands: its exponent is the octave,
/// the highest bits of its mantissa are the step.
fn bucket(nanos: u64) -> usize {
    const FIRST: u64 = ((1 << FIRST_LOG2) as f64).to_bits() >> REST_BITS;
    // Signed, since that is one instruction; 292 years are long enough to be with the longest.
    let place = (nanos.cast_signed() as f64).to_bits() >> REST_BITS;
    usize::try_from(place.saturating_sub(FIRST)).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

/// The first time that is too long for a bucket, in nanoseconds.
const fn end_of(bucket: usize) -> u64 {
    let (octave, step) = (bucket >> STEPS_LOG2, bucket % STEPS);
    ((STEPS + step + 1) as u64) << octave << (FIRST_LOG2 - STEPS_LOG2)
}

impl Histogram {
    /// Counts a time in nanoseconds, so many times.
    pub fn record(&mut self, nanos: u64, times: u64) {
        self.counts[bucket(nanos)] += times;
        self.max_ns = self.max_ns.max(nanos);
        self.sum_ns = self.sum_ns.saturating_add(nanos.saturating_mul(times));
    }

    /// Counts all that `other` has counted as well.
    pub fn absorb(&mut self, other: &Self) {
        for (count, others) in self.counts.iter_mut().zip(other.counts) {
            *count += others;
        }
        self.max_ns = self.max_ns.max(other.max_ns);
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
    }

    /// How many times were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The longest.
    pub const fn max(&self) -> Duration {
        Duration::from_nanos(self.max_ns)
    }

    /// All times together.
    pub const fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum_ns)
    }

    /// How many were certainly not above each of these bounds, which ascend: one that was less than a
    /// bound, but by no more than an eighth, may not be among them.
    pub fn upto<const N: usize>(&self, bounds: [Duration; N]) -> [u64; N] {
        let (mut at, mut counted) = (0, 0);
        bounds.map(|bound| {
            let bound = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
            while at < BUCKETS - 1 && end_of(at) - 1 <= bound {
                counted += self.counts[at];
                at += 1;
            }
            counted
        })
    }

    /// A time that so many in a million are not longer than: never too short, and too long by less
    /// than an eighth, or than 288 ns. Zero if nothing was counted.
    pub fn quantile(&self, per_million: u32) -> Duration {
        let wanted = u128::from(self.count()) * u128::from(per_million);
        let mut counted = 0;
        for (at, count) in self.counts.iter().enumerate() {
            counted += u128::from(*count) * 1_000_000;
            if *count > 0 && counted >= wanted {
                let end = if at == BUCKETS - 1 { u64::MAX } else { end_of(at) - 1 };
                return Duration::from_nanos(end.min(self.max_ns));
            }
        }
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_follow_one_another_without_a_gap() {
        assert_eq!(bucket(0), 0);
        for at in 0..BUCKETS - 1 {
            assert_eq!((bucket(end_of(at) - 1), bucket(end_of(at))), (at, at + 1));
        }
        assert_eq!(end_of(BUCKETS - 1), 1 << 37);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn nothing_counted_is_zero() {
        let histogram = Histogram::default();
        assert_eq!((histogram.count(), histogram.max()), (0, Duration::ZERO));
        assert_eq!(histogram.quantile(500_000), Duration::ZERO);
    }

    #[test]
    fn the_longest_is_exact() {
        let mut histogram = Histogram::default();
        for nanos in [8_003_000_123, 17] {
            histogram.record(nanos, 1);
        }
        assert_eq!(histogram.quantile(1_000_000), Duration::from_nanos(8_003_000_123));
        histogram.record(u64::MAX, 1);
        assert_eq!(histogram.max(), Duration::from_nanos(u64::MAX));
        assert_eq!(histogram.quantile(1_000_000), Duration::from_nanos(u64::MAX));
    }

    #[test]
    fn what_is_absorbed_is_counted_with_the_rest() {
        let (mut both, mut one, mut other) = <(Histogram, Histogram, Histogram)>::default();
        one.record(800, 2);
        [2_000_000, 900_000_000].into_iter().for_each(|nanos| other.record(nanos, 2));
        [800, 2_000_000, 900_000_000].into_iter().for_each(|nanos| both.record(nanos, 2));
        one.absorb(&other);
        assert_eq!((one.count(), one.max(), one.sum()), (6, both.max(), both.sum()));
        assert_eq!(one.counts, both.counts);
    }

    proptest! {
        /// Against the times themselves, in order.
        #[test]
        fn quantiles_are_those_of_the_sorted_times(
            // As many of each order of magnitude.
            times in prop::collection::vec((0_u32..37, any::<u64>()), 1..300),
            per_million in 1_u32..=1_000_000,
        ) {
            let of = |(octave, bits): (u32, u64)| (1 << octave) | (bits & ((1 << octave) - 1));
            let mut times: Vec<u64> = times.into_iter().map(of).collect();
            let mut histogram = Histogram::default();
            times.iter().for_each(|nanos| histogram.record(*nanos, 1));
            times.sort_unstable();
            let rank = (times.len() as u64 * u64::from(per_million)).div_ceil(1_000_000).max(1);
            let exact = times[usize::try_from(rank).unwrap() - 1];
            let quantile = u64::try_from(histogram.quantile(per_million).as_nanos()).unwrap();
            prop_assert!(quantile >= exact);
            prop_assert!(quantile <= exact + exact / 8 + (1 << FIRST_LOG2) + (1 << 5));
            prop_assert_eq!(histogram.count(), times.len() as u64);
            prop_assert_eq!(histogram.sum(), times.iter().copied().map(Duration::from_nanos).sum());
        }

        /// Against counting those not above each, and those an eighth below.
        #[test]
        fn times_upto_a_bound_are_those_certainly_not_above_it(
            times in prop::collection::vec(0_u64..20_000_000_000, 1..100),
            bound in 1_000_u64..16_000_000_000,
        ) {
            let mut histogram = Histogram::default();
            times.iter().for_each(|nanos| histogram.record(*nanos, 1));
            let bounds = [bound, 2 * bound].map(Duration::from_nanos);
            for (bound, upto) in bounds.into_iter().zip(histogram.upto(bounds)) {
                let least = |limit: u64| times.iter().filter(|nanos| **nanos <= limit).count() as u64;
                let bound = u64::try_from(bound.as_nanos()).unwrap();
                prop_assert!(upto <= least(bound));
                prop_assert!(upto >= least(bound - bound / 8 - (1 << FIRST_LOG2)));
            }
        }
    }
}
