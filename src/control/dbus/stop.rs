//! A request to end, which can be waited for in a future or on a thread.

use std::future;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

/// Set once, never taken back.
#[derive(Debug, Default)]
pub(super) struct Stop {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stopped: bool,
    /// The one future that waits.
    waker: Option<Waker>,
}

impl Stop {
    /// Asks for the end.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.stopped = true;
        self.changed.notify_all();
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    /// Ends when the end is asked for.
    pub(super) async fn stopped(&self) {
        future::poll_fn(|context| {
            let mut state = self.lock();
            if state.stopped {
                return Poll::Ready(());
            }
            state.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Waits on this thread; says whether the end was asked for within `patience`.
    pub(super) fn wait(&self, patience: Duration) -> bool {
        self.changed
            .wait_timeout_while(self.lock(), patience, |state| !state.stopped)
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .stopped
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is a single assignment: no panic leaves it half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
