//! [`Promise::Monotonic`]: tokens of locks and generations of heartbeats only grow.
//!
//! Whatever begins as a heartbeat or lock is compared with the latest image of the same object (the same block,
//! and the same address in it) of an operation that had ended before this one began. An image that was only
//! *asked* to be written, and may not have been, counts once it is seen. A block that is zeroed, copied to, or
//! written with anything else begins anew: the volume was formatted.
//!
//! Memory: less than 192 bytes for each heartbeat and lock.

use pulsefield_units::Instant;
use pulsefield_vmfs::{DiskLock, HeartbeatState, Serial};

use crate::digest::{Place, PlaceMap, contents};
use crate::ledger::Ledger;
use crate::words::{Moment, Named};
use crate::{Breach, Checker, Ending, HostId, Operation, OperationKind, Promise, UnitId, Verdict};

/// How the slot of a host begins that another one replays.
const REPLAYING: [u8; 4] = HeartbeatState::Replaying.magic().to_le_bytes();

/// Whether tokens and generations only grow.
#[derive(Debug)]
pub struct Monotonic {
    ledger: Ledger,
    latest: PlaceMap<Latest>,
}

/// The latest image of a block.
#[derive(Clone, Copy, Debug)]
struct Latest {
    /// The object's address and number; `None` since something else was written.
    image: Option<(u64, Serial)>,
    /// When the operation ended that it is known from.
    until: Instant,
    /// Whose that was.
    by: HostId,
}

impl Default for Monotonic {
    fn default() -> Self {
        Self { ledger: Ledger::new(Promise::Monotonic), latest: PlaceMap::default() }
    }
}

impl Checker for Monotonic {
    fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    fn ended(&mut self, operation: &Operation) {
        if operation.ending == Ending::Done {
            self.look(operation);
        }
    }

    fn missed(&mut self, unit: UnitId) {
        self.latest.retain(|place, _| place.unit != unit);
    }

    fn finish(self: Box<Self>, _at: Instant) -> Verdict {
        self.ledger.verdict(Vec::new())
    }
}

impl Monotonic {
    fn look(&mut self, operation: &Operation) {
        let Operation { unit, blocks, kind, .. } = operation;
        match kind {
            OperationKind::Read { data } => {
                for (place, block) in contents(*unit, *blocks, data) {
                    if let Some(image) = block.and_then(Serial::of) {
                        self.see(operation, place, image);
                    }
                }
            }
            OperationKind::Write { data } => {
                for (place, block) in contents(*unit, *blocks, data) {
                    self.write(operation, place, block);
                }
            }
            OperationKind::CompareAndWrite { test, set } => {
                let tests = contents(*unit, *blocks, test);
                for ((place, set), (_, test)) in contents(*unit, *blocks, set).zip(tests) {
                    if let (Some(test), Some(set)) = (test, set) {
                        self.change(operation, place, test, set);
                    }
                    self.write(operation, place, set);
                }
            }
            OperationKind::Zero | OperationKind::Copy { .. } => {
                Place::all(*unit, *blocks).for_each(|place| self.wipe(operation, place));
            }
        }
    }

    fn write(&mut self, operation: &Operation, place: Place, block: Option<&[u8]>) {
        match block.and_then(Serial::of) {
            Some(image) => self.see(operation, place, image),
            None => self.wipe(operation, place),
        }
    }

    /// The block held, or holds, this image.
    fn see(&mut self, operation: &Operation, place: Place, image: (u64, Serial)) {
        self.ledger.count();
        let until = operation.returned.unwrap_or(operation.invoked);
        let seen = Latest { image: Some(image), until, by: operation.host };
        let latest = self.latest.entry(place).or_insert(seen);
        let is_later = operation.invoked > latest.until;
        match latest.image {
            Some(known) if is_same_object(known, image) => {
                if image.1.number() > known.1.number() {
                    *latest = seen;
                } else if image.1.number() < known.1.number() && is_later {
                    let before = std::mem::replace(latest, seen);
                    self.ledger.breach(|| went_back(place, known.1, image.1, &before, &seen));
                }
            }
            Some(_) | None if is_later => *latest = seen,
            // It may be from before what is known.
            Some(_) | None => {}
        }
    }

