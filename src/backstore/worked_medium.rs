//! A medium on a file descriptor with threads of its own: what `file` and `block` serve.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use nix::time::{ClockId, clock_gettime};
use pulsefield_units::{BlockCount, Instant};

use crate::shortcut::{LongOps, Shortcut};
use crate::{
    Backstore, Capabilities, Claim, FileMedium, Geometry, Op, OpenError, Request, Workers,
};

/// A [`FileMedium`] whose ops run on [`Workers`], but for what the page cache does at once: short reads of
/// what it holds and, as long as they turn out to be quick, short writes. Those are answered on the spot.
pub struct WorkedMedium {
    workers: Workers,
    medium: Arc<FileMedium>,
    /// Locked while a write is done on the spot; nobody waits for it.
    shortcut: Mutex<Shortcut>,
    long_ops: Arc<LongOps>,
    clock: fn() -> Instant,
}

impl WorkedMedium {
    /// Starts a thread for heartbeats and, when there is work, at most `workers` others, named after the
    /// logical unit `name`.
    /// After each op that one of them has carried out it calls `afterwards`.
    ///
    /// # Errors
    /// [`OpenError::Io`] if the operating system has no thread left.
    pub fn start(
        medium: FileMedium,
        name: &str,
        workers: NonZeroUsize,
        afterwards: impl Fn(&FileMedium, Op) + Send + Sync + 'static,
    ) -> Result<Self, OpenError> {
        Self::start_by(coarse_clock, medium, name, workers, afterwards)
    }

    fn start_by(
        clock: fn() -> Instant,
        medium: FileMedium,
        name: &str,
        workers: NonZeroUsize,
        afterwards: impl Fn(&FileMedium, Op) + Send + Sync + 'static,
    ) -> Result<Self, OpenError> {
        let medium = Arc::new(medium);
        let long_ops = Arc::new(LongOps::default());
        let work = {
            let (medium, long_ops) = (Arc::clone(&medium), Arc::clone(&long_ops));
            move |request: Request| {
                let op = request.op();
                let _long = may_be_long(op).then(|| long_ops.begin());
                medium.execute(request);
                afterwards(&medium, op);
            }
        };
        let workers = Workers::start(name, workers, work).map_err(|source| OpenError::Io {
            action: "start the workers of",
            path: medium.name().to_owned(),
            source,
        })?;
        Ok(Self { workers, medium, shortcut: Mutex::default(), long_ops, clock })
    }

    /// Does a short write and answers it, or gives the request back.
    fn write_on_the_spot(&self, request: Request) -> Option<Request> {
        if !self.medium.only_copies(&request) || !self.long_ops.is_empty() {
            return Some(request);
        }
        // Held by nobody but another caller at the same time, whom the contract excludes, and by a write whose
        // answer leads to the next one; after a panic by nobody ever, and the workers do it all.
        let Ok(mut shortcut) = self.shortcut.try_lock() else { return Some(request) };
        let started = (self.clock)();
        if !shortcut.is_open(started) {
            return Some(request);
        }
        self.medium.execute(request);
        let ended = (self.clock)();
        if let Some(pause) = shortcut.note(started, ended) {
            tracing::info!(
                medium = self.medium.name(),
                took_ms = ended.since(started).as_millis(),
                pause_s = pause.as_secs(),
                "short writes have to wait here; they go by the workers for a while",
            );
        }
        None
    }
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

    fn submit(&self, request: Request) {
        let request = self.medium.execute_if_cached(request);
        if let Some(request) = request.and_then(|request| self.write_on_the_spot(request)) {
            self.workers.submit(request);
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc;
    use std::thread::{self, ThreadId};
    use std::time::Duration;

    use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
    use pulsefield_data::Buffer;
    use pulsefield_units::{BlockLength, Lba, LbaRange};

    use super::*;
    use crate::{Completion, CompletionSink, MediumAccess, OpOutput, OpTag};

    const BLOCKS: u64 = 4096;
    const ONE: NonZeroUsize = NonZeroUsize::MIN;

    /// Where an answer was given, and what it was.
    struct Inbox(Mutex<mpsc::Sender<(ThreadId, Completion)>>);

    impl CompletionSink for Inbox {
        fn complete(&self, completion: Completion) {
            let answer = (thread::current().id(), completion);
            drop(self.0.lock().unwrap().send(answer));
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
        WorkedMedium::start_by(clock, medium, "lu", ONE, |_, _| {}).unwrap()
    }

    fn range(start: u64, blocks: u64) -> LbaRange {
        LbaRange::new(Lba::new(start), BlockCount::new(blocks)).unwrap()
    }

    fn write(start: u64, blocks: u64) -> Op {
        Op::Write { range: range(start, blocks), durable: false }
    }

    /// Whether the caller's own thread carries `op` out.
    fn on_the_spot(medium: &WorkedMedium, op: Op, urgent: bool) -> bool {
        let (sender, answers) = mpsc::channel();
        let bytes = op.range().map_or(0, |range| range.blocks().as_u64() * 512);
        let mut buffer = Buffer::heap(usize::try_from(bytes).unwrap());
        buffer.fill(0, buffer.len(), 0x5a);
        let sink = Arc::new(Inbox(Mutex::new(sender)));
        medium.submit(Request::new(op, OpTag(1), buffer, urgent, sink));
        let (thread, answer) = answers.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(answer.result, Ok(OpOutput::Done), "{op:?}");
        thread == thread::current().id()
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
        assert!(!on_the_spot(&medium, Op::Flush, true));
        let file = medium.medium.file();
        for advice in
            [PosixFadviseAdvice::POSIX_FADV_RANDOM, PosixFadviseAdvice::POSIX_FADV_DONTNEED]
        {
            posix_fadvise(file, 0, 0, advice).unwrap();
        }
        if on_the_spot(&medium, Op::Read { range: range(0, 1) }, true) {
            eprintln!("not tested: the tests' file system has all in memory");
            return;
        }
        assert!(!on_the_spot(&medium, write(800, 1), true));
        assert!(on_the_spot(&medium, write(800, 1), true), "now it is there");
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
        // Its answer comes from the midst of it.
        while !medium.long_ops.is_empty() {
            thread::yield_now();
        }
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
