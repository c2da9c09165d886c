//! Retry of an applied ATS: the host did not hear that its command had succeeded, and sent it again.

use std::fmt;

use pulsefield_units::Instant;
use pulsefield_vmfs::Object;

use super::before;
use crate::case::Case;
use crate::told::Told;

/// The first one was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry<'r> {
    /// The command that was applied.
    pub first: Told<'r>,
    /// Its abort, if one is recorded.
    pub abort: Option<Abort>,
    /// Whether both were to write the same; else the host set out from the same image again.
    pub same_data: bool,
    again: Told<'r>,
}

/// An abort that is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abort {
    /// When it was asked for.
    pub at: Instant,
    /// By which task management function, as the kernel numbers them, if its record is still there.
    pub function: Option<u8>,
}

impl<'r> Retry<'r> {
    pub(super) fn look(case: &Case<'_, 'r>, first: Told<'r>) -> Option<Self> {
        let again = case.told;
        if !first.is_ats() || case.expectation_of(first) != Some(case.expected) {
            return None;
        }
        let wanted = case.wanted?;
        let same_data = wanted == case.found;
        let abort = case.traffic.abort(first, again.command.arrived);
        let abort = abort.map(|(at, function)| Abort { at, function });
        // Two initiators may bring the same bytes and race; of one that was answered in time, both halves
        // are no proof.
        let unheard = abort.is_some() || !first.is_good();
        let of_one_host = is_of_one_host(case.found, wanted);
        let is_retry = match of_one_host {
            Some(Same::Heartbeat) => true,
            Some(Same::Lock) => same_data || unheard,
            None => same_data && unheard,
        };
        is_retry.then_some(Self { first, abort, same_data, again })
    }
}

enum Same {
    Heartbeat,
    Lock,
}

/// Whether both images are by the same host, and in the same generation if of a heartbeat: nobody else
/// writes its name.
fn is_of_one_host(found: &[u8], wanted: &[u8]) -> Option<Same> {
    let (found, wanted) = (Object::decode(found)?, Object::decode(wanted)?);
    let same_owner = found.owner().is_some() && found.owner() == wanted.owner();
    match (found, wanted) {
        (Object::Heartbeat(found), Object::Heartbeat(wanted)) => {
            (same_owner && found.generation == wanted.generation).then_some(Same::Heartbeat)
        }
        (Object::Lock(_), Object::Lock(_)) => same_owner.then_some(Same::Lock),
        (Object::Heartbeat(_), Object::Lock(_)) | (Object::Lock(_), Object::Heartbeat(_)) => None,
    }
}

impl fmt::Display for Retry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, abort, same_data, again } = self;
        let since = before(first.applied(), again.applied());
        write!(f, "{first} expected the same and was applied {since} before")?;
        if *same_data {
            f.write_str(", with the same data")?;
        }
        match abort {
            Some(Abort { at, .. }) => {
                let after = before(first.command.arrived, *at);
                write!(f, "; its abort was asked for after {after}")
            }
            None if first.is_good() => {
                let took = before(first.command.arrived, first.command.answered);
                write!(
                    f,
                    "; it was answered GOOD after {took}, and no abort is recorded: the host did not \
                           get the answer, or sent the command twice"
                )
            }
            None => f.write_str("; it was not answered GOOD"),
        }
    }
}

#[cfg(test)]
mod tests {
    use pulsefield_units::Instant;

    use crate::FindingKind::{Contention, Retry, StaleView};
    use crate::testing::{A, B, Tape, data, explain, in_generation, lock, slot};

    #[test]
    fn an_aborted_pulse_that_was_applied() {
        let mut tape = Tape::new();
        tape.at(0).ats(&slot(A, 0), &slot(A, 3)).but(|it| {
            it.answered = Instant::from_nanos(9_100_000_000);
            it.aborted = Some(Instant::from_nanos(9_000_000_000));
            it.status = 0x40;
        });
        tape.at(9_000).found(&slot(A, 3)).miscompare(&slot(A, 0), &slot(A, 9));
        let words = "#1 COMPARE AND WRITE 43520+1 expected the same and was applied 9.00 s before; its abort \
                     was asked for after 8.00 s";
        assert_eq!(explain(tape), (Retry, words.to_owned()));
    }

    #[test]
    fn an_abort_that_came_after_the_answer() {
        let mut tape = Tape::new();
        tape.at(0).ats(&lock(4, None), &lock(5, Some(A))).at(8_000).abort();
        tape.at(8_010).found(&lock(5, Some(A))).miscompare(&lock(4, None), &lock(5, Some(A)));
        let words = "#1 COMPARE AND WRITE 43520+1 expected the same and was applied 8.01 s before, with the \
                     same data; its abort was asked for after 8.00 s";
        assert_eq!(explain(tape), (Retry, words.to_owned()));
    }

    #[test]
    fn an_answer_that_the_host_did_not_get() {
        let mut tape = Tape::new();
        tape.at(0).ats(&slot(A, 0), &slot(A, 3));
        tape.at(3_000).found(&slot(A, 3)).miscompare(&slot(A, 0), &slot(A, 6));
        let (kind, words) = explain(tape);
        assert_eq!(kind, Retry);
        assert!(
            words.ends_with("the host did not get the answer, or sent the command twice"),
            "{words}"
        );
    }

    #[test]
    fn an_abort_of_the_next_command_with_the_same_id_is_not_its_own() {
        let mut tape = Tape::new();
        tape.at(0).ats(&slot(A, 0), &slot(A, 3));
        tape.at(1_000).same_id().other(0x88, None).at(1_500).abort();
        tape.at(3_000).found(&slot(A, 3)).miscompare(&slot(A, 0), &slot(A, 6));
        let (kind, words) = explain(tape);
        assert_eq!(kind, Retry);
        assert!(words.contains("no abort is recorded"), "{words}");
    }

    #[test]
    fn bytes_without_a_name_are_a_retry_if_the_first_was_aborted() {
        let play = |aborted: bool| {
            let mut tape = Tape::new();
            tape.at(0).ats(&data(1), &data(2));
            if aborted {
                tape.abort();
            }
            tape.at(20).found(&data(2)).miscompare(&data(1), &data(2));
            explain(tape).0
        };
        assert_eq!(play(true), Retry);
        assert_eq!(play(false), Contention, "two initiators may count alike");
    }

    #[test]
    fn neighbours() {
        // Another host was first.
        let mut tape = Tape::new();
        tape.at(0).ats(&lock(4, None), &lock(5, Some(A))).at(10).abort();
        tape.at(20).found(&lock(5, Some(A))).miscompare(&lock(4, None), &lock(5, Some(B)));
        assert_eq!(explain(tape).0, Contention);
        // The same host again, in another life.
        let mut tape = Tape::new();
        tape.at(0).ats(&slot(A, 0), &in_generation(A, 3, 7));
        tape.at(20).found(&in_generation(A, 3, 7)).miscompare(&slot(A, 0), &slot(A, 3));
        assert_eq!(explain(tape).0, Contention);
        // What was expected is older than what the writer expected.
        let mut tape = Tape::new();
        tape.at(0).ats(&slot(A, 0), &slot(A, 3)).at(3_000).ats(&slot(A, 3), &slot(A, 6));
        tape.at(6_000).found(&slot(A, 6)).miscompare(&slot(A, 0), &slot(A, 9));
        assert_eq!(explain(tape).0, StaleView);
    }
}
