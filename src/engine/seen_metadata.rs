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
    places: Box<[Option<Lba>; SEEN_METADATA_MAX]>,
}

impl Default for SeenMetadata {
    fn default() -> Self {
        Self { places: Box::new([None; SEEN_METADATA_MAX]) }
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
            return *self.place(first) == Some(first);
        }
        if !matches!(command, Command::Write(_) | Command::CompareAndWrite(_)) {
            return false;
        }
        let mut magic = [0; 4];
        data.read_at(0, &mut magic);
        let is_metadata = Object::has_magic(magic);
        let place = self.place(first);
        if is_metadata {
            *place = Some(first);
        } else if *place == Some(first) {
            *place = None;
        }
        is_metadata
    }

    /// The only place where `lba` can be. Slots and locks of VMFS lie a sector or a page apart: bits of
    /// both are in the index.
    fn place(&mut self, lba: Lba) -> &mut Option<Lba> {
        let lba = lba.as_u64();
        let mixed = lba ^ (lba >> 7) ^ (lba >> 17);
        let index = usize::try_from(mixed % SEEN_METADATA_MAX as u64).expect("below the size");
        &mut self.places[index]
    }
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
            for slot in &slots {
                *seen.place(*slot) = Some(*slot);
            }
            let known = slots.iter().filter(|slot| *seen.place(**slot) == Some(**slot)).count();
            assert_eq!(known, slots.len(), "{apart} blocks apart");
        }
    }
}