    fn wipe(&mut self, operation: &Operation, place: Place) {
        if let Some(latest) = self.latest.get_mut(&place) {
            let until = operation.returned.unwrap_or(operation.invoked).max(latest.until);
            *latest = Latest { image: None, until, by: operation.host };
        }
    }

    /// An image replaced another one by COMPARE AND WRITE: the number of a lock that is taken or released must
    /// grow, and that of a heartbeat whose state changes.
    fn change(&mut self, operation: &Operation, place: Place, test: &[u8], set: &[u8]) {
        let (Some(from), Some(to)) = (Serial::of(test), Serial::of(set)) else { return };
        let must_grow = match to.1 {
            Serial::Token(_) => is_taken_or_released(test, set),
            // One that another host begins to replay keeps it, until that host clears it.
            Serial::Generation(_) => test[..4] != set[..4] && set[..4] != REPLAYING,
        };
        let grows = to.1.number() > from.1.number();
        if is_same_object(from, to) && must_grow && !grows {
            let at = operation.returned.unwrap_or(operation.invoked);
            self.ledger.breach(|| {
                let what = format!(
                    "{} changed {place} at {}, and its {} did not grow: from {} to {}",
                    Named(operation.host),
                    Moment(at),
                    name(to.1),
                    from.1.number(),
                    to.1.number()
                );
                Breach { at, unit: Some(place.unit), hosts: vec![operation.host], what }
            });
        }
    }
}

/// Whether who has a lock, or what for, differs between two images of it. What else hosts may keep there they may change
/// without counting.
fn is_taken_or_released(from: &[u8], to: &[u8]) -> bool {
    match (DiskLock::decode(from), DiskLock::decode(to)) {
        (Some(from), Some(to)) => {
            (from.mode, from.owner, from.holders) != (to.mode, to.owner, to.holders)
        }
        (None, _) | (_, None) => false,
    }
}

fn is_same_object(one: (u64, Serial), other: (u64, Serial)) -> bool {
    one.0 == other.0 && name(one.1) == name(other.1)
}

const fn name(serial: Serial) -> &'static str {
    match serial {
        Serial::Generation(_) => "generation",
        Serial::Token(_) => "token",
    }
}

