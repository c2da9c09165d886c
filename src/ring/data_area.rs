//! The data area: vectors that the kernel wrote become a command's buffer.
//!
//! The area is sparse: a page that belongs to no live command raises SIGBUS. So pointers into it are
//! made here and nowhere else, from the vectors of one command, and live no longer than the command
//! (see the `SAFETY` below).

#![allow(unsafe_code)]

use std::ops::Range;
use std::sync::Arc;

use pulsefield_data::{Buffer, SegmentList};

use crate::abi::Iovec;
use crate::token::Lease;
use crate::{Malformed, Mapping};

/// The part of the region behind the command ring.
pub(crate) struct DataArea {
    mapping: Arc<Mapping>,
    /// In bytes from the start of the region.
    bytes: Range<usize>,
    /// Emptied lists of segments, for the next commands.
    spare: Vec<SegmentList>,
}

// SAFETY: the pointers in a `SegmentList` are what makes the compiler doubt; the spare lists are empty
// (`keep` gets none but cleared ones), so no pointer travels.
unsafe impl Send for DataArea {}

impl DataArea {
    /// How many emptied lists are kept: eight times the queue depth that LIO advertises. A rare flood
    /// of commands must not leave its memory behind (4 KiB each, if their blocks were scattered).
    const SPARE_MAX: usize = 1024;

    /// # Panics
    /// If the area does not lie inside the region.
    pub(crate) fn new(mapping: Arc<Mapping>, bytes: Range<usize>) -> Self {
        assert!(bytes.start <= bytes.end && bytes.end <= mapping.len());
        Self { mapping, bytes, spare: Vec::new() }
    }

    /// Its length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// A buffer over the pieces that `vectors` describe, in order.
    ///
    /// # Errors
    /// If a vector does not lie inside the area, or if all together are longer than the area.
    pub(crate) fn buffer(
        &mut self,
        vectors: impl Iterator<Item = Iovec>,
        lease: &Arc<Lease>,
    ) -> Result<Buffer, Malformed> {
        let mut segments = self.spare.pop().unwrap_or_default();
        if let Err(malformed) = self.collect(vectors, &mut segments) {
            segments.clear();
            self.keep(segments);
            return Err(malformed);
        }
        if segments.is_empty() {
            self.keep(segments);
            return Ok(Buffer::empty());
        }
        // SAFETY: every segment was checked against the data area, which lies inside the mapping,
        // and the lease keeps that mapped. The kernel gives a data block to one command at a time,
        // backs it with memory, and leaves it alone until the command is answered; the ring makes
        // one buffer per direction and does not answer while anybody holds the lease. Should the
        // kernel break that promise the bytes are lost, but every byte is still a valid `u8`.
        Ok(unsafe { Buffer::from_segments(segments, Arc::clone(lease) as _) })
    }

    /// Takes a command's buffer back; nobody can reach its bytes afterwards.
    pub(crate) fn reclaim(&mut self, buffer: Buffer) {
        if let Some(segments) = buffer.into_segments() {
            self.keep(segments);
        }
    }

    /// How many emptied lists are kept now.
    #[cfg(test)]
    pub(crate) fn spare(&self) -> usize {
        self.spare.len()
    }

    fn keep(&mut self, segments: SegmentList) {
        if self.spare.len() < Self::SPARE_MAX {
            self.spare.push(segments);
        }
    }

    fn collect(
        &self,
        vectors: impl Iterator<Item = Iovec>,
        segments: &mut SegmentList,
    ) -> Result<(), Malformed> {
        // A command's blocks are distinct, so its data cannot be longer than the area.
        let mut room = self.bytes.len();
        for Iovec { iov_base, iov_len } in vectors {
            let (start, len) = self
                .place(iov_base, iov_len)
                .ok_or(Malformed::VectorOutsideDataArea { base: iov_base, len: iov_len })?;
            room = room.checked_sub(len).ok_or(Malformed::DataTooLong)?;
            if len > 0 {
                segments.push(self.mapping.segment(start, len));
            }
        }
        Ok(())
    }

    /// The vector as an offset into the region and a length, if it lies inside the area.
    fn place(&self, base: u64, len: u64) -> Option<(usize, usize)> {
        let start = usize::try_from(base).ok()?;
        let len = usize::try_from(len).ok()?;
        let end = start.checked_add(len)?;
        (start >= self.bytes.start && end <= self.bytes.end).then_some((start, len))
    }
}
