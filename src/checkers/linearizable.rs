//! [`Promise::Linearizable`]: every block is a compare-and-set register.
//!
//! Each block is judged by itself: what an operation on several does to one of them has no part in what it does
//! to another, since no standard makes a command on several blocks atomic but COMPARE AND WRITE and WRITE
//! ATOMIC. For one block the judgement is exact, whether or not values are unique ([`search`]), with these
//! exceptions, all of which permit more than there should be:
//!
//! - What a block holds is not known before the first operation on it, nor after it was copied to: whatever is
//!   seen then is taken for it. A copy that brings the wrong data is not caught here.
//! - A write that is lost is not caught if the block held the same before: zeros over zeros, a lock that is
//!   released to the bytes it had.
//! - After a breach the block is as if never seen before, and what was in flight to it may have
//!   happened or not: one wrong answer is one breach.
//! - An operation that is lost may happen for two minutes ([`block::LOST_AFTER`]).
//! - A block is given up when 64 operations on it are open at once ([`search::PENDING_MAX`]), or 65,536 wait for
//!   one that does not end ([`block::QUEUE_MAX`]); blocks beyond the first [`BLOCKS_MAX`] are not looked at, nor are
//!   those that only operations on more than [`LARGE`] blocks touch. Figures tell how many.
//!
//! Memory: less than 256 bytes for each block that is followed, so less than 256 MiB in all; less than 256
//! bytes for each block of each operation that began after the oldest one in flight to the same block; and less
//! than 2 KiB for each block that may hold one thing or another, until it is read or written again. Of what
//! has ended nothing else is kept.

mod block;
#[cfg(test)]
mod oracle;
mod search;
#[cfg(test)]
mod tests;

use std::collections::hash_map::Entry;

use pulsefield_units::Instant;

use self::block::{Activity, Ended, Judged, Rest, Settled};
use self::search::Effect;
use crate::digest::{Digest, Place, PlaceMap, contents};
use crate::ledger::Ledger;
use crate::words::{Moment, Named};
use crate::{
    Begun, Breach, Checker, Ending, Figure, HostId, Operation, OperationKind, Promise, UnitId,
    Verdict,
};

/// So many blocks are followed: 512 MiB of 512-byte blocks. Others are not looked at.
pub const BLOCKS_MAX: usize = 1 << 20;

/// An operation on more blocks, 2 MiB of 512 bytes, counts for those that others touch as well: UNMAP of a whole
/// volume is no reason to follow all of it.
pub(crate) const LARGE: u64 = 4096;

/// So much memory of blocks that came to rest is kept to be used again.
const SPARE_MAX: usize = 4096;

/// Whether every block is a compare-and-set register.
#[derive(Debug)]
pub struct Linearizable {
    ledger: Ledger,
    blocks: PlaceMap<Block>,
    /// Operations on more than [`LARGE`] blocks that are in flight.
    large: Vec<Begun>,
    /// Memory of blocks that came to rest.
    #[allow(clippy::vec_box)] // Boxes are what is to be used again.
    spare: Vec<Box<Activity>>,
    /// Operations on blocks that are not followed, blocks given up, and blocks of which too much may be.
    passed_over: u64,
    given_up: u64,
    blurred: u64,
}

#[derive(Debug)]
enum Block {
    Resting(Rest),
    Active(Box<Activity>),
    GivenUp,
}

impl Default for Linearizable {
    fn default() -> Self {
        Self {
            ledger: Ledger::new(Promise::Linearizable),
            blocks: PlaceMap::default(),
            large: Vec::new(),
            spare: Vec::new(),
            passed_over: 0,
            given_up: 0,
            blurred: 0,
        }
    }
}

impl Checker for Linearizable {
    fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    fn begun(&mut self, begun: &Begun) {
        let is_large = begun.blocks.blocks().as_u64() > LARGE;
        for place in Place::all(begun.unit, begun.blocks) {
            let followed = self.blocks.len();
            let (block, is_new) = match self.blocks.entry(place) {
                Entry::Occupied(block) => (block.into_mut(), false),
                Entry::Vacant(_) if is_large => continue,
                Entry::Vacant(place) if followed < BLOCKS_MAX => {
                    (place.insert(Block::Resting(Rest::default())), true)
                }
                Entry::Vacant(_) => {
                    self.passed_over += 1;
                    continue;
                }
            };
            if let Block::Resting(rest) = block {
                *block = Block::Active(match self.spare.pop() {
                    Some(mut activity) => {
                        activity.reuse(*rest);
                        activity
                    }
                    None => Box::new(Activity::new(*rest)),
                });
            }
            let Block::Active(activity) = block else { continue };
            // What began when the block was not followed counts now.
            let before = self.large.iter().filter(|large| is_new && large.is_to(place));
            let all = before.chain([begun]).all(|begun| activity.begin(begun.id));
            if !all {
                *block = Block::GivenUp;
                self.given_up += 1;
            }
        }
        if is_large {
            self.large.push(*begun);
        }
    }

