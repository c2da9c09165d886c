//! [`Promise::Information`]: a miscompare tells the offset of the first byte that differs.
//!
//! The offset must be right for something that the block may have held while the COMPARE AND WRITE was in
//! flight. Who wrote that may be told to have ended later than the miscompare, so one that nothing explains
//! waits for what was in flight with it. Not judged are: the offset, but that it lies in the block, as long as
//! what the block may hold is not known, before its first compare-and-write and after copies; one of several
//! blocks; and one for which the block can only have held what was expected, which
//! [`Promise::Linearizable`] tells as spurious.
//!
//! Memory: what each of the first [`BLOCKS_FOLLOWED`] blocks holds that were compared and written, and up to
//! [`VERSIONS_MAX`] values for those with something in flight; what is in flight; [`WAITING_MAX`] miscompares.
//!
//! Spec: SBC-4, COMPARE AND WRITE command; SPC-4, INFORMATION field.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use pulsefield_units::Instant;

use crate::digest::{Place, QuickHasher, contents};
use crate::ledger::Ledger;
use crate::words::{Moment, Named};
use crate::{
    Begun, Breach, Checker, Ending, Figure, HostId, Operation, OperationId, OperationKind, Promise,
    UnitId, Verdict,
};

/// So many blocks that were compared and written are followed; of others only the presence of an offset counts.
const BLOCKS_FOLLOWED: usize = 1 << 16;

/// So many values a block may have to be followed; with more, it may hold anything.
const VERSIONS_MAX: usize = 64;

/// With more values than this, those are looked for that nothing in flight can see any more.
const VERSIONS_FEW: usize = 4;

/// So many miscompares may wait for what was in flight with them; others are not judged.
const WAITING_MAX: usize = 1 << 12;

/// Whether miscompares tell where.
#[derive(Debug)]
pub struct InformationOffset {
    ledger: Ledger,
    /// How many beginnings and ends were told.
    told: Nth,
    /// What is in flight, and which event its beginning was.
    in_flight: HashMap<OperationId, (Begun, Nth), BuildHasherDefault<QuickHasher>>,
    blocks: BTreeMap<Place, Vec<Version>>,
    waiting: Vec<Waiting>,
    unjudged: u64,
}

/// Which beginning or end: their order counts, not their times, of which two may be the same.
type Nth = u64;

/// What a block may hold.
#[derive(Clone, Debug)]
struct Version {
    /// `None` is anything.
    bytes: Option<Arc<[u8]>>,
    /// It cannot have been there before this event.
    from: Nth,
    /// When it was written, if it was at all; `None` if that may still happen.
    written: Option<Nth>,
    /// It cannot have been there after this, if it was replaced.
    until: Option<Nth>,
}

/// A miscompare that nothing told so far explains.
#[derive(Debug)]
struct Waiting {
    miscompare: Miscompare,
    /// What was in flight to the block when it ended.
    awaited: Vec<OperationId>,
}

#[derive(Debug)]
struct Miscompare {
    place: Place,
    host: HostId,
    /// When it began and ended, by the clock and by the events.
    times: [Instant; 2],
    events: [Nth; 2],
    test: Arc<[u8]>,
    offset: u64,
}

impl Default for InformationOffset {
    fn default() -> Self {
        Self {
            ledger: Ledger::new(Promise::Information),
            told: 0,
            in_flight: HashMap::default(),
            blocks: BTreeMap::new(),
            waiting: Vec::new(),
            unjudged: 0,
        }
    }
}

impl Checker for InformationOffset {
    fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    fn begun(&mut self, begun: &Begun) {
        self.told += 1;
        self.in_flight.insert(begun.id, (*begun, self.told));
    }

    fn ended(&mut self, operation: &Operation) {
        self.told += 1;
        let Some((_, began)) = self.in_flight.remove(&operation.id) else { return };
        match operation.ending {
            Ending::Done | Ending::Maybe => self.write(operation, began),
            Ending::Miscompared(offset) => self.miscompare(operation, began, offset),
            Ending::Refused => {}
        }
        if !self.waiting.is_empty() {
            self.stop_waiting_for(operation.id);
        }
    }

    fn missed(&mut self, unit: UnitId) {
        self.in_flight.retain(|_, (begun, _)| begun.unit != unit);
        self.blocks.retain(|place, _| place.unit != unit);
        let waiting = self.waiting.len();
        self.waiting.retain(|waiting| waiting.miscompare.place.unit != unit);
        self.unjudged += (waiting - self.waiting.len()) as u64;
    }

    fn finish(self: Box<Self>, _at: Instant) -> Verdict {
        let unjudged = self.unjudged + self.waiting.len() as u64;
        self.ledger.verdict(vec![Figure { name: "miscompares_unjudged", value: unjudged }])
    }
}

