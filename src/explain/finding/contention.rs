//! Contention: another command came first, and everybody did as he should.

use std::fmt;

use pulsefield_vmfs::{HostUuid, Object};

use super::before;
use crate::case::Case;
use crate::told::Told;

/// Another command came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contention<'r> {
    /// The command that wrote what was found.
    pub winner: Told<'r>,
    /// Its host, if what it wrote names one.
    pub host: Option<HostUuid>,
    /// How many commands have written the block since what was expected was there; at least one.
    pub writes: usize,
    loser: Told<'r>,
}

impl<'r> Contention<'r> {
    /// Only if it is recorded that what was expected had been there.
    pub(super) fn look(case: &Case<'_, 'r>, winner: Told<'r>) -> Option<Self> {
        let writes = case.since_expected().len();
        let host = Object::decode(case.found).and_then(|object| object.owner());
        (writes > 0).then_some(Self { winner, host, writes, loser: case.told })
    }
}

impl fmt::Display for Contention<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { winner, host, writes, loser } = self;
        let ago = before(winner.applied(), loser.applied());
        write!(f, "{winner}")?;
        if let Some(host) = host {
            write!(f, " of host {host}")?;
        }
        write!(f, " came first, {ago} before")?;
        match writes {
            1 => Ok(()),
            writes => write!(f, ", the last of {writes} writes since what was expected was there"),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::FindingKind::Contention;
    use crate::testing::{A, B, Tape, explain, lock};

    #[test]
    fn whoever_came_first_is_named() {
        let mut tape = Tape::new();
        tape.at(0).ats(&lock(4, None), &lock(5, Some(B)));
        tape.at(2).found(&lock(5, Some(B))).miscompare(&lock(4, None), &lock(5, Some(A)));
        let words = "#1 COMPARE AND WRITE 43520+1 of host 22222222-22222222-2222-222222222222 came first, \
                     2.00 ms before";
        assert_eq!(explain(tape), (Contention, words.to_owned()));
    }

    #[test]
    fn writes_in_between_are_counted() {
        let mut tape = Tape::new();
        tape.at(0).ats(&lock(4, None), &lock(5, Some(B)));
        tape.at(1).ats(&lock(5, Some(B)), &lock(6, None));
        tape.at(2).found(&lock(6, None)).miscompare(&lock(4, None), &lock(5, Some(A)));
        let words = "#2 COMPARE AND WRITE 43520+1 came first, 1.00 ms before, the last of 2 writes since what \
                     was expected was there";
        assert_eq!(explain(tape), (Contention, words.to_owned()));
    }
}
