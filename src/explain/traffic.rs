//! The record, arranged for questions: which commands wrote a block, which abort named one, which rule hit
//! one, and whether anything is missing between two records.

use std::collections::{BTreeMap, HashMap};

use pulsefield_record::{Event, FaultHit, Joiner, Origin, Overdue, Record, TaskManagement};
use pulsefield_scsi::SenseKey;
use pulsefield_units::{BlockCount, Instant, Lba, LbaRange};

use crate::case::Compared;
use crate::told::Told;

/// What went through a unit.
pub(crate) struct Traffic<'r> {
    /// In order of their sequence numbers.
    records: &'r [Record],
    commands: Vec<Told<'r>>,
    hits: HashMap<(u32, u64), &'r FaultHit>,
    functions: Vec<(&'r Record, &'r TaskManagement)>,
    overdue: Vec<(&'r Record, &'r Overdue)>,
}

/// Why it is not known what happened between two records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gap {
    /// The unit ended and began again: what was in flight is not recorded.
    Restart,
    /// So many records are overwritten or damaged.
    Lost(u64),
}

impl<'r> Traffic<'r> {
    /// Arranges `records`, oldest first; also says what each command that miscompared has compared, in
    /// their order.
    pub(crate) fn of(records: &'r [Record]) -> (Self, Vec<Compared<'r>>) {
        let mut traffic = Self {
            records,
            commands: Vec::new(),
            hits: HashMap::new(),
            functions: Vec::new(),
            overdue: Vec::new(),
        };
        let mut joiner = Joiner::default();
        let mut compared = Vec::new();
        for record in records {
            let found = joiner.take(record);
            match &record.event {
                Event::Command(command) => {
                    let told = Told { record, command };
                    traffic.commands.push(told);
                    let sense = command.sense.map(|sense| sense.key);
                    if told.is_ats() && sense == Some(SenseKey::Miscompare.as_u8()) {
                        compared.extend(Compared::of(told, found));
                    }
                }
                Event::FaultHit(hit) => {
                    traffic.hits.insert((record.epoch, hit.number), hit);
                }
                Event::TaskManagement(function) => traffic.functions.push((record, function)),
                Event::Overdue(overdue) => traffic.overdue.push((record, overdue)),
                Event::Start(_)
                | Event::Stop(_)
                | Event::Anchor(_)
                | Event::Found(_)
                | Event::TaskManagementOver(_)
                | Event::AttentionRaised(_) => {}
            }
        }
        (traffic, compared)
    }

    /// All commands, in the order in which they were answered.
    pub(crate) fn commands(&self) -> &[Told<'r>] {
        &self.commands
    }

    /// The heartbeats that were told of as overdue, in that order.
    pub(crate) fn overdue(&self) -> &[(&'r Record, &'r Overdue)] {
        &self.overdue
    }

    /// The hit of a rule that befell `told`, if its record is still there.
    pub(crate) fn hit(&self, told: Told<'r>) -> Option<&'r FaultHit> {
        self.hits.get(&(told.record.epoch, told.command.hit?)).copied()
    }

    /// When the abort of `told` was asked for: while it was in flight, or later, by its number, before
    /// `until`.
    pub(crate) fn abort(&self, told: Told<'r>, until: Instant) -> Option<(Instant, Option<u8>)> {
        let Origin::Initiator { command_id } = told.command.origin else { return None };
        let named = self.functions.iter().find(|(record, function)| {
            record.epoch == told.record.epoch
                && (told.command.arrived..=until).contains(&record.at)
                && function.command_ids.contains(&command_id)
                && !self.has_new_owner(told, record.at)
        });
        let noted = told.command.aborted.map(|at| (at, None));
        named.map(|(record, function)| (record.at, Some(function.function))).or(noted)
    }

    /// Whether another command had the id of `told` at the moment `at`: ids are given again at once.
    fn has_new_owner(&self, told: Told<'r>, at: Instant) -> bool {
        let since = |other: &&Told<'_>| {
            other.record.epoch == told.record.epoch && other.command.origin == told.command.origin
        };
        let mut others = self.commands.iter().filter(since);
        others.any(|other| {
            told.command.answered < other.command.arrived && other.command.arrived <= at
        })
    }

    /// What is missing of the record between `from` and `to`.
    pub(crate) fn gap(&self, from: &Record, to: &Record) -> Option<Gap> {
        if from.epoch != to.epoch {
            return Some(Gap::Restart);
        }
        let place = |record: &Record| {
            self.records.partition_point(|other| other.sequence < record.sequence) as u64
        };
        let there = place(to).saturating_sub(place(from));
        let lost = to.sequence.saturating_sub(from.sequence).saturating_sub(there);
        (lost > 0).then_some(Gap::Lost(lost))
    }

    /// When the first ATS of the record was answered in this epoch: from then on pulses are recorded.
    pub(crate) fn first_ats(&self, epoch: u32) -> Option<Instant> {
        let of_epoch = |told: &&Told<'_>| told.record.epoch == epoch && told.is_ats();
        self.commands.iter().find(of_epoch).map(|told| told.record.at)
    }

    /// For each of these blocks the commands that may have changed it, in the order in which they did.
    pub(crate) fn writers(&self, blocks: &[Lba]) -> BTreeMap<Lba, Vec<Told<'r>>> {
        let mut writers: BTreeMap<Lba, Vec<Told<'r>>> =
            blocks.iter().map(|lba| (*lba, Vec::new())).collect();
        for told in &self.commands {
            let Some(range) = told.command.blocks else {
                // UNMAP, and what changes all of the medium.
                let changes = |lba: &Lba| told.command.may_have_changed(*lba);
                let changed = writers.iter_mut().filter(|(lba, _)| changes(lba));
                changed.for_each(|(_, writers)| writers.push(*told));
                continue;
            };
            for (lba, writers) in writers.range_mut(range.start()..range.end()) {
                if told.command.may_have_changed(*lba) {
                    writers.push(*told);
                }
            }
        }
        for writers in writers.values_mut() {
            writers.sort_by_key(|told| (told.record.epoch, told.applied(), told.record.sequence));
        }
        writers
    }

    /// The command that was in service for longest between these times, on the same blocks, besides `told`
    /// itself: the one that `told` waited for.
    pub(crate) fn in_the_way(
        &self,
        told: Told<'r>,
        from: Instant,
        to: Instant,
    ) -> Option<Told<'r>> {
        let blocks = told.command.blocks?;
        let overlap = |other: &Told<'r>| {
            let started = other.command.started?.max(from);
            let ended = other.applied().min(to);
            let is_other = other.record.epoch == told.record.epoch && *other != told;
            let shares = other.command.blocks.is_some_and(|theirs| theirs.overlaps(blocks));
            (is_other && shares && ended > started).then(|| ended.since(started))
        };
        let overlaps = self.commands.iter().filter_map(|other| Some((overlap(other)?, *other)));
        overlaps.max_by_key(|(time, _)| *time).map(|(_, other)| other)
    }
}

/// The one block at `lba`, for asking ranges about it.
pub(crate) fn only(lba: Lba) -> Option<LbaRange> {
    LbaRange::new(lba, BlockCount::new(1))
}
