//! Memory for bytes that must not lie in the shared data area, reused from command to command.

use pulsefield_data::Buffer;

/// What a small piece holds: both halves of a COMPARE AND WRITE of one 4096-byte block.
const SMALL_BYTES: usize = 8192;

/// Pieces kept for reuse; more are allocated and dropped again.
const KEPT: usize = crate::limits::HEARTBEAT_SLOTS;

/// Buffers and byte vectors that were used before. Small ones, which is what heartbeats need, come
/// from a stock; larger ones are allocated.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    buffers: Vec<Buffer>,
    images: Vec<Vec<u8>>,
    found: Option<Found>,
}

/// What a COMPARE AND WRITE has read that differs from what it expects.
#[derive(Debug)]
pub(crate) struct Found {
    /// The first byte that differs.
    pub(crate) offset: usize,
    /// It comes from this stock, and goes back there.
    pub(crate) buffer: Buffer,
}

impl Scratch {
    /// A buffer of at least `len` bytes, with whatever a former user left in it.
    pub(crate) fn buffer(&mut self, len: usize) -> Buffer {
        if len > SMALL_BYTES {
            return Buffer::heap(len);
        }
        self.buffers.pop().unwrap_or_else(|| Buffer::heap(SMALL_BYTES))
    }

    /// Takes a buffer back.
    pub(crate) fn give_buffer(&mut self, buffer: Buffer) {
        if buffer.len() == SMALL_BYTES && self.buffers.len() < KEPT {
            self.buffers.push(buffer);
        }
    }

    /// Lays down what a task has found, for when it is retired: at once.
    pub(crate) fn lay_down(&mut self, found: Found) {
        self.found = Some(found);
    }

    /// Takes up what the task that is retired has found, if it has.
    pub(crate) const fn take_up(&mut self) -> Option<Found> {
        self.found.take()
    }

    /// A copy of `data[offset..offset + len]` that nobody else can change: made once, so that what
    /// is decided on is what was looked at.
    pub(crate) fn image(&mut self, data: &Buffer, offset: usize, len: usize) -> Vec<u8> {
        let mut image = self.images.pop().unwrap_or_default();
        // What a former user left is overwritten anyway.
        image.truncate(len);
        image.resize(len, 0);
        data.read_at(offset, &mut image);
        image
    }

    /// Takes an image back.
    pub(crate) fn give_image(&mut self, image: Vec<u8>) {
        if image.capacity() <= SMALL_BYTES && self.images.len() < KEPT {
            self.images.push(image);
        }
    }
}
