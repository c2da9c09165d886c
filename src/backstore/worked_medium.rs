//! A medium on a file descriptor that never keeps its caller waiting: what `file` and `block` serve.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::time::{ClockId, clock_gettime};
use pulsefield_data::Buffer;
use pulsefield_units::{BlockCount, Instant, LbaRange};

use crate::lately_read::LatelyRead;
use crate::shortcut::{LongOps, Shortcut};
use crate::uring::Uring;
use crate::{
    Backstore, BackstoreError, Capabilities, Claim, FileMedium, Geometry, Op, OpOutput, OpenError,
    Request, Workers,
};

/// Who carries out what may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IoWay {
    /// io_uring for direct I/O, if the kernel has it and lets us; else threads, which are quicker with the page
    /// cache (`docs/decisions/0020`).
    Best,
    /// io_uring; without it the medium is not opened.
    Uring,
    /// Threads.
    Threads,
}

impl IoWay {
    /// How the option `io` of a cfgstring names them.
    pub const NAMES: [(&str, Self); 3] =
        [("auto", Self::Best), ("uring", Self::Uring), ("threads", Self::Threads)];
}

/// A [`FileMedium`] whose ops are carried out by io_uring or run on [`Workers`], but for what the page cache
/// does at once: short reads of what it holds and, as long as they turn out to be quick, short writes.
///
/// Threads there are in any case: for what io_uring cannot do (copies, atomic writes, the search for holes, direct I/O
/// from memory that is not aligned), and for heartbeats that go through the page cache. Of those the
/// kernel carries out one at a time for each file, bulk included, in the order of their arrival
/// (`io_uring/io_uring.c`, `io_prep_async_work`, hashed by inode); a thread of their own has to share only the
/// file system's lock.
pub struct WorkedMedium {
    workers: Workers,
    /// There if io_uring is used, with what becomes readable when it has done something.
    uring: Option<(Mutex<Uring>, OwnedFd)>,
    medium: Arc<FileMedium>,
    afterwards: Arc<Afterwards>,
    /// Locked while a write is done on the spot; nobody waits for it.
    shortcut: Mutex<Shortcut>,
    long_ops: Arc<LongOps>,
    lately_read: LatelyRead,
    clock: fn() -> Instant,
}

type Afterwards = dyn Fn(&FileMedium, Op) + Send + Sync;

impl WorkedMedium {
    /// Starts a thread for heartbeats and, when there is work for them, at most `workers` others, named after the
    /// logical unit `name`. The kernel has at most as many for what io_uring is given.
    /// After each op that was not carried out on the spot `afterwards` is called.
    ///
    /// # Errors
    /// [`OpenError::Io`] if the operating system has no thread left, or no io_uring where there has to be one.
    pub fn start(
        medium: FileMedium,
        name: &str,
        way: IoWay,
        workers: NonZeroUsize,
        afterwards: impl Fn(&FileMedium, Op) + Send + Sync + 'static,
    ) -> Result<Self, OpenError> {
        Self::start_by(coarse_clock, medium, name, way, workers, afterwards)
    }

    fn start_by(
        clock: fn() -> Instant,
        medium: FileMedium,
        name: &str,
        way: IoWay,
        workers: NonZeroUsize,
        afterwards: impl Fn(&FileMedium, Op) + Send + Sync + 'static,
    ) -> Result<Self, OpenError> {
        let uring = open_uring(&medium, way, workers)?;
        let medium = Arc::new(medium);
        let long_ops = Arc::new(LongOps::default());
        let afterwards: Arc<Afterwards> = Arc::new(afterwards);
        let work = {
            let (medium, long_ops) = (Arc::clone(&medium), Arc::clone(&long_ops));
            let afterwards = Arc::clone(&afterwards);
            move |request: Request| {
                let op = request.op();
                let _long = may_be_long(op).then(|| long_ops.begin());
                request.carry_out(|op, buffer| medium.execute(op, buffer));
                afterwards(&medium, op);
            }
        };
        let workers = Workers::start(name, workers, work).map_err(|source| OpenError::Io {
            action: "start the workers of",
            path: medium.name().to_owned(),
            source,
        })?;
        let (shortcut, lately_read) = (Mutex::default(), LatelyRead::default());
        Ok(Self { workers, uring, medium, afterwards, shortcut, long_ops, lately_read, clock })
    }

