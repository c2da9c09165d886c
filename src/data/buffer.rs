//! Scatter/gather memory of one command.
//!
//! Invariants on which the `unsafe` below rests:
//! 1. Every segment of a buffer points at `len` bytes that stay mapped, readable and writable while
//!    the buffer's [`Keep`] lives (promised by whoever calls [`Buffer::from_segments`]).
//! 2. A buffer is the only way this process reaches those bytes until it is dropped: `Buffer` is
//!    neither `Clone` nor `Copy`, and the ring hands out one buffer per live command.
//! 3. Bytes are reached through raw pointers only; no reference into a segment is ever made.

#![allow(unsafe_code)]

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use memmap2::MmapOptions;

/// One contiguous piece of a [`Buffer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    start: NonNull<u8>,
    len: usize,
}

impl Segment {
    /// `len` bytes from `start` on.
    pub const fn new(start: NonNull<u8>, len: usize) -> Self {
        Self { start, len }
    }

    /// Where the piece starts.
    pub const fn start(self) -> NonNull<u8> {
        self.start
    }

    /// How many bytes the piece holds.
    pub const fn len(self) -> usize {
        self.len
    }

    /// Whether the piece holds nothing.
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// What keeps the memory behind a buffer's segments mapped.
pub type Keep = Arc<dyn Send + Sync>;

enum Owner {
    /// Nobody: there are no bytes.
    Nobody,
    /// Somebody else, kept mapped by the handle.
    Shared { _keep: Keep },
    /// The buffer itself.
    Own { _allocation: Allocation },
}

/// The pointer of a leaked `Box<[u8]>`, given back on drop.
struct Allocation(NonNull<[u8]>);

impl Drop for Allocation {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `Box::leak` in `Buffer::heap` and is given back only here; no
        // segment outlives the buffer.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// Segments in order, and what keeps them mapped.
struct Pieces {
    segments: Vec<Segment>,
    len: usize,
    owner: Owner,
}

/// The segments of a buffer that is still to be made, in memory that outlasts it: what is left of one
/// ([`Buffer::into_segments`]) serves for the next without an allocation.
pub struct SegmentList(Box<Pieces>);

impl Default for SegmentList {
    fn default() -> Self {
        Self(Box::new(Pieces { segments: Vec::new(), len: 0, owner: Owner::Nobody }))
    }
}

impl SegmentList {
    /// Adds a segment at the end.
    #[inline]
    pub fn push(&mut self, segment: Segment) {
        self.0.segments.push(segment);
        self.0.len += segment.len;
    }

    /// Whether there are no segments.
    pub fn is_empty(&self) -> bool {
        self.0.segments.is_empty()
    }

    /// Takes all segments out.
    pub fn clear(&mut self) {
        self.0.segments.clear();
        self.0.len = 0;
    }
}

impl FromIterator<Segment> for SegmentList {
    fn from_iter<I: IntoIterator<Item = Segment>>(segments: I) -> Self {
        let mut list = Self::default();
        segments.into_iter().for_each(|segment| list.push(segment));
        list
    }
}

/// The most pieces one system call takes: a balance of stack space and calls (`IOV_MAX` is 1024).
const VECTORS_PER_CALL: usize = 128;

/// As much as memset(3) of glibc stores by vectors. From 2 KiB on it has the processor repeat a store (`rep stosb`),
/// which on Zen 3 takes 90 ns for a page where vectors take 65; for much more there is no difference.
const FILLED_AT_ONCE: usize = 1024;

/// The data of one command, in one or more pieces: a word, since it is moved at every step of a command.
///
/// Offsets and lengths are in bytes from the buffer's start. Reading or writing past the end is a
/// bug of the caller and panics; sizes that come from an initiator are compared with
/// [`Buffer::len`] first.
pub struct Buffer(Option<Box<Pieces>>);

// SAFETY: invariant 2: a buffer is the sole user of its bytes, so moving it to another thread moves
// the access with it; `Keep` is itself `Send + Sync`.
unsafe impl Send for Buffer {}
// SAFETY: through a shared reference the bytes can only be read (`read_at`, `pwrite`), which any
// number of threads may do at once.
unsafe impl Sync for Buffer {}

impl Default for Buffer {
    fn default() -> Self {
        Self::empty()
    }
}

impl Buffer {
    /// A buffer of no bytes; allocates nothing.
    pub const fn empty() -> Self {
        Self(None)
    }

