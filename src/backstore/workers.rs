//! Threads for handlers that block.
//!
//! Two queues and two kinds of thread: one thread serves urgent requests only, so that a heartbeat
//! never waits behind bulk I/O; the others take from either queue, at random if both have something,
//! so that neither starves the other. The queues have no bound of their own. They need none: the engine has a fixed number
//! of op slots, and a request occupies one until it is answered.

use std::io;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, select, unbounded};

use crate::Request;

/// How much of a logical unit's name fits beside `/63` and the terminating zero into the 16 bytes
/// that Linux gives a thread's name (`TASK_COMM_LEN`).
const NAME_BYTES_MAX: usize = 12;

/// The threads of one open medium.
///
/// Dropping it lets the threads finish what is queued, then waits for them.
pub struct Workers {
    queues: Option<Queues<Sender<Request>>>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Clone)]
struct Queues<End> {
    urgent: End,
    bulk: End,
}

impl Workers {
    /// Starts `bulk` threads, and one more for urgent requests alone, each of which calls `work`
    /// for one request after the other. They are called after `name`, the logical unit's.
    ///
    /// If `work` panics, its request answers [`BackstoreError::Dropped`] and the thread goes on.
    ///
    /// # Errors
    /// The operating system has no thread left; those already started are gone again.
    ///
    /// [`BackstoreError::Dropped`]: crate::BackstoreError::Dropped
    pub fn start(
        name: &str,
        bulk: NonZeroUsize,
        work: impl Fn(Request) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let work = Arc::new(work);
        let (urgent, urgent_end) = unbounded();
        let (bulk_queue, bulk_end) = unbounded();
        let ends = Queues { urgent: urgent_end, bulk: bulk_end };
        let queues = Queues { urgent, bulk: bulk_queue };
        let mut workers =
            Self { queues: Some(queues), threads: Vec::with_capacity(bulk.get() + 1) };
        for nth in 0..=bulk.get() {
            let (ends, work) = (ends.clone(), Arc::clone(&work));
            let name = format!("{}/{nth}", &name[..name.floor_char_boundary(NAME_BYTES_MAX)]);
            let thread = thread::Builder::new().name(name).spawn(move || match nth {
                0 => serve(|| ends.urgent.recv().ok(), &*work),
                _ => serve(|| ends.either(), &*work),
            })?;
            workers.threads.push(thread);
        }
        Ok(workers)
    }

    /// Queues one request. Never blocks; allocates once in some thirty requests, when the channel
    /// begins its next block.
    pub fn submit(&self, request: Request) {
        let Some(queues) = &self.queues else {
            unreachable!("the queues are closed by `drop` alone");
        };
        let queue = if request.is_urgent() { &queues.urgent } else { &queues.bulk };
        // Fails only if every thread is gone; the request then comes back, is dropped, and answers.
        drop(queue.send(request));
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.queues = None;
        for thread in self.threads.drain(..) {
            // The last reference to a medium may go away inside a completion, on a worker: that one
            // cannot wait for itself, and ends by itself.
            if thread.thread().id() != thread::current().id() {
                drop(thread.join());
            }
        }
    }
}

impl Queues<Receiver<Request>> {
    /// Waits for a request of either kind; picks at random if there are both. `None` once both
    /// queues are closed and empty.
    fn either(&self) -> Option<Request> {
        // Both senders go together, so a closed queue leaves only the rest of the other.
        select! {
            recv(self.urgent) -> request => request.or_else(|_| self.bulk.recv()),
            recv(self.bulk) -> request => request.or_else(|_| self.urgent.recv()),
        }
        .ok()
    }
}

/// One thread's life.
fn serve(next: impl Fn() -> Option<Request>, work: &impl Fn(Request)) {
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
