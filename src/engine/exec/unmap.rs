//! UNMAP (SBC-4 5.35): gives the space of several ranges back, one after the other.
//!
//! Each range is claimed by itself, just before it is unmapped: a claim on all of them at once would
//! have to span everything that lies between, and a heartbeat there would wait for nothing.

use pulsefield_backstore::Op;
use pulsefield_data::Buffer;
use pulsefield_scsi::Sense;
use pulsefield_units::LbaRange;

use super::{Context, Input, Step};
use crate::outcome::{Outcome, Purpose};

#[derive(Debug)]
pub(crate) struct Unmap {
    /// In reverse: the next one is the last. Never empty at the start.
    ranges: Vec<LbaRange>,
    started: bool,
}

impl Unmap {
    /// Unmaps `ranges`, which all lie on the medium, in their order; the first is claimed already.
    pub(crate) fn new(mut ranges: Vec<LbaRange>) -> Self {
        ranges.reverse();
        Self { ranges, started: false }
    }

    pub(crate) const fn has_written(&self) -> bool {
        self.started
    }

    pub(crate) fn step(&mut self, cx: &mut Context<'_>, input: Input) -> Step {
        match input {
            Input::Go => match self.ranges.pop() {
                Some(range) => {
                    self.started = true;
                    Step::Op(Op::Unmap { range }, Buffer::empty())
                }
                None => Step::End(Outcome::GOOD),
            },
            Input::Done(Err(error), _) => Step::failed(error, Purpose::Writing),
            Input::Done(Ok(_), _) => match self.ranges.last() {
                // Only the range it claims keeps a medium from being cut off below it.
                Some(next) if !next.fits(cx.unit.geometry.blocks) => {
                    Step::End(Outcome::check(Sense::lba_out_of_range()))
                }
                Some(next) => Step::Claim(*next),
                None => Step::End(Outcome::GOOD),
            },
        }
    }
}

#[cfg(test)]
mod tests;
