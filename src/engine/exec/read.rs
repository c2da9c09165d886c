//! READ (6), (10), (12), (16) (SBC-4 5.14 ff.).

use pulsefield_backstore::Op;
use pulsefield_data::Buffer;
use pulsefield_units::LbaRange;

use super::{Context, Input, OnlyOp, Step};
use crate::logical_unit::LogicalUnit;
use crate::outcome::{Outcome, Purpose};

#[derive(Debug)]
pub(crate) struct Read {
    range: LbaRange,
    /// The medium reads into memory of our own, and what the initiator takes is copied from there.
    bounced: bool,
}

impl Read {
    pub(crate) const fn new(range: LbaRange) -> Self {
        Self { range, bounced: false }
    }

    /// What it is if the medium reads straight into the initiator's memory.
    #[inline]
    pub(crate) fn only_op(&self, unit: &LogicalUnit, data: &Buffer) -> Option<OnlyOp> {
        let bytes = self.bytes(unit);
        let (op, end) = (Op::Read { range: self.range }, Outcome::data(bytes));
        (data.len() >= bytes).then_some(OnlyOp { op, end, purpose: Purpose::Reading })
    }

    pub(crate) fn step(&mut self, cx: &mut Context<'_>, input: Input) -> Step {
        let bytes = self.bytes(cx.unit);
        match input {
            // Straight into the initiator's memory, unless it asked for less than it expects to
            // be able to take: then the rest of the last block has nowhere to go.
            Input::Go if cx.data.len() >= bytes => {
                Step::Op(Op::Read { range: self.range }, std::mem::take(cx.data))
            }
            Input::Go => {
                self.bounced = true;
                Step::Op(Op::Read { range: self.range }, cx.scratch.buffer(bytes))
            }
            Input::Done(result, buffer) => {
                if self.bounced {
                    if result.is_ok() {
                        let image = cx.scratch.image(&buffer, 0, cx.data.len());
                        cx.data.write_at(0, &image);
                        cx.scratch.give_image(image);
                    }
                    cx.scratch.give_buffer(buffer);
                } else {
                    *cx.data = buffer;
                }
                match result {
                    Ok(_) => Step::End(Outcome::data(bytes.min(cx.data.len()))),
                    Err(error) => Step::failed(error, Purpose::Reading),
                }
            }
        }
    }

    fn bytes(&self, unit: &LogicalUnit) -> usize {
        usize::try_from(unit.bytes_in(self.range)).expect("at most TRANSFER_BYTES_MAX")
    }
}

#[cfg(test)]
mod tests;