    /// `len` zeroed bytes of its own.
    pub fn heap(len: usize) -> Self {
        if len == 0 {
            return Self::empty();
        }
        let allocation = NonNull::from(Box::leak(vec![0u8; len].into_boxed_slice()));
        Self(Some(Box::new(Pieces {
            segments: vec![Segment::new(allocation.cast(), len)],
            len,
            owner: Owner::Own { _allocation: Allocation(allocation) },
        })))
    }

    /// A window on memory that `keep` keeps mapped.
    ///
    /// # Safety
    /// Until the buffer is dropped every segment must point at that many readable and writable
    /// bytes, and nothing else in this process may read or write them.
    #[inline]
    pub unsafe fn from_segments(segments: SegmentList, keep: Keep) -> Self {
        let SegmentList(mut pieces) = segments;
        pieces.owner = Owner::Shared { _keep: keep };
        Self(Some(pieces))
    }

    /// The first `len` bytes of `file`, mapped: what is copied into the buffer is in the file.
    ///
    /// Whoever touches bytes that the file does not have, or has no space for, ends the process with SIGBUS
    /// (mmap(2)): the caller must know that they are there.
    ///
    /// # Errors
    /// What mmap(2) answers.
    pub fn of_file(file: &File, len: usize) -> io::Result<Self> {
        if len == 0 {
            return Ok(Self::empty());
        }
        let map = MmapOptions::new().len(len).map_raw(file)?;
        let start = NonNull::new(map.as_mut_ptr()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        let segments = SegmentList::from_iter([Segment::new(start, len)]);
        // SAFETY: `map` is kept with the segment, which is all of it, and nobody else has its address.
        Ok(unsafe { Self::from_segments(segments, Arc::new(map)) })
    }

    /// Gives up the bytes and returns the emptied list of segments, so that its memory can serve the
    /// next command; `None` if there were no bytes.
    #[inline]
    pub fn into_segments(self) -> Option<SegmentList> {
        let mut pieces = self.0?;
        pieces.owner = Owner::Nobody;
        let mut segments = SegmentList(pieces);
        segments.clear();
        Some(segments)
    }

    /// The number of bytes.
    pub const fn len(&self) -> usize {
        match &self.0 {
            Some(pieces) => pieces.len,
            None => 0,
        }
    }

    /// Whether there are no bytes at all.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pieces, in order: for a submission that needs addresses (`io_uring`). The addresses may
    /// be used only while the buffer lives.
    pub fn segments(&self) -> &[Segment] {
        self.0.as_ref().map_or(&[], |pieces| &pieces.segments)
    }

    /// Copies the bytes from `offset` on into `into`.
    ///
    /// # Panics
    /// If fewer than `into.len()` bytes follow `offset`.
    pub fn read_at(&self, offset: usize, into: &mut [u8]) {
        let mut done = 0;
        self.for_each(offset, into.len(), |piece| {
            // SAFETY: invariant 1 for the source; `into` has room, since `for_each` yields
            // `into.len()` bytes in all; the two cannot overlap (invariant 2).
            unsafe {
                ptr::copy_nonoverlapping(
                    piece.start.as_ptr(),
                    into[done..].as_mut_ptr(),
                    piece.len,
                );
            }
            done += piece.len;
        });
    }

    /// The `N` bytes from `offset` on; quicker than [`Self::read_at`] for a few.
    ///
    /// # Panics
    /// If fewer than `N` bytes follow `offset`.
    #[inline]
    pub fn read_array<const N: usize>(&self, offset: usize) -> [u8; N] {
        let mut bytes = [0; N];
        let end = offset.checked_add(N);
        match (self.segments().first(), end) {
            (Some(first), Some(end)) if end <= first.len => {
                // SAFETY: all of them lie in the first piece (invariant 1), and not in `bytes`.
                unsafe {
                    let from = first.start.as_ptr().add(offset);
                    ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), N);
                }
            }
            _ => self.read_at(offset, &mut bytes),
        }
        bytes
    }

    /// Copies `from` into the bytes from `offset` on.
    ///
    /// # Panics
    /// If fewer than `from.len()` bytes follow `offset`.
    pub fn write_at(&mut self, offset: usize, from: &[u8]) {
        let mut done = 0;
        self.for_each(offset, from.len(), |piece| {
            // SAFETY: as in `read_at`, the other way round; `&mut self` excludes readers.
            unsafe {
                ptr::copy_nonoverlapping(from[done..].as_ptr(), piece.start.as_ptr(), piece.len);
            }
            done += piece.len;
        });
    }