fn went_back(place: Place, from: Serial, to: Serial, before: &Latest, seen: &Latest) -> Breach {
    let what = format!(
        "the {} of {place} went back from {} (known from {}, {}) to {} ({}, {})",
        name(to),
        from.number(),
        Named(before.by),
        Moment(before.until),
        to.number(),
        Named(seen.by),
        Moment(seen.until),
    );
    Breach { at: seen.until, unit: Some(place.unit), hosts: vec![before.by, seen.by], what }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pulsefield_vmfs::{LockKind, LockMode};

    use super::*;
    use crate::Standing;
    use crate::history::{breach, done, history, judge, operation, write};

    fn lock(token: u64) -> Arc<[u8]> {
        let free = DiskLock::never_taken(LockKind::FileDescriptor, 0x72_0000);
        Arc::new(DiskLock { token, ..free }.encode())
    }

    /// A slot that is in use, or clear.
    fn slot(generation: u8, state: u8) -> Arc<[u8]> {
        let mut slot = [0; 512];
        slot[..4].copy_from_slice(&[state, 0xef, 0xcd, 0xab]);
        slot[4..8].copy_from_slice(&[0, 0, 0x34, 0]);
        slot[0x0c] = generation;
        Arc::new(slot)
    }

    fn read(data: Arc<[u8]>) -> OperationKind {
        OperationKind::Read { data }
    }

    fn swap(test: Arc<[u8]>, set: Arc<[u8]>) -> OperationKind {
        OperationKind::CompareAndWrite { test, set }
    }

    fn verdict(operations: impl IntoIterator<Item = Operation>) -> Verdict {
        judge(Monotonic::default(), &history(operations))
    }

    #[test]
    fn a_token_that_goes_back_is_a_breach() {
        let verdict = verdict([
            done(1, (0, 1), read(lock(4))),
            done(1, (2, 3), swap(lock(4), lock(5))),
            done(2, (4, 5), read(lock(5))),
            done(2, (6, 7), read(lock(4))),
        ]);
        assert_eq!(
            breach(&verdict).what,
            "the token of block 7 went back from 5 (known from host 1, 0.003000 s) to 4 (host 2, 0.007000 s)"
        );
    }

    #[test]
    fn a_slot_that_is_replayed_keeps_its_generation_until_it_is_cleared() {
        let (used, replayed) = (slot(3, 2), slot(3, 3));
        let begin = done(2, (0, 1), swap(used, replayed.clone()));
        let clear = |generation| done(2, (2, 3), swap(replayed.clone(), slot(generation, 1)));
        assert_eq!(verdict([begin.clone(), clear(4)]).standing, Standing::Held);
        assert_eq!(verdict([begin, clear(3)]).standing, Standing::Broken);
    }

    #[test]
    fn what_overlaps_may_be_seen_in_any_order() {
        let overlapping = [
            done(1, (0, 1), read(lock(4))),
            done(1, (2, 8), swap(lock(4), lock(5))),
            done(2, (3, 9), read(lock(4))),
        ];
        assert_eq!(verdict(overlapping).standing, Standing::Held);
        // What may not have been written may not have been.
        let aborted = operation(1, (2, 3), swap(lock(4), lock(5)), Ending::Maybe);
        let operations = [done(1, (0, 1), read(lock(4))), aborted, done(2, (4, 5), read(lock(4)))];
        assert_eq!(verdict(operations).standing, Standing::Held);
    }

    #[test]
    fn a_lock_that_changes_hands_has_another_token() {
        let changed = |change: fn(&mut DiskLock)| {
            let mut lock = DiskLock::decode(&lock(4)).unwrap();
            change(&mut lock);
            Arc::new(lock.encode())
        };
        let taken = changed(|lock| lock.mode = LockMode::Exclusive);
        let of_taken = verdict([done(1, (2, 3), swap(lock(4), taken))]);
        assert!(breach(&of_taken).what.ends_with("its token did not grow: from 4 to 4"));
        let touched = changed(|lock| lock.modification_time += 1);
        let of_touched = verdict([done(1, (2, 3), swap(lock(4), touched))]);
        assert_eq!(of_touched.standing, Standing::Held);
    }

    #[test]
    fn a_heartbeat_grows_with_its_state_and_not_with_a_pulse() {
        let pulse = {
            let mut pulse = slot(5, 2).to_vec();
            pulse[0x14] = 9;
            Arc::from(pulse)
        };
        let acquired = done(1, (0, 1), swap(slot(4, 1), slot(5, 2)));
        let held = verdict([acquired.clone(), done(1, (2, 3), swap(slot(5, 2), pulse))]);
        assert_eq!(held.standing, Standing::Held);
        let cleared = done(1, (2, 3), swap(slot(5, 2), slot(5, 1)));
        assert!(breach(&verdict([acquired, cleared])).what.contains("generation did not grow"));
    }

    #[test]
    fn a_volume_that_is_formatted_begins_anew() {
        let unknown = OperationKind::Write { data: Arc::from([]) };
        let wipes = [write(0), write(9), unknown, OperationKind::Zero];
        for wipe in wipes {
            let operations = [
                done(1, (0, 1), read(lock(40))),
                done(1, (2, 6), wipe),
                // From before it was wiped.
                done(2, (3, 7), read(lock(41))),
                done(1, (8, 9), OperationKind::Write { data: lock(1) }),
            ];
            assert_eq!(verdict(operations).standing, Standing::Held);
        }
    }
}
