//! Where the ops of one logical unit end: a queue into its device thread.
//!
//! Handlers complete from their own threads, or from inside `submit` on the device thread itself; the
//! latter is handed back at once ([`Completions::submit`]) and goes through no queue. The queue is
//! bounded by the engine's op slots and one more, so it is allocated once and never full, and the thread
//! is woken with a system call only while it sleeps.

use std::cell::Cell;
use std::io;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use mio::Waker;
use pulsefield_backstore::{
    Backstore, Completion, CompletionSink, Op, OpTag, Request, wait_for_answer,
};
use pulsefield_data::Buffer;
use pulsefield_engine::limits;

/// Ops that no slot of the engine stands for: a flush before the medium is changed.
const CONDUCTOR_OPS_MAX: usize = 1;

/// The sending end, shared with every request in flight.
#[derive(Debug)]
pub(crate) struct Completions {
    sender: Sender<Completion>,
    receiver: Receiver<Completion>,
    waker: Waker,
    /// Set by the device thread before it looks for work one last time and then sleeps.
    sleeping: AtomicBool,
    /// Requests submitted whose completion was not taken; counted by the device thread alone. While
    /// there are any, somebody may touch the data area.
    outstanding: AtomicUsize,
}

impl Completions {
    pub(crate) fn new(waker: Waker) -> Arc<Self> {
        let capacity = limits::BULK_SLOTS + limits::HEARTBEAT_SLOTS + CONDUCTOR_OPS_MAX;
        let (sender, receiver) = crossbeam_channel::bounded(capacity);
        Arc::new(Self {
            sender,
            receiver,
            waker,
            sleeping: AtomicBool::new(false),
            outstanding: AtomicUsize::new(0),
        })
    }

    /// Has `medium` do `op`. If it has done so before it returns, that is what comes back; else the
    /// completion can be taken later ([`Self::take`]). For the device thread.
    pub(crate) fn submit(
        self: &Arc<Self>,
        medium: &dyn Backstore,
        op: Op,
        tag: OpTag,
        buffer: Buffer,
        urgent: bool,
    ) -> Option<Completion> {
        // Counted before: a medium that panics may have kept the request.
        self.count(1);
        let submission = Submission::begin(self);
        medium.submit(Request::new(op, tag, buffer, urgent, self.clone()));
        let completion = submission.completed()?;
        self.count(-1);
        Some(completion)
    }

    /// Takes one completion, if there is one, from what `medium` is asked for now. For the device thread.
    pub(crate) fn take(&self, medium: &dyn Backstore) -> Option<Completion> {
        // Nothing is on its way where all is done at once, and the queue need not be looked at.
        if self.outstanding.load(Ordering::Relaxed) == 0 {
            return None;
        }
        medium.reap();
        let completion = self.receiver.try_recv().ok()?;
        self.count(-1);
        Some(completion)
    }

    /// Only the device thread counts, so that a load and a store do: an atomic addition would have the
    /// processor wait for both.
    fn count(&self, change: isize) {
        let outstanding = self.outstanding.load(Ordering::Relaxed).wrapping_add_signed(change);
        self.outstanding.store(outstanding, Ordering::Relaxed);
    }

    /// Throws away the completion of every request in flight to `medium`, waiting up to `patience` for all of
    /// them; returns how many did not come.
    pub(crate) fn discard_all(&self, medium: &dyn Backstore, patience: Duration) -> usize {
        let deadline = Instant::now() + patience;
        while self.outstanding.load(Ordering::Relaxed) > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            let receive = |step| self.receiver.recv_timeout(step).ok();
            if wait_for_answer(medium, left, receive).is_none() {
                break;
            }
            self.count(-1);
        }
        self.outstanding.load(Ordering::Relaxed)
    }

    /// Announces that the device thread is about to sleep; it must look for completions, messages
    /// and ring entries once more before it does.
    pub(crate) fn announce_sleep(&self) {
        self.sleeping.store(true, Ordering::Relaxed);
        // Between "I sleep" and the look that follows, as the fence in `wake` stands between "there
        // is something" and "do you sleep?": at least one side sees the other, so no wake-up is
        // lost.
        fence(Ordering::SeqCst);
    }

    /// Whether the device thread sleeps, or is about to.
    pub(crate) fn is_asleep(&self) -> bool {
        self.sleeping.load(Ordering::Relaxed)
    }

    /// Announces that the device thread is awake.
    pub(crate) fn announce_awake(&self) {
        self.sleeping.store(false, Ordering::Relaxed);
    }

    /// Wakes the device thread if it sleeps. Whatever it shall find must be in place before.
    pub(crate) fn wake(&self) {
        fence(Ordering::SeqCst);
        if self.sleeping.load(Ordering::Relaxed) && self.sleeping.swap(false, Ordering::Relaxed) {
            report_failed_wake(self.waker.wake());
        }
    }

    fn queue(&self, completion: Completion) {
        if self.sender.try_send(completion).is_err() {
            unreachable!("more ops completed than the engine has slots");
        }
        self.wake();
    }
}

/// An eventfd refuses a write only if it is closed or its counter is at 2^64 - 2.
fn report_failed_wake(result: io::Result<()>) {
    if let Err(error) = result {
        tracing::error!(%error, "the device thread could not be woken");
    }
}

