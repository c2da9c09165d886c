//! WRITE SAME (10), (16) (SBC-4 5.52 ff.): one block, written many times; zeros may give space back.

use pulsefield_backstore::Op;
use pulsefield_data::Buffer;
use pulsefield_units::LbaRange;

use super::is_zero;
use super::{Context, Input, Step};
use crate::limits::PIECE_BYTES;
use crate::outcome::{Outcome, Purpose};
use crate::server::SpaceNeeds;

#[derive(Debug)]
pub(crate) struct WriteSame {
    range: LbaRange,
    /// UNMAP: zeros may be represented by unmapped blocks.
    may_unmap: bool,
    /// NDOB: there is no Data-Out; the block is all zeros.
    no_data_out: bool,
    rest: Option<LbaRange>,
    started: bool,
}

impl WriteSame {
    pub(crate) const fn new(range: LbaRange, may_unmap: bool, no_data_out: bool) -> Self {
        Self { range, may_unmap, no_data_out, rest: None, started: false }
    }

    /// Zeros that may be unmapped take no space.
    pub(crate) fn space_needs(&self, data: &Buffer) -> SpaceNeeds {
        let zeros = || self.no_data_out || is_zero(data, data.len());
        if self.may_unmap && zeros() {
            SpaceNeeds::Relieves
        } else {
            SpaceNeeds::Allocates(self.range)
        }
    }

    pub(crate) const fn has_written(&self) -> bool {
        self.started
    }

    pub(crate) fn step(&mut self, cx: &mut Context<'_>, input: Input) -> Step {
        match input {
            Input::Go => self.start(cx),
            Input::Done(Err(error), buffer) => {
                cx.scratch.give_buffer(buffer);
                Step::failed(error, Purpose::Writing)
            }
            Input::Done(Ok(_), buffer) => match self.rest {
                None => {
                    cx.scratch.give_buffer(buffer);
                    Step::End(Outcome::GOOD)
                }
                Some(rest) => self.write_piece(cx, rest, buffer),
            },
        }
    }

    fn start(&mut self, cx: &mut Context<'_>) -> Step {
        self.started = true;
        let block = cx.unit.geometry.block_length.bytes() as usize;
        let pattern =
            if self.no_data_out { Vec::new() } else { cx.scratch.image(cx.data, 0, block) };
        if pattern.iter().all(|byte| *byte == 0) {
            cx.scratch.give_image(pattern);
            let op = Op::WriteZeroes {
                range: self.range,
                durable: cx.unit.durable(false),
                may_unmap: self.may_unmap,
            };
            return Step::Op(op, pulsefield_data::Buffer::empty());
        }
        let total = usize::try_from(cx.unit.bytes_in(self.range)).expect("at most the maximum");
        let mut buffer = cx.scratch.buffer(total.min(PIECE_BYTES));
        for at in (0..total.min(PIECE_BYTES)).step_by(block) {
            buffer.write_at(at, &pattern);
        }
        cx.scratch.give_image(pattern);
        self.write_piece(cx, self.range, buffer)
    }

    fn write_piece(
        &mut self,
        cx: &Context<'_>,
        range: LbaRange,
        buffer: pulsefield_data::Buffer,
    ) -> Step {
        let (piece, rest) = range.split_first(cx.unit.blocks_in(PIECE_BYTES as u64));
        self.rest = rest;
        Step::Op(Op::Write { range: piece, durable: cx.unit.durable(false) }, buffer)
    }
}

#[cfg(test)]
mod tests;
