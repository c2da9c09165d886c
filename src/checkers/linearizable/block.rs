//! What happened to one block, in order, as far as it is known.
//!
//! What an operation saw or did is known at its end only, but counts from its beginning. So beginnings and ends
//! stand in a queue up to the first beginning whose end has not been told, and are searched
//! ([`Search`]) up to there. A block that nothing is in flight to has an empty queue and is a digest.

use std::collections::VecDeque;
use std::time::Duration;

use pulsefield_units::Instant;

use super::search::{Effect, Search, Slot, Stuck};
use crate::digest::Digest;
use crate::{HostId, OperationId};

/// So many operations may wait on one block for the end of another one; more of them, and the block is given up.
pub(super) const QUEUE_MAX: usize = 1 << 16;

/// So long after it began an operation that is lost is taken to happen no more: no fabric keeps a command for
/// so long. What writes later is a ghost, and a breach.
pub(super) const LOST_AFTER: Duration = Duration::from_secs(120);

/// A queue of more is that of a block that much waited on.
const SMALL: usize = 32;

/// What became of an operation on one block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) host: HostId,
    pub(super) invoked: Instant,
    pub(super) returned: Instant,
    /// What it is to the block; `None` if it did nothing and saw nothing.
    pub(super) effect: Option<Effect>,
    pub(super) settled: Settled,
}

/// How certain its end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// It has happened.
    Done,
    /// It may have happened; it will not any more.
    Over,
    /// It may have happened, or happen at any time until [`LOST_AFTER`].
    Lost,
}

/// What is known of a block that nothing is in flight to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rest {
    /// What it holds; `None` is anything.
    pub(super) value: Option<Digest>,
    /// What it held before, if that is known.
    pub(super) before: Option<Digest>,
    /// Whose write was the last that was acknowledged, and when.
    pub(super) written: Option<(HostId, Instant)>,
}

/// What comes out when an operation's end has its turn.
#[derive(Debug)]
pub(super) enum Judged {
    /// It ended as it may.
    Possible,
    /// It cannot have ended so.
    Impossible {
        /// The operation.
        ended: Ended,
        /// What the block may have held at its end instead; anything, if a `None` is among them.
        held: Vec<Option<Digest>>,
        /// What was known before it.
        known: Rest,
    },
    /// Too much may be at once: the block is now as if never seen before.
    Blurred,
}

/// More operations are open than can be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooManyOpen;

#[derive(Clone, Copy, Debug)]
enum Entry {
    Begin(u64),
    End(u64),
}

#[derive(Debug)]
struct Record {
    id: OperationId,
    ended: Option<Ended>,
    slot: Option<Slot>,
    /// Whether nothing of it is in the queue any more.
    past: bool,
}

/// A block that something is in flight to, or of which several things may be true.
#[derive(Debug)]
pub(super) struct Activity {
    queue: VecDeque<Entry>,
    /// Those of which something is in the queue or will be, and which came in between.
    records: VecDeque<Record>,
    /// The number of the first of them.
    first: u64,
    search: Search,
    /// Operations that are lost, and when they began.
    lost: Vec<(Instant, Slot)>,
    /// Its value counts only together with `search`.
    known: Rest,
}

impl Activity {
    pub(super) fn new(known: Rest) -> Self {
        let (queue, records) = (VecDeque::new(), VecDeque::new());
        let search = Search::at_rest(known.value);
        Self { queue, records, first: 0, search, lost: Vec::new(), known }
    }

    /// The same as [`Activity::new`], in the memory that there is.
    pub(super) fn reuse(&mut self, known: Rest) {
        self.queue.clear();
        self.records.clear();
        self.lost.clear();
        self.search.rest(known.value);
        self.known = known;
    }

    /// What is known of the block, if that is all there is to say of it.
    pub(super) fn resting(&self) -> Option<Rest> {
        let value = if self.records.is_empty() { self.search.resting()? } else { return None };
        Some(Rest { value, ..self.known })
    }

