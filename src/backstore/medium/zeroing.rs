//! Making a run of a file or device read as zeros, by giving its space back or by keeping it; and
//! getting space for a run without changing what it reads as.
//!
//! A block device understands the first two calls (`block/fops.c`, `blkdev_fallocate`): both are
//! write-zeroes, with and without leave to deallocate. That a plain discard reads as zeros, no
//! device promises any more, so there is none here.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::LazyLock;

use super::direct::Paged;
use super::{Span, offset};
use crate::uring::Transfer;
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};

/// What becomes of the space behind blocks that are zeroed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    /// It goes back to the file system: a hole.
    GiveBack,
    /// It stays reserved for the file.
    Keep,
}

/// How much is zeroed with one write where the file system has no faster way.
const ZEROS_BYTES: usize = 256 * 1024;

/// Paged, for files that were opened with `O_DIRECT`.
static ZEROS: LazyLock<Paged> = LazyLock::new(|| Paged::new(ZEROS_BYTES));

/// Zeroes `span`; writes zeros where the file system has no call for it.
pub(super) fn zero(file: &File, span: Span, space: Space) -> io::Result<()> {
    match fallocate_whole(file, space.mode(), span) {
        Err(error) if is_unsupported(&error.into()) => write_zeros(file, span),
        other => Ok(other?),
    }
}

/// The same, but where the file system has no call for it.
pub(super) fn as_transfer(span: Span, space: Space) -> Transfer {
    let mode = (space.mode() | FallocateFlags::FALLOC_FL_KEEP_SIZE).bits();
    Transfer::Allocate { mode, position: span.start, len: span.len }
}

/// Whether the file system has no such call.
pub(super) fn is_unsupported(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EOPNOTSUPP | Errno::ENOSYS))
}

impl Space {
    const fn mode(self) -> FallocateFlags {
        match self {
            Self::GiveBack => FallocateFlags::FALLOC_FL_PUNCH_HOLE,
            Self::Keep => FallocateFlags::FALLOC_FL_ZERO_RANGE,
        }
    }
}

/// Puts space behind all of `span`, or, if there is not enough, behind none of it that had none before
/// (`mm/shmem.c`, `shmem_fallocate`).
pub(super) fn reserve(file: &File, span: Span) -> io::Result<()> {
    Ok(fallocate_whole(file, FallocateFlags::empty(), span)?)
}

/// Whether the file system gives space back: tried just past the end of the file, where there is
/// none, so nothing changes.
pub(super) fn can_punch(file: &File, bytes: u64) -> bool {
    fallocate_whole(file, FallocateFlags::FALLOC_FL_PUNCH_HOLE, Span { start: bytes, len: 1 })
        .is_ok()
}

fn fallocate_whole(file: &File, mode: FallocateFlags, span: Span) -> nix::Result<()> {
    let mode = mode | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    loop {
        // The whole span again after a signal: zeroing twice does no harm.
        match fallocate(file, mode, offset(span.start), offset(span.len)) {
            Err(Errno::EINTR) => {}
            done => return done,
        }
    }
}

fn write_zeros(file: &File, span: Span) -> io::Result<()> {
    let mut position = span.start;
    while position < span.end() {
        let len = usize::try_from(span.end() - position).unwrap_or(usize::MAX).min(ZEROS_BYTES);
        if ZEROS.buffer.pwrite(ZEROS.start, len, file.as_fd(), position, false)? < len {
            return Err(io::ErrorKind::WriteZero.into());
        }
        position += len as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::FileExt as _;

    use super::*;

    #[test]
    fn zeros_are_written_where_the_file_system_cannot_zero() {
        // Several writes, and a last one that is short.
        let (start, end) = (512, 512 + 700 * 1024);
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&vec![1u8; 1 << 20], 0).unwrap();
        write_zeros(&file, Span { start: start as u64, len: (end - start) as u64 }).unwrap();
        let mut back = vec![0u8; 1 << 20];
        file.read_exact_at(&mut back, 0).unwrap();
        assert!(back[start..end].iter().all(|byte| *byte == 0));
        assert!(back[..start].iter().chain(&back[end..]).all(|byte| *byte == 1));
    }

    #[test]
    fn other_errors_than_unsupported_come_through() {
        let (_reader, writer) = io::pipe().unwrap();
        let pipe = File::from(OwnedFd::from(writer));
        let span = Span { start: 0, len: 512 };
        let error = zero(&pipe, span, Space::GiveBack).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::ESPIPE as i32));
        assert!(!can_punch(&pipe, 0));
    }
}
