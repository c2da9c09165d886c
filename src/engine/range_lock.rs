//! Range locks: who may touch which blocks now, and who waits, in order of arrival.
//!
//! COMPARE AND WRITE is atomic because it holds its blocks exclusively from the compare to the end
//! of the write, and because *every* other command that touches the medium takes part: readers
//! share, writers exclude. Non-overlapping commands never meet, so any number of heartbeats of
//! different hosts run at once.
//!
//! The rule: a claim waits for every *earlier* claim that overlaps it, unless both only read. It
//! follows that nobody overtakes within a range (a stream of readers cannot starve a writer), that
//! waiting is free of deadlock (claims wait only for earlier ones), and that the order among
//! overlapping commands is their order of arrival.
//!
//! A copy within the unit makes one claim on both its places, at one moment: its source shared, its
//! destination exclusive. So it too waits for earlier claims only, never holding one place while it
//! waits for the other.
//!
//! What a claim overlaps is found in `places.rs`, which costs the same beside ten thousand claims as
//! beside ten; and each claim has the number of places of earlier claims that it still waits for.

mod places;

use pulsefield_units::{BlockCount, LbaRange};

use self::places::Places;

/// How a claim uses its blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads only; any number of readers share a range.
    Shared,
    /// Writes, or compares and writes; alone in its range.
    Exclusive,
}

/// Names a claim; the caller chooses it, one per claim at a time. Claims lie in a table by their names,
/// so these are small numbers.
pub type Holder = u32;

#[derive(Clone, Copy, Debug)]
struct Claim {
    /// When it came, counted in claims.
    arrival: u64,
    access: Access,
    /// Whether it has a second place, which a copy reads.
    copies: bool,
    /// How many places of earlier claims conflict with places of this one; granted once this is zero.
    waits_for: u32,
}

/// All claims on the blocks of one logical unit.
#[derive(Debug, Default)]
pub struct RangeLock {
    /// By holder; `None` if it has no claim.
    claims: Vec<Option<Claim>>,
    /// What they claim.
    places: Places,
    /// What copies read besides. Apart, so that the places of all the others lie close together.
    sources: Places,
    arrivals: u64,
    held: usize,
    /// Claims that wait for others.
    waiting: usize,
    /// Those that a release grants, while they are put in order.
    granted: Vec<(u64, Holder)>,
}

impl RangeLock {
    /// Claims `range` for `holder` and says whether it is granted at once. If not, a later
    /// [`RangeLock::release`] grants it.
    ///
    /// # Panics
    /// If `holder` has a claim already.
    pub fn claim(&mut self, holder: Holder, range: LbaRange, access: Access) -> bool {
        self.add(holder, range, access, None)
    }

    /// Claims `range` exclusively and `source` shared, both at once, as [`Self::claim`] does one.
    ///
    /// # Panics
    /// If `holder` has a claim already.
    pub fn claim_copy(&mut self, holder: Holder, source: LbaRange, range: LbaRange) -> bool {
        self.add(holder, range, Access::Exclusive, Some(source))
    }

    fn add(
        &mut self,
        holder: Holder,
        range: LbaRange,
        access: Access,
        source: Option<LbaRange>,
    ) -> bool {
        let mut waits_for = self.conflicts(range, access);
        if let Some(source) = source {
            waits_for += self.conflicts(source, Access::Shared);
            self.sources.insert(holder, source);
        }
        self.places.insert(holder, range);
        let (arrival, copies) = (self.arrivals, source.is_some());
        let claim = Claim { arrival, access, copies, waits_for };
        let at = index(holder);
        if self.claims.len() <= at {
            self.claims.resize(at + 1, None);
        }
        let before = self.claims[at].replace(claim);
        assert!(before.is_none(), "a holder has one claim at a time");
        self.arrivals += 1;
        self.held += 1;
        self.waiting += usize::from(waits_for > 0);
        waits_for == 0
    }

    /// Whether a claim on `range` would be granted at once.
    #[inline]
    pub fn is_clear(&self, range: LbaRange, access: Access) -> bool {
        self.held == 0 || self.conflicts(range, access) == 0
    }

    /// How many places there are that must not be used beside `range`.
    fn conflicts(&self, range: LbaRange, access: Access) -> u32 {
        let mut conflicts = 0;
        self.places.overlapping(range, |holder| {
            let claim = self.claims[index(holder)].as_ref().expect("a place is of a claim");
            conflicts += u32::from(access.excludes(claim.access));
        });
        if !self.sources.is_empty() && access.excludes(Access::Shared) {
            self.sources.overlapping(range, |_| conflicts += 1);
        }
        conflicts
    }

