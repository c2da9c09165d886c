//! VERIFY (10), (12), (16) (SBC-4 5.37 ff.): reads the medium, and compares if asked to. PRE-FETCH
//! (10), (16): the same without comparing, so that the blocks lie in the cache of whatever keeps them.
//!
//! PRE-FETCH is answered GOOD. CONDITION MET would say that a cache now holds all of the blocks, and
//! the cache is not ours: the kernel's page cache and a disk's buffer drop a block when they like, and
//! tell nobody. GOOD, "as many as fit", is what can be known. IMMED is treated as 0: a block that
//! cannot be read is then reported.

use pulsefield_backstore::Op;
use pulsefield_scsi::ByteCheck;
use pulsefield_units::{BlockCount, LbaRange};

use super::compare_and_write::miscompare;
use super::{Context, Input, Step};
use crate::limits::PIECE_BYTES;
use crate::outcome::{Outcome, Purpose};

#[derive(Debug)]
pub(crate) struct Verify {
    byte_check: ByteCheck,
    /// What is being read, or is next.
    piece: LbaRange,
    /// What comes after it.
    rest: Option<LbaRange>,
    /// Bytes of the range verified so far.
    done: usize,
}

impl Verify {
    pub(crate) const fn new(
        range: LbaRange,
        byte_check: ByteCheck,
        piece_blocks: BlockCount,
    ) -> Self {
        let (piece, rest) = range.split_first(piece_blocks);
        Self { byte_check, piece, rest, done: 0 }
    }

    pub(crate) fn step(&mut self, cx: &mut Context<'_>, input: Input) -> Step {
        let bytes = usize::try_from(cx.unit.bytes_in(self.piece)).expect("at most PIECE_BYTES");
        let (result, buffer) = match input {
            Input::Go => {
                let op = Op::Read { range: self.piece };
                return Step::Op(op, cx.scratch.buffer(bytes));
            }
            Input::Done(result, buffer) => (result, buffer),
        };
        if let Err(error) = result {
            cx.scratch.give_buffer(buffer);
            return Step::failed(error, Purpose::Reading);
        }
        let difference = self.difference(cx, &buffer, bytes);
        let next = self.rest.map(|rest| rest.split_first(cx.unit.blocks_in(PIECE_BYTES as u64)));
        match (difference, next) {
            (Some(offset), _) => {
                cx.scratch.give_buffer(buffer);
                Step::End(miscompare(offset))
            }
            (None, Some((piece, rest))) => {
                (self.piece, self.rest) = (piece, rest);
                self.done += bytes;
                Step::Op(Op::Read { range: piece }, buffer)
            }
            (None, None) => {
                cx.scratch.give_buffer(buffer);
                Step::End(match self.byte_check {
                    ByteCheck::None => Outcome::NO_DATA,
                    ByteCheck::Compare | ByteCheck::CompareOne => Outcome::GOOD,
                })
            }
        }
    }

    /// The offset in the Data-Out Buffer of the first byte that differs from the piece just read.
    fn difference(
        &self,
        cx: &mut Context<'_>,
        read: &pulsefield_data::Buffer,
        bytes: usize,
    ) -> Option<usize> {
        match self.byte_check {
            ByteCheck::None => None,
            ByteCheck::Compare => {
                let expected = cx.scratch.image(cx.data, self.done, bytes);
                let difference = read.first_difference(0, &expected).map(|at| self.done + at);
                cx.scratch.give_image(expected);
                difference
            }
            ByteCheck::CompareOne => {
                let block = cx.unit.geometry.block_length.bytes() as usize;
                let expected = cx.scratch.image(cx.data, 0, block);
                let offsets = (0..bytes).step_by(block);
                let difference = offsets
                    .map(|at| read.first_difference(at, &expected))
                    .find_map(|difference| difference);
                cx.scratch.give_image(expected);
                difference
            }
        }
    }
}

#[cfg(test)]
mod tests;
