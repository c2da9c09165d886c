//! Which of the commands that a rule is for it hits.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

/// Which of the commands that a rule is for it hits: those that fulfil every condition that is set.
///
/// A command counts for [`Select`] if it comes while the rule is awake (`after`, `lasting`,
/// `period`) and at least `in_flight` commands are under way. Every moment is that which is passed
/// in with the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct When {
    /// Which of the commands that count.
    pub select: Select,
    /// With each of those, so many of the commands that count in a row: it and those that follow.
    pub burst: NonZeroU32,
    /// The rule sleeps so long after it was armed.
    pub after: Duration,
    /// Then it is awake for so long.
    pub lasting: Option<Duration>,
    /// And it wakes again so long after it woke; only with `lasting`, which is shorter.
    pub period: Option<Duration>,
    /// At most so many commands are hit.
    pub at_most: Option<NonZeroU64>,
    /// Only while at least so many commands of the logical unit are in flight, the one that comes
    /// included.
    pub in_flight: u32,
}

impl Default for When {
    /// Every command.
    fn default() -> Self {
        Self {
            select: Select::All,
            burst: NonZeroU32::MIN,
            after: Duration::ZERO,
            lasting: None,
            period: None,
            at_most: None,
            in_flight: 0,
        }
    }
}

/// Which of the commands that count. The first of them is number 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Select {
    /// All.
    All,
    /// The one with this number, and no other.
    Nth(NonZeroU64),
    /// Those whose number is a multiple of this one.
    Every(NonZeroU64),
    /// Each with this chance.
    Chance(Chance),
    /// Those with these numbers *among all commands of the logical unit* since the plan was armed,
    /// whatever they are, in ascending order: a replay. None of them keeps the place of a rule that
    /// did nothing, since what the others draw follows from their places.
    Commands(Vec<u64>),
}

/// A chance above 0 and up to 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chance(u32);

impl Chance {
    /// The whole, of which a chance is a part.
    pub const WHOLE: u32 = 1_000_000_000;

    /// So many of [`Chance::WHOLE`]; `None` for zero and for more than the whole.
    pub const fn new(billionths: u32) -> Option<Self> {
        match billionths {
            1..=Self::WHOLE => Some(Self(billionths)),
            _ => None,
        }
    }

    /// Of [`Chance::WHOLE`], so many.
    pub const fn billionths(self) -> u32 {
        self.0
    }
}