impl CompletionSink for Completions {
    fn complete(&self, completion: Completion) {
        if let Some(completion) = Submission::catch(self, completion) {
            self.queue(completion);
        }
    }
}

thread_local! {
    /// Whose request is just being submitted on this thread; only ever compared.
    static SUBMITTING: Cell<*const Completions> = const { Cell::new(ptr::null()) };
    /// What was completed by that.
    static COMPLETED: Cell<Option<Completion>> = const { Cell::new(None) };
}

/// A submission that is under way on this thread. It takes one completion; any other goes through the
/// queue.
struct Submission<'a>(&'a Completions);

impl<'a> Submission<'a> {
    fn begin(completions: &'a Completions) -> Self {
        SUBMITTING.set(completions);
        Self(completions)
    }

    /// Keeps a completion if it is the first of a submission, or gives it back.
    fn catch(completions: &Completions, completion: Completion) -> Option<Completion> {
        if !ptr::eq(SUBMITTING.get(), completions) {
            return Some(completion);
        }
        SUBMITTING.set(ptr::null());
        COMPLETED.set(Some(completion));
        None
    }

    /// What was completed, once the medium has returned.
    fn completed(self) -> Option<Completion> {
        // Still set if nothing was.
        if SUBMITTING.replace(ptr::null()).is_null() { COMPLETED.take() } else { None }
    }
}

/// A medium that panics leaves what it has completed in the queue, where it is waited for.
impl Drop for Submission<'_> {
    fn drop(&mut self) {
        if !thread::panicking() {
            return;
        }
        SUBMITTING.set(ptr::null());
        if let Some(completion) = COMPLETED.take() {
            self.0.queue(completion);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Mutex;

    use pulsefield_backstore::OpOutput;

    use super::*;
    use crate::testing::{FnMedium, PATIENCE, held_medium, station};

    fn flush(
        completions: &Arc<Completions>,
        medium: &dyn Backstore,
        tag: u64,
    ) -> Option<Completion> {
        completions.submit(medium, Op::Flush, OpTag(tag), Buffer::empty(), false)
    }

    #[test]
    fn what_the_medium_still_holds_is_counted_until_it_comes_back() {
        let station = station();
        let completions = station.completions();
        let (medium, requests) = held_medium(8);
        for tag in 0..3 {
            assert!(flush(completions, &*medium, tag).is_none());
        }
        let [done, dropped, held] = [(); 3].map(|()| requests.recv().unwrap());
        done.complete(Ok(OpOutput::Done));
        drop(dropped);
        assert_eq!(completions.discard_all(&*medium, Duration::from_millis(1)), 1);
        held.complete(Ok(OpOutput::Done));
        assert_eq!(completions.discard_all(&*medium, PATIENCE), 0);
        assert!(completions.take(&*medium).is_none());
    }

    #[test]
    fn what_is_completed_while_it_is_submitted_comes_back_at_once() {
        let station = station();
        let completions = station.completions();
        let earlier = Mutex::new(None);
        // Keeps the first, and completes it with the second.
        let medium = FnMedium(|request: Request| {
            let earlier = earlier.lock().unwrap().replace(request);
            if let Some(earlier) = earlier {
                earlier.complete(Ok(OpOutput::Done));
            }
        });
        assert!(flush(completions, &medium, 1).is_none());
        assert_eq!(flush(completions, &medium, 2).unwrap().tag, OpTag(1));
        drop(earlier.lock().unwrap().take());
        assert_eq!(
            completions.take(&medium).unwrap().tag,
            OpTag(2),
            "nothing is being submitted now"
        );
        assert_eq!(completions.discard_all(&medium, PATIENCE), 0);
    }

    #[test]
    fn of_several_completed_by_one_submission_none_is_lost() {
        let station = station();
        let completions = station.completions();
        let kept = Mutex::new(Vec::new());
        // Completes all three with the third.
        let medium = FnMedium(|request: Request| {
            let mut kept = kept.lock().unwrap();
            kept.push(request);
            if kept.len() == 3 {
                kept.drain(..).for_each(|request| request.complete(Ok(OpOutput::Done)));
            }
        });
        let at_once: Vec<_> = (0..3).map(|tag| flush(completions, &medium, tag)).collect();
        let tags = at_once.into_iter().map(|completion| completion.map(|it| it.tag));
        assert_eq!(tags.collect::<Vec<_>>(), [None, None, Some(OpTag(0))]);
        let queued = [(); 2].map(|()| completions.take(&medium).unwrap().tag);
        assert_eq!(queued, [OpTag(1), OpTag(2)]);
        assert!(completions.take(&medium).is_none());
    }

    #[test]
    fn a_medium_that_panics_leaves_nothing_behind() {
        let station = station();
        let completions = station.completions();
        let medium = FnMedium(|request: Request| assert!(request.is_urgent(), "a bug"));
        let submitted = catch_unwind(AssertUnwindSafe(|| flush(completions, &medium, 1)));
        assert!(submitted.is_err());
        assert_eq!(completions.discard_all(&medium, PATIENCE), 0);
    }
}