impl InformationOffset {
    /// Keeps what an operation wrote, or may have written, to blocks that are followed.
    fn write(&mut self, operation: &Operation, began: Nth) {
        let Operation { unit, blocks, .. } = operation;
        let (data, is_zero) = match &operation.kind {
            OperationKind::Read { .. } => return,
            OperationKind::CompareAndWrite { set, .. } => {
                if blocks.blocks().as_u64() == 1 {
                    self.follow(operation);
                }
                (Some(set), false)
            }
            OperationKind::Write { data } => (Some(data), false),
            OperationKind::Zero => (None, true),
            OperationKind::Copy { .. } => (None, false),
        };
        let one = blocks.blocks().as_u64() == 1;
        let [first, end] = [blocks.start(), blocks.end()].map(|lba| Place { unit: *unit, lba });
        for (place, versions) in self.blocks.range_mut(first..end) {
            let bytes = match data {
                Some(data) if one => Some(Arc::clone(data)).filter(|data| !data.is_empty()),
                Some(data) => {
                    let block = contents(*unit, *blocks, data).find(|(at, _)| at == place);
                    block.and_then(|(_, block)| block).map(Arc::from)
                }
                None if is_zero => length(versions).map(|length| Arc::from(vec![0; length])),
                None => None,
            };
            keep(versions, operation, [began, self.told], bytes);
            if versions.len() > VERSIONS_FEW {
                let to_block = self.in_flight.values().filter(|(begun, _)| begun.is_to(*place));
                forget(versions, to_block.map(|(_, began)| *began).min());
            }
        }
    }

    /// From now on it is known what is written to the block of a compare-and-write; what was in flight to it
    /// before may have left anything there.
    fn follow(&mut self, operation: &Operation) {
        let place = Place { unit: operation.unit, lba: operation.blocks.start() };
        if self.blocks.len() < BLOCKS_FOLLOWED {
            self.blocks.entry(place).or_insert_with(|| {
                let written = Some(self.told);
                vec![Version { bytes: None, from: 0, written, until: None }]
            });
        }
    }

    fn miscompare(&mut self, operation: &Operation, began: Nth, offset: Option<u64>) {
        let OperationKind::CompareAndWrite { test, .. } = &operation.kind else { return };
        self.ledger.count();
        let miscompare = Miscompare {
            place: Place { unit: operation.unit, lba: operation.blocks.start() },
            host: operation.host,
            times: [operation.invoked, operation.returned.unwrap_or(operation.invoked)],
            events: [began, self.told],
            test: Arc::clone(test),
            offset: offset.unwrap_or(u64::MAX),
        };
        if offset.is_none_or(|offset| offset >= test.len() as u64) {
            let told = offset.map_or_else(
                || "without INFORMATION".to_owned(),
                |offset| {
                    format!("with INFORMATION {offset}, which lies beyond {} bytes", test.len())
                },
            );
            self.ledger.breach(|| miscompare.breach(&told));
            return;
        }
        if operation.blocks.blocks().as_u64() > 1 {
            self.unjudged += 1;
            return;
        }
        if self.explains(&miscompare) != Explained::No {
            return;
        }
        let to_block = self.in_flight.values().filter(|(begun, _)| begun.is_to(miscompare.place));
        let awaited: Vec<_> = to_block.map(|(begun, _)| begun.id).collect();
        if awaited.is_empty() {
            self.judge(&miscompare);
        } else if self.waiting.len() < WAITING_MAX {
            self.waiting.push(Waiting { miscompare, awaited });
        } else {
            self.unjudged += 1;
        }
    }

    fn stop_waiting_for(&mut self, id: OperationId) {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain_mut(|Waiting { miscompare, awaited }| {
            let Some(nth) = awaited.iter().position(|awaited| *awaited == id) else { return true };
            awaited.swap_remove(nth);
            if self.explains(miscompare) != Explained::No {
                return false;
            }
            if awaited.is_empty() {
                self.judge(miscompare);
            }
            !awaited.is_empty()
        });
        self.waiting = waiting;
    }

    /// Whether something that the block may have held has its first difference there.
    fn explains(&self, miscompare: &Miscompare) -> Explained {
        let Some(versions) = self.blocks.get(&miscompare.place) else { return Explained::Perhaps };
        let held = versions.iter().filter(|version| version.is_between(miscompare));
        let mut explained = Explained::Spurious;
        for version in held {
            let Some(bytes) = &version.bytes else { return Explained::Perhaps };
            match first_difference(&miscompare.test, bytes) {
                Some(offset) if offset == miscompare.offset => return Explained::Perhaps,
                Some(_) => explained = Explained::No,
                None => {}
            }
        }
        explained
    }

