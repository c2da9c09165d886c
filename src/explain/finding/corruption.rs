//! Corruption: what was found is not what the last writer left, and nobody has written since.

use std::fmt;

use super::before;
use crate::case::Case;
use crate::told::Told;

/// The block does not hold what was written to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corruption<'r> {
    /// The last command that wrote the block. It was answered GOOD.
    pub last: Told<'r>,
    /// The command that had written what was found, if one of those before did: then acknowledged writes
    /// are lost.
    pub older: Option<Told<'r>>,
    /// The command that found it.
    found_by: Told<'r>,
}

impl<'r> Corruption<'r> {
    pub(super) fn of(case: &Case<'_, 'r>, last: Told<'r>) -> Self {
        let wrote_it = |writer: &&Told<'r>| case.image_of(**writer) == Some(case.found);
        let older = case.before.iter().rev().find(wrote_it).copied();
        Self { last, older, found_by: case.told }
    }
}

impl fmt::Display for Corruption<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = before(self.last.applied(), self.found_by.applied());
        match self.older {
            Some(older) => write!(
                f,
                "an acknowledged write is lost: what was found is what {older} wrote {} before, but {} wrote \
                 after it, {since} before, and was answered GOOD",
                before(older.applied(), self.found_by.applied()),
                self.last
            ),
            None => write!(
                f,
                "no recorded command wrote what was found; the last that wrote the block was {}, {since} \
                 before, answered GOOD, and the record since then is whole",
                self.last
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::FindingKind::{Corruption, Unknown};
    use crate::testing::{A, Tape, data, explain, slot};

    fn pulses() -> Tape {
        let mut tape = Tape::new();
        tape.at(0).ats(&slot(A, 0), &slot(A, 3));
        tape.at(3_000).ats(&slot(A, 3), &slot(A, 6));
        tape
    }

    #[test]
    fn what_nobody_wrote() {
        let mut tape = pulses();
        tape.at(6_000).found(&data(0x5a)).miscompare(&slot(A, 6), &slot(A, 9));
        let words = "no recorded command wrote what was found; the last that wrote the block was #2 COMPARE \
                     AND WRITE 43520+1, 3.00 s before, answered GOOD, and the record since then is whole";
        assert_eq!(explain(tape), (Corruption, words.to_owned()));
    }

    #[test]
    fn an_older_image_is_a_lost_write() {
        let mut tape = pulses();
        tape.at(6_000).found(&slot(A, 3)).miscompare(&slot(A, 6), &slot(A, 9));
        let (kind, words) = explain(tape);
        assert_eq!(kind, Corruption);
        assert!(words.starts_with(
            "an acknowledged write is lost: what was found is what #1 COMPARE AND WRITE 43520+1 wrote"
        ), "{words}");
    }

    #[test]
    fn with_a_gap_it_is_unknown() {
        let found = |mut tape: Tape| {
            tape.at(6_000).found(&data(0x5a)).miscompare(&slot(A, 6), &slot(A, 9));
            explain(tape)
        };
        let mut lost = pulses();
        lost.lose(4);
        let (kind, words) = found(lost);
        assert_eq!(kind, Unknown);
        assert!(words.starts_with("4 records since #2"), "{words}");
        let mut restarted = pulses();
        restarted.restart();
        let (kind, words) = found(restarted);
        assert_eq!(kind, Unknown);
        assert!(words.starts_with("the unit ended and began again after #2"), "{words}");
        let mut late = pulses();
        late.forget();
        let (kind, words) = found(late);
        assert_eq!(kind, Unknown);
        assert!(words.starts_with("the record does not reach back"), "{words}");
    }

    #[test]
    fn a_write_that_failed_proves_nothing() {
        let mut tape = pulses();
        tape.at(4_000).ats(&slot(A, 6), &slot(A, 9)).but(|it| it.status = 0x40);
        tape.at(6_000).found(&slot(A, 6)).miscompare(&slot(A, 3), &slot(A, 9));
        assert_ne!(explain(tape).0, Corruption, "it was aborted before it had written");
    }
}
