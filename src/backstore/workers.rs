//! Threads for handlers that block: as many as there is work for, within bounds.
//!
//! One thread is there from the start and serves urgent requests only, so that a heartbeat never waits
//! behind bulk I/O, nor for a thread to be made. The others serve both kinds in turn, so that neither
//! starves the other. They are started when a request finds none of them free, and end when none has
//! come for [`IDLE_MAX`]: of hundreds of logical units most are idle most of the time.
//!
//! The queues have no bound of their own. They need none: the engine has a fixed number of op slots,
//! and a request occupies one until it is answered.

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use crate::precedence::set_precedence;
use crate::{BackstoreError, Request};

/// How much of a logical unit's name fits beside `/63` and the terminating zero into the 16 bytes
/// that Linux gives a thread's name (`TASK_COMM_LEN`).
const NAME_BYTES_MAX: usize = 12;

/// How long a thread for bulk waits for a request before it ends: longer than the pauses of a load that
/// goes on, since a thread costs some ten requests of the page cache to make.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// How far threads for bulk give way to the unit's own thread and to the one for heartbeats where these may not go
/// first, in steps of nice(2): each step is a tenth of the processor where there is not enough of it.
/// `pulsefield.service` starts the daemon as far above the others, so that bulk is as everybody is.
const BULK_NICE: i32 = 5;

/// The least favourable nice value.
const NICE_MAX: i32 = 19;

/// The stack of a thread: a file system call with its vectors, a line of the log and the backtrace of a
/// panic take a tenth of it. Far below 2 MiB, the default, which the kernel may back with a huge page
/// all of whose memory then counts.
const STACK_BYTES: usize = 256 << 10;

/// The threads of one open medium.
///
/// Dropping it lets the threads finish what is queued, then waits for them.
pub struct Workers {
    shared: Arc<Shared>,
    work: Arc<Work>,
}

type Work = dyn Fn(Request) + Send + Sync;

/// What the threads and whoever sends them requests have in common.
struct Shared {
    state: Mutex<State>,
    /// Wakes the thread for urgent requests.
    urgent: Condvar,
    /// Wakes one of the others.
    either: Condvar,
    /// Tells of the end of a thread.
    ended: Condvar,
    /// As much of the logical unit's name as fits.
    name: String,
    /// The most threads besides the one for urgent requests.
    bulk_max: usize,
    /// How nice they are.
    bulk_nice: i32,
    idle_max: Duration,
}

#[derive(Default)]
struct State {
    urgent: VecDeque<Request>,
    bulk: VecDeque<Request>,
    /// Which of the queues comes first, the next time that a thread takes from either.
    urgent_first: bool,
    /// Whether the thread for urgent requests waits for one.
    urgent_waits: bool,
    /// Threads for either kind that wait.
    waiting: usize,
    /// Threads for either kind.
    bulk_threads: usize,
    /// All threads that have not ended.
    threads: Vec<ThreadId>,
    closed: bool,
}

impl Workers {
    /// Starts a thread for urgent requests, and later at most `bulk` others, each of which calls `work`
    /// for one request after the other. They are called after `name`, the logical unit's.
    ///
    /// If `work` panics, its request answers [`BackstoreError::Dropped`] and the thread goes on.
    ///
    /// # Errors
    /// The operating system has no thread left.
    pub fn start(
        name: &str,
        bulk: NonZeroUsize,
        work: impl Fn(Request) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::with_idle_max(name, bulk, IDLE_MAX, work)
    }

