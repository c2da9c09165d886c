//! ORWRITE (SBC-4): reads blocks, ORs Data-Out into them, and writes the result.
//!
//! The task holds its blocks exclusively from the first read until after the last write, so that of two
//! ORWRITEs neither loses a bit that the other sets.

use pulsefield_backstore::Op;
use pulsefield_data::Buffer;
use pulsefield_units::{BlockCount, LbaRange};

use super::{Context, Input, Step};
use crate::limits::PIECE_BYTES;
use crate::outcome::{Outcome, Purpose};

#[derive(Debug)]
pub(crate) struct OrWrite {
    range: LbaRange,
    fua: bool,
    /// What is being worked on, or is next.
    piece: LbaRange,
    /// What comes after it.
    rest: Option<LbaRange>,
    /// Bytes of Data-Out before the piece.
    done: usize,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The first piece is read; nothing was written yet.
    ReadingFirst,
    Reading,
    Writing,
}

impl OrWrite {
    /// `fua` if the result must be on stable storage before the answer, whatever WCE says.
    pub(crate) const fn new(range: LbaRange, fua: bool, piece_blocks: BlockCount) -> Self {
        let (piece, rest) = range.split_first(piece_blocks);
        Self { range, fua, piece, rest, done: 0, phase: Phase::ReadingFirst }
    }

    pub(crate) const fn range(&self) -> LbaRange {
        self.range
    }

    pub(crate) const fn has_written(&self) -> bool {
        !matches!(self.phase, Phase::ReadingFirst)
    }

    pub(crate) fn step(&mut self, cx: &mut Context<'_>, input: Input) -> Step {
        let bytes = usize::try_from(cx.unit.bytes_in(self.piece)).expect("at most PIECE_BYTES");
        match (self.phase, input) {
            (_, Input::Go) => Step::Op(Op::Read { range: self.piece }, cx.scratch.buffer(bytes)),
            (Phase::Writing, Input::Done(Err(error), buffer)) => {
                cx.scratch.give_buffer(buffer);
                Step::failed(error, Purpose::Writing)
            }
            (_, Input::Done(Err(error), buffer)) => {
                cx.scratch.give_buffer(buffer);
                Step::failed(error, Purpose::Reading)
            }
            (Phase::Writing, Input::Done(Ok(_), buffer)) => self.next(cx, bytes, buffer),
            (_, Input::Done(Ok(_), mut buffer)) => {
                self.set_bits(cx, bytes, &mut buffer);
                self.phase = Phase::Writing;
                Step::Op(
                    Op::Write { range: self.piece, durable: cx.unit.durable(self.fua) },
                    buffer,
                )
            }
        }
    }

    /// ORs the piece's part of Data-Out into what was read.
    fn set_bits(&self, cx: &mut Context<'_>, bytes: usize, blocks: &mut Buffer) {
        let mut image = cx.scratch.image(blocks, 0, bytes);
        let mask = cx.scratch.image(cx.data, self.done, bytes);
        for (byte, mask) in image.iter_mut().zip(&mask) {
            *byte |= mask;
        }
        blocks.write_at(0, &image);
        cx.scratch.give_image(mask);
        cx.scratch.give_image(image);
    }

    fn next(&mut self, cx: &mut Context<'_>, bytes: usize, buffer: Buffer) -> Step {
        let Some(rest) = self.rest else {
            cx.scratch.give_buffer(buffer);
            return Step::End(Outcome::GOOD);
        };
        (self.piece, self.rest) = rest.split_first(cx.unit.blocks_in(PIECE_BYTES as u64));
        self.done += bytes;
        self.phase = Phase::Reading;
        Step::Op(Op::Read { range: self.piece }, buffer)
    }
}

#[cfg(test)]
mod tests;
