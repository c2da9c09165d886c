//! One MISCOMPARE with all that the record knows of it: what every finding is asked about.

use pulsefield_record::{Found, ImageRole};
use pulsefield_units::{BlockCount, Lba};
use pulsefield_vmfs::{Object, ObjectName};

use crate::told::{Left, Told};
use crate::traffic::{Gap, Traffic, only};

/// What a COMPARE AND WRITE that miscompared brought and found, of the block in which the first
/// difference is.
#[derive(Clone, Debug)]
pub(crate) struct Compared<'r> {
    pub(crate) told: Told<'r>,
    pub(crate) lba: Lba,
    pub(crate) block_bytes: usize,
    pub(crate) expected: Option<&'r [u8]>,
    pub(crate) wanted: Option<&'r [u8]>,
    pub(crate) found: Option<Vec<u8>>,
}

impl<'r> Compared<'r> {
    /// `None` of a command that names no blocks, and compares nothing.
    pub(crate) fn of(told: Told<'r>, found: Option<Found>) -> Option<Self> {
        let command = told.command;
        let blocks = told.blocks()?;
        let count = usize::try_from(blocks.blocks().as_u64()).ok()?;
        let block_bytes = usize::try_from(command.data_bytes / 2).ok()?.checked_div(count)?;
        let block_bytes = block_bytes.max(1);
        let expected = command.image(ImageRole::Expected);
        let found = found.map(|found| found.image);
        // The first difference by the bytes themselves, if there are both: INFORMATION may be a fault's.
        let differs = expected.zip(found.as_ref()).and_then(|(expected, found)| {
            let at = expected.bytes.iter().zip(&found.bytes).position(|(old, new)| old != new)?;
            (expected.offset == found.offset).then_some(expected.offset + at as u64)
        });
        let told_so = command.sense.and_then(|sense| sense.information);
        let at = differs.or(told_so).unwrap_or(0) / block_bytes as u64;
        let index = at.min(blocks.blocks().as_u64() - 1);
        let lba = blocks.start().checked_add(BlockCount::new(index))?;
        Some(Self {
            told,
            lba,
            block_bytes,
            expected: told.block(ImageRole::Expected, lba, block_bytes),
            wanted: told.block(ImageRole::Written, lba, block_bytes),
            found: found.and_then(|it| it.block(index, block_bytes).map(<[u8]>::to_vec)),
        })
    }

    /// The object of VMFS that the block is: by what the command expects, else by what it found or wants
    /// to write.
    pub(crate) fn object(&self) -> Option<ObjectName> {
        let images = [self.expected, self.found.as_deref(), self.wanted];
        images.into_iter().flatten().find_map(Object::decode).map(|object| object.name())
    }
}

/// A MISCOMPARE of which both what was expected and what was found is kept.
pub(crate) struct Case<'c, 'r> {
    pub(crate) traffic: &'c Traffic<'r>,
    pub(crate) told: Told<'r>,
    pub(crate) lba: Lba,
    pub(crate) block_bytes: usize,
    pub(crate) expected: &'c [u8],
    pub(crate) found: &'c [u8],
    /// What it wanted to write.
    pub(crate) wanted: Option<&'c [u8]>,
    /// The commands that may have changed the block before it compared, in the order in which they did.
    pub(crate) before: &'c [Told<'r>],
    /// How what was found came there.
    pub(crate) source: Source<'r>,
}