    /// Has io_uring carry a request out, or gives it back.
    fn start_on_uring(&self, request: Request) -> Option<Request> {
        let Some((uring, _)) = &self.uring else { return Some(request) };
        if request.is_urgent() && !self.medium.is_direct() {
            return Some(request);
        }
        let Some(transfer) = self.medium.as_transfer(&request) else { return Some(request) };
        let long = may_be_long(request.op()).then(|| self.long_ops.begin());
        lock(uring).start(request, transfer, long)
    }

    /// Does a short read, if the page cache holds all of it.
    fn read_on_the_spot(
        &self,
        range: LbaRange,
        buffer: &mut Buffer,
    ) -> Option<Result<OpOutput, BackstoreError>> {
        let read = self.medium.read_if_cached(range, buffer);
        read.then(|| {
            self.lately_read.note(range, (self.clock)());
            Ok(OpOutput::Done)
        })
    }

    /// Does a short write of `range`, if nothing speaks against it.
    fn write_on_the_spot(
        &self,
        op: Op,
        range: LbaRange,
        buffer: &mut Buffer,
        urgent: bool,
    ) -> Option<Result<OpOutput, BackstoreError>> {
        let started = (self.clock)();
        let pages_there = self.lately_read.covers(range, started);
        if !self.long_ops.is_empty() || !self.medium.only_copies(op, urgent, pages_there) {
            return None;
        }
        // Held by nobody but another caller at the same time, whom the contract excludes; after a panic by
        // nobody ever, and the workers do it all.
        let mut shortcut = self.shortcut.try_lock().ok()?;
        if !shortcut.is_open(started) {
            return None;
        }
        let result = self.medium.execute(op, buffer);
        let ended = (self.clock)();
        if let Some(pause) = shortcut.note(started, ended) {
            tracing::info!(
                medium = self.medium.name(),
                took_ms = ended.since(started).as_millis(),
                pause_s = pause.as_secs(),
                "short writes have to wait here; they go by the workers for a while",
            );
        }
        Some(result)
    }
}

/// A queue for a medium, if there is to be one.
fn open_uring(
    medium: &FileMedium,
    way: IoWay,
    workers: NonZeroUsize,
) -> Result<Option<(Mutex<Uring>, OwnedFd)>, OpenError> {
    let wanted = match way {
        IoWay::Best => medium.is_direct(),
        IoWay::Uring => true,
        IoWay::Threads => false,
    };
    if !wanted {
        return Ok(None);
    }
    let open = || {
        let uring = Uring::new(medium.shared_file(), !medium.is_direct(), workers)?;
        let events = uring.as_fd().try_clone_to_owned()?;
        Ok((Mutex::new(uring), events))
    };
    match open() {
        Ok(uring) => Ok(Some(uring)),
        Err(source) if way == IoWay::Uring => {
            let path = medium.name().to_owned();
            Err(OpenError::Io { action: "use io_uring for", path, source })
        }
        Err(error) => {
            let error: io::Error = error;
            tracing::info!(medium = medium.name(), %error, "no io_uring; threads do all the I/O");
            Ok(None)
        }
    }
}

fn lock(uring: &Mutex<Uring>) -> MutexGuard<'_, Uring> {
    // Nothing panics in the midst of a change but what the engine never sends.
    uring.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether an op may have the file to itself for longer than it takes to copy some data.
const fn may_be_long(op: Op) -> bool {
    match op {
        Op::Read { .. } | Op::Write { .. } => false,
        Op::WriteAtomic { .. }
        | Op::WriteZeroes { .. }
        | Op::Unmap { .. }
        | Op::Copy { .. }
        | Op::Flush
        | Op::Provisioning { .. }
        | Op::CompareAndWrite { .. } => true,
    }
}

