//! One file's queue in the kernel: requests that io_uring carries out, without a thread of ours.
//!
//! Data moves between the file and the segments of a request's buffer, which for a ring's command are the
//! pages that TCMU has mapped: nothing is copied in between.
//!
//! Invariants on which the `unsafe` below rests:
//! 1. What an entry of the queue points at (the vectors of a slot, and the segments they list) stays where it
//!    is until the entry's completion has been taken: a slot keeps its request, and with it the buffer, and
//!    nobody touches its vectors meanwhile.
//! 2. The queue is closed only when no completion is outstanding ([`Uring::drop`] waits for all).
//! 3. `user_data` of an entry is the number of its slot, and a slot has one entry at a time.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, RawFd};
use std::sync::Arc;
use std::thread;

use io_uring::{IoUring, Probe, opcode, squeue, types};

use crate::Request;
use crate::shortcut::LongOp;

/// Requests that may be in the queue at once: more than the device server has slots for.
const ENTRIES: u32 = 256;

/// The most pieces of memory one entry takes (`include/uapi/linux/uio.h`, `UIO_MAXIOV`).
const VECTORS_MAX: usize = 1024;

/// How much of a write into the page cache is one entry: for so long it keeps the file to itself.
const OFFLOADED_WRITE_MAX: usize = 64 << 10;

/// What to do with the file. Positions and lengths are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transfer {
    /// Fill the buffer's first bytes.
    Read { position: u64, len: usize },
    /// Write them; `durable` as `RWF_DSYNC`.
    Write { position: u64, len: usize, durable: bool },
    /// fallocate(2) with this mode.
    Allocate { mode: i32, position: u64, len: u64 },
    /// fdatasync(2).
    Sync,
}

/// The queue.
pub(crate) struct Uring {
    ring: IoUring,
    file: Arc<File>,
    /// Whether entries leave the caller's thread at once, instead of being tried on it first: to copy bulk
    /// to or from the page cache is for another thread.
    offload: bool,
    slots: Box<[Slot]>,
    free: Vec<u16>,
}

#[derive(Default)]
struct Slot {
    flight: Option<Flight>,
    vectors: Vec<libc::iovec>,
}

/// A request on its way.
struct Flight {
    request: Request,
    transfer: Transfer,
    /// Bytes that are through.
    done: usize,
    _long: Option<LongOp>,
}

// SAFETY: the pointers are those of `Slot::vectors`, into segments of the buffer beside them, which itself
// is `Send` (invariant 1): whoever has the queue has both.
unsafe impl Send for Uring {}

impl Uring {
    /// A queue for `file`. The kernel's own threads, for what would wait, are at most `workers` for each thread
    /// that submits.
    ///
    /// # Errors
    /// What io_uring_setup(2) answers where there is none: `ENOSYS` from a kernel without it, `EPERM` or `EACCES` where
    /// it is forbidden (`kernel.io_uring_disabled`, a seccomp filter). `ENOSYS` as well if it cannot do
    /// all of [`Transfer`].
    pub(crate) fn new(file: Arc<File>, offload: bool, workers: NonZeroUsize) -> io::Result<Self> {
        let ring = IoUring::builder().dontfork().build(ENTRIES)?;
        let mut probe = Probe::new();
        ring.submitter().register_probe(&mut probe)?;
        let needed = [
            opcode::Readv::CODE,
            opcode::Writev::CODE,
            opcode::Fallocate::CODE,
            opcode::Fsync::CODE,
        ];
        if !ring.params().is_feature_nodrop()
            || !needed.into_iter().all(|code| probe.is_supported(code))
        {
            return Err(io::Error::from_raw_os_error(libc::ENOSYS));
        }
        let workers = u32::try_from(workers.get()).unwrap_or(u32::MAX);
        // Since 5.15; before that it is the kernel's to say.
        if let Err(error) = ring.submitter().register_iowq_max_workers(&mut [workers, workers]) {
            tracing::debug!(%error, "the kernel chooses how many threads io_uring has");
        }
        let slots = (0..ENTRIES).map(|_| Slot::default()).collect();
        let free = (0..u16::try_from(ENTRIES).expect("far below")).rev().collect();
        Ok(Self { ring, file, offload, slots, free })
    }

    /// Starts a request, or gives it back if there is no room. `long` is kept as long as it takes.
    ///
    /// # Panics
    /// If the buffer is shorter than the transfer.
    pub(crate) fn start(
        &mut self,
        request: Request,
        transfer: Transfer,
        long: Option<LongOp>,
    ) -> Option<Request> {
        let Some(slot) = self.free.pop() else { return Some(request) };
        if let Transfer::Read { len, .. } | Transfer::Write { len, .. } = transfer {
            assert!(len <= request.buffer().len(), "a transfer longer than its buffer");
        }
        let flight = Flight { request, transfer, done: 0, _long: long };
        self.slots[usize::from(slot)].flight = Some(flight);
        self.submit(slot);
        None
    }

