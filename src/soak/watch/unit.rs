//! A logical unit that is watched: its record in, what checkers and the report hear out.
//!
//! Of what was before the record, and of what a gap in it has swallowed, nothing is known; a command that was under
//! way then may have done its part at any time, so that it is taken for a write of something.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use pulsefield_checkers::{Begun, Ending, Event, HostId, Operation, OperationKind, UnitId};
use pulsefield_record::{self as record, Joiner, Origin, Record};
use pulsefield_units::{BlockCount, Instant, Lba, LbaRange};

use super::Telling;
use super::command::{Deed, Seen, Swap};
use super::pending::{Pending, Phase};
use super::volume::Volume;

/// A unit and what is known of it.
#[derive(Debug)]
pub(super) struct Unit {
    id: UnitId,
    name: String,
    joiner: Joiner,
    pending: Pending<Entry>,
    /// Blocks that a COMPARE AND WRITE has used: what else is written there concerns it.
    followed: BTreeSet<Lba>,
    volume: Volume,
    /// Where the heartbeats lie that are known not to be answered.
    unanswered: BTreeMap<u16, Lba>,
    /// The sequence number and the epoch of the last record.
    last: Option<(u64, u32)>,
    /// What began before has consequences that nobody knows.
    known_since: Instant,
    /// How much later than the record's own clock it is here: that begins anew with the machine.
    shift: Duration,
    latest: Instant,
    /// Counts what is put in order.
    number: u64,
    /// How many gaps were told.
    gaps_told: u64,
    sightings: Sightings,
}

/// What was seen besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sightings {
    /// How often the record has lost something.
    pub(super) gaps: u64,
    /// COMPARE AND WRITEs whose data the record does not have.
    pub(super) brief: u64,
    /// What rules of plans of faults have hit: first, last, how often.
    pub(super) hits: BTreeMap<String, (Instant, Instant, u64)>,
}

/// A command between its beginning and its end.
#[derive(Debug)]
struct Entry {
    seen: Seen,
    host: HostId,
    /// Whether it began when something unknown may have happened.
    is_blurred: bool,
    /// What checkers were told that has begun, when so many gaps had been told.
    told: Vec<(Begun, OperationKind)>,
    gaps_told: u64,
}

impl Unit {
    /// The unit of a record that is known from then on; `last` is the last record before.
    pub(super) fn new(
        id: UnitId,
        name: &str,
        known_since: Instant,
        last: Option<(u64, u32)>,
    ) -> Self {
        Self {
            id,
            name: name.to_owned(),
            joiner: Joiner::default(),
            pending: Pending::new(),
            followed: BTreeSet::new(),
            volume: Volume::new(id),
            unanswered: BTreeMap::new(),
            last,
            known_since,
            shift: Duration::ZERO,
            latest: Instant::default(),
            number: 0,
            gaps_told: 0,
            sightings: Sightings::default(),
        }
    }

    /// What was seen besides.
    pub(super) const fn sightings(&self) -> &Sightings {
        &self.sightings
    }

    /// When the latest that was recorded happened.
    pub(super) const fn latest(&self) -> Instant {
        self.latest
    }

