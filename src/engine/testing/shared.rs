//! Data-Out as the kernel shares it: in odd pieces, and changeable behind the device server's back.
//!
//! The one invariant: the memory consists of atomics, belongs to an `Arc` that the buffer keeps, and
//! is written by the test and by the device server from one thread, never at the same time.

#![allow(unsafe_code)]

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use pulsefield_data::{Buffer, Segment};

/// The memory behind a buffer.
pub(crate) struct SharedMemory(Arc<Vec<AtomicU8>>);

impl SharedMemory {
    /// These bytes, in pieces of 1, 3, 5, … bytes, and a window on them.
    pub(crate) fn scattered(bytes: &[u8]) -> (Self, Buffer) {
        let memory: Arc<Vec<_>> = Arc::new(bytes.iter().copied().map(AtomicU8::new).collect());
        let mut segments = Vec::new();
        let mut at = 0;
        while at < memory.len() {
            let len = (2 * segments.len() + 1).min(memory.len() - at);
            segments.push(Segment::new(NonNull::from(&memory[at]).cast(), len));
            at += len;
        }
        // SAFETY: the pieces lie inside `memory`, which the buffer keeps alive, and do not overlap;
        // `overwrite`, which models what a hostile initiator does, never runs beside an access
        // through the buffer.
        let buffer = unsafe {
            Buffer::from_segments(segments.into_iter().collect(), Arc::clone(&memory) as _)
        };
        (Self(memory), buffer)
    }

    /// Changes every byte.
    pub(crate) fn overwrite(&self, byte: u8) {
        self.0.iter().for_each(|cell| cell.store(byte, Ordering::Relaxed));
    }
}
