//! Stale view: the host expects what was there several writes ago.

use std::fmt;

use super::{LOOK_MAX, before};
use crate::case::Case;
use crate::told::Told;

/// What was expected was there, and not just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaleView<'r> {
    /// How many commands have written the block since; at least two.
    pub writes: usize,
    /// The first of them, which replaced what was expected.
    pub replaced_by: Told<'r>,
    late: Told<'r>,
}

impl<'r> StaleView<'r> {
    pub(super) fn look(case: &Case<'_, 'r>) -> Option<Self> {
        let since = case.since_expected();
        let [replaced_by, _, ..] = since[..] else { return None };
        // Others may write several times between a host's look and its command.
        let age = case.told.command.arrived.since(replaced_by.applied());
        let stale = Self { writes: since.len(), replaced_by, late: case.told };
        (age >= LOOK_MAX).then_some(stale)
    }
}

impl fmt::Display for StaleView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { writes, replaced_by, late } = self;
        let age = before(replaced_by.applied(), late.command.arrived);
        write!(
            f,
            "what was expected was there {writes} writes ago: {replaced_by} replaced it {age} before this \
             command came"
        )
    }
}

#[cfg(test)]
mod tests {
    use crate::FindingKind::{Contention, StaleView, Unknown};
    use crate::testing::{A, B, Tape, explain, lock, slot};

    #[test]
    fn an_image_of_several_writes_ago() {
        let mut tape = Tape::new();
        for nth in 0..4 {
            tape.at(nth * 3_000).ats(&slot(A, nth * 3), &slot(A, nth * 3 + 3));
        }
        tape.at(12_000).found(&slot(A, 12)).miscompare(&slot(A, 6), &slot(A, 15));
        let words = "what was expected was there 2 writes ago: #3 COMPARE AND WRITE 43520+1 replaced it 6.00 s \
                     before this command came";
        assert_eq!(explain(tape), (StaleView, words.to_owned()));
    }

    /// Hosts take and release a lock, one write every so many milliseconds, and one comes too late by as
    /// many.
    fn contended(writes: u64, period: u64) -> Tape {
        let mut tape = Tape::new();
        let image = |token| lock(token, (token % 2 == 0).then_some(B));
        for token in 1..=writes {
            tape.at(token * period).ats(&image(token), &image(token + 1));
        }
        let found = image(writes + 1);
        tape.at((writes + 1) * period).found(&found).miscompare(&image(1), &lock(2, Some(A)));
        tape
    }

    #[test]
    fn neighbours() {
        assert_eq!(explain(contended(1, 5_000)).0, Contention, "one write ago, however long");
        assert_eq!(explain(contended(10, 50)).0, Contention, "many writes, within a host's look");
        assert_eq!(explain(contended(3, 2_000)).0, StaleView);
    }

    #[test]
    fn what_never_was_there_is_no_old_image() {
        let mut tape = contended(3, 2_000);
        tape.forget().at(8_000).ats(&lock(4, Some(B)), &lock(5, None));
        tape.at(9_000).found(&lock(5, None)).miscompare(&lock(1, None), &lock(2, Some(A)));
        let (kind, words) = explain(tape);
        assert_eq!(kind, Unknown);
        assert!(
            words.ends_with("the record does not tell when what was expected was there"),
            "{words}"
        );
    }
}
