//! [`Promise::Durability`]: what was acknowledged is there at the end.
//!
//! Each block's last acknowledged value is kept, and compared with what is read once nothing but reads is to come
//! ([`crate::Event::ReadBack`]). A block whose last writes overlapped, or may not have happened, or came from a
//! copy, is not judged here: what it may hold is for [`Promise::Linearizable`] to say. A write that may be done
//! at any time leaves its block unjudged.
//!
//! Memory: less than 192 bytes for each block ever written, of which the first [`BLOCKS_MAX`] are
//! followed; not for the sake of an operation on more than [`LARGE`].

use std::collections::{BTreeMap, BTreeSet};

use pulsefield_units::Instant;

use crate::digest::{Digest, Place, PlaceMap, contents};
use crate::ledger::Ledger;
use crate::linearizable::{BLOCKS_MAX, LARGE};
use crate::words::Moment;
use crate::{
    Breach, Checker, Ending, Figure, HostId, Operation, OperationKind, Promise, UnitId, Verdict,
};

/// Whether what was acknowledged is there.
#[derive(Debug)]
pub struct Durability {
    ledger: Ledger,
    blocks: PlaceMap<Written>,
    /// When the last operation on more than [`LARGE`] blocks of a unit ended: its blocks are not followed for
    /// its sake.
    large: BTreeMap<UnitId, Instant>,
    /// Units that are only read from now on.
    read_back: BTreeSet<UnitId>,
}

/// The last write of a block.
#[derive(Clone, Copy, Debug)]
struct Written {
    /// What it holds since; `None` if that is not certain.
    value: Option<Digest>,
    /// When the last write that was told ended.
    until: Instant,
    /// Whose that was.
    by: HostId,
}

impl Default for Durability {
    fn default() -> Self {
        let ledger = Ledger::new(Promise::Durability);
        let (large, read_back) = (BTreeMap::new(), BTreeSet::new());
        Self { ledger, blocks: PlaceMap::default(), large, read_back }
    }
}

impl Checker for Durability {
    fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    fn ended(&mut self, operation: &Operation) {
        match &operation.kind {
            OperationKind::Read { data } if operation.ending == Ending::Done => {
                if self.read_back.contains(&operation.unit) {
                    self.compare(operation, data);
                }
            }
            OperationKind::Read { .. } => {}
            OperationKind::Write { .. }
            | OperationKind::CompareAndWrite { .. }
            | OperationKind::Zero
            | OperationKind::Copy { .. } => self.write(operation),
        }
    }

    fn missed(&mut self, unit: UnitId) {
        self.blocks.retain(|place, _| place.unit != unit);
        self.large.remove(&unit);
    }

    fn only_read_from_now_on(&mut self, unit: UnitId) {
        self.read_back.insert(unit);
    }

    fn finish(self: Box<Self>, _at: Instant) -> Verdict {
        let blocks = Figure { name: "blocks_written", value: self.blocks.len() as u64 };
        self.ledger.verdict(vec![blocks])
    }
}

impl Durability {
    fn write(&mut self, operation: &Operation) {
        let Operation { host, unit, blocks, invoked, returned, ending, kind, .. } = operation;
        let certain = match ending {
            Ending::Done => true,
            Ending::Maybe => false,
            Ending::Miscompared(_) | Ending::Refused => return,
        };
        let until = returned.unwrap_or(Instant::from_nanos(u64::MAX));
        let is_large = blocks.blocks().as_u64() > LARGE;
        let is_after_large = self.large.get(unit).is_none_or(|large| large < invoked);
        if is_large {
            let large = self.large.entry(*unit).or_default();
            *large = until.max(*large);
        }
        let mut keep = |place, value: Option<Digest>| {
            if let Some(written) = self.blocks.get_mut(&place) {
                let alone = certain && written.until < *invoked;
                written.value = if alone { value } else { None };
                (written.until, written.by) = (written.until.max(until), *host);
            } else if !is_large && self.blocks.len() < BLOCKS_MAX {
                let value = value.filter(|_| certain && is_after_large);
                self.blocks.insert(place, Written { value, until, by: *host });
            }
        };
        match kind {
            OperationKind::Write { data: set } | OperationKind::CompareAndWrite { set, .. } => {
                for (place, block) in contents(*unit, *blocks, set) {
                    keep(place, block.filter(|_| certain).map(Digest::of));
                }
            }
            OperationKind::Zero => {
                Place::all(*unit, *blocks).for_each(|place| keep(place, Some(Digest::ZEROS)));
            }
            OperationKind::Copy { .. } => {
                Place::all(*unit, *blocks).for_each(|place| keep(place, None));
            }
            OperationKind::Read { .. } => {}
        }
    }

