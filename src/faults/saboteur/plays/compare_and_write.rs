//! Faults of COMPARE AND WRITE: comparing wrong, and writing apart from comparing.

use std::num::NonZeroU32;
use std::time::Duration;

use pulsefield_backstore::Geometry;
use pulsefield_data::Buffer;
use pulsefield_engine::{Outcome, limits};
use pulsefield_scsi::{Asc, Command, Sense, SenseKey};
use pulsefield_units::{Lba, LbaRange};

use super::Play;
use crate::fault::PAGE_BYTES_MAX;
use crate::saboteur::act::{Act, Errand};
use crate::saboteur::alteration::{Alteration, draw_bits, flip_bits};
use crate::saboteur::cdb;
use crate::saboteur::facts::Facts;
use crate::saboteur::rng::Rng;

// Two pages are read and written as one transfer where blocks of a COMPARE AND WRITE lie on both sides of a
// page's end.
const _: () = assert!(2 * PAGE_BYTES_MAX <= limits::TRANSFER_BYTES_MAX);

/// A COMPARE AND WRITE of at least one block, with its Data-Out.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) range: LbaRange,
    fua: bool,
    /// What must be there.
    pub(crate) test: Vec<u8>,
    /// What to write.
    set: Vec<u8>,
}

impl Pair {
    /// The halves of a COMPARE AND WRITE; `None` for any other command.
    pub(crate) fn of(facts: &Facts, data: &Buffer) -> Option<Self> {
        let (Command::CompareAndWrite(command), Some(range)) = (&facts.command, facts.run()) else {
            return None;
        };
        let mut test = vec![0; facts.bytes_in(range)];
        let mut set = test.clone();
        data.read_at(0, &mut test);
        data.read_at(test.len(), &mut set);
        Some(Self { range, fua: command.fua, test, set })
    }

    fn read(&self) -> Act {
        Act::ReadImage(self.range)
    }

    fn compare(&self) -> Act {
        Act::Compare { at: 0, test: self.test.clone() }
    }

    fn write_set(&self) -> Act {
        Act::Send(Errand::new(cdb::write(self.range, self.fua), self.set.clone()))
    }

    fn verify_test(&self) -> Act {
        Act::Send(Errand::new(cdb::verify(self.range), self.test.clone()))
    }

    /// COMPARE AND WRITE with other halves.
    fn with_halves(&self, test: &[u8], set: &[u8]) -> Act {
        let data = [test, set].concat();
        Act::Send(Errand::new(cdb::compare_and_write(self.range, self.fua), data))
    }

    fn with_set(&self, set: &[u8]) -> Play {
        Play::new(vec![self.with_halves(&self.test, set)]).with_change(&self.set, set)
    }

    /// `miscompare.spurious`: what is equal is called different at this byte, modulo the length. What
    /// really differs is told as it is.
    pub(super) fn spurious(&self, offset: u64) -> Play {
        let offset = usize::try_from(offset % self.test.len() as u64).expect("a byte of a half");
        Play::new(vec![self.verify_test(), Act::End(miscompare(offset))])
    }

    /// `miscompare.false-equal`: what really is equal is found so rightly.
    pub(super) fn false_equal(&self) -> Play {
        Play::new(vec![Act::Original, Act::OnlyIfMiscompared, self.write_set()])
    }

    /// `miscompare.wrong-offset`: beyond the end of the compared data it starts over.
    pub(super) fn wrong_offset(&self, shift: NonZeroU32) -> Play {
        let (bytes, compared) = (u64::from(shift.get()), self.test.len() as u64);
        let alteration = Alteration::ShiftOffset { bytes, compared };
        Play::new(vec![Act::Original, Act::Alter(alteration)])
    }

    /// `caw.not-atomic`.
    pub(super) fn not_atomic(&self, gap: Duration) -> Play {
        let acts = vec![self.read(), self.compare(), Act::Wait(gap), self.write_set()];
        Play::new(acts).with_delay(gap)
    }

    /// `caw.page-rmw`; a page starts at a multiple of its length, and the last one ends with the medium.
    pub(super) fn page_wide(&self, page: u32, geometry: Geometry, gap: Duration) -> Play {
        let block = u64::from(geometry.block_length.bytes());
        let page = (u64::from(page.min(PAGE_BYTES_MAX)) / block).max(1);
        let (first, end) = (self.range.start().as_u64(), self.range.end().as_u64());
        let start = first / page * page;
        let end = end.next_multiple_of(page).min(geometry.blocks.as_u64());
        let blocks = Lba::new(end).checked_sub(Lba::new(start));
        let range = blocks.and_then(|blocks| LbaRange::new(Lba::new(start), blocks));
        let range = range.expect("it holds the command's own blocks");
        let at = usize::try_from((first - start) * block).expect("inside a page");
        let acts = vec![
            Act::ReadImage(range),
            Act::Compare { at, test: self.test.clone() },
            Act::Wait(gap),
            Act::WriteImage { range, at, bytes: self.set.clone(), fua: self.fua },
        ];
        Play::new(acts).with_delay(gap)
    }

    /// `caw.write-first`: read, written, and only then compared with what was read.
    pub(super) fn write_first(&self) -> Play {
        Play::new(vec![self.read(), self.write_set(), self.compare()])
    }

    /// `caw.torn`: atomic, but of the set half only the first bytes are written.
    pub(super) fn torn(&self, bytes: u32) -> Play {
        let written = usize::try_from(bytes).unwrap_or(usize::MAX).min(self.set.len());
        self.with_set(&[&self.set[..written], &self.test[written..]].concat())
    }

    /// `bit-flip` of the set half.
    pub(super) fn flipped(&self, rng: &mut Rng, bits: NonZeroU32) -> Play {
        let mut set = self.set.clone();
        flip_bits(&mut set, &draw_bits(rng, bits, self.set.len()));
        self.with_set(&set)
    }

    /// `lost-write`: compared, and not written.
    pub(super) fn lost(&self) -> Play {
        Play::new(vec![self.verify_test()])
    }

    /// `caw.twice`.
    pub(super) fn twice(&self) -> Play {
        Play::new(vec![self.with_halves(&self.test, &self.set), Act::Original])
    }

    /// `stale-compare`: the test half is an older one.
    pub(super) fn with_test(&self, test: &[u8]) -> Play {
        Play::new(vec![self.with_halves(test, &self.set)]).with_change(&self.test, test)
    }

    /// `caw.late-apply`.
    pub(super) fn late(&self, longest: Duration, delay: Duration) -> Play {
        let again = self.with_halves(&self.test, &self.set);
        let acts = vec![Act::Hold(longest), Act::AnswerIfAborted, Act::Wait(delay), again];
        Play::new(acts).with_delay(delay)
    }
}

/// `miscompare.no-information`.
pub(super) fn no_information() -> Play {
    Play::new(vec![Act::Original, Act::Alter(Alteration::NoInformation)])
}

/// `miscompare.wrong-sense`.
pub(super) fn wrong_sense(key: SenseKey, asc: Asc) -> Play {
    Play::new(vec![Act::Original, Act::Alter(Alteration::WrongSense(key, asc))])
}

/// `caw.status-lost`.
pub(super) fn status_lost(longest: Duration) -> Play {
    Play::new(vec![Act::Original, Act::Hold(longest)])
}

/// The end of a COMPARE AND WRITE whose test half differs at this byte.
pub(crate) const fn miscompare(offset: usize) -> Outcome {
    Outcome::check(Sense::miscompare(offset as u64))
}

#[cfg(test)]
mod tests;
