//! What is kept of a record while it is followed: as much as it takes to explain what is new.
//!
//! ```text
//!        40 s of evidence          │ told of next, 20 s │ held back for 10 s │
//!   ───────────────────────────────┴────────────────────┴────────────────────┴─► records
//! ```
//!
//! A command is explained by those before it, and by some that are recorded after it: one that was applied and is
//! not answered is recorded when its host gives it up. All that decides here is in the records themselves, so the
//! same records are explained in the same way however they come in.

use std::time::Duration;

use pulsefield_explain::Miscompare;
use pulsefield_record::Record;
use pulsefield_units::Instant;

use super::Explanation;

/// For how long a MISCOMPARE waits for its explanation: a host gives a command up after 8 s, and then it takes a
/// moment until that is through.
const HOLD: Duration = Duration::from_secs(10);

/// How much is explained at a time. To explain a second costs all that is kept, so the more the cheaper.
const SPAN: Duration = Duration::from_secs(20);

/// How far evidence reaches back: over two leases of 16 s, and some.
const EVIDENCE: Duration = Duration::from_secs(40);

/// The most records that are kept; of more in all that time less is evidence, and less is held back. Without data a
/// record takes about 300 bytes, that of an ATS 1.5 KiB: 200 MiB at worst, and a third of that as a rule.
pub(crate) const RECORDS_MAX: usize = 1 << 17;

/// What was explained.
#[derive(Debug)]
pub(crate) struct Explained {
    /// In the order in which they were answered.
    pub(crate) explanations: Vec<Explanation>,
    /// All that were answered before this are explained by now, as far as they are recorded.
    pub(crate) until: Instant,
}

/// The records that are kept.
#[derive(Debug, Default)]
pub(crate) struct Window {
    records: Vec<Record>,
    /// How many of them are told of, and evidence now.
    told: usize,
}

impl Window {
    /// Takes the next record. Now and then there is something to tell.
    pub(crate) fn take(&mut self, record: Record) -> Option<Explained> {
        let now = record.at;
        self.records.push(record);
        let is_full = self.records.len() >= RECORDS_MAX;
        if !is_full && now.since(self.records[self.told].at) < HOLD + SPAN {
            return None;
        }
        let is_held = |record: &Record| now.since(record.at) < HOLD;
        let next = &self.records[self.told..];
        let mut count = next.iter().position(is_held).unwrap_or(next.len());
        if is_full {
            count = count.max(next.len().div_ceil(2));
        }
        let explained = self.tell(self.told + count);
        self.forget(is_full);
        Some(explained)
    }

    /// Tells of all that is left: nothing comes any more.
    pub(crate) fn rest(&mut self) -> Explained {
        let Explained { explanations, .. } = self.tell(self.records.len());
        Explained { explanations, until: Instant::from_nanos(u64::MAX) }
    }

    /// The time of the last record.
    pub(crate) fn newest(&self) -> Instant {
        self.records.last().map(|record| record.at).unwrap_or_default()
    }

    /// Explains what comes before the record at `end` and is not told of.
    fn tell(&mut self, end: usize) -> Explained {
        let miscompares = Miscompare::all(&self.records, self.told..end);
        self.told = end;
        let until = self.records.get(end).map_or(self.newest(), |record| record.at);
        Explained { explanations: miscompares.iter().map(Explanation::of).collect(), until }
    }

    /// Forgets what is too old to be evidence.
    fn forget(&mut self, is_full: bool) {
        let (evidence, next) = self.records.split_at(self.told);
        let from = next.first().or(evidence.last()).map(|record| record.at).unwrap_or_default();
        let is_evidence = |record: &Record| from.since(record.at) < EVIDENCE;
        let mut gone = evidence.iter().position(is_evidence).unwrap_or(evidence.len());
        if is_full {
            gone = gone.max(self.records.len() - RECORDS_MAX / 2).min(self.told);
        }
        self.records.drain(..gone);
        self.told -= gone;
    }
}

#[cfg(test)]
mod tests;
