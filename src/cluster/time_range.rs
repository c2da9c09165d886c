//! Times that are drawn anew each time.

use std::time::Duration;

use pulsefield_settings::{DeValue, Problem, Time, value};
use pulsefield_units::Random;

/// A time between two, as people write it: `"5s"`, or `"5s..10s"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    shortest: Duration,
    longest: Duration,
}

impl TimeRange {
    /// From `shortest` to `longest`, which is not shorter.
    pub(crate) fn new(shortest: Duration, longest: Duration) -> Self {
        Self { shortest, longest: longest.max(shortest) }
    }

    /// From half of `mean` to one and a half of it.
    pub(crate) fn around(mean: Duration) -> Self {
        Self::new(mean / 2, mean + mean / 2)
    }

    /// Reads one.
    ///
    /// # Errors
    /// If it is none, or one that may be 0.
    pub(crate) fn read(key: &'static str, value: &DeValue<'_>) -> Result<Self, Problem> {
        let text = value::string(key, value)?;
        parse(text).ok_or_else(|| Problem::Value {
            key,
            expected: "a time above 0 as \"5s\", or two as \"5s..10s\"",
            found: format!("\"{text}\""),
        })
    }

    /// One of the times.
    pub(crate) fn draw(self, random: &mut Random) -> Duration {
        random.between(self.shortest, self.longest)
    }
}

fn parse(text: &str) -> Option<TimeRange> {
    let (shortest, longest) = text.split_once("..").unwrap_or((text, text));
    let [shortest, longest] = [shortest, longest].map(|time| Time::parse(time).map(Time::duration));
    let (shortest, longest) = (shortest?, longest?);
    (!shortest.is_zero() && shortest <= longest).then_some(TimeRange { shortest, longest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_people_write_them() {
        let seconds = Duration::from_secs;
        assert_eq!(parse("5s"), Some(TimeRange::new(seconds(5), seconds(5))));
        assert_eq!(parse("5s..2min"), Some(TimeRange::new(seconds(5), seconds(120))));
        for text in ["", "5", "0s", "0s..1s", "2s..1s", "1s..", "..1s", "1s...2s", "1s..2s..3s"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_drawn_lies_around_the_mean() {
        let span = TimeRange::around(Duration::from_secs(4));
        let mut random = Random::new(1);
        for _ in 0..100 {
            let drawn = span.draw(&mut random);
            assert!((Duration::from_secs(2)..=Duration::from_secs(6)).contains(&drawn));
        }
    }
}
