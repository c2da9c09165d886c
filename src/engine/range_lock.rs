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
//! Claims stand in one vector in order of arrival, each with the number of earlier claims it still
//! waits for. Claiming and releasing walk it once: at the depth LIO offers (128 commands a fabric)
//! that is a few cache lines, less than a tree would cost to keep balanced.

use pulsefield_units::{BlockCount, LbaRange};

/// How a claim uses its blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads only; any number of readers share a range.
    Shared,
    /// Writes, or compares and writes; alone in its range.
    Exclusive,
}

/// Names a claim; the caller chooses it, one per claim at a time.
pub type Holder = u32;

#[derive(Clone, Copy, Debug)]
struct Claim {
    holder: Holder,
    range: LbaRange,
    access: Access,
    /// What a copy reads, besides.
    source: Option<LbaRange>,
    /// How many earlier conflicting claims are still there; granted once this is zero.
    waits_for: u32,
}

impl Claim {
    /// Its places and how it uses them.
    fn places(&self) -> impl Iterator<Item = (LbaRange, Access)> {
        let source = self.source.map(|source| (source, Access::Shared));
        std::iter::once((self.range, self.access)).chain(source)
    }

    fn conflicts(&self, other: &Self) -> bool {
        let conflict = |(range, access): (LbaRange, Access)| {
            other.places().any(|(other_range, other_access)| {
                range.overlaps(other_range)
                    && (access == Access::Exclusive || other_access == Access::Exclusive)
            })
        };
        self.places().any(conflict)
    }
}

/// All claims on the blocks of one logical unit.
#[derive(Debug, Default)]
pub struct RangeLock {
    claims: Vec<Claim>,
}

impl RangeLock {
    /// A lock with room for `claims` claims before it has to allocate.
    pub fn with_capacity(claims: usize) -> Self {
        Self { claims: Vec::with_capacity(claims) }
    }

    /// Claims `range` for `holder` and says whether it is granted at once. If not, a later
    /// [`RangeLock::release`] grants it.
    pub fn claim(&mut self, holder: Holder, range: LbaRange, access: Access) -> bool {
        self.add(Claim { holder, range, access, source: None, waits_for: 0 })
    }

    /// Claims `range` exclusively and `source` shared, both at once, as [`Self::claim`] does one.
    pub fn claim_copy(&mut self, holder: Holder, source: LbaRange, range: LbaRange) -> bool {
        let (access, source) = (Access::Exclusive, Some(source));
        self.add(Claim { holder, range, access, source, waits_for: 0 })
    }

    fn add(&mut self, mut claim: Claim) -> bool {
        for earlier in &self.claims {
            claim.waits_for += u32::from(earlier.conflicts(&claim));
        }
        self.claims.push(claim);
        claim.waits_for == 0
    }

    /// Gives up `holder`'s claim, granted or still waiting, and calls `granted` for every claim
    /// that waits for nobody now, in order of arrival.
    ///
    /// # Panics
    /// If `holder` has no claim: it would mean that a command was retired twice.
    pub fn release(&mut self, holder: Holder, mut granted: impl FnMut(Holder)) {
        let at = self.claims.iter().position(|claim| claim.holder == holder);
        let at = at.expect("a released claim exists");
        let released = self.claims.remove(at);
        for later in &mut self.claims[at..] {
            if later.conflicts(&released) {
                later.waits_for -= 1;
                if later.waits_for == 0 {
                    granted(later.holder);
                }
            }
        }
    }

    /// Whether any claim reaches past the first `blocks` blocks.
    pub fn any_beyond(&self, blocks: BlockCount) -> bool {
        let mut places = self.claims.iter().flat_map(Claim::places);
        places.any(|(range, _)| !range.fits(blocks))
    }

    /// How many claims there are, waiting ones included.
    pub fn len(&self) -> usize {
        self.claims.len()
    }

    /// Whether nobody claims anything.
    pub fn is_empty(&self) -> bool {
        self.claims.is_empty()
    }
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