    /// Sets `len` bytes from `offset` on to `byte`.
    ///
    /// # Panics
    /// If fewer than `len` bytes follow `offset`.
    pub fn fill(&mut self, offset: usize, len: usize, byte: u8) {
        self.for_each(offset, len, |piece| {
            for done in (0..piece.len).step_by(FILLED_AT_ONCE) {
                let len = FILLED_AT_ONCE.min(piece.len - done);
                // SAFETY: invariant 1, and `done + len` is at most the length of the piece; `&mut self`
                // excludes readers.
                unsafe { ptr::write_bytes(piece.start.as_ptr().add(done), byte, len) };
            }
        });
    }

    /// Copies `len` bytes of `from`, from its byte `from_offset` on, into the bytes from `offset` on.
    ///
    /// # Panics
    /// If fewer than `len` bytes follow either offset.
    pub fn copy_from(&mut self, offset: usize, from: &Self, from_offset: usize, len: usize) {
        let mut done = 0;
        from.for_each(from_offset, len, |source| {
            let mut copied = 0;
            self.for_each(offset + done, source.len, |target| {
                // SAFETY: `for_each` yields `source.len` bytes of targets in all, so the pointer
                // stays inside the source piece (invariant 1); two buffers share no byte (invariant
                // 2), and `&mut self` excludes readers.
                unsafe {
                    let source = source.start.as_ptr().add(copied);
                    ptr::copy_nonoverlapping(source, target.start.as_ptr(), target.len);
                }
                copied += target.len;
            });
            done += source.len;
        });
    }

    /// Whether each piece of `len` bytes from `offset` on starts at a multiple of `start` in memory
    /// and is a multiple of `length` bytes long: what `O_DIRECT` asks of a transfer.
    ///
    /// # Panics
    /// If fewer than `len` bytes follow `offset`.
    pub fn is_aligned(&self, offset: usize, len: usize, start: usize, length: usize) -> bool {
        let mut aligned = true;
        self.for_each(offset, len, |piece| {
            aligned &=
                piece.start.addr().get().is_multiple_of(start) && piece.len.is_multiple_of(length);
        });
        aligned
    }

    /// The first of `bytes` that differs from the bytes at `offset`, as an index into `bytes`.
    ///
    /// # Panics
    /// If fewer than `bytes.len()` bytes follow `offset`.
    pub fn first_difference(&self, offset: usize, bytes: &[u8]) -> Option<usize> {
        const STEP: usize = 512;
        let mut window = [0u8; STEP];
        for (nth, chunk) in bytes.chunks(STEP).enumerate() {
            let window = &mut window[..chunk.len()];
            self.read_at(offset + nth * STEP, window);
            if window != chunk {
                return window
                    .iter()
                    .zip(chunk)
                    .position(|(a, b)| a != b)
                    .map(|at| nth * STEP + at);
            }
        }
        None
    }

    /// Reads up to `len` bytes of `file` from byte `position` into the bytes from `offset` on, and
    /// says how many there were: fewer than `len` only at the end of the file.
    ///
    /// # Errors
    /// What `preadv(2)` answers; what was read before the error stays in the buffer.
    ///
    /// # Panics
    /// If fewer than `len` bytes follow `offset`.
    pub fn pread(
        &mut self,
        offset: usize,
        len: usize,
        file: BorrowedFd<'_>,
        position: u64,
    ) -> io::Result<usize> {
        self.transfer(offset, len, position, |vectors, at| {
            // SAFETY: the vectors come from `transfer`, which takes them from live segments of this
            // buffer (invariant 1); `&mut self` makes the kernel the only one who writes there.
            unsafe { libc::preadv(file.as_raw_fd(), vectors.as_ptr(), count(vectors), at) }
        })
    }

    /// As [`Self::pread`], but never waits: only what the page cache holds is read.
    ///
    /// # Errors
    /// `EAGAIN` if some of it would have to be waited for, `EOPNOTSUPP` where the file system cannot
    /// tell (`RWF_NOWAIT` of `preadv2(2)`), and as for [`Self::pread`].
    ///
    /// # Panics
    /// If fewer than `len` bytes follow `offset`.
    pub fn pread_cached(
        &mut self,
        offset: usize,
        len: usize,
        file: BorrowedFd<'_>,
        position: u64,
    ) -> io::Result<usize> {
        let flags = libc::RWF_NOWAIT;
        self.transfer(offset, len, position, |vectors, at| {
            // SAFETY: as in `pread`.
            unsafe { libc::preadv2(file.as_raw_fd(), vectors.as_ptr(), count(vectors), at, flags) }
        })
    }

