//! What a medium ought to hold: an array, and the same ops on it.

use std::ops::Range;

use pulsefield_units::{BlockLength, LbaRange};

use super::Retains;

/// The array.
pub(super) struct Model {
    block: usize,
    bytes: Vec<u8>,
    retains: Retains,
}

impl Model {
    pub(super) fn new(block_length: BlockLength, retains: Retains) -> Self {
        let block = usize::try_from(block_length.bytes()).expect("64-bit addresses");
        Self { block, bytes: Vec::new(), retains }
    }

    pub(super) fn resize(&mut self, blocks: u64) {
        self.bytes.resize(usize::try_from(blocks).expect("small media") * self.block, 0);
    }

    /// How many bytes `range` has.
    pub(super) fn len_of(&self, range: LbaRange) -> usize {
        self.span(range).len()
    }

    pub(super) fn read(&self, range: LbaRange) -> &[u8] {
        &self.bytes[self.span(range)]
    }

    pub(super) fn write(&mut self, range: LbaRange, bytes: &[u8]) {
        if self.retains == Retains::Yes {
            let span = self.span(range);
            self.bytes[span].copy_from_slice(bytes);
        }
    }

    pub(super) fn zero(&mut self, range: LbaRange) {
        let span = self.span(range);
        self.bytes[span].fill(0);
    }

    fn span(&self, range: LbaRange) -> Range<usize> {
        let byte = |lba: u64| usize::try_from(lba).expect("small media") * self.block;
        byte(range.start().as_u64())..byte(range.end().as_u64())
    }
}
