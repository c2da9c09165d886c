//! Where the ops of one logical unit end: a queue into its device thread.
//!
//! Handlers complete from their own threads, or from inside `submit` on the device thread itself; what they do
//! at once (`Backstore::at_once`) never comes here. The queue is
//! bounded by the engine's op slots and one more, so it is allocated once and never full, and the thread
//! is woken with a system call only while it sleeps.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
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

    /// Has `medium` do `op`; its end can be taken later ([`Self::take`]). For the device thread.
    pub(crate) fn submit(
        self: &Arc<Self>,
        medium: &dyn Backstore,
        op: Op,
        tag: OpTag,
        buffer: Buffer,
        urgent: bool,
    ) {
        // Counted before: a medium that panics may have kept the request.
        self.count(1);
        medium.submit(Request::new(op, tag, buffer, urgent, self.clone()));
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
}

/// An eventfd refuses a write only if it is closed or its counter is at 2^64 - 2.
fn report_failed_wake(result: io::Result<()>) {
    if let Err(error) = result {
        tracing::error!(%error, "the device thread could not be woken");
    }
}

impl CompletionSink for Completions {
    fn complete(&self, completion: Completion) {
        if self.sender.try_send(completion).is_err() {
            unreachable!("more ops completed than the engine has slots");
        }
        self.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Mutex;

    use pulsefield_backstore::OpOutput;

    use super::*;
    use crate::testing::{FnMedium, PATIENCE, held_medium, station};

    fn flush(completions: &Arc<Completions>, medium: &dyn Backstore, tag: u64) {
        completions.submit(medium, Op::Flush, OpTag(tag), Buffer::empty(), false);
    }

    #[test]
    fn what_the_medium_still_holds_is_counted_until_it_comes_back() {
        let station = station();
        let completions = station.completions();
        let (medium, requests) = held_medium(8);
        for tag in 0..3 {
            flush(completions, &*medium, tag);
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
        (0..3).for_each(|tag| flush(completions, &medium, tag));
        let taken = [(); 3].map(|()| completions.take(&medium).unwrap().tag);
        assert_eq!(taken, [0, 1, 2].map(OpTag));
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
