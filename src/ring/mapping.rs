//! The shared region: mapped once, reached byte by byte through checked accessors.
//!
//! Invariants on which the `unsafe` below rests:
//! 1. `start..start + len` stays mapped, readable and writable while the [`Mapping`] lives; it is
//!    unmapped by its drop only. (A data page of a TCMU device that belongs to no live command
//!    raises SIGBUS when touched, though it is mapped: only `data_area` makes pointers into the data
//!    area, and only from the vectors of a command that has not been answered.)
//! 2. No reference to shared bytes is ever made, except to the two atomic words of the mailbox,
//!    which nothing reaches in any other way.
//! 3. Everything else is read and written with volatile accesses: the other side may be another
//!    program (the kernel), so the compiler must neither repeat a read nor trust one twice.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use memmap2::{MmapOptions, MmapRaw};
use pulsefield_data::Segment;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// The memory that the kernel and this process share: mailbox, command ring and data area.
#[derive(Debug)]
pub struct Mapping {
    region: MmapRaw,
}

impl Mapping {
    /// Maps the region of a TCMU device, whose `/dev/uioN` is `fd`. `len` is in bytes and must be
    /// the size that `/sys/class/uio/uioN/maps/map0/size` states. No page is touched yet.
    ///
    /// # Errors
    /// What `mmap(2)` answers; `EINVAL` if `len` is not the size of the region.
    pub fn of_device(fd: BorrowedFd<'_>, len: usize) -> io::Result<Arc<Self>> {
        let region = MmapOptions::new().len(len).map_raw(&fd)?;
        Ok(Arc::new(Self { region }))
    }

    /// `len` zeroed bytes of memory that no device is behind, for a simulated kernel in the same
    /// process.
    ///
    /// # Errors
    /// What `mmap(2)` answers.
    pub fn anonymous(len: usize) -> io::Result<Arc<Self>> {
        let region = MmapOptions::new().len(len).map_anon()?.into();
        Ok(Arc::new(Self { region }))
    }

    /// The length of the region in bytes.
    pub fn len(&self) -> usize {
        self.region.len()
    }

    /// Whether the region has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A copy of the `T` at byte `offset`, taken once.
    ///
    /// # Panics
    /// If it does not lie inside the region.
    // Inlined, its length is known, and nothing is left of the loops.
    #[inline(always)]
    pub(crate) fn read<T: FromBytes + IntoBytes>(&self, offset: usize) -> T {
        let mut value = T::new_zeroed();
        self.copy_out(offset, value.as_mut_bytes());
        value
    }

    /// Writes `value` at byte `offset`.
    ///
    /// # Panics
    /// If it does not fit into the region.
    #[inline]
    pub(crate) fn write<T: IntoBytes + Immutable>(&self, offset: usize, value: &T) {
        self.copy_in(offset, value.as_bytes());
    }

    /// Copies the bytes from `offset` on into `into`.
    ///
    /// # Panics
    /// If they do not lie inside the region.
    #[inline]
    pub(crate) fn copy_out(&self, offset: usize, into: &mut [u8]) {
        let mut from = self.span(offset, into.len()).as_ptr();
        let mut rest = into;
        if from.cast::<u64>().is_aligned() {
            let (words, tail) = rest.as_chunks_mut::<8>();
            for word in words {
                // SAFETY: `span` checked that all of `into.len()` bytes from `offset` on lie in the
                // region (invariant 1); the pointer is aligned and any bytes are a valid `u64`.
                unsafe {
                    *word = from.cast::<u64>().read_volatile().to_ne_bytes();
                    from = from.add(8);
                }
            }
            rest = tail;
        }
        for byte in rest {
            // SAFETY: as above; one past the last byte of the region may be pointed at.
            unsafe {
                *byte = from.read_volatile();
                from = from.add(1);
            }
        }
    }

