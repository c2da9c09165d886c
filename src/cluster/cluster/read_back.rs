//! What is read back when a run is over: all blocks for bulk I/O, and all locks.

use std::collections::VecDeque;

use pulsefield_hosts::Geometry;
use pulsefield_units::LbaRange;

use crate::Scratch;

/// How much is read at once, in bytes: what every unit takes.
const PIECE_BYTES: u64 = 64 << 10;

/// How many reads are in flight.
const DEPTH: usize = 4;

/// The blocks that are still to be read.
pub(super) struct ReadBack(VecDeque<LbaRange>);

/// What to do next.
pub(super) enum Next {
    /// Read these blocks.
    Read(LbaRange),
    /// Wait until something is read.
    Wait,
    /// Nothing: all is read.
    Done,
}

impl ReadBack {
    pub(super) fn new(scratch: &Scratch, geometry: &Geometry) -> Self {
        let locks = scratch.machines.iter().chain(&scratch.resources);
        let mut blocks: VecDeque<_> = locks.map(|lock| geometry.block(*lock)).collect();
        let piece = scratch.block_length.blocks_in(PIECE_BYTES);
        let mut rest = Some(scratch.bulk);
        while let Some(range) = rest {
            let (first, others) = range.split_first(piece);
            blocks.push_back(first);
            rest = others;
        }
        Self(blocks)
    }

    /// What to do while so many reads are in flight.
    pub(super) fn next(&mut self, in_flight: usize) -> Next {
        if in_flight < DEPTH
            && let Some(blocks) = self.0.pop_front()
        {
            return Next::Read(blocks);
        }
        if in_flight == 0 { Next::Done } else { Next::Wait }
    }
}
