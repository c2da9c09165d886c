//! What is known of third-party copies: those in progress, and for a while those that ended.
//!
//! A list identifier belongs to the I_T nexus that chose it (SPC-4), which TCMU hides. Hence two
//! copies with one identifier are no error here, a question is answered about the newest of them,
//! and what ended is forgotten soon: else a later initiator that happens to choose the same number,
//! one of 256 with LID1, would be told of a copy that is not its own.

use pulsefield_scsi::Status;
use pulsefield_scsi::parameter::{CopyState, CopyStatus};
use pulsefield_units::Instant;

use crate::limits;
use crate::outcome::Outcome;

/// Names a copy among [`Copies`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CopyId(u64);

#[derive(Debug)]
struct Record {
    id: CopyId,
    /// LIST IDENTIFIER, unless nothing may be asked about it.
    list_identifier: Option<u32>,
    status: CopyStatus,
    /// When it ended, and the SCSI status its command was answered with.
    ended: Option<(Instant, Status)>,
}

/// The copies of one logical unit, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    records: Vec<Record>,
    next: u64,
}

/// What is answered about a copy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CopyReport {
    pub(crate) status: CopyStatus,
    /// The SCSI status its command was answered with; GOOD until then.
    pub(crate) answered: Status,
}

impl Copies {
    /// Files a copy that begins; `None` if there are too many in progress.
    pub(crate) fn begin(&mut self, list_identifier: Option<u32>) -> Option<CopyId> {
        let in_progress = self.records.iter().filter(|record| record.ended.is_none()).count();
        if in_progress >= usize::from(limits::CONCURRENT_COPIES_MAX) {
            return None;
        }
        if self.records.len() >= limits::COPY_RECORDS_MAX {
            let oldest = self.records.iter().position(|record| record.ended.is_some());
            oldest.map(|at| self.records.remove(at));
        }
        let id = CopyId(self.next);
        self.next += 1;
        let state = CopyState::InProgress;
        let status = CopyStatus { state, segments_processed: 0, bytes_written: 0 };
        self.records.push(Record { id, list_identifier, status, ended: None });
        Some(id)
    }

    fn record(&mut self, id: CopyId) -> Option<&mut Record> {
        self.records.iter_mut().find(|record| record.id == id)
    }

    /// Notes that `bytes` more were written.
    pub(crate) fn wrote(&mut self, id: CopyId, bytes: u64) {
        if let Some(record) = self.record(id) {
            record.status.bytes_written = record.status.bytes_written.saturating_add(bytes);
        }
    }

    /// Notes that one more segment is done.
    pub(crate) fn finished_segment(&mut self, id: CopyId) {
        if let Some(record) = self.record(id) {
            record.status.segments_processed = record.status.segments_processed.saturating_add(1);
        }
    }

    /// Notes how a copy ended.
    pub(crate) fn end(&mut self, now: Instant, id: CopyId, outcome: &Outcome) {
        if let Some(record) = self.record(id) {
            record.ended = Some((now, outcome.status));
            record.status.state = if outcome.status == Status::Good {
                CopyState::Completed
            } else if outcome.status == Status::TaskAborted {
                CopyState::Aborted
            } else {
                CopyState::Failed(outcome.sense)
            };
        }
    }

    /// Forgets what ended too long ago.
    #[inline]
    pub(crate) fn forget_old(&mut self, now: Instant) {
        if self.records.is_empty() {
            return;
        }
        self.records.retain(|record| {
            record.ended.is_none_or(|(ended, _)| now.since(ended) < limits::COPY_RECORD_HELD)
        });
    }

    /// The newest copy with this list identifier.
    pub(crate) fn find(&self, list_identifier: u32) -> Option<CopyReport> {
        let matches = |record: &&Record| record.list_identifier == Some(list_identifier);
        let record = self.records.iter().rev().find(matches)?;
        let answered = record.ended.map_or(Status::Good, |(_, status)| status);
        Some(CopyReport { status: record.status, answered })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_held_for_a_while() {
        let mut copies = Copies::default();
        let copy = copies.begin(Some(7)).unwrap();
        let unnamed = copies.begin(None).unwrap();
        let start = Instant::from_nanos(1);
        copies.wrote(copy, 512);
        copies.finished_segment(copy);
        copies.end(start, copy, &Outcome::GOOD);
        copies.end(start, unnamed, &Outcome::GOOD);
        copies.forget_old(start);
        let report = copies.find(7).unwrap();
        assert_eq!(report.status.state, CopyState::Completed);
        assert_eq!((report.status.segments_processed, report.status.bytes_written), (1, 512));
        copies.forget_old(start.after(limits::COPY_RECORD_HELD));
        assert!(copies.find(7).is_none() && copies.records.is_empty());
    }

    #[test]
    fn there_are_never_more_than_the_limits_say() {
        let mut copies = Copies::default();
        let all: Vec<_> = std::iter::from_fn(|| copies.begin(Some(1))).collect();
        assert_eq!(all.len(), usize::from(limits::CONCURRENT_COPIES_MAX));
        for copy in all {
            copies.end(Instant::default(), copy, &Outcome::GOOD);
        }
        for _ in 0..2 * limits::COPY_RECORDS_MAX {
            let copy = copies.begin(Some(2)).unwrap();
            copies.end(Instant::default(), copy, &Outcome::GOOD);
        }
        assert_eq!(copies.records.len(), limits::COPY_RECORDS_MAX);
    }
}