    /// Gives up `holder`'s claim, granted or still waiting, and calls `granted` for every claim
    /// that waits for nobody now, in order of arrival.
    ///
    /// # Panics
    /// If `holder` has no claim: it would mean that a command was retired twice.
    pub fn release(&mut self, holder: Holder, mut granted: impl FnMut(Holder)) {
        let released = self.claims.get_mut(index(holder)).and_then(Option::take);
        let released = released.expect("a released claim exists");
        self.held -= 1;
        self.waiting -= usize::from(released.waits_for > 0);
        let range = self.places.remove(holder);
        let source = released.copies.then(|| self.sources.remove(holder));
        if self.waiting == 0 {
            return;
        }
        self.stop_waiting(&released, range, released.access);
        if let Some(source) = source {
            self.stop_waiting(&released, source, Access::Shared);
        }
        self.granted.sort_unstable();
        for (_, holder) in self.granted.drain(..) {
            granted(holder);
        }
    }

    /// Has those go on waiting for one place less that came after `released` and conflict with its place
    /// `range`, and notes which of them wait for none.
    fn stop_waiting(&mut self, released: &Claim, range: LbaRange, access: Access) {
        let Self { claims, places, sources, granted, waiting, .. } = self;
        let mut pass = |holder: Holder, other: Option<Access>| {
            let claim = claims[index(holder)].as_mut().expect("a place is of a claim");
            let other = other.unwrap_or(claim.access);
            if claim.arrival > released.arrival && access.excludes(other) {
                claim.waits_for -= 1;
                if claim.waits_for == 0 {
                    *waiting -= 1;
                    granted.push((claim.arrival, holder));
                }
            }
        };
        places.overlapping(range, |holder| pass(holder, None));
        sources.overlapping(range, |holder| pass(holder, Some(Access::Shared)));
    }

    /// Whether any claim reaches past the first `blocks` blocks.
    pub fn any_beyond(&self, blocks: BlockCount) -> bool {
        let mut places = self.places.ranges().chain(self.sources.ranges());
        places.any(|(range, _)| !range.fits(blocks))
    }

    /// How many claims there are, waiting ones included.
    pub fn len(&self) -> usize {
        self.held
    }

    /// Whether nobody claims anything.
    pub fn is_empty(&self) -> bool {
        self.held == 0
    }
}

impl Access {
    /// Whether the same block cannot be used so and `other`wise at once.
    fn excludes(self, other: Self) -> bool {
        self == Self::Exclusive || other == Self::Exclusive
    }
}