    /// How many operations have ended and wait for the end of another one.
    pub(super) fn undecided(&self) -> u64 {
        let waits = |record: &&Record| record.ended.is_some() && !record.past;
        self.records.iter().filter(waits).count() as u64
    }

    /// Whether its memory is that of a block with little in flight.
    pub(super) fn is_small(&self) -> bool {
        self.queue.capacity().max(self.records.capacity()) <= SMALL
    }

    /// An operation begins. `false` if too many wait already.
    #[must_use]
    pub(super) fn begin(&mut self, id: OperationId) -> bool {
        self.queue.push_back(Entry::Begin(self.first + self.records.len() as u64));
        self.records.push_back(Record { id, ended: None, slot: None, past: false });
        self.records.len() <= QUEUE_MAX
    }

    /// It ends. Nothing, if it never began or has ended.
    pub(super) fn end(&mut self, id: OperationId, ended: Ended) {
        // The last ones are those that end: what has been stuck for long is looked for once.
        let nth = self.records.iter().rposition(|record| record.id == id && record.ended.is_none());
        if let Some(nth) = nth {
            self.records[nth].ended = Some(ended);
            self.queue.push_back(Entry::End(self.first + nth as u64));
        }
    }

    /// Goes on as far as it can, and tells of every end that has its turn.
    pub(super) fn advance(&mut self, mut tell: impl FnMut(Judged)) -> Result<(), TooManyOpen> {
        while let Some(&entry) = self.queue.front() {
            match entry {
                Entry::Begin(number) => {
                    let nth = self.nth(number);
                    let Some(ended) = self.records[nth].ended else { break };
                    self.bury(ended.invoked);
                    if let Some(effect) = ended.effect {
                        let certain = ended.settled == Settled::Done;
                        let slot = self.search.begin(effect, certain).ok_or(TooManyOpen)?;
                        self.records[nth].slot = Some(slot);
                    }
                }
                Entry::End(number) => {
                    let nth = self.nth(number);
                    self.records[nth].past = true;
                    if let Some(judged) = self.judge(nth) {
                        tell(judged);
                    }
                }
            }
            self.queue.pop_front();
        }
        while self.records.front().is_some_and(|record| record.past) {
            self.records.pop_front();
            self.first += 1;
        }
        Ok(())
    }

    /// What was lost long before `now` happens no more.
    fn bury(&mut self, now: Instant) {
        let Self { search, lost, known, .. } = self;
        lost.retain(|(began, slot)| {
            let open = now.since(*began) <= LOST_AFTER;
            if !open && search.end(*slot).is_err() {
                search.forget();
                search.close(*slot);
                *known = Rest::default();
            }
            open
        });
    }

    fn nth(&self, number: u64) -> usize {
        usize::try_from(number - self.first).expect("it is among the records, which are in memory")
    }

    /// An operation's end has its turn. `None` if there is nothing to say of it.
    fn judge(&mut self, nth: usize) -> Option<Judged> {
        let Record { ended, slot, .. } = &self.records[nth];
        let (Some(ended), Some(slot)) = (*ended, *slot) else { return None };
        if ended.settled == Settled::Lost {
            self.lost.push((ended.invoked, slot));
            return None;
        }
        let held = self.search.value();
        let judged = match self.search.end(slot) {
            Ok(()) => {
                self.note(&ended, held);
                return Some(Judged::Possible);
            }
            Err(Stuck::Impossible) => {
                let mut held: Vec<_> = self.search.values().collect();
                held.sort_unstable();
                held.dedup();
                Judged::Impossible { ended, held, known: self.known }
            }
            Err(Stuck::TooMany) => Judged::Blurred,
        };
        self.search.forget();
        self.search.close(slot);
        self.known = Rest::default();
        Some(judged)
    }

    /// Keeps who wrote last, and what was there before.
    fn note(&mut self, ended: &Ended, held: Option<Digest>) {
        let holds = self.search.value();
        if held.is_some() && held != holds {
            self.known.before = held;
        }
        let wrote = ended.effect.is_some_and(|effect| !effect.observes());
        if wrote && ended.settled == Settled::Done {
            self.known.written = Some((ended.host, ended.returned));
        }
    }
}
