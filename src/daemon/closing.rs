//! The end of a medium: flushed, closed, and waited for, but not for ever.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use pulsefield_backstore::{
    Backstore, Completion, CompletionSink, Op, OpTag, Request, wait_for_answer,
};
use pulsefield_data::Buffer;
use tracing::error;

/// Puts everything on stable storage, waiting up to `patience`.
pub(crate) fn flush(medium: &dyn Backstore, patience: Duration) {
    struct Last(Sender<Completion>);
    impl CompletionSink for Last {
        fn complete(&self, completion: Completion) {
            // Nobody listens any more if it took too long.
            let _ = self.0.send(completion);
        }
    }
    let (sender, receiver): (_, Receiver<Completion>) = crossbeam_channel::bounded(1);
    let sink = Arc::new(Last(sender));
    medium.submit(Request::new(Op::Flush, OpTag(0), Buffer::empty(), false, sink));
    match wait_for_answer(medium, patience, |step| receiver.recv_timeout(step).ok()) {
        Some(Completion { result: Ok(_), .. }) => {}
        Some(Completion { result: Err(error), .. }) => error!(%error, "a flush failed"),
        None => error!("a flush did not end in time"),
    }
}

/// Closes the medium, waiting up to `patience`: what hangs in it must not keep the kernel waiting
/// for the end of its unit.
pub(crate) fn close(medium: Arc<dyn Backstore>, patience: Duration) {
    let (closing, closed) = crossbeam_channel::bounded::<()>(0);
    let spawned = thread::Builder::new().name("close".into()).spawn(move || {
        drop(medium);
        drop(closing);
    });
    if let Err(error) = spawned {
        // The medium went with the closure, on this thread.
        error!(%error, "no thread to close the medium on");
    }
    if closed.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
        error!("the medium was not closed in time; it is left to itself");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{FnMedium, PATIENCE, held_medium, is_closed};

    #[test]
    fn a_medium_that_hangs_is_given_up() {
        let (medium, requests) = held_medium(8);
        flush(&*medium, Duration::from_millis(1));
        let request = requests.recv_timeout(PATIENCE).unwrap();
        assert_eq!(request.op(), Op::Flush);

        struct Hanging(Receiver<()>);
        impl Drop for Hanging {
            fn drop(&mut self) {
                let _ = self.0.recv();
            }
        }
        let (release, released) = crossbeam_channel::bounded::<()>(0);
        let hanging = Hanging(released);
        let medium = FnMedium(move |request| drop((request, &hanging)));
        close(Arc::new(medium), Duration::from_millis(1));
        drop(release);
    }

    #[test]
    fn a_closed_medium_is_gone_when_closing_returns() {
        let (medium, requests) = held_medium(8);
        close(medium, PATIENCE);
        assert!(is_closed(&requests), "the medium has dropped its end");
    }
}