/// How what was found came there.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'r> {
    /// This command wrote just that, and none after it has written.
    Written(Told<'r>),
    /// This command wrote last; what, is not kept.
    WrittenUnseen(Told<'r>),
    /// This command wrote last, as far as is recorded, and something else.
    Other(Told<'r>),
    /// No recorded command wrote the block before.
    Unrecorded,
}

impl<'c, 'r> Case<'c, 'r> {
    /// `None` if what was expected or found is not kept. `writers` are all commands that may have changed
    /// the block, in the order in which they did.
    pub(crate) fn of(
        traffic: &'c Traffic<'r>,
        compared: &'c Compared<'r>,
        writers: &'c [Told<'r>],
    ) -> Option<Self> {
        let Compared { told, lba, block_bytes, expected, wanted, found } = compared;
        let found = found.as_deref()?;
        let moment = |other: &Told<'_>| (other.record.epoch, other.applied());
        let end = writers.partition_point(|writer| moment(writer) <= moment(told));
        // Whoever was done with in the same moment may have written just after; not if it wrote this.
        let certainly = writers.partition_point(|writer| moment(writer) < moment(told));
        let wrote_it = |writer: &Told<'r>| {
            writer.leaves(*lba, *block_bytes).is_some_and(|left| left.is(found))
        };
        let tied = writers[certainly..end].iter().rposition(wrote_it);
        let before = &writers[..tied.map_or(certainly, |last| certainly + last + 1)];
        let source = Source::of(before, found, |writer| writer.leaves(*lba, *block_bytes));
        Some(Self {
            traffic,
            told: *told,
            lba: *lba,
            block_bytes: *block_bytes,
            expected: (*expected)?,
            found,
            wanted: *wanted,
            before,
            source,
        })
    }

    /// The command that wrote what was found.
    pub(crate) const fn writer(&self) -> Option<Told<'r>> {
        match self.source {
            Source::Written(writer) => Some(writer),
            Source::WrittenUnseen(_) | Source::Other(_) | Source::Unrecorded => None,
        }
    }

    /// What `writer` left in the block, if it is certain that it was carried out.
    pub(crate) fn image_of(&self, writer: Told<'r>) -> Option<&'r [u8]> {
        let left = writer.leaves(self.lba, self.block_bytes).filter(|_| writer.is_good())?;
        match left {
            Left::Bytes(bytes) => Some(bytes),
            Left::Zeros => None,
        }
    }

    /// What the COMPARE AND WRITE `writer` expected of the block.
    pub(crate) fn expectation_of(&self, writer: Told<'r>) -> Option<&'r [u8]> {
        writer.block(ImageRole::Expected, self.lba, self.block_bytes)
    }

    /// The commands that have written since what this command expects was there, first of all the one that
    /// replaced it. Empty if it is not recorded when that was there.
    pub(crate) fn since_expected(&self) -> Vec<Told<'r>> {
        let left_it = |writer: &Told<'r>| {
            let left = writer.leaves(self.lba, self.block_bytes);
            writer.is_good() && left.is_some_and(|left| left.is(self.expected))
        };
        let found_it = |writer: &Told<'r>| self.expectation_of(*writer) == Some(self.expected);
        let after = self.before.iter().rposition(left_it).map(|at| at + 1);
        let first = after.or_else(|| self.before.iter().rposition(found_it));
        let since = first.map_or(&[][..], |first| &self.before[first..]);
        let has_written = |writer: &&Told<'r>| writer.is_good() || Some(**writer) == self.writer();
        since.iter().filter(has_written).copied().collect()
    }

    /// The last command that was to write the block, was answered GOOD because a rule hit it, and
    /// nothing of it came there: it was dropped, or went elsewhere.
    pub(crate) fn promised(&self) -> Option<Told<'r>> {
        let block = only(self.lba)?;
        let names_it = |told: &Told<'r>| told.named().is_some_and(|named| named.contains(block));
        let went_by = |told: &Told<'r>| {
            told.command.hit.is_some()
                && told.is_good()
                && names_it(told)
                && !self.before.contains(told)
        };
        let of_epoch = |told: &&Told<'r>| told.record.epoch == self.told.record.epoch;
        let since = self.source.last().map_or(0, |writer| writer.record.sequence);
        let (commands, sequence) = (self.traffic.commands(), self.told.record.sequence);
        let end = commands.partition_point(|told| told.record.sequence < sequence);
        let between = commands[..end].iter().rev().take_while(|told| told.record.sequence > since);
        between.filter(of_epoch).find(|told| went_by(told)).copied()
    }

    /// What is missing of the record between `from` and this command.
    pub(crate) fn gap_since(&self, from: Told<'r>) -> Option<Gap> {
        self.traffic.gap(from.record, self.told.record)
    }
}

impl<'r> Source<'r> {
    /// The command that wrote last, as far as is recorded.
    const fn last(&self) -> Option<Told<'r>> {
        match self {
            Self::Written(last) | Self::WrittenUnseen(last) | Self::Other(last) => Some(*last),
            Self::Unrecorded => None,
        }
    }

    fn of(
        before: &[Told<'r>],
        found: &[u8],
        leaves: impl Fn(&Told<'r>) -> Option<Left<'r>>,
    ) -> Self {
        for writer in before.iter().rev() {
            match leaves(writer) {
                Some(left) if left.is(found) => return Self::Written(*writer),
                Some(_) if writer.is_good() => return Self::Other(*writer),
                None if writer.is_good() => return Self::WrittenUnseen(*writer),
                // It may have done nothing.
                Some(_) | None => {}
            }
        }
        Self::Unrecorded
    }
}