    fn ended(&mut self, operation: &Operation) {
        self.large.retain(|large| large.id != operation.id);
        for (place, effect) in effects(operation) {
            let Some(block) = self.blocks.get_mut(&place) else { continue };
            let Block::Active(activity) = block else { continue };
            let settled = match (operation.ending, operation.returned) {
                (Ending::Maybe, Some(_)) => Settled::Over,
                (Ending::Maybe, None) => Settled::Lost,
                (Ending::Done | Ending::Miscompared(_) | Ending::Refused, _) => Settled::Done,
            };
            activity.end(
                operation.id,
                Ended {
                    host: operation.host,
                    invoked: operation.invoked,
                    returned: operation.returned.unwrap_or(operation.invoked),
                    effect,
                    settled,
                },
            );
            let (ledger, blurred) = (&mut self.ledger, &mut self.blurred);
            let advanced = activity.advance(|judged| {
                ledger.count();
                match judged {
                    Judged::Possible => {}
                    Judged::Impossible { ended, held, known } => {
                        ledger.breach(|| breach(place, &ended, &held, &known));
                    }
                    Judged::Blurred => *blurred += 1,
                }
            });
            if advanced.is_err() {
                *block = Block::GivenUp;
                self.given_up += 1;
            } else if let Some(rest) = activity.resting() {
                let active = std::mem::replace(block, Block::Resting(rest));
                if let Block::Active(activity) = active
                    && self.spare.len() < SPARE_MAX
                    && activity.is_small()
                {
                    self.spare.push(activity);
                }
            }
        }
    }

    fn missed(&mut self, unit: UnitId) {
        self.blocks.retain(|place, _| place.unit != unit);
        self.large.retain(|large| large.unit != unit);
    }

    fn finish(self: Box<Self>, _at: Instant) -> Verdict {
        let undecided = |block: &Block| match block {
            Block::Active(activity) => activity.undecided(),
            Block::Resting(_) | Block::GivenUp => 0,
        };
        let figure = |name, value| Figure { name, value };
        let figures = vec![
            figure("blocks", self.blocks.len() as u64),
            figure("blocks_given_up", self.given_up),
            figure("blocks_forgotten", self.blurred),
            figure("operations_passed_over", self.passed_over),
            figure("operations_undecided", self.blocks.values().map(undecided).sum()),
        ];
        self.ledger.verdict(figures)
    }
}

/// What an operation is to each of its blocks; `None` if it is nothing.
fn effects(operation: &Operation) -> impl Iterator<Item = (Place, Option<Effect>)> {
    let Operation { unit, blocks, ending, kind, .. } = operation;
    let (data, set): (&[u8], &[u8]) = match kind {
        OperationKind::Read { data } | OperationKind::Write { data } => (data, &[]),
        OperationKind::CompareAndWrite { test, set } => (test, set),
        OperationKind::Zero | OperationKind::Copy { .. } => (&[], &[]),
    };
    let alone = blocks.blocks().as_u64() == 1;
    let effect = move |data: Option<&[u8]>, set: Option<&[u8]>| match (kind, ending) {
        (_, Ending::Refused) => None,
        (OperationKind::Read { .. }, Ending::Done) => Some(Effect::Read(Digest::of(data?))),
        // Of several blocks, nobody knows which one was not what was expected.
        (OperationKind::CompareAndWrite { .. }, Ending::Miscompared(_)) if alone => {
            Some(Effect::Miscompare(Digest::of(data?)))
        }
        (_, Ending::Miscompared(_)) | (OperationKind::Read { .. }, Ending::Maybe) => None,
        (OperationKind::CompareAndWrite { .. }, Ending::Done | Ending::Maybe) => {
            Some(match (data, set) {
                (Some(test), Some(set)) => {
                    Effect::Swap { test: Digest::of(test), set: Digest::of(set) }
                }
                _ => Effect::Write(set.map(Digest::of)),
            })
        }
        (OperationKind::Write { .. }, Ending::Done | Ending::Maybe) => {
            Some(Effect::Write(data.map(Digest::of)))
        }
        (OperationKind::Zero, Ending::Done | Ending::Maybe) => {
            Some(Effect::Write(Some(Digest::ZEROS)))
        }
        (OperationKind::Copy { .. }, Ending::Done | Ending::Maybe) => Some(Effect::Write(None)),
    };
    let pairs = contents(*unit, *blocks, data).zip(contents(*unit, *blocks, set));
    pairs.map(move |((place, data), (_, set))| (place, effect(data, set)))
}

/// What to say of an operation that cannot have ended as it did.
fn breach(place: Place, ended: &Ended, held: &[Option<Digest>], known: &Rest) -> Breach {
    let Ended { host, invoked, returned, effect, .. } = ended;
    let (host, invoked, returned) = (Named(*host), Moment(*invoked), Moment(*returned));
    let (asked, saw, meant) = match effect {
        Some(Effect::Read(seen)) => {
            let meant = if Some(*seen) == known.before {
                "what it held before: the read was stale, or the last write is lost"
            } else {
                "neither that nor what it held before: a write is lost, torn, or was not meant for it"
            };
            ("READ", format!("found {seen}"), meant)
        }
        Some(Effect::Swap { test, .. }) => (
            "COMPARE AND WRITE",
            format!("was GOOD with {test} expected"),
            "equality was false, or a write in between is lost",
        ),
        Some(Effect::Miscompare(test)) => (
            "COMPARE AND WRITE",
            format!("miscompared with {test} expected"),
            "it held just that all the time: the miscompare was spurious",
        ),
        Some(Effect::Write(_)) | None => unreachable!("a write can follow anything"),
    };
    let held: Vec<_> = held.iter().map(|value| described(*value)).collect();
    let written = known.written.map_or_else(String::new, |(by, at)| {
        format!(", last written by {} as acknowledged at {}", Named(by), Moment(at))
    });
    let what = format!(
        "{asked} of {place} by {host}, {invoked} to {returned}, {saw}, but the block held {}{written}; {meant}",
        held.join(" or "),
    );
    Breach { at: ended.returned, unit: Some(place.unit), hosts: hosts(ended.host, known), what }
}

fn hosts(host: HostId, known: &Rest) -> Vec<HostId> {
    let other = known.written.map(|(by, _)| by).filter(|by| *by != host);
    [host].into_iter().chain(other).collect()
}

fn described(value: Option<Digest>) -> String {
    value.map_or_else(|| "anything".to_owned(), |value| value.to_string())
}
