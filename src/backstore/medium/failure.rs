//! What an errno means for a medium, and how often it is worth a line in the log.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use nix::errno::Errno;

use crate::{BackstoreError, Op};

/// Errors that mean the same whatever was tried. All others are [`BackstoreError::Medium`].
///
/// Of a block device's errors (`block/blk-core.c`, `blk_errors`) those are `EREMOTEIO` (the target
/// failed), `ENODATA` (a medium error), `EILSEQ` (protection information) and `EIO`.
const MEANINGS: [(Errno, BackstoreError); 17] = [
    (Errno::ENOSPC, BackstoreError::NoSpace),
    (Errno::EDQUOT, BackstoreError::NoSpace),
    // Below the medium's end only a limit on file sizes answers so (RLIMIT_FSIZE, ulimit -f).
    (Errno::EFBIG, BackstoreError::NoSpace),
    (Errno::EROFS, BackstoreError::ReadOnly),
    (Errno::EAGAIN, BackstoreError::Transient),
    (Errno::EINTR, BackstoreError::Transient),
    (Errno::ENOMEM, BackstoreError::Transient),
    (Errno::ENOBUFS, BackstoreError::Transient),
    (Errno::ETIMEDOUT, BackstoreError::Transient),
    // Of a block device: out of some resource of its own, and a transport that comes back.
    (Errno::EBUSY, BackstoreError::Transient),
    (Errno::ENOLINK, BackstoreError::Transient),
    (Errno::ENODEV, BackstoreError::Gone),
    (Errno::ENXIO, BackstoreError::Gone),
    (Errno::ESTALE, BackstoreError::Gone),
    // A block device that somebody else has reserved: it stays so until somebody intervenes.
    (Errno::EBADE, BackstoreError::Gone),
    // A FUSE file system whose server died, and a file system that was shut down.
    (Errno::ENOTCONN, BackstoreError::Gone),
    (Errno::ESHUTDOWN, BackstoreError::Gone),
];

/// Errors by which the kernel refuses to change a file that can still be read: made immutable or
/// sealed, or not open for writing.
const WRITE_REFUSALS: [Errno; 4] = [Errno::EPERM, Errno::EACCES, Errno::EBADF, Errno::ETXTBSY];

/// What `error` says about the medium; `writing` if the op would have changed it.
pub(super) fn classify(writing: bool, error: &io::Error) -> BackstoreError {
    let Some(errno) = error.raw_os_error().map(Errno::from_raw) else {
        return BackstoreError::Medium;
    };
    if writing && WRITE_REFUSALS.contains(&errno) {
        return BackstoreError::ReadOnly;
    }
    MEANINGS
        .iter()
        .find(|(known, _)| *known == errno)
        .map_or(BackstoreError::Medium, |(_, meaning)| *meaning)
}

/// At most one line in so many milliseconds for each kind of op. A full file system fails some
/// writes and not others; a line for each would bury the one that matters.
const PAUSE_MS: u64 = 10_000;

/// The voice of one medium in the log.
pub(super) struct FailureLog {
    opened: Instant,
    gates: [Gate; 9],
}

impl FailureLog {
    pub(super) fn new() -> Self {
        Self { opened: Instant::now(), gates: Default::default() }
    }

    /// Says what `error` means, and logs it unless that was done a moment ago.
    pub(super) fn report(&self, medium: &str, op: Op, error: &io::Error) -> BackstoreError {
        let meaning = classify(op.writes(), error);
        let now_ms = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        if let Some(unreported) = self.gates[gate_of(op)].pass(now_ms) {
            tracing::warn!(
                medium,
                op = op.name(),
                lba = op.range().map(|range| range.start().as_u64()),
                blocks = op.range().map(|range| range.blocks().as_u64()),
                %error,
                unreported,
                "{meaning}",
            );
        }
        meaning
    }
}

const fn gate_of(op: Op) -> usize {
    match op {
        Op::Read { .. } => 0,
        Op::Write { .. } => 1,
        Op::WriteZeroes { .. } => 2,
        Op::Unmap { .. } => 3,
        Op::Flush => 4,
        Op::Provisioning { .. } => 5,
        Op::CompareAndWrite { .. } => 6,
        Op::WriteAtomic { .. } => 7,
        Op::Copy { .. } => 8,
    }
}

/// Lets one failure pass, then none for [`PAUSE_MS`]. Only counters, read by nobody else, so
/// relaxed ordering will do.
#[derive(Default)]
struct Gate {
    opens_at_ms: AtomicU64,
    unreported: AtomicU64,
}

impl Gate {
    /// `Some` if this failure shall be logged: how many were not since the last one that was.
    fn pass(&self, now_ms: u64) -> Option<u64> {
        let opens_at_ms = self.opens_at_ms.load(Ordering::Relaxed);
        let next_ms = now_ms.saturating_add(PAUSE_MS);
        let passes = now_ms >= opens_at_ms
            && self
                .opens_at_ms
                .compare_exchange(opens_at_ms, next_ms, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if passes {
            Some(self.unreported.swap(0, Ordering::Relaxed))
        } else {
            self.unreported.fetch_add(1, Ordering::Relaxed);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errno_means_one_thing_on_the_wire() {
        let meaning = |writing, errno| classify(writing, &io::Error::from(errno));
        assert_eq!(meaning(true, Errno::ENOSPC), BackstoreError::NoSpace);
        assert_eq!(meaning(true, Errno::EIO), BackstoreError::Medium);
        assert_eq!(meaning(false, Errno::EUCLEAN), BackstoreError::Medium);
        for errno in [Errno::EREMOTEIO, Errno::ENODATA, Errno::EILSEQ] {
            assert_eq!(meaning(true, errno), BackstoreError::Medium);
        }
        assert_eq!(meaning(true, Errno::ENOLINK), BackstoreError::Transient);
        assert_eq!(meaning(false, Errno::EBADE), BackstoreError::Gone);
        assert_eq!(meaning(false, Errno::ESTALE), BackstoreError::Gone);
        assert_eq!(meaning(true, Errno::EPERM), BackstoreError::ReadOnly);
        assert_eq!(meaning(false, Errno::EPERM), BackstoreError::Medium, "reading needs no right");
        assert_eq!(
            classify(false, &io::ErrorKind::UnexpectedEof.into()),
            BackstoreError::Medium,
            "the file was cut short"
        );
    }

    #[test]
    fn a_storm_of_failures_is_one_line_and_a_count() {
        let gate = Gate::default();
        assert_eq!(gate.pass(0), Some(0));
        assert_eq!(gate.pass(1), None);
        assert_eq!(gate.pass(PAUSE_MS - 1), None);
        assert_eq!(gate.pass(PAUSE_MS), Some(2));
        assert_eq!(gate.pass(10 * PAUSE_MS), Some(0));
    }
}
