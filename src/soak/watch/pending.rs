//! Moments put in order: a record tells of a command when it is answered, and checkers hear of it twice, when it
//! begins and when it ends.
//!
//! So everything waits until nothing that began before can still be told. How long that is nobody knows of bulk; of
//! heartbeats and locks the record says which are not answered after `deadline_error`, and as long as one of them
//! is not, what comes after its beginning waits for it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pulsefield_units::Instant;

/// For so long everything waits: longer than it takes until the record tells of a heartbeat that is not answered
/// (`deadline_error`, 8 s unless it is set otherwise).
const HELD_BACK: Duration = Duration::from_secs(20);

/// For no longer than this: no fabric keeps a command for so long.
const HELD_BACK_MAX: Duration = Duration::from_secs(120);

/// What happens at a moment. Of one moment gaps come first, and beginnings before ends: commands that touch in
/// time are taken for ones that overlap, which permits more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// The record has lost something before.
    Gap,
    /// The command with this number begins.
    Begins,
    /// It ends.
    Ends,
}

/// What waits to be told.
#[derive(Debug)]
pub(super) struct Pending<T> {
    moments: BTreeSet<(Instant, Phase, u64)>,
    entries: BTreeMap<u64, T>,
    /// When the latest that was recorded happened.
    latest: Instant,
    /// Commands that are known not to be answered, by the kernel's ids of them, and when they came.
    unanswered: BTreeMap<u16, Instant>,
}

impl<T> Pending<T> {
    pub(super) const fn new() -> Self {
        Self {
            moments: BTreeSet::new(),
            entries: BTreeMap::new(),
            latest: Instant::from_nanos(0),
            unanswered: BTreeMap::new(),
        }
    }

    /// It is so late.
    pub(super) fn see_time(&mut self, at: Instant) {
        self.latest = self.latest.max(at);
    }

    /// A gap, with a number that nothing else has.
    pub(super) fn gap(&mut self, at: Instant, number: u64) {
        self.moments.insert((at, Phase::Gap, number));
        // What was in flight may have been answered in it.
        self.unanswered.clear();
    }

    /// A command from its beginning to its end.
    pub(super) fn put(&mut self, number: u64, [begins, ends]: [Instant; 2], entry: T) {
        self.moments.insert((begins, Phase::Begins, number));
        self.moments.insert((ends, Phase::Ends, number));
        self.entries.insert(number, entry);
    }

    /// A command is not answered yet.
    pub(super) fn wait_for(&mut self, command_id: u16, arrived: Instant) {
        self.unanswered.insert(command_id, arrived);
    }

    /// The command with this id is answered.
    pub(super) fn is_answered(&mut self, command_id: u16) {
        self.unanswered.remove(&command_id);
    }

    /// Those that are not answered.
    pub(super) fn unanswered(&self) -> impl Iterator<Item = (u16, Instant)> {
        self.unanswered.iter().map(|(id, arrived)| (*id, *arrived))
    }

    /// The next moment whose turn it is; of all that there are if nothing more will be told. What is known of a
    /// command is to be given back with [`Self::keep`] until it ends.
    pub(super) fn next(&mut self, is_over: bool) -> Option<(Instant, Phase, u64)> {
        let first = *self.moments.first()?;
        if !is_over && first.0 >= self.settled() {
            return None;
        }
        self.moments.pop_first()
    }

    /// What is known of a command.
    pub(super) fn take(&mut self, number: u64) -> Option<T> {
        self.entries.remove(&number)
    }

    /// Keeps what is known of a command until it ends.
    pub(super) fn keep(&mut self, number: u64, entry: T) {
        self.entries.insert(number, entry);
    }

    /// Before this moment nothing can be told any more.
    fn settled(&self) -> Instant {
        let before = |time: Duration| {
            let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            Instant::from_nanos(self.latest.as_nanos().saturating_sub(nanos))
        };
        let waits = self.unanswered.values().copied().min();
        let settled = waits.map_or(before(HELD_BACK), |arrived| arrived.min(before(HELD_BACK)));
        settled.max(before(HELD_BACK_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    fn turns(pending: &mut Pending<()>, is_over: bool) -> Vec<(Phase, u64)> {
        let next = std::iter::from_fn(|| pending.next(is_over));
        next.map(|(_, phase, number)| (phase, number)).collect()
    }

    use Phase::{Begins, Ends, Gap};

    #[test]
    fn what_begins_is_told_before_what_ended_meanwhile() {
        let mut pending = Pending::new();
        pending.put(1, [at(2), at(3)], ());
        pending.put(2, [at(1), at(5)], ());
        pending.put(3, [at(5), at(6)], ());
        pending.gap(at(5), 4);
        pending.see_time(at(6));
        assert_eq!(turns(&mut pending, false), []);
        let all =
            [(Begins, 2), (Begins, 1), (Ends, 1), (Gap, 4), (Begins, 3), (Ends, 2), (Ends, 3)];
        assert_eq!(turns(&mut pending, true), all);
    }

    #[test]
    fn everything_waits_for_a_heartbeat_without_an_answer_but_not_forever() {
        let mut pending = Pending::new();
        pending.put(1, [at(100), at(101)], ());
        pending.put(2, [at(110), at(111)], ());
        pending.wait_for(7, at(105));
        pending.see_time(at(140));
        assert_eq!(turns(&mut pending, false), [(Begins, 1), (Ends, 1)]);
        pending.see_time(at(230));
        assert_eq!(turns(&mut pending, false), []);
        pending.see_time(at(231));
        assert_eq!(turns(&mut pending, false), [(Begins, 2)]);
        pending.is_answered(7);
        assert_eq!(turns(&mut pending, false), [(Ends, 2)]);
    }
}