    /// Writes `len` bytes from `offset` on into `file` at byte `position`; `durable` asks for
    /// `RWF_DSYNC`. Says how many bytes were written: fewer than `len` only if the file takes no
    /// more.
    ///
    /// # Errors
    /// What `pwritev2(2)` answers; a part may have been written before the error.
    ///
    /// # Panics
    /// If fewer than `len` bytes follow `offset`.
    pub fn pwrite(
        &self,
        offset: usize,
        len: usize,
        file: BorrowedFd<'_>,
        position: u64,
        durable: bool,
    ) -> io::Result<usize> {
        let flags = if durable { libc::RWF_DSYNC } else { 0 };
        self.transfer(offset, len, position, |vectors, at| {
            // SAFETY: as in `pread`; the kernel only reads from the segments.
            unsafe { libc::pwritev2(file.as_raw_fd(), vectors.as_ptr(), count(vectors), at, flags) }
        })
    }

    /// Calls `each` for every piece of `offset..offset + len`, in order.
    fn for_each(&self, offset: usize, len: usize, mut each: impl FnMut(Segment)) {
        let end = offset.checked_add(len).filter(|end| *end <= self.len());
        let Some(end) = end else {
            panic!("bytes {offset}+{len} lie outside a buffer of {} bytes", self.len());
        };
        let mut start = 0;
        for segment in self.segments() {
            let from = offset.max(start);
            let to = end.min(start + segment.len);
            if from < to {
                // SAFETY: `from - start` is at most the segment's length, so the pointer stays
                // inside one mapped piece (invariant 1).
                let piece = unsafe { segment.start.add(from - start) };
                each(Segment::new(piece, to - from));
            }
            start += segment.len;
            if start >= end {
                break;
            }
        }
    }

    /// Repeats a vectored call until `len` bytes are through, it reports 0, or it fails.
    fn transfer(
        &self,
        offset: usize,
        len: usize,
        position: u64,
        mut call: impl FnMut(&[libc::iovec], i64) -> isize,
    ) -> io::Result<usize> {
        let mut done = 0;
        while done < len {
            let mut vectors =
                [const { libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 } }; VECTORS_PER_CALL];
            let mut used = 0;
            self.for_each(offset + done, len - done, |piece| {
                if let Some(vector) = vectors.get_mut(used) {
                    *vector =
                        libc::iovec { iov_base: piece.start.as_ptr().cast(), iov_len: piece.len };
                    used += 1;
                }
            });
            let at = position
                .checked_add(done as u64)
                .and_then(|at| i64::try_from(at).ok())
                .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
            match usize::try_from(call(&vectors[..used], at)) {
                Ok(0) => break,
                Ok(moved) => done += moved,
                Err(_) => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
            }
        }
        Ok(done)
    }
}

/// The number of vectors as `preadv(2)` wants it; never more than [`VECTORS_PER_CALL`].
fn count(vectors: &[libc::iovec]) -> libc::c_int {
    libc::c_int::try_from(vectors.len()).expect("at most 128 vectors")
}

impl fmt::Debug for Buffer {
    /// Shape only: the bytes of a medium never reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} bytes in {})", self.len(), self.segments().len())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::fd::AsFd as _;

    use super::*;

    /// A buffer over three odd pieces of one allocation, which it keeps alive.
    fn scattered(lens: &[usize]) -> Buffer {
        let memory: Arc<Vec<std::sync::atomic::AtomicU8>> =
            Arc::new((0..lens.iter().sum::<usize>()).map(|_| 0.into()).collect());
        let mut at = 0;
        let segments = lens
            .iter()
            .map(|len| {
                let start = NonNull::from(&memory[at]).cast();
                at += len;
                Segment::new(start, *len)
            })
            .collect();
        // SAFETY: atomics may be written through a shared reference, `memory` is kept alive by the
        // buffer, and nothing else here touches it.
        unsafe { Buffer::from_segments(segments, memory) }
    }