fn index(holder: Holder) -> usize {
    usize::try_from(holder).expect("a table index")
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use proptest::prelude::*;
    use pulsefield_units::Lba;

    use super::*;

    fn range(start: u64, blocks: u64) -> LbaRange {
        LbaRange::new(Lba::new(start), BlockCount::new(blocks)).unwrap()
    }

    fn released(lock: &mut RangeLock, holder: Holder) -> Vec<Holder> {
        let mut granted = Vec::new();
        lock.release(holder, |holder| granted.push(holder));
        granted
    }

    #[test]
    fn heartbeats_of_different_slots_never_meet() {
        let mut lock = RangeLock::default();
        for slot in 0..64 {
            assert!(lock.claim(slot, range(43_008 + u64::from(slot), 1), Access::Exclusive));
        }
        for slot in 0..64 {
            assert_eq!(released(&mut lock, slot), []);
        }
        assert!(lock.is_empty());
    }

    #[test]
    fn two_compare_and_writes_of_one_sector_take_turns() {
        let mut lock = RangeLock::default();
        assert!(lock.claim(1, range(8, 1), Access::Exclusive));
        assert!(!lock.claim(2, range(8, 1), Access::Exclusive));
        assert!(!lock.claim(3, range(8, 1), Access::Exclusive));
        assert_eq!(released(&mut lock, 1), [2]);
        assert_eq!(released(&mut lock, 2), [3]);
        assert_eq!(released(&mut lock, 3), []);
    }

    #[test]
    fn readers_share_but_do_not_overtake_a_waiting_writer() {
        let mut lock = RangeLock::default();
        assert!(lock.claim(1, range(0, 100), Access::Shared));
        assert!(lock.claim(2, range(50, 100), Access::Shared));
        assert!(!lock.claim(3, range(60, 1), Access::Exclusive));
        assert!(!lock.claim(4, range(60, 1), Access::Shared), "or readers starve the writer");
        assert!(lock.claim(5, range(0, 10), Access::Shared));
        assert_eq!(released(&mut lock, 1), []);
        assert_eq!(released(&mut lock, 2), [3]);
        assert_eq!(released(&mut lock, 3), [4]);
    }

    #[test]
    fn copies_from_one_place_to_another_and_back_take_turns() {
        let mut lock = RangeLock::default();
        assert!(lock.claim_copy(1, range(0, 8), range(100, 8)));
        assert!(!lock.claim_copy(2, range(100, 8), range(0, 8)));
        assert!(lock.claim(3, range(200, 8), Access::Exclusive));
        assert!(!lock.claim(4, range(0, 1), Access::Shared), "the second will write there");
        assert!(lock.claim_copy(5, range(300, 8), range(400, 8)));
        assert!(lock.any_beyond(BlockCount::new(400)) && !lock.any_beyond(BlockCount::new(408)));
        assert_eq!(released(&mut lock, 1), [2]);
        assert_eq!(released(&mut lock, 2), [4]);
    }

    #[test]
    fn an_aborted_waiter_lets_those_behind_it_through() {
        let mut lock = RangeLock::default();
        assert!(lock.claim(1, range(0, 8), Access::Shared));
        assert!(!lock.claim(2, range(0, 8), Access::Exclusive));
        assert!(!lock.claim(3, range(4, 8), Access::Shared));
        assert_eq!(released(&mut lock, 2), [3]);
    }

    /// The slow oracle: claims per block, each block a queue in order of arrival. A claim is
    /// granted when on each of its blocks nobody conflicting stands before it.
    #[derive(Default)]
    struct Oracle {
        order: Vec<Holder>,
        blocks: HashMap<u64, Vec<(Holder, Access)>>,
    }

    impl Oracle {
        fn claim(&mut self, holder: Holder, places: &[(LbaRange, Access)]) {
            self.order.push(holder);
            for (range, access) in places {
                for block in range.start().as_u64()..range.end().as_u64() {
                    self.blocks.entry(block).or_default().push((holder, *access));
                }
            }
        }

        fn release(&mut self, holder: Holder) {
            self.order.retain(|other| *other != holder);
            for queue in self.blocks.values_mut() {
                queue.retain(|(other, _)| *other != holder);
            }
        }

        fn granted(&self) -> HashSet<Holder> {
            let blocked: HashSet<Holder> = self
                .blocks
                .values()
                .flat_map(|queue| {
                    queue.iter().enumerate().filter_map(|(at, (holder, access))| {
                        let conflicts = |(other, other_access): &(Holder, Access)| {
                            let writes = [access, other_access].contains(&&Access::Exclusive);
                            other != holder && writes
                        };
                        queue[..at].iter().any(conflicts).then_some(*holder)
                    })
                })
                .collect();
            self.order.iter().copied().filter(|holder| !blocked.contains(holder)).collect()
        }
    }

    proptest! {
        /// Whatever arrives and leaves in whatever order, exactly those hold their range who would
        /// hold it by looking at every single block.
        #[test]
        fn agrees_with_a_queue_per_block(
            steps in prop::collection::vec((0u64..24, 1u64..8, 0u64..40, 0usize..100), 1..60),
        ) {
            let mut lock = RangeLock::default();
            let mut oracle = Oracle::default();
            let mut granted = HashSet::new();
            for (nth, (start, blocks, kind, leaves)) in steps.into_iter().enumerate() {
                let holder = Holder::try_from(nth).unwrap();
                let place = range(start, blocks);
                // From 24 on it is a reader or a writer, below a copy from there.
                let (at_once, places) = if kind < 24 {
                    let source = range(kind, blocks);
                    let places = vec![(place, Access::Exclusive), (source, Access::Shared)];
                    (lock.claim_copy(holder, source, place), places)
                } else {
                    let access = if kind < 32 { Access::Exclusive } else { Access::Shared };
                    (lock.claim(holder, place, access), vec![(place, access)])
                };
                if at_once {
                    granted.insert(holder);
                }
                oracle.claim(holder, &places);
                prop_assert_eq!(&granted, &oracle.granted());
                // Every other step somebody leaves, whether it held its range or waited.
                if leaves % 2 == 0 && !oracle.order.is_empty() {
                    let leaver = oracle.order[leaves % oracle.order.len()];
                    granted.remove(&leaver);
                    lock.release(leaver, |holder| assert!(granted.insert(holder), "granted twice"));
                    oracle.release(leaver);
                    prop_assert_eq!(&granted, &oracle.granted());
                }
                prop_assert_eq!(lock.len(), oracle.order.len());
            }
        }
    }
}
