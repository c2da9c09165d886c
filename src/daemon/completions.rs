//! Where the ops of one logical unit end: a queue into its device thread.
//!
//! Handlers complete from their own threads, or from inside `submit` on the device thread itself.
//! The queue is bounded by the engine's op slots and one more, so it is allocated once and never full, and the
//! thread is woken with a system call only while it sleeps.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use mio::Waker;
use pulsefield_backstore::{Completion, CompletionSink};
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

    /// Counts a request that is about to be submitted.
    pub(crate) fn expect_one(&self) {
        self.outstanding.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes one completion, if there is one.
    pub(crate) fn take(&self) -> Option<Completion> {
        let completion = self.receiver.try_recv().ok()?;
        self.outstanding.fetch_sub(1, Ordering::Relaxed);
        Some(completion)
    }

    /// Throws away the completion of every request in flight, waiting up to `patience` for all of
    /// them; returns how many did not come.
    pub(crate) fn discard_all(&self, patience: Duration) -> usize {
        let deadline = Instant::now() + patience;
        while self.outstanding.load(Ordering::Relaxed) > 0 {
            if self.receiver.recv_deadline(deadline).is_err() {
                break;
            }
            self.outstanding.fetch_sub(1, Ordering::Relaxed);
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
    use pulsefield_backstore::{Op, OpOutput, OpTag, Request};
    use pulsefield_data::Buffer;

    use super::*;
    use crate::testing::{PATIENCE, station};

    #[test]
    fn what_the_medium_still_holds_is_counted_until_it_comes_back() {
        let station = station();
        let completions = station.completions();
        let requests = [(); 3].map(|()| {
            completions.expect_one();
            let sink = completions.clone();
            Request::new(Op::Flush, OpTag(0), Buffer::empty(), false, sink)
        });
        let [done, dropped, held] = requests;
        done.complete(Ok(OpOutput::Done));
        drop(dropped);
        assert_eq!(completions.discard_all(Duration::from_millis(1)), 1);
        held.complete(Ok(OpOutput::Done));
        assert_eq!(completions.discard_all(PATIENCE), 0);
        assert!(completions.take().is_none());
    }
}
