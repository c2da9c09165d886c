//! All that is to be said of a record.

use std::ops::Range;

use pulsefield_record::Record;
use pulsefield_units::Lba;
use pulsefield_vmfs::{Difference, HostUuid, Object, ObjectName};

use crate::case::Compared;
use crate::finding::Finding;
use crate::late::{Deadlines, LateHeartbeat};
use crate::summary::Summary;
use crate::told::Told;
use crate::traffic::Traffic;
use crate::unanswered::Unanswered;

/// What the record of one logical unit tells.
#[derive(Clone, Debug)]
pub struct Account<'r> {
    /// Each MISCOMPARE, in the order in which they were answered.
    pub miscompares: Vec<Miscompare<'r>>,
    /// Each late heartbeat, in the same order.
    pub late: Vec<LateHeartbeat<'r>>,
    /// The heartbeats that were too late and of which no answer is recorded.
    pub unanswered: Vec<Unanswered<'r>>,
    /// All of it in brief.
    pub summary: Summary<'r>,
}

/// A COMPARE AND WRITE that found something else than it expected, and why.
#[derive(Clone, Debug)]
pub struct Miscompare<'r> {
    /// Why.
    pub finding: Finding<'r>,
    compared: Compared<'r>,
}

impl<'r> Account<'r> {
    /// Explains `records`: all that there are of one unit, oldest first. What is before the record at
    /// `first` is evidence, but nothing is said about it.
    pub fn of(records: &'r [Record], first: usize, deadlines: Deadlines) -> Self {
        let from = sequence_at(records, first);
        let is_told = |told: Told<'_>| told.record.sequence >= from;
        let (traffic, compared) = Traffic::of(records);
        let miscompares = Miscompare::of(&traffic, compared, from..u64::MAX);
        let late = |told: Told<'r>| LateHeartbeat::of(&traffic, told, deadlines);
        let told = || traffic.commands().iter().filter(|told| is_told(**told)).copied();
        let late = told().filter_map(late).collect();
        let kinds = miscompares.iter().map(|miscompare| miscompare.finding.kind());
        let summary = Summary::of(records.get(first..).unwrap_or_default(), told(), kinds);
        let unanswered = Unanswered::all(&traffic, from);
        Self { miscompares, late, unanswered, summary }
    }
}

impl<'r> Miscompare<'r> {
    /// Explains only the MISCOMPAREs, and only those among the records at `told`. All `records` are evidence,
    /// before and after them.
    pub fn all(records: &'r [Record], told: Range<usize>) -> Vec<Self> {
        let (traffic, compared) = Traffic::of(records);
        let told = sequence_at(records, told.start)..sequence_at(records, told.end);
        Self::of(&traffic, compared, told)
    }

    /// Those whose sequence numbers are `told`.
    fn of(traffic: &Traffic<'r>, mut compared: Vec<Compared<'r>>, told: Range<u64>) -> Vec<Self> {
        compared.retain(|compared| told.contains(&compared.told.record.sequence));
        let blocks: Vec<Lba> = compared.iter().map(|compared| compared.lba).collect();
        let writers = traffic.writers(&blocks);
        let explain = |compared: Compared<'r>| {
            let writers = writers.get(&compared.lba).map_or(&[][..], Vec::as_slice);
            Self { finding: Finding::of(traffic, &compared, writers), compared }
        };
        compared.into_iter().map(explain).collect()
    }

    /// The command.
    pub const fn told(&self) -> Told<'r> {
        self.compared.told
    }

    /// The block in which the first difference is.
    pub const fn lba(&self) -> Lba {
        self.compared.lba
    }

    /// What that block is to VMFS; `None` if it is none of its metadata, or not recorded.
    pub fn object(&self) -> Option<ObjectName> {
        self.compared.object()
    }

    /// The host that sent it, if what it brought names one.
    pub fn host(&self) -> Option<HostUuid> {
        let images = [self.compared.wanted, self.compared.expected];
        images.into_iter().flatten().filter_map(Object::decode).find_map(|object| object.owner())
    }

    /// What it expected of the block, if that is recorded.
    pub const fn expected(&self) -> Option<&'r [u8]> {
        self.compared.expected
    }

    /// What it found there, if that is recorded.
    pub fn found(&self) -> Option<&[u8]> {
        self.compared.found.as_deref()
    }

    /// What it wanted to write there, if that is recorded.
    pub const fn wanted(&self) -> Option<&'r [u8]> {
        self.compared.wanted
    }

    /// What had happened to the block: from what it expected to what it found.
    pub fn difference(&self) -> Option<Difference> {
        Some(Difference::between(self.expected()?, self.found()?))
    }
}

/// The sequence number of the record at `place`; beyond the last there is none so great.
fn sequence_at(records: &[Record], place: usize) -> u64 {
    records.get(place).map_or(u64::MAX, |record| record.sequence)
}
