//! Errands: short jobs that may have to wait for the kernel, on a thread where nobody waits behind
//! them but other errands.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use crossbeam_channel::Sender;
use tracing::error;

type Errand = Box<dyn FnOnce() + Send>;

/// Runs errands, one after the other. Ends when the last handle is dropped.
#[derive(Clone)]
pub(crate) struct Errands(Sender<Errand>);

impl Errands {
    /// # Errors
    /// If there can be no more threads.
    pub(crate) fn start() -> io::Result<Self> {
        let (sender, receiver) = crossbeam_channel::unbounded::<Errand>();
        thread::Builder::new().name("errands".into()).spawn(move || {
            for errand in receiver {
                // Unwind safety: what an errand uses goes with it.
                if catch_unwind(AssertUnwindSafe(errand)).is_err() {
                    error!("an errand panicked");
                }
            }
        })?;
        Ok(Self(sender))
    }

    pub(crate) fn run(&self, errand: impl FnOnce() + Send + 'static) {
        // The thread ends only after every handle is gone.
        let _ = self.0.send(Box::new(errand));
    }
}
