//! Background operations: SANITIZE and FORMAT UNIT, which work through the whole medium.
//!
//! The operation belongs to the unit, not to the command that asked for it: it goes on when that
//! command is aborted or the unit is reset (SBC-4, Sanitize operations). It claims every block, so it
//! starts when all that was admitted before is over; what comes meanwhile is refused with a progress
//! indication (`readiness.rs`). It sends one op at a time, in a slot of the bulk lane.
//!
//! A pool of space does not hold it up: most of these give space back, and overwriting is told that all
//! blocks are to be written, whatever that takes. What the medium takes is asked for at its end.
//!
//! That it goes on is saved before the first op, and that it is over before that is answered. It does
//! not go on after the end of the device server: the next one then knows that the operation was not
//! finished, and treats it as one that has failed. (A unit that cannot save anything is sanitized all
//! the same, since that is what its owner wants most.)

use pulsefield_backstore::{BackstoreError, Op, OpOutput, OpTag};
use pulsefield_data::Buffer;
use pulsefield_scsi::parameter::Overwrite;
use pulsefield_scsi::{Asc, Sense, SenseKey};
use pulsefield_units::{BlockCount, Instant, LbaRange};

use crate::event::Observer;
use crate::exec::Exec;
use crate::lane::Lane;
use crate::limits;
use crate::logical_unit::LogicalUnit;
use crate::outcome::Outcome;
use crate::range_lock::{Access, Holder};
use crate::server::DeviceServer;

/// Who holds the blocks and the slot of a background operation; no task stands at that place.
pub(crate) const HOLDER: Holder = 4096;
const _: () = assert!(HOLDER as usize == limits::TASKS_MAX, "tasks stand at all places below");
/// What its ops are called; a task's ops have its place in the low half.
pub(crate) const OP_TAG: OpTag = OpTag(u64::MAX);

/// An operation on the whole medium, by the command that asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// FORMAT UNIT.
    Format,
    /// SANITIZE.
    Sanitize {
        /// AUSE: should it fail, EXIT FAILURE MODE makes the unit usable again.
        unrestricted_exit: bool,
    },
}

impl Operation {
    /// What a command hears that comes while the operation runs.
    fn in_progress(self) -> Sense {
        let asc = match self {
            Self::Format => Asc::LOGICAL_UNIT_NOT_READY_FORMAT_IN_PROGRESS,
            Self::Sanitize { .. } => Asc::LOGICAL_UNIT_NOT_READY_SANITIZE_IN_PROGRESS,
        };
        Sense::new(SenseKey::NotReady, asc)
    }

    /// What a command hears that comes after the operation has failed.
    pub(crate) fn failed(self) -> Sense {
        let asc = match self {
            Self::Format => Asc::FORMAT_COMMAND_FAILED,
            Self::Sanitize { .. } => Asc::SANITIZE_COMMAND_FAILED,
        };
        Sense::new(SenseKey::MediumError, asc)
    }
}

/// What happens to the blocks.
#[derive(Debug)]
enum Work {
    /// Zeros, and their space given back where the medium can.
    Zero { may_unmap: bool },
    /// Their space given back.
    Erase,
    /// A pattern, on the medium itself and not in its cache; inverted before each of the passes that
    /// are left after this one, if asked for.
    Overwrite { pattern: Buffer, invert: bool, passes_left: u8 },
}

/// A background operation.
#[derive(Debug)]
pub(crate) struct Background {
    operation: Operation,
    work: Work,
    range: LbaRange,
    /// What this pass has not been sent to yet.
    rest: Option<LbaRange>,
    piece: BlockCount,
    blocks_done: u128,
    blocks_total: u128,
    flushed: bool,
    saved: Saved,
}

/// What of a background operation is on stable storage, or about to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Saved {
    Nothing,
    Begin,
    End,
}

impl Background {
    /// Formatting all of `range`, which is the whole medium.
    pub(crate) fn format(unit: &LogicalUnit, range: LbaRange) -> Self {
        let work = Work::Zero { may_unmap: unit.thin() };
        let piece = unit.blocks_in(limits::BACKGROUND_ZERO_BYTES);
        Self::new(Operation::Format, work, range, piece, 1)
    }

    /// Erasing all of `range`, which is the whole medium.
    pub(crate) fn erase(unit: &LogicalUnit, range: LbaRange, unrestricted_exit: bool) -> Self {
        let operation = Operation::Sanitize { unrestricted_exit };
        let piece = unit.blocks_in(limits::BACKGROUND_ZERO_BYTES);
        Self::new(operation, Work::Erase, range, piece, 1)
    }

    /// Overwriting all of `range`, which is the whole medium.
    pub(crate) fn overwrite(
        unit: &LogicalUnit,
        range: LbaRange,
        unrestricted_exit: bool,
        overwrite: &Overwrite<'_>,
    ) -> Self {
        let block = unit.geometry.block_length.bytes() as usize;
        let piece = unit.blocks_in(limits::BACKGROUND_WRITE_BYTES as u64);
        let block: Vec<u8> = overwrite.pattern.iter().copied().cycle().take(block).collect();
        let mut pattern = Buffer::heap(limits::BACKGROUND_WRITE_BYTES);
        for at in (0..limits::BACKGROUND_WRITE_BYTES).step_by(block.len()) {
            pattern.write_at(at, &block);
        }
        // With INVERT the last pass writes the pattern as it is.
        if overwrite.invert && overwrite.passes.is_multiple_of(2) {
            invert(&mut pattern);
        }
        let passes_left = overwrite.passes.saturating_sub(1);
        let work = Work::Overwrite { pattern, invert: overwrite.invert, passes_left };
        let operation = Operation::Sanitize { unrestricted_exit };
        Self::new(operation, work, range, piece, overwrite.passes)
    }