    /// The next request that has ended, and how many bytes of it are through: fewer than asked for only at
    /// the end of the file. Never waits.
    pub(crate) fn take_ended(&mut self) -> Option<(Request, Transfer, io::Result<usize>)> {
        loop {
            let entry = self.ring.completion().next()?;
            let number = u16::try_from(entry.user_data()).expect("a slot's number");
            let slot = &mut self.slots[usize::from(number)];
            let flight = slot.flight.as_mut().expect("a completion has a request");
            let result = match u32::try_from(entry.result()) {
                Ok(moved) => {
                    let moved = moved as usize;
                    flight.done += moved;
                    if moved > 0 && flight.done < flight.transfer.len() {
                        self.submit(number);
                        continue;
                    }
                    Ok(flight.done)
                }
                Err(_) => match -entry.result() {
                    libc::EINTR | libc::EAGAIN => {
                        self.submit(number);
                        continue;
                    }
                    errno => Err(io::Error::from_raw_os_error(errno)),
                },
            };
            let Flight { request, transfer, .. } = slot.flight.take().expect("looked at just now");
            self.free.push(number);
            return Some((request, transfer, result));
        }
    }

    /// Waits until something has ended, if anything is in flight; says whether anything was.
    pub(crate) fn wait(&mut self) -> bool {
        if self.free.len() == self.slots.len() {
            return false;
        }
        if let Err(error) = self.ring.submit_and_wait(1)
            && error.kind() != io::ErrorKind::Interrupted
        {
            tracing::error!(%error, "io_uring does not wait");
            thread::yield_now();
        }
        true
    }

    /// Hands what is left of a slot's request to the kernel.
    fn submit(&mut self, number: u16) {
        let Self { ring, file, offload, slots, .. } = self;
        let Slot { flight, vectors } = &mut slots[usize::from(number)];
        let flight = flight.as_ref().expect("a slot in use");
        let write_max = if *offload { OFFLOADED_WRITE_MAX } else { usize::MAX };
        let entry = flight.entry(file.as_raw_fd(), write_max, vectors);
        let flags = if *offload { squeue::Flags::ASYNC } else { squeue::Flags::empty() };
        let entry = entry.flags(flags).user_data(number.into());
        // SAFETY: the slot keeps what the entry points at (invariant 1).
        let pushed = unsafe { ring.submission().push(&entry) };
        pushed.expect("as many entries as slots, and each is taken at once");
        // What the kernel does not take now it has no memory for, and will have: nobody can take it back.
        while let Err(error) = ring.submit() {
            tracing::debug!(%error, "io_uring takes nothing for now");
            thread::yield_now();
        }
    }
}

impl Flight {
    /// The entry for what is left, of a write for so much of it. The file's descriptor must stay open until its
    /// completion.
    fn entry(&self, fd: RawFd, write_max: usize, vectors: &mut Vec<libc::iovec>) -> squeue::Entry {
        let fd = types::Fd(fd);
        match self.transfer {
            Transfer::Read { position, len } => {
                list(&self.request, self.done, len, vectors);
                let (first, count) = parts(vectors);
                opcode::Readv::new(fd, first, count).offset(position + self.done as u64).build()
            }
            Transfer::Write { position, len, durable } => {
                let end = if durable { len } else { len.min(self.done.saturating_add(write_max)) };
                list(&self.request, self.done, end, vectors);
                let (first, count) = parts(vectors);
                opcode::Writev::new(fd, first, count)
                    .offset(position + self.done as u64)
                    .rw_flags(if durable { libc::RWF_DSYNC } else { 0 })
                    .build()
            }
            Transfer::Allocate { mode, position, len } => {
                opcode::Fallocate::new(fd, len).offset(position).mode(mode).build()
            }
            Transfer::Sync => opcode::Fsync::new(fd).flags(types::FsyncFlags::DATASYNC).build(),
        }
    }
}

/// Lists the bytes `done..until` of a request's buffer, as many as one entry takes.
fn list(request: &Request, done: usize, until: usize, vectors: &mut Vec<libc::iovec>) {
    vectors.clear();
    let mut start = 0;
    for segment in request.buffer().segments() {
        let end = start + segment.len();
        let (from, to) = (start.max(done), end.min(until));
        if from < to && vectors.len() < VECTORS_MAX {
            let base = segment.start().as_ptr().wrapping_add(from - start);
            vectors.push(libc::iovec { iov_base: base.cast(), iov_len: to - from });
        }
        start = end;
    }
}

fn parts(vectors: &[libc::iovec]) -> (*const libc::iovec, u32) {
    (vectors.as_ptr(), u32::try_from(vectors.len()).expect("at most VECTORS_MAX"))
}

impl Transfer {
    /// How many bytes move.
    const fn len(self) -> usize {
        match self {
            Self::Read { len, .. } | Self::Write { len, .. } => len,
            Self::Allocate { .. } | Self::Sync => 0,
        }
    }
}

/// Readable when something has ended.
impl AsFd for Uring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is the ring's, which lives as long as `self`.
        unsafe { BorrowedFd::borrow_raw(self.ring.as_raw_fd()) }
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        // Each request that ends here is dropped, and that answers it.
        while self.wait() {
            while self.take_ended().is_some() {}
        }
    }
}