    /// Takes the next record.
    pub(super) fn take(&mut self, record: &Record, to: &mut Telling<'_>) {
        self.look_for_gap(record, to);
        let at = record.at.after(self.shift);
        self.latest = self.latest.max(at);
        self.pending.see_time(at);
        let found = self.joiner.take(record);
        match &record.event {
            record::Event::Command(command) => {
                if let Origin::Initiator { command_id } = command.origin {
                    self.pending.is_answered(command_id);
                    self.unanswered.remove(&command_id);
                }
                if let Some(seen) = Seen::of(command, found.as_ref()) {
                    self.sightings.brief += u64::from(seen.is_brief(command));
                    self.see(seen, to);
                }
            }
            record::Event::Overdue(overdue) => {
                let arrived = overdue.arrived.after(self.shift);
                self.pending.wait_for(overdue.command_id, arrived);
                if let Some(blocks) = overdue.blocks {
                    self.unanswered.insert(overdue.command_id, blocks.start());
                }
                let waits = at.since(arrived).as_secs_f64();
                self.tell(at, format!("a heartbeat is not answered after {waits:.1} s"), to);
            }
            record::Event::FaultHit(hit) => {
                let hits = self.sightings.hits.entry(hit.rule.clone()).or_insert((at, at, 0));
                (hits.1, hits.2) = (at, hits.2 + 1);
            }
            record::Event::TaskManagement(function) => {
                let words = format!(
                    "{} of {} commands",
                    function_name(function.function),
                    function.commands
                );
                self.tell(at, words, to);
            }
            record::Event::Stop(_) => self.tell(at, "served no more", to),
            record::Event::Start(_) => self.tell(at, "served from here on", to),
            record::Event::Anchor(_)
            | record::Event::Found(_)
            | record::Event::TaskManagementOver(_)
            | record::Event::AttentionRaised(_) => {}
        }
    }

    /// Tells what nothing can come before any more; everything, if `is_over`.
    pub(super) fn settle(&mut self, is_over: bool, to: &mut Telling<'_>) {
        while let Some((at, phase, number)) = self.pending.next(is_over) {
            match phase {
                Phase::Gap => {
                    self.gaps_told += 1;
                    self.volume.forget();
                    to.teller.checked(Event::Gap { unit: self.id, at });
                }
                Phase::Begins => {
                    let Some(mut entry) = self.pending.take(number) else { continue };
                    self.begin(&mut entry, at, to);
                    self.pending.keep(number, entry);
                }
                Phase::Ends => {
                    let Some(entry) = self.pending.take(number) else { continue };
                    self.end(&entry, to);
                }
            }
        }
    }

    /// Nothing more will be told: it is `now`.
    pub(super) fn finish(&mut self, now: Instant, to: &mut Telling<'_>) {
        self.settle(true, to);
        for (command_id, asked) in self.pending.unanswered() {
            if let Some(lba) = self.unanswered.get(&command_id) {
                self.volume.tell_unanswered(*lba, [asked, now], to);
            }
        }
    }

    fn look_for_gap(&mut self, record: &Record, to: &mut Telling<'_>) {
        let Record { sequence, epoch, at, .. } = *record;
        let Some((last, last_epoch)) = self.last.replace((sequence, epoch)) else { return };
        let lost = sequence.wrapping_sub(last).wrapping_sub(1);
        if lost == 0 && epoch == last_epoch {
            return;
        }
        if epoch != last_epoch {
            // The machine may have been started again meanwhile.
            self.shift += self.latest.since(at.after(self.shift));
        }
        let at = at.after(self.shift);
        if lost > 0 {
            self.sightings.gaps += 1;
            self.tell(at, "the record has lost something before this", to);
        }
        self.known_since = at;
        self.number += 1;
        self.pending.gap(at, self.number);
        self.unanswered.clear();
    }

    fn tell(&self, at: Instant, what: impl AsRef<str>, to: &Telling<'_>) {
        to.teller.incident(at, None, format!("{}: {}", self.name, what.as_ref()));
    }

    fn see(&mut self, mut seen: Seen, to: &mut Telling<'_>) {
        seen.arrived = seen.arrived.after(self.shift);
        seen.answered = seen.answered.after(self.shift);
        let host = to.id(seen.author());
        let id = to.operation();
        let Seen { arrived, answered, blocks, ending, .. } = seen;
        to.teller.counted(Operation {
            id,
            host,
            unit: self.id,
            blocks,
            invoked: arrived,
            returned: Some(answered),
            kind: seen.kind.clone(),
            ending,
        });
        match &seen.deed {
            Deed::Nothing => return,
            Deed::Swap(_) => self.followed.extend(lbas(blocks)),
            Deed::Write { .. } | Deed::Elsewhere(_) => {}
        }
        let begins = arrived.max(self.known_since);
        let is_blurred = arrived < self.known_since;
        let entry = Entry { seen, host, is_blurred, told: Vec::new(), gaps_told: 0 };
        self.number += 1;
        self.pending.put(self.number, [begins, answered.max(begins)], entry);
    }

