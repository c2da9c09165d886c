//! Whether answers wait a moment for others to share their doorbell with, before a unit's thread sleeps.
//!
//! A thread that goes before everybody ([`precedence`](crate::precedence)) is awake for the first of several commands before
//! whoever sends them has come to the second: it answers, rings, sleeps, and is woken for the next. So where commands are
//! in flight beside each other, it first leaves the processor to others for a moment, twice as long as a doorbell takes,
//! and once more until there are [`ANSWERS_ENOUGH`]. If that brings nothing, the next answers do not wait; whether it would is tried
//! again after [`RINGS_A_TRY`], once two answers have shared a doorbell by themselves. So whoever has one command in flight
//! never waits, and whoever sends several and waits for all of them waits once in so many. Time is passed in.

use std::time::Duration;

/// With so many answers there is little left of a doorbell for each.
const ANSWERS_ENOUGH: usize = 4;

/// How often the doorbell is rung without a wait before another is tried.
pub(crate) const RINGS_A_TRY: u32 = 64;

/// A wait is so many times as long as the doorbell that it may save, which saves a sleep as well.
const DOORBELLS: u32 = 2;

/// The longest wait, and so how long a heartbeat that comes in meanwhile may have to.
const WAIT_MAX: Duration = Duration::from_micros(250);

/// The judgement on one unit.
#[derive(Debug, Default)]
pub(crate) struct Sharing {
    /// Whether the last wait brought something.
    pays: bool,
    /// How often the doorbell was rung since one did not.
    rings: u32,
    /// How long the last doorbell took.
    doorbell: Duration,
}

impl Sharing {
    /// There are so many answers, and nothing else to do: how long to wait before the doorbell is rung, if at all.
    pub(crate) fn wait(&self, answers: usize) -> Option<Duration> {
        let try_again = self.rings >= RINGS_A_TRY && answers > 1;
        let wanted = answers < ANSWERS_ENOUGH && (self.pays || try_again);
        wanted.then(|| self.doorbell.saturating_mul(DOORBELLS).min(WAIT_MAX))
    }

    /// They have waited, and something came in meanwhile or not.
    pub(crate) const fn end_wait(&mut self, paid: bool) {
        (self.pays, self.rings) = (paid, 0);
    }

    /// The doorbell was rung, which took so long.
    pub(crate) const fn ring(&mut self, took: Duration) {
        self.doorbell = took;
        self.rings = self.rings.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOORBELL: Duration = Duration::from_micros(20);

    /// A unit that has rung often enough for a try.
    fn experienced() -> Sharing {
        let mut sharing = Sharing::default();
        for _ in 0..RINGS_A_TRY {
            sharing.ring(DOORBELL);
        }
        sharing
    }

    #[test]
    fn whoever_has_one_command_in_flight_never_waits() {
        let mut sharing = Sharing::default();
        for _ in 0..10_000 {
            assert_eq!(sharing.wait(1), None);
            sharing.ring(DOORBELL);
        }
    }

    #[test]
    fn whoever_sends_several_and_waits_for_all_waits_once_in_so_many() {
        let mut sharing = Sharing::default();
        let mut waits = 0;
        for _ in 0..10 * RINGS_A_TRY + 1 {
            if sharing.wait(2).is_some() {
                sharing.end_wait(false);
                waits += 1;
            }
            sharing.ring(DOORBELL);
        }
        assert_eq!(waits, 10);
    }

    #[test]
    fn where_something_comes_in_meanwhile_every_answer_waits_for_others() {
        let mut sharing = experienced();
        assert!(sharing.wait(2).is_some());
        for _ in 0..1_000 {
            sharing.end_wait(true);
            sharing.ring(DOORBELL);
            assert!((1..ANSWERS_ENOUGH).all(|answers| sharing.wait(answers).is_some()));
            assert_eq!(sharing.wait(ANSWERS_ENOUGH), None, "enough share it");
        }
        sharing.end_wait(false);
        assert_eq!(sharing.wait(2), None);
    }

    #[test]
    fn it_waits_for_as_long_as_doorbells_take_and_never_long() {
        let mut sharing = experienced();
        assert_eq!(sharing.wait(2), Some(DOORBELL * DOORBELLS));
        sharing.ring(Duration::from_secs(1));
        assert_eq!(sharing.wait(2), Some(WAIT_MAX));
    }
}