    /// Copies `from` to the bytes from `offset` on.
    ///
    /// # Panics
    /// If they do not lie inside the region.
    #[inline]
    pub(crate) fn copy_in(&self, offset: usize, from: &[u8]) {
        let mut into = self.span(offset, from.len()).as_ptr();
        let mut rest = from;
        if into.cast::<u64>().is_aligned() {
            let (words, tail) = rest.as_chunks::<8>();
            for word in words {
                // SAFETY: `span` checked that all of `from.len()` bytes from `offset` on lie in the
                // region (invariant 1); the pointer is aligned. No reference to them exists
                // (invariant 2).
                unsafe {
                    into.cast::<u64>().write_volatile(u64::from_ne_bytes(*word));
                    into = into.add(8);
                }
            }
            rest = tail;
        }
        for byte in rest {
            // SAFETY: as above; one past the last byte of the region may be pointed at.
            unsafe {
                into.write_volatile(*byte);
                into = into.add(1);
            }
        }
    }

    /// A piece of the region for a command's buffer; makes the pointer, touches nothing.
    ///
    /// # Panics
    /// If the piece does not lie inside the region.
    pub(crate) fn segment(&self, offset: usize, len: usize) -> Segment {
        Segment::new(self.span(offset, len), len)
    }

    /// The atomic word at byte `offset`. For the mailbox's head and tail only.
    ///
    /// # Panics
    /// If the word is misaligned or does not lie inside the region.
    pub(crate) fn atomic_u32(&self, offset: usize) -> &AtomicU32 {
        let word = self.span(offset, size_of::<u32>()).cast::<u32>();
        assert!(word.is_aligned(), "an atomic word at {offset} is misaligned");
        // SAFETY: aligned (just checked), mapped while `self` lives (invariant 1), and reached
        // through atomics alone (invariant 2).
        unsafe { AtomicU32::from_ptr(word.as_ptr()) }
    }

    /// A pointer to byte `offset`, good for `len` bytes.
    #[inline]
    fn span(&self, offset: usize, len: usize) -> NonNull<u8> {
        let inside = offset.checked_add(len).is_some_and(|end| end <= self.len());
        assert!(inside, "bytes {offset}+{len} lie outside a region of {} bytes", self.len());
        let start =
            NonNull::new(self.region.as_mut_ptr()).expect("a mapping is never at address 0");
        // SAFETY: `offset` is at most the length of the mapping (just checked).
        unsafe { start.add(offset) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::fd::AsFd as _;
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn a_device_is_mapped_shared() {
        let mut file = tempfile::tempfile().unwrap();
        file.set_len(4096).unwrap();
        let mapping = Mapping::of_device(file.as_fd(), 4096).unwrap();
        assert_eq!(mapping.len(), 4096);
        mapping.copy_in(4090, b"shared");
        let mut seen = Vec::new();
        file.read_to_end(&mut seen).unwrap();
        assert_eq!(&seen[4090..], b"shared");
    }

    #[test]
    fn bytes_are_copied_at_any_alignment() {
        let mapping = Mapping::anonymous(4096).unwrap();
        let bytes: Vec<u8> = (1..=29).collect();
        for offset in [0, 1, 8, 13, 4096 - 29] {
            mapping.copy_in(offset, &bytes);
            let mut back = [0xa5; 29];
            mapping.copy_out(offset, &mut back);
            assert_eq!(back.as_slice(), bytes);
        }
        mapping.write(16, &0x0102_0304_u32);
        assert_eq!(mapping.read::<u32>(16), 0x0102_0304);
    }

    #[test]
    fn nothing_outside_the_region_is_reached() {
        for (offset, len) in [(4096, 1), (4095, 2), (usize::MAX, 2), (5000, 0)] {
            let reached = catch_unwind(|| {
                Mapping::anonymous(4096).unwrap().copy_out(offset, &mut vec![0; len]);
            });
            assert!(reached.is_err(), "{offset}+{len}");
        }
        let misaligned = catch_unwind(|| {
            Mapping::anonymous(4096).unwrap().atomic_u32(62);
        });
        assert!(misaligned.is_err());
    }
}
