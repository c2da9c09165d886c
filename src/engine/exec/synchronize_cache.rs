//! SYNCHRONIZE CACHE (10), (16) (SBC-4 5.33).
//!
//! It claims no range: what must be on stable storage is what was *answered* before, and a write
//! that was answered is no longer in flight. The whole cache is written out, whatever range is
//! named, and IMMED is treated as 0: the answer then says more than was asked for.

use pulsefield_backstore::Op;
use pulsefield_data::Buffer;

use super::{Input, Step};
use crate::outcome::{Outcome, Purpose};

pub(crate) fn step(input: Input) -> Step {
    match input {
        Input::Go => Step::Op(Op::Flush, Buffer::empty()),
        Input::Done(Ok(_), _) => Step::End(Outcome::NO_DATA),
        Input::Done(Err(error), _) => Step::failed(error, Purpose::Writing),
    }
}