    fn compare(&mut self, read: &Operation, data: &[u8]) {
        for (place, found) in contents(read.unit, read.blocks, data) {
            let (Some(Written { value: Some(value), until, by }), Some(found)) =
                (self.blocks.get(&place), found)
            else {
                continue;
            };
            self.ledger.count();
            let found = Digest::of(found);
            if found != *value {
                self.ledger.breach(|| {
                    let what = format!(
                        "{place} holds {found} at the end; the write of host {} that was acknowledged at {} put {value} there",
                        by.0,
                        Moment(*until)
                    );
                    let at = read.returned.unwrap_or(read.invoked);
                    Breach { at, unit: Some(read.unit), hosts: vec![*by], what }
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{
        UNIT, at, blocks, breach, done, history, judge, operation, read, swap, write,
    };
    use crate::{Event, Standing};

    /// What is said of a unit that was written so, and held this at the end.
    fn verdict(writes: impl IntoIterator<Item = Operation>, left: u64) -> Verdict {
        let mut events = history(writes);
        events.push(Event::ReadBack { unit: UNIT, at: at(900) });
        events.extend(history([done(9, (900, 901), read(left))]));
        judge(Durability::default(), &events)
    }

    #[test]
    fn the_last_acknowledged_write_is_there_or_it_is_a_breach() {
        let writes = || [done(1, (0, 1), write(1)), done(2, (2, 3), swap(1, 2))];
        assert_eq!(verdict(writes(), 2).standing, Standing::Held);
        let lost = verdict(writes(), 1);
        let breach = breach(&lost);
        assert!(breach.what.contains("write of host 2 that was acknowledged at 0.003000 s"));
        assert_eq!((breach.at, &breach.hosts[..]), (at(901), &[HostId(2)][..]));
    }

    #[test]
    fn what_did_not_happen_changes_nothing() {
        let miscompared = operation(2, (2, 3), swap(7, 2), Ending::Miscompared(Some(0)));
        let refused = operation(2, (4, 5), write(3), Ending::Refused);
        let writes = [done(1, (0, 1), write(1)), miscompared, refused];
        assert_eq!(verdict(writes, 1).standing, Standing::Held);
    }

    #[test]
    fn what_may_be_one_or_the_other_is_not_judged() {
        let overlapping = [done(1, (0, 5), write(1)), done(2, (2, 3), write(2))];
        assert_eq!(verdict(overlapping, 9).standing, Standing::Unchecked);
        let aborted = || operation(2, (2, 3), write(2), Ending::Maybe);
        let maybe = [done(1, (0, 1), write(1)), aborted()];
        assert_eq!(verdict(maybe, 9).standing, Standing::Unchecked);
        // A write after it makes it certain again.
        let again = [done(1, (0, 1), write(1)), aborted(), done(1, (4, 5), write(3))];
        assert_eq!(verdict(again, 1).standing, Standing::Broken);
        let unknown = done(2, (2, 3), OperationKind::Write { data: [].into() });
        assert_eq!(verdict([done(1, (0, 1), write(1)), unknown], 9).standing, Standing::Unchecked);
        let never = [Operation { returned: None, ..aborted() }, done(1, (4, 5), write(3))];
        assert_eq!(verdict(never, 2).standing, Standing::Unchecked);
    }

    #[test]
    fn a_large_operation_counts_for_blocks_that_are_followed() {
        let all = |times| {
            let zero = done(3, times, OperationKind::Zero);
            Operation { blocks: blocks(0, LARGE + 1), ..zero }
        };
        assert_eq!(verdict([done(1, (0, 1), write(1)), all((2, 3))], 1).standing, Standing::Broken);
        let overlapping = [all((2, 8)), done(1, (4, 9), write(1))];
        assert_eq!(verdict(overlapping, 0).standing, Standing::Unchecked);
        let after = [all((2, 3)), done(1, (4, 5), write(1))];
        assert_eq!(verdict(after, 0).standing, Standing::Broken);
    }

    #[test]
    fn without_a_read_back_nothing_is_checked() {
        let events = history([done(1, (0, 1), write(1)), done(1, (2, 3), read(2))]);
        assert_eq!(judge(Durability::default(), &events).standing, Standing::Unchecked);
    }
}
