//! Faults of writes: acknowledged, and not, or not rightly, on the medium.

use std::num::{NonZeroI64, NonZeroU32};
use std::time::Duration;

use pulsefield_data::Buffer;
use pulsefield_engine::Outcome;
use pulsefield_units::{BlockCount, Cdb, Lba, LbaRange};

use super::Play;
use crate::reach::is_write;
use crate::saboteur::act::{Act, Errand};
use crate::saboteur::alteration::{draw_bits, flip_bits};
use crate::saboteur::cdb;
use crate::saboteur::facts::Facts;
use crate::saboteur::rng::Rng;

/// A write of at least one block, with its Data-Out.
pub(super) struct Payload {
    range: LbaRange,
    fua: bool,
    bytes: Vec<u8>,
}

impl Payload {
    /// The data of a WRITE and its like; `None` for any other command.
    pub(super) fn of(facts: &Facts, data: &Buffer) -> Option<Self> {
        let range = facts.run().filter(|_| is_write(&facts.command))?;
        let mut bytes = vec![0; facts.bytes_in(range)];
        data.read_at(0, &mut bytes);
        let fua = cdb::forces_unit_access(&facts.command);
        Some(Self { range, fua, bytes })
    }

    fn write(&self, range: LbaRange, bytes: Vec<u8>) -> Act {
        Act::Send(Errand::new(cdb::write(range, self.fua), bytes))
    }

    /// `misdirected-write`.
    pub(super) fn misdirected(&self, distance: NonZeroI64, capacity: BlockCount) -> Play {
        let range = elsewhere(self.range, distance, capacity).unwrap_or(self.range);
        Play::new(vec![self.write(range, self.bytes.clone())])
    }

    /// `torn-write`: the rest of the blocks stays.
    pub(super) fn torn(&self, bytes: u32) -> Play {
        let written = usize::try_from(bytes).unwrap_or(usize::MAX).min(self.bytes.len());
        let bytes = self.bytes[..written].to_vec();
        let write =
            Act::WriteImage { range: self.range, at: 0, bytes: bytes.clone(), fua: self.fua };
        Play::new(vec![Act::ReadImage(self.range), write]).with_change(&self.bytes, &bytes)
    }

    /// `bit-flip` of a write.
    pub(super) fn flipped(&self, rng: &mut Rng, bits: NonZeroU32) -> Play {
        let mut bytes = self.bytes.clone();
        flip_bits(&mut bytes, &draw_bits(rng, bits, self.bytes.len()));
        Play::new(vec![self.write(self.range, bytes.clone())]).with_change(&self.bytes, &bytes)
    }
}

/// As many blocks at this distance; in the other direction if there are none; `None` if there are none
/// there either.
pub(super) fn elsewhere(
    range: LbaRange,
    distance: NonZeroI64,
    capacity: BlockCount,
) -> Option<LbaRange> {
    let at = |distance: i64| {
        let start = range.start().as_u64().checked_add_signed(distance)?;
        LbaRange::new(Lba::new(start), range.blocks()).filter(|range| range.fits(capacity))
    };
    at(distance.get()).or_else(|| at(distance.get().checked_neg()?))
}

/// `lost-write` and `zero.keep-data`.
pub(super) fn lost() -> Play {
    Play::answered(Outcome::GOOD)
}

/// `unmap.late`.
pub(super) fn late(cdb: Cdb, data: &Buffer, delay: Duration) -> Play {
    let mut bytes = vec![0; data.len()];
    data.read_at(0, &mut bytes);
    let done = Act::Send(Errand::new(cdb, bytes));
    Play::new(vec![Act::End(Outcome::GOOD), Act::Answer, Act::Wait(delay), done]).with_delay(delay)
}

/// `write.revert`: these images are written back in this order.
pub(super) fn revert(images: Vec<(LbaRange, Vec<u8>)>) -> Play {
    let undo = |(range, image)| Act::Send(Errand::independent(cdb::write(range, false), image));
    Play::new(images.into_iter().map(undo).chain([Act::Original]).collect())
}

#[cfg(test)]
mod tests;