/// The time as of the kernel's last tick. That is in memory whatever the clock source, where the exact time
/// may be a system call away and a look at a slow device: twice for each write would cost more than it tells.
fn coarse_clock() -> Instant {
    match clock_gettime(ClockId::CLOCK_MONOTONIC_COARSE) {
        Ok(time) => Instant::from_nanos(
            u64::try_from(time.tv_sec())
                .unwrap_or_default()
                .saturating_mul(1_000_000_000)
                .saturating_add(u64::try_from(time.tv_nsec()).unwrap_or_default()),
        ),
        Err(error) => unreachable!("every Linux has CLOCK_MONOTONIC_COARSE: {error}"),
    }
}

impl Backstore for WorkedMedium {
    fn geometry(&self) -> Geometry {
        self.medium.geometry()
    }

    fn capabilities(&self) -> Capabilities {
        self.medium.capabilities()
    }

    fn at_once(
        &self,
        op: Op,
        buffer: &mut Buffer,
        urgent: bool,
    ) -> Option<Result<OpOutput, BackstoreError>> {
        match op {
            Op::Read { range } => self.read_on_the_spot(range, buffer),
            Op::Write { range, .. } => self.write_on_the_spot(op, range, buffer, urgent),
            Op::WriteAtomic { .. }
            | Op::WriteZeroes { .. }
            | Op::Unmap { .. }
            | Op::Copy { .. }
            | Op::Flush
            | Op::Provisioning { .. }
            | Op::CompareAndWrite { .. } => None,
        }
    }

    fn submit(&self, request: Request) {
        if let Some(request) = self.start_on_uring(request) {
            self.workers.submit(request);
        }
    }

    fn ended(&self) -> Option<BorrowedFd<'_>> {
        self.uring.as_ref().map(|(_, events)| events.as_fd())
    }

    fn reap(&self) {
        let Some((uring, _)) = &self.uring else { return };
        // Not locked while one is answered: whoever hears it may submit the next.
        let take = || lock(uring).take_ended();
        while let Some((request, transfer, moved)) = take() {
            let op = request.op();
            match self.medium.conclude(request, transfer, moved) {
                None => (self.afterwards)(&self.medium, op),
                Some(request) => self.workers.submit(request),
            }
        }
    }

    fn allocated_bytes(&self) -> Option<u64> {
        self.medium.allocated_bytes()
    }

    fn claim(&self) -> Option<Claim> {
        Some(self.medium.claim())
    }

    fn resize(&self, blocks: BlockCount) -> Result<(), OpenError> {
        let _long = self.long_ops.begin();
        self.medium.resize(blocks)
    }
}