    #[test]
    fn bytes_cross_the_seams_between_segments() {
        let mut buffer = scattered(&[3, 1, 7]);
        let pattern: Vec<u8> = (1..=11).collect();
        buffer.write_at(0, &pattern);
        buffer.fill(2, 3, 0xa5);
        let mut back = [0; 11];
        buffer.read_at(0, &mut back);
        assert_eq!(back, [1, 2, 0xa5, 0xa5, 0xa5, 6, 7, 8, 9, 10, 11]);
        let mut middle = [0; 3];
        buffer.read_at(4, &mut middle);
        assert_eq!(middle, [0xa5, 6, 7]);
    }

    #[test]
    fn what_is_filled_is_filled_to_the_last_byte_and_no_further() {
        for len in [0, 1, FILLED_AT_ONCE - 1, FILLED_AT_ONCE, FILLED_AT_ONCE + 1, 5000] {
            let mut buffer = scattered(&[1500, 4096]);
            buffer.fill(100, len, 0xa5);
            let mut back = vec![0; buffer.len()];
            buffer.read_at(0, &mut back);
            let filled = |at| (100..100 + len).contains(&at);
            assert!(
                back.iter().enumerate().all(|(at, byte)| (*byte == 0xa5) == filled(at)),
                "{len}"
            );
        }
    }

    #[test]
    fn the_first_difference_is_an_index_into_what_was_compared() {
        let mut buffer = scattered(&[700, 800]);
        let bytes: Vec<u8> = (0..1400u32).map(|n| (n % 251) as u8).collect();
        buffer.write_at(100, &bytes);
        assert_eq!(buffer.first_difference(100, &bytes), None);
        for at in [0, 511, 512, 600, 1399] {
            let mut other = bytes.clone();
            other[at] ^= 0x10;
            assert_eq!(buffer.first_difference(100, &other), Some(at));
        }
    }

    #[test]
    fn bytes_are_copied_between_buffers_of_other_seams() {
        let mut from = scattered(&[5, 1, 6]);
        from.write_at(0, b"0123456789ab");
        let mut into = scattered(&[2, 3, 8]);
        into.copy_from(1, &from, 2, 9);
        let mut back = [0; 13];
        into.read_at(0, &mut back);
        assert_eq!(&back, b"\x0023456789a\x00\x00\x00");
    }

    #[test]
    fn alignment_counts_starts_and_lengths_of_every_piece() {
        let buffer = Buffer::heap(4096 + 4095);
        let first = buffer.segments()[0].start().as_ptr().align_offset(4096);
        assert!(buffer.is_aligned(first, 4096, 4096, 512));
        assert!(!buffer.is_aligned(first, 4095, 4096, 512));
        assert!(!buffer.is_aligned(first + 512, 512, 4096, 512));
        assert!(buffer.is_aligned(first + 512, 512, 512, 512));
        assert!(buffer.is_aligned(first + 1, 0, 4096, 512), "nothing is always aligned");
    }

    #[test]
    fn files_are_read_and_written_through_all_segments() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let mut buffer = scattered(&[2, 2, 9]);
        assert_eq!(buffer.pread(1, 12, file.as_fd(), 4).unwrap(), 6, "the file ends early");
        let mut back = [0; 13];
        buffer.read_at(0, &mut back);
        assert_eq!(&back, b"\x00456789\x00\x00\x00\x00\x00\x00");
        assert_eq!(buffer.pwrite(1, 6, file.as_fd(), 0, true).unwrap(), 6);
        let mut again = Buffer::heap(10);
        assert_eq!(again.pread(0, 10, file.as_fd(), 0).unwrap(), 10);
        let mut back = [0; 10];
        again.read_at(0, &mut back);
        assert_eq!(&back, b"4567896789");
    }

    #[test]
    fn what_was_just_written_is_read_without_waiting() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let mut buffer = scattered(&[3, 4]);
        match buffer.pread_cached(0, 7, file.as_fd(), 2) {
            Ok(read) => {
                assert_eq!(read, 7);
                let mut back = [0; 7];
                buffer.read_at(0, &mut back);
                assert_eq!(&back, b"2345678");
            }
            // A file system that cannot tell says so, and nothing else.
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EOPNOTSUPP)),
        }
    }

    #[test]
    #[should_panic(expected = "outside a buffer of 4 bytes")]
    fn reading_past_the_end_is_a_bug() {
        Buffer::heap(4).read_at(2, &mut [0; 3]);
    }

    #[test]
    fn an_offset_near_the_end_of_memory_does_not_wrap() {
        let outcome = std::panic::catch_unwind(|| Buffer::heap(4).read_at(usize::MAX, &mut [0; 2]));
        assert!(outcome.is_err());
    }
}