    fn with_idle_max(
        name: &str,
        bulk: NonZeroUsize,
        idle_max: Duration,
        work: impl Fn(Request) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        // Of this thread, also while it is real-time; what such a thread starts would not inherit it.
        let nice = rustix::process::getpriority_process(None)?;
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            urgent: Condvar::new(),
            either: Condvar::new(),
            ended: Condvar::new(),
            name: name[..name.floor_char_boundary(NAME_BYTES_MAX)].to_owned(),
            bulk_max: bulk.get(),
            bulk_nice: (nice + BULK_NICE).min(NICE_MAX),
            idle_max,
        });
        let workers = Self { shared, work: Arc::new(work) };
        workers.spawn(&mut workers.shared.lock(), 0, Shared::go_first, Shared::next_urgent)?;
        Ok(workers)
    }

    /// Queues one request. Never waits for another; makes a thread where none is free. If there can be
    /// no thread at all for it, it is answered [`BackstoreError::Transient`].
    pub fn submit(&self, request: Request) {
        let mut state = self.shared.lock();
        let wake_urgent = request.is_urgent() && state.urgent_waits;
        match request.is_urgent() {
            true => state.urgent.push_back(request),
            false => state.bulk.push_back(request),
        }
        let (unserved, waiting) = (state.unserved(), state.waiting);
        if unserved > waiting && state.bulk_threads < self.shared.bulk_max {
            self.add_thread(state);
        } else {
            // Whoever is woken wants the lock.
            drop(state);
            if unserved > 0 && waiting > 0 {
                self.shared.either.notify_one();
            }
        }
        if wake_urgent {
            self.shared.urgent.notify_one();
        }
    }

    fn add_thread(&self, mut state: MutexGuard<'_, State>) {
        let number = state.bulk_threads + 1;
        match self.spawn(&mut state, number, Shared::give_way, Shared::next_of_either) {
            Ok(()) => state.bulk_threads = number,
            Err(error) => {
                // The others do it in time, if there are any.
                let orphan = if number == 1 { state.bulk.pop_back() } else { None };
                drop(state);
                tracing::warn!(%error, "no thread for a request");
                // Nothing is locked now: an answer may do anything.
                if let Some(request) = orphan {
                    request.complete(Err(BackstoreError::Transient));
                }
            }
        }
    }

    /// Starts a thread that does `prepare` first, and lives as long as `next` has requests for it.
    fn spawn(
        &self,
        state: &mut State,
        number: usize,
        prepare: fn(&Shared),
        next: fn(&Shared) -> Option<Request>,
    ) -> io::Result<()> {
        let (shared, work) = (Arc::clone(&self.shared), Arc::clone(&self.work));
        let builder = thread::Builder::new()
            .name(format!("{}/{number}", shared.name))
            .stack_size(STACK_BYTES);
        let thread = builder.spawn(move || {
            prepare(&shared);
            serve(|| next(&shared), &*work);
            // What the work holds may go with it, and has gone when the end is told.
            drop(work);
            shared.leave();
        })?;
        state.threads.push(thread.thread().id());
        Ok(())
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        self.shared.urgent.notify_all();
        self.shared.either.notify_all();
        // The last reference to a medium may go away inside a completion, on a worker: that one cannot
        // wait for itself, and ends by itself.
        let own = thread::current().id();
        while state.threads.iter().any(|thread| *thread != own) {
            state = self.shared.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl State {
    /// Requests that the thread for urgent ones will not take as soon as it runs.
    fn unserved(&self) -> usize {
        self.bulk.len() + self.urgent.len().saturating_sub(usize::from(self.urgent_waits))
    }

    fn take_either(&mut self) -> Option<Request> {
        self.urgent_first = !self.urgent_first;
        match self.urgent_first {
            true => self.urgent.pop_front().or_else(|| self.bulk.pop_front()),
            false => self.bulk.pop_front().or_else(|| self.urgent.pop_front()),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is complete when its statement is: no panic leaves it half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has this thread, which is for heartbeats, go before everybody, if it may.
    fn go_first(&self) {
        if let Err(error) = set_precedence(true) {
            tracing::debug!(thread = self.name, %error, "heartbeats wait for the processor like everybody");
        }
    }

    /// Has this thread, which is for bulk, give way to heartbeats. Linux has a nice value for each thread
    /// (sched(7)); to be nicer needs no privilege. A sandbox that forbids it costs heartbeats their precedence, and
    /// nothing else.
    fn give_way(&self) {
        if let Err(error) = rustix::process::setpriority_process(None, self.bulk_nice) {
            tracing::debug!(thread = self.name, %error, "bulk does not give way to heartbeats");
        }
    }

    /// Waits for an urgent request; `None` at the end.
    fn next_urgent(&self) -> Option<Request> {
        let mut state = self.lock();
        loop {
            if let Some(request) = state.urgent.pop_front() {
                return Some(request);
            }
            if state.closed {
                return None;
            }
            state.urgent_waits = true;
            state = self.urgent.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.urgent_waits = false;
        }
    }

    /// Waits for a request of either kind; `None` at the end, or after a long time without any.
    fn next_of_either(&self) -> Option<Request> {
        let mut state = self.lock();
        let mut idle = false;
        loop {
            if let Some(request) = state.take_either() {
                return Some(request);
            }
            if state.closed || idle {
                // In the same breath as the look into the queues: whoever queues something from now on
                // knows that this thread is not there for it.
                state.bulk_threads -= 1;
                return None;
            }
            state.waiting += 1;
            let waited = self.either.wait_timeout(state, self.idle_max);
            let (next, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            (state, idle) = (next, timeout.timed_out());
            state.waiting -= 1;
        }
    }

    /// Tells of the end of this thread.
    fn leave(&self) {
        let own = thread::current().id();
        self.lock().threads.retain(|thread| *thread != own);
        self.ended.notify_all();
    }
}

/// One thread's life.
fn serve(next: impl Fn() -> Option<Request>, work: &Work) {
    while let Some(request) = next() {
        let (op, tag) = (request.op(), request.tag());
        // Unwind safety: `work` is shared state behind `&`, which a handler must keep consistent
        // between system calls anyway, and the request is gone: dropping it answered it.
        if catch_unwind(AssertUnwindSafe(|| work(request))).is_err() {
            tracing::error!(op = op.name(), tag = tag.0, "a worker panicked; its request failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc;
    use std::time::Duration;

    use pulsefield_data::Buffer;

    use super::*;
    use crate::{BackstoreError, Completion, CompletionSink, Op, OpOutput, OpTag};

    struct Inbox(Mutex<mpsc::Sender<Completion>>);

    impl CompletionSink for Inbox {
        fn complete(&self, completion: Completion) {
            drop(self.0.lock().unwrap().send(completion));
        }
    }

    fn inbox() -> (Arc<Inbox>, mpsc::Receiver<Completion>) {
        let (sender, receiver) = mpsc::channel();
        (Arc::new(Inbox(Mutex::new(sender))), receiver)
    }

    fn request(tag: u64, urgent: bool, inbox: &Arc<Inbox>) -> Request {
        Request::new(Op::Flush, OpTag(tag), Buffer::empty(), urgent, Arc::clone(inbox) as _)
    }

    fn done(request: Request) {
        request.complete(Ok(OpOutput::Done));
    }

    /// The next answer; fails rather than waits for ever.
    fn next(answers: &mpsc::Receiver<Completion>) -> Completion {
        answers.recv_timeout(Duration::from_secs(60)).unwrap()
    }

    const TWO: NonZeroUsize = NonZeroUsize::new(2).unwrap();

    #[test]
    fn urgent_requests_do_not_wait_behind_bulk() {
        let (gate, opened) = crossbeam_channel::bounded::<()>(0);
        let (inbox, answers) = inbox();
        let workers = Workers::start("lu", TWO, move |request| {
            if !request.is_urgent() {
                opened.recv().unwrap_err();
            }
            done(request);
        })
        .unwrap();
        // Goes before the workers do, so that they can end even if the test fails.
        let gate = gate;
        for tag in 0..10 {
            workers.submit(request(tag, false, &inbox));
        }
        for tag in 100..110 {
            workers.submit(request(tag, true, &inbox));
        }
        let mut urgent: Vec<u64> = (0..10).map(|_| next(&answers).tag.0).collect();
        urgent.sort_unstable();
        assert_eq!(urgent, (100..110).collect::<Vec<_>>(), "bulk is still waiting");
        drop(gate);
        let mut bulk: Vec<u64> = (0..10).map(|_| next(&answers).tag.0).collect();
        bulk.sort_unstable();
        assert_eq!(bulk, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn a_panic_costs_one_request_and_no_thread() {
        let (inbox, answers) = inbox();
        let workers = Workers::start("lu", NonZeroUsize::MIN, |request| {
            assert_ne!(request.tag(), OpTag(13), "unlucky");
            done(request);
        })
        .unwrap();
        for tag in 10..20 {
            workers.submit(request(tag, false, &inbox));
        }
        for _ in 10..20 {
            let answer = next(&answers);
            let expected = match answer.tag {
                OpTag(13) => Err(BackstoreError::Dropped),
                OpTag(_) => Ok(OpOutput::Done),
            };
            assert_eq!(answer.result, expected);
        }
    }

    #[test]
    fn dropping_the_workers_finishes_what_is_queued() {
        let (inbox, answers) = inbox();
        let workers = Workers::start("a name longer than fits", TWO, done).unwrap();
        for tag in 0..1000 {
            workers.submit(request(tag, tag % 3 == 0, &inbox));
        }
        drop(workers);
        let answered = answers.try_iter().filter(|answer| answer.result.is_ok()).count();
        assert_eq!(answered, 1000);
    }

    #[test]
    fn the_last_owner_may_let_go_inside_a_worker() {
        let (inbox, answers) = inbox();
        let owned: Arc<Mutex<Option<Workers>>> = Arc::default();
        let workers = Workers::start("lu", NonZeroUsize::MIN, {
            let owned = Arc::clone(&owned);
            move |request| {
                drop(owned.lock().unwrap().take());
                done(request);
            }
        })
        .unwrap();
        let mut slot = owned.lock().unwrap();
        slot.insert(workers).submit(request(1, true, &inbox));
        drop(slot);
        assert_eq!(next(&answers).result, Ok(OpOutput::Done));
    }

    /// Waits for a condition; fails rather than waits for ever.
    fn wait_until(condition: impl Fn() -> bool) {
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        while !condition() {
            assert!(std::time::Instant::now() < deadline, "waited in vain");
            thread::yield_now();
        }
    }

    #[test]
    fn threads_for_bulk_come_with_the_work_and_go_without() {
        let (gate, opened) = crossbeam_channel::unbounded::<()>();
        let (inbox, answers) = inbox();
        let work = move |request| {
            opened.recv().unwrap();
            done(request);
        };
        let workers = Workers::with_idle_max("lu", TWO, Duration::from_millis(1), work).unwrap();
        // Goes before the workers do, so that they can end even if the test fails.
        let gate = gate;
        let threads = || workers.shared.lock().threads.len();
        assert_eq!(threads(), 1, "the one for urgent requests");
        for round in 0..20 {
            for (tag, expected) in [(0, 2), (1, 3), (2, 3)] {
                workers.submit(request(tag, false, &inbox));
                assert_eq!(threads(), expected, "round {round}");
            }
            for _ in 0..3 {
                gate.send(()).unwrap();
            }
            for _ in 0..3 {
                assert!(next(&answers).result.is_ok());
            }
            wait_until(|| threads() == 1);
        }
    }

    #[test]
    fn an_idle_thread_is_used_before_another_is_made() {
        let (inbox, answers) = inbox();
        let workers = Workers::start("lu", TWO, done).unwrap();
        for tag in 0..100 {
            workers.submit(request(tag, false, &inbox));
            next(&answers);
            wait_until(|| workers.shared.lock().waiting == 1);
        }
        assert_eq!(workers.shared.lock().bulk_threads, 1);
    }

    #[test]
    fn work_that_comes_while_its_thread_ends_is_done() {
        let (inbox, answers) = inbox();
        let workers =
            Workers::with_idle_max("lu", NonZeroUsize::MIN, Duration::from_nanos(1), done).unwrap();
        for tag in 0..2_000 {
            workers.submit(request(tag, false, &inbox));
            assert_eq!(next(&answers).tag, OpTag(tag));
        }
    }

    #[test]
    fn bulk_gives_way_to_heartbeats() {
        let (sender, values) = mpsc::channel();
        let sender = Mutex::new(sender);
        let (inbox, _answers) = inbox();
        let workers = Workers::start("lu", NonZeroUsize::MIN, move |request| {
            let nice = rustix::process::getpriority_process(None).unwrap();
            sender.lock().unwrap().send(nice).unwrap();
            done(request);
        })
        .unwrap();
        let nice_of = |urgent| {
            workers.submit(request(1, urgent, &inbox));
            values.recv_timeout(Duration::from_secs(60)).unwrap()
        };
        // Until it is there, a thread for either kind might take it.
        wait_until(|| workers.shared.lock().urgent_waits);
        let heartbeat = nice_of(true);
        assert_eq!(heartbeat, rustix::process::getpriority_process(None).unwrap());
        assert_eq!(nice_of(false), (heartbeat + BULK_NICE).min(19));
    }

    #[test]
    fn threads_bear_the_name_of_their_logical_unit() {
        let (sender, names) = mpsc::channel();
        let sender = Mutex::new(sender);
        let (inbox, _answers) = inbox();
        let workers = Workers::start("datastore-ünterwegs", NonZeroUsize::MIN, move |request| {
            let name = thread::current().name().map(str::to_owned);
            drop(sender.lock().unwrap().send(name));
            done(request);
        })
        .unwrap();
        workers.submit(request(1, false, &inbox));
        assert_eq!(names.recv().unwrap().as_deref(), Some("datastore-ü/1"));
    }
}
