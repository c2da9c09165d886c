//! Heartbeats that were too late and were never answered, as far as is recorded.

use std::collections::HashSet;
use std::fmt;

use pulsefield_record::{Origin, Overdue, Record};
use pulsefield_units::{Instant, LbaRange, Span};
use pulsefield_vmfs::{HostUuid, Object, ObjectName};

use crate::told::{Told, named_by, write_command};
use crate::traffic::Traffic;

/// A heartbeat of which it is recorded that it was too late, and not that it was answered: the record ends
/// before, or the daemon did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unanswered<'r> {
    /// The record that tells of it.
    pub record: &'r Record,
    /// What that says.
    pub overdue: &'r Overdue,
    /// What its block was to VMFS before; `None` if nothing that is recorded says so.
    pub object: Option<ObjectName>,
    /// Whose that was.
    pub host: Option<HostUuid>,
}

impl<'r> Unanswered<'r> {
    /// Those of the record from sequence number `from` on, in the order in which they came to be too late.
    pub(crate) fn all(traffic: &Traffic<'r>, from: u64) -> Vec<Self> {
        let overdue = traffic.overdue();
        if overdue.is_empty() {
            return Vec::new();
        }
        let name = |told: &Told<'_>| match told.command.origin {
            Origin::Initiator { command_id } => {
                Some((told.record.epoch, command_id, told.command.arrived))
            }
            Origin::Copy | Origin::Fault => None,
        };
        let answered: HashSet<(u32, u16, Instant)> =
            traffic.commands().iter().filter_map(name).collect();
        let is_told = |(record, overdue): &&(&Record, &Overdue)| {
            let name = (record.epoch, overdue.command_id, overdue.arrived);
            record.sequence >= from && !answered.contains(&name)
        };
        overdue
            .iter()
            .filter(is_told)
            .map(|(record, overdue)| Self::of(traffic, record, overdue))
            .collect()
    }

    fn of(traffic: &Traffic<'r>, record: &'r Record, overdue: &'r Overdue) -> Self {
        let blocks = overdue.blocks.or_else(|| named_by(&overdue.cdb));
        let there = blocks.and_then(|blocks| last_object(traffic, record, blocks));
        Self {
            record,
            overdue,
            object: there.as_ref().map(Object::name),
            host: there.as_ref().and_then(Object::owner),
        }
    }
}

/// What the last command before `record` left in the first of `blocks`, if that is an object of VMFS.
fn last_object(traffic: &Traffic<'_>, record: &Record, blocks: LbaRange) -> Option<Object> {
    let before =
        traffic.commands().iter().rev().filter(|told| told.record.sequence < record.sequence);
    before.filter(|told| told.is_good() && told.command.blocks == Some(blocks)).find_map(|told| {
        let image = told.command.image(pulsefield_record::ImageRole::Written)?;
        Object::decode(&image.bytes)
    })
}

impl fmt::Display for Unanswered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { record, overdue, .. } = self;
        let Overdue { command_id, cdb, arrived, stage, blocks } = overdue;
        write!(f, "#{command_id} ")?;
        write_command(cdb, blocks.or_else(|| named_by(cdb)), f)?;
        write!(f, " was not answered after {}", Span(record.at.since(*arrived)))?;
        match stage {
            Some((stage, since)) => {
                let time = Span(record.at.since(*since));
                write!(f, ", when it had waited for {} for {time}", stage.name())
            }
            None => f.write_str(", when a fault held it"),
        }?;
        f.write_str("; no answer is recorded")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pulsefield_engine::Stage;

    use super::*;
    use crate::testing::{A, Tape, slot};
    use crate::{Account, Deadlines};

    fn told(tape: Tape) -> Vec<(Option<HostUuid>, String)> {
        let records = tape.records();
        let account = Account::of(&records, 0, Deadlines::default());
        account.unanswered.iter().map(|it| (it.host, it.to_string())).collect()
    }

    #[test]
    fn a_heartbeat_that_the_record_leaves_open() {
        let mut tape = Tape::new();
        tape.at(0).ats(&slot(A, 0), &slot(A, 3));
        tape.at(11_000).overdue(Duration::from_secs(8), Some(Stage::Medium));
        let words = "#2 COMPARE AND WRITE 43520+1 was not answered after 8.00 s, when it had waited for the \
                     medium for 8.00 s; no answer is recorded";
        assert_eq!(told(tape), [(Some(A), words.to_owned())]);
    }

    #[test]
    fn one_that_a_fault_holds() {
        let mut tape = Tape::new();
        tape.at(11_000).overdue(Duration::from_secs(8), None);
        let words = "#1 COMPARE AND WRITE 43520+1 was not answered after 8.00 s, when a fault held it; no \
                     answer is recorded";
        assert_eq!(told(tape), [(None, words.to_owned())]);
    }

    #[test]
    fn one_that_was_answered_after_all_is_a_late_one() {
        let mut tape = Tape::new();
        tape.at(11_000).overdue(Duration::from_secs(8), Some(Stage::Medium));
        let arrived = Instant::from_nanos(4_000_000_000);
        tape.at(12_000).ats(&slot(A, 0), &slot(A, 3)).but(|command| command.arrived = arrived);
        let records = tape.records();
        let account = Account::of(&records, 0, Deadlines::default());
        assert_eq!((account.unanswered.len(), account.late.len()), (0, 1));
    }
}