    /// Nothing explains it, and nothing will.
    fn judge(&mut self, miscompare: &Miscompare) {
        let versions = self.blocks.get(&miscompare.place).into_iter().flatten();
        let held = versions.filter(|version| version.is_between(miscompare));
        let right =
            held.filter_map(|version| first_difference(&miscompare.test, version.bytes.as_ref()?));
        let mut right: Vec<_> = right.map(|offset| offset.to_string()).collect();
        right.dedup();
        let told = format!(
            "with INFORMATION {}, but the first byte that differed was {}",
            miscompare.offset,
            right.join(" or ")
        );
        self.ledger.breach(|| miscompare.breach(&told));
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Explained {
    /// Something that may have been there differs first at this offset; or anything may have been there.
    Perhaps,
    /// Nothing that may have been there differs at all.
    Spurious,
    /// Something differs, but elsewhere.
    No,
}

impl Version {
    /// Whether it may have been there at some moment of the miscompare.
    fn is_between(&self, miscompare: &Miscompare) -> bool {
        let [began, ended] = miscompare.events;
        self.from <= ended && self.until.is_none_or(|until| until >= began)
    }
}

impl Miscompare {
    fn breach(&self, told: &str) -> Breach {
        let Self { place, host, times: [invoked, returned], .. } = self;
        let what = format!(
            "COMPARE AND WRITE of {place} by {}, {} to {}, miscompared {told}",
            Named(*host),
            Moment(*invoked),
            Moment(*returned)
        );
        Breach { at: *returned, unit: Some(place.unit), hosts: vec![*host], what }
    }
}

/// Adds a version, and says of those that were certainly there before that they are replaced.
fn keep(
    versions: &mut Vec<Version>,
    operation: &Operation,
    [began, ended]: [Nth; 2],
    bytes: Option<Arc<[u8]>>,
) {
    if operation.ending == Ending::Done {
        let before = |version: &&mut Version| version.written.is_some_and(|at| at < began);
        for version in versions.iter_mut().filter(before) {
            version.until = version.until.or(Some(ended));
        }
    }
    let written = operation.returned.map(|_| ended);
    versions.push(Version { bytes, from: began, written, until: None });
}

/// Forgets what was replaced before anything began that is in flight; or all, if that is not enough.
fn forget(versions: &mut Vec<Version>, oldest: Option<Nth>) {
    let ended = |version: &Version| {
        version.until.is_some_and(|until| oldest.is_none_or(|oldest| until < oldest))
    };
    versions.retain(|version| !ended(version));
    if versions.len() > VERSIONS_MAX {
        // As long as the last of them may be written, anything may.
        let written = versions.iter().map(|version| version.written);
        let written = written.reduce(|one, other| Some(one?.max(other?))).flatten();
        let anything = Version { bytes: None, from: 0, written, until: None };
        *versions = vec![anything];
    }
}

fn length(versions: &[Version]) -> Option<usize> {
    versions.iter().find_map(|version| version.bytes.as_ref()).map(|bytes| bytes.len())
}

fn first_difference(test: &[u8], held: &[u8]) -> Option<u64> {
    test.iter().zip(held).position(|(test, held)| test != held).map(|offset| offset as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Standing;
    use crate::history::{at, blocks, breach, done, history, judge, operation};

    /// A block of zeros but for this byte, the number of which is not 0.
    fn image(byte: u16) -> Arc<[u8]> {
        let mut block = [0; 512];
        block[usize::from(byte)] = 1;
        Arc::new(block)
    }

    fn swap(test: u16, set: u16) -> OperationKind {
        OperationKind::CompareAndWrite { test: image(test), set: image(set) }
    }

    fn write(byte: u16) -> OperationKind {
        OperationKind::Write { data: image(byte) }
    }

    /// Expects byte 9 where it is not; two blocks differ first where the smaller of their bytes is.
    fn miscompare(times: (u64, u64), told: Option<u64>) -> Operation {
        operation(2, times, swap(9, 1), Ending::Miscompared(told))
    }

    fn verdict(operations: impl IntoIterator<Item = Operation>) -> Verdict {
        judge(InformationOffset::default(), &history(operations))
    }

    fn held(operations: impl IntoIterator<Item = Operation>) -> bool {
        let verdict = verdict(operations);
        let judged = verdict.figures == [Figure { name: "miscompares_unjudged", value: 0 }];
        verdict.standing == Standing::Held && judged
    }

    /// Byte 3 is set, and after that byte 5.
    fn known() -> [Operation; 2] {
        [done(1, (0, 1), swap(1, 3)), done(1, (2, 3), swap(3, 5))]
    }

    #[test]
    fn the_first_byte_that_differs_and_no_other() {
        assert!(held(known().into_iter().chain([miscompare((4, 5), Some(5))])));
        let verdict = verdict(known().into_iter().chain([miscompare((4, 5), Some(9))]));
        assert_eq!(
            breach(&verdict).what,
            "COMPARE AND WRITE of block 7 by host 2, 0.004000 s to 0.005000 s, miscompared with INFORMATION 9, \
             but the first byte that differed was 5"
        );
    }

    #[test]
    fn an_offset_is_told_and_lies_in_the_block() {
        let missing = verdict([miscompare((4, 5), None)]);
        assert!(breach(&missing).what.ends_with("miscompared without INFORMATION"));
        let beyond = verdict([miscompare((4, 5), Some(512))]);
        assert!(breach(&beyond).what.ends_with("which lies beyond 512 bytes"));
    }

    #[test]
    fn whatever_the_block_held_meanwhile_may_be_what_differed() {
        for offset in [3, 5] {
            let during = miscompare((1, 4), Some(offset));
            assert!(held(known().into_iter().chain([during])), "{offset}");
        }
        // The second was written before, the first is long gone.
        assert!(!held(known().into_iter().chain([miscompare((4, 5), Some(3))])));
    }

    #[test]
    fn what_was_told_before_came_before_also_at_the_same_moment() {
        let after = |test, offset| {
            let ending = Ending::Miscompared(Some(offset));
            let mut events = history(known());
            events.extend(history([operation(2, (3, 3), swap(test, 1), ending)]));
            judge(InformationOffset::default(), &events).standing
        };
        assert_eq!(after(9, 5), Standing::Held);
        assert_eq!(after(9, 3), Standing::Broken);
        // It only held what was expected: that is for another promise.
        assert_eq!(after(5, 0), Standing::Held);
    }

    #[test]
    fn who_won_may_be_told_later() {
        let slow = done(1, (4, 20), write(7));
        let race =
            |offset| known().into_iter().chain([slow.clone(), miscompare((5, 6), Some(offset))]);
        assert!(held(race(7)));
        assert!(held(race(5)));
        assert_eq!(verdict(race(8)).standing, Standing::Broken);
    }

    #[test]
    fn an_aborted_write_may_be_what_differed() {
        let aborted = |returned| {
            let write = operation(1, (4, 5), write(7), Ending::Maybe);
            Operation { returned, ..write }
        };
        for returned in [Some(at(5)), None] {
            for offset in [5, 7] {
                let told = [aborted(returned), miscompare((6, 7), Some(offset))];
                assert!(held(known().into_iter().chain(told)), "{offset}");
            }
        }
        let replaced =
            [aborted(Some(at(5))), done(1, (6, 7), write(8)), miscompare((8, 9), Some(7))];
        assert!(!held(known().into_iter().chain(replaced)));
    }

    #[test]
    fn what_is_not_known_is_not_judged() {
        assert_eq!(verdict([miscompare((4, 5), Some(400))]).standing, Standing::Held);
        let copy = done(1, (4, 5), OperationKind::Copy { from: pulsefield_units::Lba::new(0) });
        assert!(held(known().into_iter().chain([copy, miscompare((6, 7), Some(400))])));
        let unknown = done(1, (4, 5), OperationKind::Write { data: Arc::from([]) });
        assert!(held(known().into_iter().chain([unknown, miscompare((6, 7), Some(400))])));
        let spurious = operation(2, (4, 5), swap(5, 1), Ending::Miscompared(Some(0)));
        assert!(held(known().into_iter().chain([spurious])));
    }

    #[test]
    fn zeros_and_one_block_of_several_are_known() {
        let zero = done(1, (4, 5), OperationKind::Zero);
        assert!(held(known().into_iter().chain([zero.clone(), miscompare((6, 7), Some(9))])));
        assert!(!held(known().into_iter().chain([zero, miscompare((6, 7), Some(5))])));
        let two = Arc::from([image(2).to_vec(), image(6).to_vec()].concat());
        let two = OperationKind::Write { data: two };
        let two = Operation { blocks: blocks(6, 2), ..done(1, (4, 5), two) };
        assert!(held(known().into_iter().chain([two, miscompare((6, 7), Some(6))])));
    }

    #[test]
    fn values_that_nothing_can_see_are_forgotten() {
        let mut checker = InformationOffset::default();
        let chain = (0..1000).map(|nth| done(1, (2 * nth, 2 * nth + 1), swap(1, 1)));
        history(chain).iter().for_each(|event| checker.observe(event));
        assert!(checker.blocks.values().all(|versions| versions.len() <= VERSIONS_FEW));
        // With something in flight to the block all the while, they may still be seen, up to a bound.
        let stuck = done(2, (0, 5000), write(1));
        let chain = (1..1000).map(|nth| done(1, (2 * nth, 2 * nth + 1), swap(1, 1)));
        history(chain.chain([stuck])).iter().for_each(|event| {
            checker.observe(event);
            assert!(checker.blocks.values().all(|versions| versions.len() <= VERSIONS_MAX));
        });
    }
}