    fn begin(&self, entry: &mut Entry, at: Instant, to: &mut Telling<'_>) {
        let Entry { seen, host, is_blurred, .. } = entry;
        let mut told = Vec::new();
        let mut begin = |blocks, kind| {
            let begun = Begun { id: to.operation(), host: *host, unit: self.id, at, blocks };
            to.teller.checked(Event::Begun(begun));
            told.push((begun, kind));
        };
        match &seen.deed {
            Deed::Swap(Swap { test, set, found }) if !*is_blurred => {
                let (test, set) = (test.clone(), set.clone());
                begin(seen.blocks, OperationKind::CompareAndWrite { test, set });
                if let (Ending::Miscompared(_), Some(found)) = (seen.ending, found) {
                    begin(seen.blocks, OperationKind::Read { data: found.clone() });
                }
            }
            Deed::Swap(_) | Deed::Write { .. } | Deed::Elsewhere(_) => {
                for lba in self.concerned(seen) {
                    let data = match *is_blurred {
                        true => Arc::default(),
                        false => seen.deed.leaves(seen.blocks, lba),
                    };
                    if let Some(block) = LbaRange::new(lba, BlockCount::new(1)) {
                        begin(block, OperationKind::Write { data });
                    }
                }
            }
            Deed::Nothing => {}
        }
        (entry.told, entry.gaps_told) = (told, self.gaps_told);
    }

    /// The blocks that are followed and that a command may have written.
    fn concerned(&self, seen: &Seen) -> Vec<Lba> {
        if !matches!(seen.ending, Ending::Done | Ending::Maybe) {
            return Vec::new();
        }
        match &seen.deed {
            Deed::Elsewhere(command) => {
                self.followed.iter().copied().filter(|lba| command.may_have_changed(*lba)).collect()
            }
            Deed::Swap(_) | Deed::Write { .. } => {
                self.followed.range(seen.blocks.start()..seen.blocks.end()).copied().collect()
            }
            Deed::Nothing => Vec::new(),
        }
    }

    fn end(&mut self, entry: &Entry, to: &mut Telling<'_>) {
        let Entry { seen, host, told, gaps_told, .. } = entry;
        let mut written = Vec::new();
        for (begun, kind) in told {
            let is_write = matches!(kind, OperationKind::Write { .. });
            let is_swap = matches!(kind, OperationKind::CompareAndWrite { .. });
            if let OperationKind::Write { data } = kind {
                written.push((begun.blocks.start(), data.clone()));
            }
            // What has begun before a gap is told no more.
            if *gaps_told == self.gaps_told {
                to.teller.checked(Event::Operation(Operation {
                    id: begun.id,
                    host: *host,
                    unit: self.id,
                    blocks: begun.blocks,
                    invoked: begun.at,
                    returned: Some(seen.answered.max(begun.at)),
                    kind: kind.clone(),
                    ending: if is_write || is_swap { seen.ending } else { Ending::Done },
                }));
            }
        }
        self.volume.hear(seen, *host, &written, to);
    }
}

fn lbas(blocks: LbaRange) -> impl Iterator<Item = Lba> {
    (blocks.start().as_u64()..blocks.end().as_u64()).map(Lba::new)
}

/// T10's name of a task management function: `TCMU_TMR_…` of `linux/target_core_user.h`.
const fn function_name(function: u8) -> &'static str {
    match function {
        1 => "ABORT TASK",
        2 => "ABORT TASK SET",
        3 => "CLEAR ACA",
        4 => "CLEAR TASK SET",
        5 | 128 => "LOGICAL UNIT RESET",
        6 | 7 => "TARGET RESET",
        _ => "an unknown task management function",
    }
}
