//! What rules did: a bounded log, an entry for each hit.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use pulsefield_engine::Outcome;
use pulsefield_units::{Instant, LbaRange};

use crate::saboteur::digest::fnv_1a;
use crate::saboteur::rule::PlanId;

/// Hits that a log keeps; of more, the oldest are forgotten. Counters know of all of them.
pub const HITS_MAX: usize = 4096;

/// One command that one rule hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Counts the hits of a logical unit from 0.
    pub number: u64,
    /// Which plan.
    pub plan: PlanId,
    /// Which of its rules.
    pub rule: Arc<str>,
    /// How many of the commands that the rule is for had counted by then, this one included.
    pub counted: u64,
    /// Which of all commands of the unit it was since the plan was armed, counted from 1: what
    /// [`Select::Commands`](crate::Select::Commands) lists.
    pub command: u64,
    /// When the command came in.
    pub at: Instant,
    /// Operation code of its CDB.
    pub opcode: u8,
    /// The first run of blocks it touches, if it touches any.
    pub blocks: Option<LbaRange>,
    /// Why it was hit.
    pub cause: Cause,
    /// For how long the command was to be held up.
    pub delay: Duration,
    /// How the device server ended it, if it came there; the first time, if that was more than once.
    pub before: Option<Outcome>,
    /// How it was answered, once it is.
    pub after: Option<Outcome>,
    /// Digests of its data before and after they were changed, if they were.
    pub data: Option<DataChange>,
}

/// Why a command was hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The rule's [`When`](crate::When) selected it.
    Selected,
    /// Something that lasts: a stall that goes on, an old image that lies over what is read, a page that
    /// must agree with what the rule does.
    Lasting,
}

/// Digests (FNV-1a) of data that a fault changed: Data-Out on its way to the medium, Data-In on its way
/// to the initiator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataChange {
    /// As it was.
    pub before: u64,
    /// As it is.
    pub after: u64,
}

impl DataChange {
    /// The change from one payload to another.
    pub(crate) fn between(before: &[u8], after: &[u8]) -> Self {
        let digest = |bytes: &[u8]| fnv_1a(bytes.iter().copied());
        Self { before: digest(before), after: digest(after) }
    }
}

/// The last [`HITS_MAX`] hits of a logical unit, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Log {
    hits: VecDeque<Hit>,
    /// The number of the next hit.
    next: u64,
}

impl Log {
    /// What there is, from the hit with number `from` on.
    pub(crate) fn since(&self, from: u64) -> impl Iterator<Item = &Hit> {
        let skipped = self.hits.iter().take_while(move |hit| hit.number < from).count();
        self.hits.range(skipped..)
    }

    /// How many hits there were, forgotten ones included.
    pub(crate) const fn hits(&self) -> u64 {
        self.next
    }

    /// Files a hit under its number.
    pub(crate) fn push(&mut self, hit: Hit) -> u64 {
        let number = self.next;
        self.next += 1;
        if self.hits.len() == HITS_MAX {
            self.hits.pop_front();
        }
        self.hits.push_back(Hit { number, ..hit });
        number
    }

    /// The hit with this number, unless it is forgotten.
    pub(crate) fn hit(&mut self, number: u64) -> Option<&mut Hit> {
        let first = self.hits.front()?.number;
        let at = usize::try_from(number.checked_sub(first)?).ok()?;
        self.hits.get_mut(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit() -> Hit {
        Hit {
            number: 0,
            plan: PlanId::new(0),
            rule: Arc::from("r"),
            counted: 1,
            command: 1,
            at: Instant::default(),
            opcode: 0x89,
            blocks: None,
            cause: Cause::Selected,
            delay: Duration::ZERO,
            before: None,
            after: None,
            data: None,
        }
    }

    #[test]
    fn the_oldest_hits_are_forgotten_and_numbers_go_on() {
        let mut log = Log::default();
        let numbers: Vec<_> = (0..HITS_MAX + 2).map(|_| log.push(hit())).collect();
        assert!(numbers.is_sorted_by(|a, b| b - a == 1));
        assert!(log.hit(1).is_none());
        assert_eq!(log.hit(2).map(|hit| hit.number), Some(2));
        let last = *numbers.last().unwrap();
        assert_eq!(log.hit(last).map(|hit| hit.number), Some(last));
        assert!(log.hit(last + 1).is_none());
        assert_eq!(log.since(last).count(), 1);
        assert_eq!(log.since(0).count(), HITS_MAX);
        assert_eq!(log.hits(), HITS_MAX as u64 + 2);
    }
}