    fn new(
        operation: Operation,
        work: Work,
        range: LbaRange,
        piece: BlockCount,
        passes: u8,
    ) -> Self {
        let blocks_total = u128::from(range.blocks().as_u64()) * u128::from(passes);
        let rest = Some(range);
        Self {
            operation,
            work,
            range,
            rest,
            piece,
            blocks_done: 0,
            blocks_total,
            flushed: false,
            saved: Saved::Nothing,
        }
    }

    /// How much is done, in 65,536ths; never all of it.
    fn progress(&self) -> u16 {
        let progress = self.blocks_done * 0x1_0000 / self.blocks_total;
        u16::try_from(progress).unwrap_or(u16::MAX)
    }

    /// What commands hear that come meanwhile, and what REQUEST SENSE tells.
    pub(crate) fn sense(&self) -> Sense {
        self.operation.in_progress().with_progress(self.progress())
    }

    /// The next op; `None` when all is done and on the medium.
    fn next(&mut self) -> Option<(Op, Buffer)> {
        let Some(rest) = self.rest.or_else(|| self.begin_pass()) else {
            // Overwriting needs none: each of its pieces went to the medium.
            let flush = !self.flushed && !matches!(self.work, Work::Overwrite { .. });
            self.flushed = true;
            return flush.then(|| (Op::Flush, Buffer::empty()));
        };
        let (range, rest) = rest.split_first(self.piece);
        self.rest = rest;
        self.blocks_done += u128::from(range.blocks().as_u64());
        Some(match &mut self.work {
            Work::Zero { may_unmap } => {
                let op = Op::WriteZeroes { range, durable: false, may_unmap: *may_unmap };
                (op, Buffer::empty())
            }
            Work::Erase => (Op::Unmap { range }, Buffer::empty()),
            Work::Overwrite { pattern, .. } => {
                (Op::Write { range, durable: true }, std::mem::take(pattern))
            }
        })
    }

    /// Starts the next pass over the medium, if there is one.
    fn begin_pass(&mut self) -> Option<LbaRange> {
        let Work::Overwrite { pattern, invert: inverts, passes_left } = &mut self.work else {
            return None;
        };
        *passes_left = passes_left.checked_sub(1)?;
        if *inverts {
            invert(pattern);
        }
        Some(self.range)
    }

    /// Takes the buffer of an op back.
    fn take_back(&mut self, buffer: Buffer) {
        if let Work::Overwrite { pattern, .. } = &mut self.work {
            *pattern = buffer;
        }
    }
}

/// Inverts every bit.
fn invert(buffer: &mut Buffer) {
    let mut bytes = vec![0; buffer.len()];
    buffer.read_at(0, &mut bytes);
    bytes.iter_mut().for_each(|byte| *byte = !*byte);
    buffer.write_at(0, &bytes);
}

impl<T, O: Observer> DeviceServer<T, O> {
    /// Whether SANITIZE or FORMAT UNIT works through the medium, or is about to.
    pub fn is_in_background(&self) -> bool {
        self.unit.background.is_some()
    }

    /// Starts the operation that the unit was just given, as soon as its blocks are free.
    pub(crate) fn claim_for_background(&mut self) {
        let Some(background) = &self.unit.background else { return };
        if self.locks.claim(HOLDER, background.range, Access::Exclusive) {
            self.lanes.enqueue(Lane::Bulk, HOLDER);
        }
    }

    /// Carries it one step further: has its begin saved, sends its next op, or has its end saved.
    pub(crate) fn step_background(&mut self, now: Instant) {
        let Some(background) = &mut self.unit.background else { return };
        match background.saved {
            Saved::Nothing => {
                background.saved = Saved::Begin;
                let unfinished = Some(background.operation);
                self.save_unfinished(unfinished);
            }
            Saved::Begin => match background.next() {
                Some((op, buffer)) => {
                    self.unit.marked.written_by(op);
                    self.submissions.push_back((HOLDER, op, buffer));
                }
                None => {
                    background.saved = Saved::End;
                    self.save_unfinished(None);
                }
            },
            Saved::End => self.end_background(now, None),
        }
    }

    fn save_unfinished(&mut self, unfinished: Option<Operation>) {
        self.unit.to_save.unfinished = unfinished;
        self.save(HOLDER, self.unit.to_save.clone());
    }

    /// Takes the end of one of its ops.
    pub(crate) fn background_op_done(
        &mut self,
        now: Instant,
        result: Result<OpOutput, BackstoreError>,
        buffer: Buffer,
    ) {
        let Some(background) = &mut self.unit.background else { return };
        background.take_back(buffer);
        match result {
            Ok(_) => self.step_background(now),
            Err(_) => {
                let failed = background.operation;
                self.end_background(now, Some(failed));
            }
        }
    }

    /// Ends it, and answers whoever waited for that.
    fn end_background(&mut self, now: Instant, failed: Option<Operation>) {
        self.unit.background = None;
        self.unit.failed = failed;
        self.unit.space.relieve();
        self.lanes.finish(Lane::Bulk);
        self.release_claim(now, HOLDER);
        for at in self.tasks.find(|task| matches!(task.exec, Exec::AwaitBackground(_))) {
            if let Exec::AwaitBackground(good) = &self.tasks.task(at).exec {
                let good = **good;
                let failed = failed.map(|operation| Outcome::check(operation.failed()));
                self.retire(now, at, failed.unwrap_or(good));
            }
        }
    }
}

#[cfg(test)]
mod tests;
