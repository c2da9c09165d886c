//! How long a hit takes, drawn.

use std::time::Duration;

use crate::Delay;
use crate::saboteur::rng::Rng;

/// Draws one duration. Every kind takes a fixed number of draws, so that another kind's parameters do
/// not shift what is drawn after it.
pub(crate) fn draw(delay: Delay, rng: &mut Rng) -> Duration {
    match delay {
        Delay::Fixed(duration) => duration,
        Delay::Uniform { from, to } => {
            let span = nanos(to).saturating_sub(nanos(from));
            let drawn = rng.below(span.saturating_add(1));
            Duration::from_nanos(nanos(from).saturating_add(drawn))
        }
        Delay::Normal { mean, deviation } => {
            let seconds = mean.as_secs_f64() + standard_normal(rng) * deviation.as_secs_f64();
            from_seconds(seconds)
        }
        Delay::Pareto { minimum, shape, maximum } => {
            // The inverse of the distribution function, at a number above 0 and up to 1.
            let tail = (1.0 - rng.unit()).powf(-shape.recip());
            from_seconds(minimum.as_secs_f64() * tail).clamp(minimum, maximum.max(minimum))
        }
    }
}

/// A number with mean 0 and deviation 1: the sum of twelve uniform ones (Irwin and Hall). It needs no
/// function that differs from one C library to the next, and what it lacks lies beyond six deviations.
fn standard_normal(rng: &mut Rng) -> f64 {
    (0..12).map(|_| rng.unit()).sum::<f64>() - 6.0
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Not below zero, and not longer than there is.
fn from_seconds(seconds: f64) -> Duration {
    if seconds <= 0.0 {
        return Duration::ZERO;
    }
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saboteur::rng::Stream;

    const MS: Duration = Duration::from_millis(1);

    fn drawn(delay: Delay) -> Vec<Duration> {
        let mut rng = Rng::new(1, 0, Stream::Effects);
        (0..10_000).map(|_| draw(delay, &mut rng)).collect()
    }

    #[test]
    fn a_fixed_one_is_always_the_same() {
        assert!(drawn(Delay::Fixed(MS)).iter().all(|drawn| *drawn == MS));
    }

    #[test]
    fn a_uniform_one_reaches_both_ends() {
        let (from, to) = (Duration::from_nanos(3), Duration::from_nanos(6));
        let all = drawn(Delay::Uniform { from, to });
        assert_eq!((all.iter().min(), all.iter().max()), (Some(&from), Some(&to)));
        assert_eq!(drawn(Delay::Uniform { from: MS, to: MS })[0], MS);
        let longest = Delay::Uniform { from: Duration::ZERO, to: Duration::MAX };
        assert!(drawn(longest).iter().max() > Some(&Duration::from_secs(3600)));
    }

    #[test]
    fn a_normal_one_lies_about_its_mean_and_not_below_zero() {
        let all = drawn(Delay::Normal { mean: 10 * MS, deviation: 2 * MS });
        let mean = all.iter().sum::<Duration>() / 10_000;
        assert!(mean.abs_diff(10 * MS) < MS / 10, "the mean is {mean:?}");
        let within = all.iter().filter(|drawn| drawn.abs_diff(10 * MS) < 2 * MS).count();
        assert!((6_600..7_100).contains(&within), "{within} of 10,000 within one deviation");
        let all = drawn(Delay::Normal { mean: Duration::ZERO, deviation: MS });
        assert!(all.contains(&Duration::ZERO));
    }

    #[test]
    fn a_pareto_one_has_a_tail_with_an_end() {
        let all = drawn(Delay::Pareto { minimum: MS, shape: 1.0, maximum: 100 * MS });
        assert!(all.iter().all(|drawn| (MS..=100 * MS).contains(drawn)));
        let doubled = all.iter().filter(|drawn| **drawn > 2 * MS).count();
        assert!((4_800..5_200).contains(&doubled), "{doubled} of 10,000 beyond the double");
        assert!(all.contains(&(100 * MS)));
    }
}
