//! Which commands a rule hits: `When`, counting.

use std::time::Duration;

use pulsefield_units::Instant;

use crate::saboteur::rng::Rng;
use crate::{Chance, Select, When};

/// The counters behind a `When`.
#[derive(Clone, Debug)]
pub(crate) struct Trigger {
    armed: Instant,
    rng: Rng,
    /// Commands that counted.
    counted: u64,
    hits: u64,
    /// How many of the next commands that count are hit because one before them was.
    burst: u32,
    /// How many of the commands that a replay lists have passed.
    passed: usize,
}

impl Trigger {
    /// The counters of a rule that is armed now and draws its hits from `rng`.
    pub(crate) const fn new(armed: Instant, rng: Rng) -> Self {
        Self { armed, rng, counted: 0, hits: 0, burst: 0, passed: 0 }
    }

    /// When the rule was armed.
    pub(crate) const fn armed(&self) -> Instant {
        self.armed
    }

    /// How many commands counted.
    pub(crate) const fn counted(&self) -> u64 {
        self.counted
    }

    /// How many of them were hit.
    pub(crate) const fn hits(&self) -> u64 {
        self.hits
    }

    /// Whether the rule is awake at this moment.
    pub(crate) fn is_awake(&self, when: &When, now: Instant) -> bool {
        let Some(awake) = now.since(self.armed).checked_sub(when.after) else { return false };
        let Some(lasting) = when.lasting else { return true };
        let phase = match when.period {
            Some(period) if !period.is_zero() => remainder(awake, period),
            _ => awake,
        };
        phase < lasting
    }

    /// Whether the rule hits a command that it is for: the one with this number among all, while so
    /// many are in flight.
    pub(crate) fn hits_next(
        &mut self,
        when: &When,
        now: Instant,
        command: u64,
        in_flight: usize,
    ) -> bool {
        let enough = u64::try_from(in_flight).is_ok_and(|count| count >= when.in_flight.into());
        if !enough || !self.is_awake(when, now) {
            return false;
        }
        self.counted += 1;
        if self.selects(&when.select, command) {
            self.burst = when.burst.get();
        }
        let left = when.at_most.is_none_or(|at_most| self.hits < at_most.get());
        if self.burst == 0 || !left {
            return false;
        }
        self.burst -= 1;
        self.hits += 1;
        true
    }

    fn selects(&mut self, select: &Select, command: u64) -> bool {
        match select {
            Select::All => true,
            Select::Nth(nth) => self.counted == nth.get(),
            Select::Every(every) => self.counted.is_multiple_of(every.get()),
            Select::Chance(chance) => {
                self.rng.below(Chance::WHOLE.into()) < chance.billionths().into()
            }
            Select::Commands(numbers) => {
                let rest = &numbers[self.passed..];
                self.passed += rest.partition_point(|number| *number < command);
                numbers.get(self.passed) == Some(&command)
            }
        }
    }
}

fn remainder(duration: Duration, period: Duration) -> Duration {
    let nanos = duration.as_nanos() % period.as_nanos();
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroU64};

    use super::*;
    use crate::saboteur::rng::Stream;

    fn trigger() -> Trigger {
        Trigger::new(Instant::from_nanos(100), Rng::new(1, 0, Stream::Hits))
    }

    /// The numbers of those of the first `commands` that are hit.
    fn hit(when: &When, commands: u64) -> Vec<u64> {
        let mut trigger = trigger();
        let now = Instant::from_nanos(100);
        (1..=commands).filter(|number| trigger.hits_next(when, now, *number, 1)).collect()
    }

    fn nth(nth: u64) -> NonZeroU64 {
        NonZeroU64::new(nth).unwrap()
    }

    #[test]
    fn commands_are_selected_by_number() {
        let when = |select| When { select, ..When::default() };
        assert_eq!(hit(&when(Select::All), 3), [1, 2, 3]);
        assert_eq!(hit(&when(Select::Nth(nth(2))), 9), [2]);
        assert_eq!(hit(&when(Select::Every(nth(3))), 9), [3, 6, 9]);
        assert_eq!(hit(&when(Select::Commands(vec![2, 7, 40])), 9), [2, 7]);
    }

    #[test]
    fn chance_is_drawn_and_comes_out_the_same_again() {
        let select = Select::Chance(Chance::new(Chance::WHOLE / 4).unwrap());
        let when = When { select, ..When::default() };
        let hits = hit(&when, 10_000);
        assert!((2_400..2_600).contains(&hits.len()), "{} of 10,000", hits.len());
        assert_eq!(hits, hit(&when, 10_000));
        let select = Select::Chance(Chance::new(Chance::WHOLE).unwrap());
        assert_eq!(hit(&When { select, ..When::default() }, 100).len(), 100);
    }

    #[test]
    fn a_burst_hits_those_that_follow_up_to_the_bound() {
        let burst = NonZeroU32::new(3).unwrap();
        let mut when = When { select: Select::Every(nth(5)), burst, ..When::default() };
        assert_eq!(hit(&when, 12), [5, 6, 7, 10, 11, 12]);
        when.at_most = Some(nth(4));
        assert_eq!(hit(&when, 30), [5, 6, 7, 10]);
    }

    #[test]
    fn a_rule_sleeps_and_wakes() {
        let nanos = Duration::from_nanos;
        let when = When {
            after: nanos(10),
            lasting: Some(nanos(5)),
            period: Some(nanos(20)),
            ..When::default()
        };
        let awake: Vec<_> =
            (90..160).filter(|at| trigger().is_awake(&when, Instant::from_nanos(*at))).collect();
        let expected: Vec<_> = (110..115).chain(130..135).chain(150..155).collect();
        assert_eq!(awake, expected);
        let once = When { period: None, ..when };
        assert!(!trigger().is_awake(&once, Instant::from_nanos(130)));
    }

    #[test]
    fn too_few_in_flight_do_not_count() {
        let when = When { select: Select::Nth(nth(1)), in_flight: 3, ..When::default() };
        let mut trigger = trigger();
        let now = Instant::from_nanos(100);
        assert!(!trigger.hits_next(&when, now, 1, 2));
        assert!(trigger.hits_next(&when, now, 2, 3));
        assert_eq!((trigger.counted(), trigger.hits()), (1, 1));
    }
}
