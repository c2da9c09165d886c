//! The data area: which blocks are whose, and the bytes in them.

use std::collections::BTreeSet;
use std::ops::Range;

use super::Options;
use crate::Mapping;
use crate::abi::Iovec;

const PAGE_BYTES: usize = 4096;

pub(super) struct Blocks {
    /// First byte of the area, counted from the start of the region.
    start: usize,
    count: u32,
    block_bytes: usize,
    scatter: bool,
    /// Free blocks by the order in which they are handed out: the first is next.
    free: BTreeSet<u32>,
}

impl Blocks {
    pub(super) fn new(start: usize, options: &Options) -> Self {
        Self {
            start,
            count: options.data_blocks,
            block_bytes: options.block_pages as usize * PAGE_BYTES,
            scatter: options.scatter,
            free: (0..options.data_blocks).collect(),
        }
    }

    /// The end of the area, which is the length of the region.
    pub(super) fn end(&self) -> usize {
        self.start + self.count as usize * self.block_bytes
    }

    /// How many blocks `len` bytes take.
    pub(super) fn needed(&self, len: usize) -> usize {
        len.div_ceil(self.block_bytes)
    }

    /// Whether `count` blocks exist at all.
    pub(super) fn could_hold(&self, count: usize) -> bool {
        count <= self.count as usize
    }

    /// Takes the next `count` free blocks; `None`, and nothing taken, if there are fewer.
    pub(super) fn take(&mut self, count: usize) -> Option<Vec<u32>> {
        if count > self.free.len() {
            return None;
        }
        let taken: Vec<u32> = self.free.iter().copied().take(count).collect();
        for order in &taken {
            self.free.remove(order);
        }
        Some(taken.into_iter().map(|order| self.place_of(order)).collect())
    }

    pub(super) fn free(&mut self, blocks: Vec<u32>) {
        for place in blocks {
            let order = self.order_of(place);
            self.free.insert(order);
        }
    }

    /// Scattered: 0, 2, 4, … and then 1, 3, 5, …
    fn place_of(&self, order: u32) -> u32 {
        let evens = self.count.div_ceil(2);
        match (self.scatter, order < evens) {
            (false, _) => order,
            (true, true) => order * 2,
            (true, false) => (order - evens) * 2 + 1,
        }
    }

    fn order_of(&self, place: u32) -> u32 {
        match (self.scatter, place % 2) {
            (false, _) => place,
            (true, 0) => place / 2,
            (true, _) => self.count.div_ceil(2) + place / 2,
        }
    }

    /// The vectors of `len` bytes in `blocks`; neighbouring blocks share one (`tcmu_setup_iovs`).
    pub(super) fn vectors(&self, blocks: &[u32], len: usize) -> Vec<Iovec> {
        let mut vectors: Vec<Iovec> = Vec::new();
        for piece in self.pieces(blocks, len) {
            let (base, len) = (piece.start as u64, piece.len() as u64);
            match vectors.last_mut() {
                Some(last) if last.iov_base + last.iov_len == base => last.iov_len += len,
                Some(_) | None => vectors.push(Iovec { iov_base: base, iov_len: len }),
            }
        }
        vectors
    }

    pub(super) fn scatter(&self, mapping: &Mapping, blocks: &[u32], bytes: &[u8]) {
        let mut rest = bytes;
        for piece in self.pieces(blocks, bytes.len()) {
            let (now, later) = rest.split_at(piece.len());
            mapping.copy_in(piece.start, now);
            rest = later;
        }
    }

    pub(super) fn gather(&self, mapping: &Mapping, blocks: &[u32], len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        let mut rest = bytes.as_mut_slice();
        for piece in self.pieces(blocks, len) {
            let (now, later) = rest.split_at_mut(piece.len());
            mapping.copy_out(piece.start, now);
            rest = later;
        }
        bytes
    }

    /// `len` bytes in `blocks`, block by block, as offsets into the region.
    fn pieces(&self, blocks: &[u32], len: usize) -> impl Iterator<Item = Range<usize>> {
        blocks.iter().enumerate().map_while(move |(nth, block)| {
            let left = len.checked_sub(nth * self.block_bytes).filter(|left| *left > 0)?;
            let start = self.start + *block as usize * self.block_bytes;
            Some(start..start + left.min(self.block_bytes))
        })
    }
}
