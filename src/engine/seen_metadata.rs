//! Which blocks were seen to hold VMFS metadata: learned from what hosts write, so that nobody need say
//! where a volume keeps its heartbeats and locks.
//!
//! A table of fixed size in which the later of two blocks that share a place is known. To know too little
//! makes a read of metadata wait like any other; to know too much lets a guest that writes such magics
//! into its own disk have a lane whose slots are few and which gives way to bulk.

use pulsefield_data::Buffer;
use pulsefield_scsi::Command;
use pulsefield_units::Lba;
use pulsefield_vmfs::Object;

use crate::limits::SEEN_METADATA_MAX;

#[derive(Debug)]
pub(crate) struct SeenMetadata {
    /// What is known, where a place is taken.
    places: Box<[Lba; SEEN_METADATA_MAX]>,
    /// Which places are taken, a bit each: nearly all blocks are of guests' disks, and two lines of the
    /// processor's cache tell so, where each look at the places would be at another line of many.
    taken: [u64; SEEN_METADATA_MAX / WORD_BITS],
}

/// Bits of a word of [`SeenMetadata::taken`].
const WORD_BITS: usize = 64;

impl Default for SeenMetadata {
    fn default() -> Self {
        Self {
            places: Box::new([Lba::new(0); SEEN_METADATA_MAX]),
            taken: [0; SEEN_METADATA_MAX / WORD_BITS],
        }
    }
}

impl SeenMetadata {
    /// Whether `command`, which moves a few blocks from `first` on, moves metadata as far as is known; if
    /// it brings `data`, that is looked at, and remembered.
    ///
    /// The bytes are looked at where the initiator, or a mistaken kernel, could still change them: nothing
    /// but the lane depends on them.
    pub(crate) fn look(&mut self, command: &Command, first: Lba, data: &Buffer) -> bool {
        if matches!(command, Command::Read(_)) {
            return self.knows(first);
        }
        if !matches!(command, Command::Write(_) | Command::CompareAndWrite(_)) {
            return false;
        }
        let is_metadata = Object::has_magic(data.read_array(0));
        if is_metadata {
            self.learn(first);
        } else if self.knows(first) {
            self.forget(first);
        }
        is_metadata
    }

    fn knows(&self, lba: Lba) -> bool {
        let at = place_of(lba);
        self.taken[at / WORD_BITS] & bit(at) != 0 && self.places[at] == lba
    }

    fn learn(&mut self, lba: Lba) {
        let at = place_of(lba);
        self.taken[at / WORD_BITS] |= bit(at);
        self.places[at] = lba;
    }

    fn forget(&mut self, lba: Lba) {
        let at = place_of(lba);
        self.taken[at / WORD_BITS] &= !bit(at);
    }
}

/// The only place where `lba` can be. Slots and locks of VMFS lie a sector or a page apart: bits of both
/// are in the index.
fn place_of(lba: Lba) -> usize {
    let lba = lba.as_u64();
    let mixed = lba ^ (lba >> 7) ^ (lba >> 17);
    usize::try_from(mixed % SEEN_METADATA_MAX as u64).expect("below the size")
}

/// The bit of a place in its word.
const fn bit(place: usize) -> u64 {
    1 << (place % WORD_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slots_of_a_heartbeat_region_do_not_share_places() {
        let mut seen = SeenMetadata::default();
        for apart in [1, 8] {
            let slots: Vec<_> =
                (0..SEEN_METADATA_MAX as u64 / 8).map(|n| Lba::new(8192 + n * apart)).collect();
            slots.iter().for_each(|slot| seen.learn(*slot));
            let known = slots.iter().filter(|slot| seen.knows(**slot)).count();
            assert_eq!(known, slots.len(), "{apart} blocks apart");
            slots.iter().for_each(|slot| seen.forget(*slot));
            assert!(!slots.iter().any(|slot| seen.knows(*slot)));
        }
    }

    #[test]
    fn of_two_blocks_that_share_a_place_the_later_is_known() {
        let mut seen = SeenMetadata::default();
        assert!(!seen.knows(Lba::new(0)), "nothing is at first");
        let [one, other] = [Lba::new(8192), Lba::new(8192 + (1 << 30))];
        assert_eq!(place_of(one), place_of(other));
        seen.learn(one);
        seen.learn(other);
        assert_eq!([one, other].map(|lba| seen.knows(lba)), [false, true]);
    }
}