/// What was submitted is answered, as it went.
impl Drop for WorkedMedium {
    fn drop(&mut self) {
        let Some((uring, _)) = &self.uring else { return };
        while lock(uring).wait() {
            self.reap();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
    use pulsefield_units::{BlockLength, Lba};

    use super::*;
    use crate::{Completion, CompletionSink, MediumAccess, OpTag, wait_for_answer};

    const BLOCKS: u64 = 4096;
    const ONE: NonZeroUsize = NonZeroUsize::MIN;

    struct Inbox(Mutex<mpsc::Sender<Completion>>);

    impl CompletionSink for Inbox {
        fn complete(&self, completion: Completion) {
            drop(self.0.lock().unwrap().send(completion));
        }
    }

    fn medium(write_cache: bool) -> Option<FileMedium> {
        let file = tempfile::tempfile().unwrap();
        file.set_len(BLOCKS * 512).unwrap();
        let geometry =
            Geometry { block_length: BlockLength::B512, blocks: BlockCount::new(BLOCKS) };
        let access = MediumAccess { read_only: false, write_cache };
        let medium = FileMedium::new(file, "test".to_owned(), geometry, access).unwrap();
        if !medium.tells_what_is_cached() {
            eprintln!("not tested: the tests' file system does not tell what is cached");
            return None;
        }
        Some(medium)
    }

    fn started(medium: FileMedium, clock: fn() -> Instant) -> WorkedMedium {
        WorkedMedium::start_by(clock, medium, "lu", IoWay::Best, ONE, |_, _| {}).unwrap()
    }

    fn range(start: u64, blocks: u64) -> LbaRange {
        LbaRange::new(Lba::new(start), BlockCount::new(blocks)).unwrap()
    }

    fn write(start: u64, blocks: u64) -> Op {
        Op::Write { range: range(start, blocks), durable: false }
    }

    /// Whether `op` is carried out while the caller waits, or later.
    fn on_the_spot(medium: &WorkedMedium, op: Op, urgent: bool) -> bool {
        let (sender, answers) = mpsc::channel();
        let bytes = op.range().map_or(0, |range| range.blocks().as_u64() * 512);
        let mut buffer = Buffer::heap(usize::try_from(bytes).unwrap());
        buffer.fill(0, buffer.len(), 0x5a);
        if let Some(result) = medium.at_once(op, &mut buffer, urgent) {
            assert_eq!(result, Ok(OpOutput::Done), "{op:?}");
            return true;
        }
        let sink = Arc::new(Inbox(Mutex::new(sender)));
        medium.submit(Request::new(op, OpTag(1), buffer, urgent, sink));
        let receive = |step| answers.recv_timeout(step).ok();
        let answer = wait_for_answer(medium, Duration::from_secs(60), receive).unwrap();
        assert_eq!(answer.result, Ok(OpOutput::Done), "{op:?}");
        false
    }

    /// Waits until no op has the file to itself: the answer comes from the midst of it.
    fn settle(medium: &WorkedMedium) {
        while !medium.long_ops.is_empty() {
            thread::yield_now();
        }
    }

    /// Has the kernel forget what it holds of the file, and read no more of it than is asked for.
    fn forget_pages(medium: &WorkedMedium) {
        assert!(!on_the_spot(medium, Op::Flush, true));
        settle(medium);
        for advice in
            [PosixFadviseAdvice::POSIX_FADV_RANDOM, PosixFadviseAdvice::POSIX_FADV_DONTNEED]
        {
            posix_fadvise(medium.medium.file(), 0, 0, advice).unwrap();
        }
    }

    /// No time ever passes.
    fn still() -> Instant {
        Instant::from_nanos(0)
    }

    #[test]
    fn short_writes_are_done_on_the_spot() {
        let Some(medium) = medium(true) else { return };
        let medium = started(medium, still);
        assert!(on_the_spot(&medium, write(0, 8), false));
        assert!(on_the_spot(&medium, write(0, 8), true));
        assert!(on_the_spot(&medium, write(8, 32), false), "16 KiB");
        assert!(!on_the_spot(&medium, write(8, 40), false), "bulk");
        assert!(on_the_spot(&medium, write(8, 128), true), "64 KiB of a heartbeat");
        assert!(!on_the_spot(&medium, write(8, 136), true));
        assert!(on_the_spot(&medium, write(3, 2), true), "within a page that is there");
        assert!(on_the_spot(&medium, Op::Read { range: range(0, 8) }, false));
    }

    #[test]
    fn whatever_must_wait_for_the_disk_goes_by_the_workers() {
        let Some(cached) = medium(true) else { return };
        let cached = started(cached, still);
        let durable = Op::Write { range: range(0, 8), durable: true };
        let zeroes = Op::WriteZeroes { range: range(0, 8), durable: false, may_unmap: true };
        for op in [durable, zeroes, Op::Unmap { range: range(0, 8) }, Op::Flush] {
            assert!(!on_the_spot(&cached, op, true), "{op:?}");
        }
        let through = started(medium(false).unwrap(), still);
        assert!(!on_the_spot(&through, write(0, 8), true), "without a cache");
    }

    #[test]
    fn a_write_does_not_wait_for_the_rest_of_its_page() {
        let Some(medium) = medium(true) else { return };
        let medium = started(medium, still);
        assert!(
            on_the_spot(&medium, write(0, 8), true) && on_the_spot(&medium, write(800, 8), true)
        );
        // The kernel keeps pages that it is at itself, and does not tell: it is asked until it has let go of them.
        let given_up = std::time::Instant::now() + Duration::from_secs(5);
        let mut reads_wait = false;
        loop {
            forget_pages(&medium);
            let read_waits = !on_the_spot(&medium, Op::Read { range: range(0, 1) }, true);
            let write_waits = !on_the_spot(&medium, write(800, 1), true);
            reads_wait |= read_waits;
            if write_waits {
                break;
            }
            if std::time::Instant::now() >= given_up {
                assert!(!reads_wait, "a write to a page that was not there was done on the spot");
                eprintln!("not tested: the tests' file system has all in memory");
                return;
            }
        }
        assert!(on_the_spot(&medium, write(800, 1), true), "now it is there");
    }

    #[test]
    fn the_cache_is_not_asked_about_what_was_read_a_moment_ago() {
        static NOW_MS: AtomicU64 = AtomicU64::new(0);
        fn now() -> Instant {
            Instant::from_nanos(NOW_MS.load(Ordering::Relaxed) * 1_000_000)
        }
        let Some(medium) = medium(true) else { return };
        let medium = started(medium, now);
        assert!(on_the_spot(&medium, write(800, 8), true));
        let read = Op::Read { range: range(800, 1) };
        let given_up = std::time::Instant::now() + Duration::from_secs(5);
        // The kernel is asked until it has let go of the page, as above.
        loop {
            assert!(on_the_spot(&medium, read, true) || on_the_spot(&medium, read, true));
            forget_pages(&medium);
            assert!(on_the_spot(&medium, write(800, 1), true), "taken to be there");
            forget_pages(&medium);
            NOW_MS.fetch_add(1_000, Ordering::Relaxed);
            if !on_the_spot(&medium, write(800, 1), true) {
                return;
            }
            if std::time::Instant::now() >= given_up {
                eprintln!("not tested: the tests' file system has all in memory");
                return;
            }
        }
    }

    #[test]
    fn nothing_is_done_on_the_spot_while_an_op_may_hold_the_file() {
        let Some(medium) = medium(true) else { return };
        let medium = started(medium, still);
        let unmapping = medium.long_ops.begin();
        assert!(!on_the_spot(&medium, write(0, 8), true));
        drop(unmapping);
        assert!(on_the_spot(&medium, write(0, 8), true));
        let zeroes = Op::WriteZeroes { range: range(0, 8), durable: false, may_unmap: true };
        assert!(!on_the_spot(&medium, zeroes, false));
        medium.resize(BlockCount::new(BLOCKS - 8)).unwrap();
        settle(&medium);
        assert!(on_the_spot(&medium, write(0, 8), true));
    }

    #[test]
    fn after_a_write_that_waited_the_others_go_by_the_workers() {
        static NOW_MS: AtomicU64 = AtomicU64::new(0);
        static STEP_MS: AtomicU64 = AtomicU64::new(0);
        fn stepping() -> Instant {
            let step = STEP_MS.load(Ordering::Relaxed);
            Instant::from_nanos(NOW_MS.fetch_add(step, Ordering::Relaxed) * 1_000_000)
        }
        let Some(medium) = medium(true) else { return };
        let medium = started(medium, stepping);
        assert!(on_the_spot(&medium, write(0, 8), true));
        STEP_MS.store(50, Ordering::Relaxed);
        assert!(on_the_spot(&medium, write(0, 8), true), "and took 50 ms");
        STEP_MS.store(0, Ordering::Relaxed);
        assert!(!on_the_spot(&medium, write(0, 8), true));
        NOW_MS.fetch_add(1_000, Ordering::Relaxed);
        assert!(on_the_spot(&medium, write(0, 8), true), "a second later");
    }
}
