//! Injected: a rule of a plan of faults hit one of the commands that matter.

use std::fmt;

use pulsefield_record::Origin;

use super::Finding;
use crate::case::{Case, Source};
use crate::told::Told;
use crate::traffic::Traffic;

/// A rule did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injected<'r> {
    /// The rule's name; `None` if the record of its hit is gone, or a fault's own command did it.
    pub rule: Option<&'r str>,
    /// What it hit.
    pub victim: Victim<'r>,
    /// What the evidence says besides: what it looked like to the host.
    pub besides: Box<Finding<'r>>,
}

/// The command that a rule hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim<'r> {
    /// The command itself that miscompared.
    Itself,
    /// The command that wrote what was found.
    Writer(Told<'r>),
    /// The last command that was to write the block, which then did not hold what it wrote.
    LastWriter(Told<'r>),
    /// A command that was to write the block later than what was found, and was answered GOOD: nothing of it
    /// came there.
    Dropped(Told<'r>),
}

impl<'r> Injected<'r> {
    /// The rule and its victim, if there are any.
    pub(super) fn look(
        traffic: &Traffic<'r>,
        told: Told<'r>,
        case: Option<&Case<'_, 'r>>,
    ) -> Option<(Option<&'r str>, Victim<'r>)> {
        let rule = |told: Told<'r>| traffic.hit(told).map(|hit| hit.rule.as_str());
        let is_hit =
            |told: Told<'r>| told.command.hit.is_some() || told.command.origin == Origin::Fault;
        if is_hit(told) {
            return Some((rule(told), Victim::Itself));
        }
        let case = case?;
        match case.source {
            Source::Written(writer) | Source::WrittenUnseen(writer) if is_hit(writer) => {
                return Some((rule(writer), Victim::Writer(writer)));
            }
            Source::Other(writer) if is_hit(writer) => {
                return Some((rule(writer), Victim::LastWriter(writer)));
            }
            Source::Written(_)
            | Source::WrittenUnseen(_)
            | Source::Other(_)
            | Source::Unrecorded => {}
        }
        let promised = case.promised()?;
        is_hit(promised).then(|| (rule(promised), Victim::Dropped(promised)))
    }
}

impl fmt::Display for Injected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rule {
            Some(rule) => write!(f, "rule \"{rule}\" hit ")?,
            None => f.write_str("a fault hit ")?,
        }
        match self.victim {
            Victim::Itself => f.write_str("this command")?,
            Victim::Writer(writer) => write!(f, "{writer}, which wrote what was found")?,
            Victim::LastWriter(writer) => {
                write!(f, "{writer}, which was to write the block last and did not leave it so")?;
            }
            Victim::Dropped(writer) => {
                write!(
                    f,
                    "{writer}, which was to write the block, was answered GOOD and left nothing"
                )?;
            }
        }
        if let Finding::Unknown(_) = &*self.besides {
            return Ok(());
        }
        write!(f, "; to the host it is {}: {}", self.besides.kind(), self.besides)
    }
}

#[cfg(test)]
mod tests {
    use crate::FindingKind::{Contention, Corruption, Injected, Retry};
    use crate::testing::{A, B, Tape, explain, lock, slot};

    #[test]
    fn a_rule_that_hit_the_command_itself() {
        let mut tape = Tape::new();
        tape.at(0).ats(&slot(A, 0), &slot(A, 3));
        tape.at(3_000).miscompare(&slot(A, 3), &slot(A, 6)).hit("spurious", 0);
        let words = "rule \"spurious\" hit this command".to_owned();
        assert_eq!(explain(tape), (Injected, words), "nothing was found, so nothing else is said");
    }

    #[test]
    fn a_rule_that_hit_the_writer_and_what_it_looked_like() {
        let mut tape = Tape::new();
        tape.at(0).ats(&slot(A, 0), &slot(A, 3)).hit("status lost", 8_000).abort();
        tape.at(9_000).found(&slot(A, 3)).miscompare(&slot(A, 0), &slot(A, 9));
        let (kind, words) = explain(tape);
        assert_eq!(kind, Injected);
        assert!(words.starts_with(
            "rule \"status lost\" hit #1 COMPARE AND WRITE 43520+1, which wrote what was found; \
             to the host it is retry of an applied ATS: #1 COMPARE AND WRITE 43520+1 expected the same"
        ), "{words}");
    }

    #[test]
    fn a_rule_that_kept_a_write_from_the_medium() {
        let mut tape = Tape::new();
        tape.at(0).ats(&slot(A, 0), &slot(A, 3));
        tape.at(3_000).ats(&slot(A, 3), &slot(A, 6));
        // As a fault's answer is recorded: the device server never heard of it.
        tape.but(|it| (it.blocks, it.started, it.ended) = (None, None, None));
        tape.but(|it| it.images.clear()).hit("lost", 0);
        tape.at(6_000).found(&slot(A, 3)).miscompare(&slot(A, 6), &slot(A, 9));
        let words = "rule \"lost\" hit #2 COMPARE AND WRITE 43520+1, which was to write the block, was \
                     answered GOOD and left nothing";
        assert_eq!(explain(tape), (Injected, words.to_owned()));
    }

    #[test]
    fn a_rule_that_tore_the_last_write() {
        let mut tape = Tape::new();
        tape.at(0).ats(&lock(4, None), &lock(5, Some(A))).hit("torn", 0);
        tape.at(10).found(&lock(5, None)).miscompare(&lock(5, Some(A)), &lock(6, None));
        let (kind, words) = explain(tape);
        assert_eq!(kind, Injected);
        assert!(words.contains("which was to write the block last"), "{words}");
        assert!(words.contains("it is corruption: no recorded command"), "{words}");
    }

    #[test]
    fn a_rule_whose_hit_is_overwritten_is_nameless() {
        let mut tape = Tape::new();
        tape.at(0).miscompare(&lock(4, None), &lock(5, Some(A))).but(|it| it.hit = Some(7));
        assert_eq!(explain(tape), (Injected, "a fault hit this command".to_owned()));
    }

    #[test]
    fn a_rule_that_hit_others_is_not_to_blame() {
        // An earlier writer, whose image was replaced in good order.
        let mut tape = Tape::new();
        tape.at(0).ats(&lock(4, None), &lock(5, Some(A))).hit("slow", 10);
        tape.at(10).ats(&lock(5, Some(A)), &lock(6, None));
        tape.at(20).ats(&lock(6, None), &lock(7, Some(B)));
        tape.at(25).found(&lock(7, Some(B))).miscompare(&lock(6, None), &lock(7, Some(A)));
        assert_eq!(explain(tape).0, Contention);
        // One whose rule belongs to another daemon's life.
        let mut tape = Tape::new();
        tape.at(0).ats(&slot(A, 0), &slot(A, 3)).hit("old", 0);
        tape.at(1).restart().at(3_000).ats(&slot(A, 3), &slot(A, 6));
        tape.at(6_000).found(&slot(A, 6)).miscompare(&slot(A, 3), &slot(A, 9));
        assert_eq!(explain(tape).0, Retry);
        // A write that was dropped before the block was written once more.
        let mut tape = Tape::new();
        tape.at(0).ats(&slot(A, 0), &slot(A, 3)).but(|it| it.started = None).hit("lost", 0);
        tape.at(3_000).ats(&slot(A, 0), &slot(A, 6));
        tape.at(6_000).found(&slot(A, 0)).miscompare(&slot(A, 6), &slot(A, 9));
        assert_eq!(explain(tape).0, Corruption);
    }
}
