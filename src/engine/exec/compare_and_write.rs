//! COMPARE AND WRITE (SBC-4 5.3): VMware's ATS.
//!
//! The task holds its blocks exclusively from before the compare until after the write, and every
//! other command that touches the medium takes part in the range lock: that is the whole of its
//! atomicity. A medium that can do it by itself (several gateways on one store) is asked to.

use pulsefield_backstore::{BackstoreError, Op, OpOutput};
use pulsefield_data::Buffer;
use pulsefield_scsi::Sense;
use pulsefield_units::LbaRange;

use super::{Context, Input, Step};
use crate::outcome::{Outcome, Purpose};
use crate::scratch::Found;

#[derive(Debug)]
pub(crate) struct CompareAndWrite {
    range: LbaRange,
    fua: bool,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    New,
    /// The medium is being read; the image is the whole Data-Out Buffer, test half then set half,
    /// copied once so that what is written is what came with what was compared.
    Reading(Vec<u8>),
    /// The set half is on its way to the medium.
    Writing,
    /// The medium compares and writes by itself.
    Native,
}

impl CompareAndWrite {
    /// `fua` if what is written must be on stable storage before the answer, whatever WCE says.
    pub(crate) const fn new(range: LbaRange, fua: bool) -> Self {
        Self { range, fua, phase: Phase::New }
    }

    pub(crate) const fn range(&self) -> LbaRange {
        self.range
    }

    pub(crate) const fn has_written(&self) -> bool {
        matches!(self.phase, Phase::Writing | Phase::Native)
    }

    pub(crate) fn step(&mut self, cx: &mut Context<'_>, input: Input) -> Step {
        match (std::mem::replace(&mut self.phase, Phase::New), input) {
            (_, Input::Go) => self.start(cx),
            (Phase::Reading(image), Input::Done(Ok(_), buffer)) => self.compare(cx, image, buffer),
            (Phase::Reading(image), Input::Done(Err(error), buffer)) => {
                cx.scratch.give_image(image);
                Self::end(cx, buffer, Err(error), Purpose::Reading)
            }
            (_, Input::Done(result, buffer)) => Self::end(cx, buffer, result, Purpose::Writing),
        }
    }

    fn start(&mut self, cx: &mut Context<'_>) -> Step {
        let half = half_bytes(cx, self.range);
        let image = cx.scratch.image(cx.data, 0, 2 * half);
        if cx.unit.capabilities.compare_and_write {
            self.phase = Phase::Native;
            let mut buffer = cx.scratch.buffer(2 * half);
            buffer.write_at(0, &image);
            cx.scratch.give_image(image);
            let durable = cx.unit.durable(self.fua);
            let op = Op::CompareAndWrite { range: self.range, durable };
            return Step::Op(op, buffer);
        }
        self.phase = Phase::Reading(image);
        Step::Op(Op::Read { range: self.range }, cx.scratch.buffer(half))
    }

    fn compare(&mut self, cx: &mut Context<'_>, image: Vec<u8>, mut buffer: Buffer) -> Step {
        let (test, set) = image.split_at(image.len() / 2);
        if let Some(offset) = buffer.first_difference(0, test) {
            cx.scratch.give_image(image);
            cx.scratch.lay_down(Found { offset, buffer });
            return Step::End(miscompare(offset));
        }
        buffer.write_at(0, set);
        cx.scratch.give_image(image);
        self.phase = Phase::Writing;
        let durable = cx.unit.durable(self.fua);
        Step::Op(Op::Write { range: self.range, durable }, buffer)
    }

    fn end(
        cx: &mut Context<'_>,
        buffer: Buffer,
        result: Result<OpOutput, BackstoreError>,
        purpose: Purpose,
    ) -> Step {
        cx.scratch.give_buffer(buffer);
        match result {
            Ok(OpOutput::Miscompare { offset }) => {
                Step::End(miscompare(usize::try_from(offset).expect("a byte of the buffer")))
            }
            Ok(OpOutput::Done | OpOutput::Extent(_)) => Step::End(Outcome::GOOD),
            Err(error) => Step::failed(error, purpose),
        }
    }
}

/// The bytes of one half: what is compared, and what is written.
fn half_bytes(cx: &Context<'_>, range: LbaRange) -> usize {
    usize::try_from(cx.unit.bytes_in(range)).expect("at most 255 blocks")
}

/// CHECK CONDITION, MISCOMPARE: INFORMATION is the offset of the first differing byte from the start
/// of the Data-Out Buffer (SBC-4 5.3.2).
pub(crate) fn miscompare(offset: usize) -> Outcome {
    Outcome::check(Sense::miscompare(offset as u64))
}

#[cfg(test)]
mod tests;
