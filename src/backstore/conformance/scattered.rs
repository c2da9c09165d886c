//! Buffers in odd pieces, as the TCMU data area hands them out.
//!
//! The one invariant: the memory belongs to an `Arc` that the buffer keeps, consists of atomics (so
//! that it may be written through a shared reference), and is reached through the buffer alone.

#![allow(unsafe_code)]

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;

use pulsefield_data::{Buffer, Segment};

/// Many more pieces than one vectored call takes (128), so that seams between calls are crossed.
const PIECES_MAX: usize = 300;

/// A buffer of `len` bytes in pieces of 1, 2, 3, … bytes and a last one with the rest, backwards in
/// memory, each byte set to `fill`.
pub(super) fn scattered(len: usize, fill: u8) -> Buffer {
    let memory: Arc<Vec<AtomicU8>> = Arc::new((0..len).map(|_| AtomicU8::new(fill)).collect());
    let mut segments = Vec::new();
    let mut left = len;
    while left > 0 {
        let nth = segments.len() + 1;
        let piece = if nth < PIECES_MAX { nth.min(left) } else { left };
        left -= piece;
        segments.push(Segment::new(NonNull::from(&memory[left]).cast(), piece));
    }
    // SAFETY: the pieces lie inside `memory` and do not overlap; the buffer keeps it alive; nothing
    // else holds a reference to it.
    unsafe { Buffer::from_segments(segments.into_iter().collect(), memory) }
}
