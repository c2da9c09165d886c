//! SIGINT and SIGTERM end a run with a report; the second of them ends it without waiting for anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{io, thread};

use nix::sys::signal::{SigSet, Signal};

/// How often somebody wanted the run to end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupts(Arc<AtomicU32>);

impl Interrupts {
    /// Counts the signals of this process from now on, on a thread of its own: no code runs in a handler.
    /// To be called before any other thread is started.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub(crate) fn watch() -> io::Result<Self> {
        let signals: SigSet = [Signal::SIGTERM, Signal::SIGINT].into_iter().collect();
        signals.thread_block()?;
        let interrupts = Self::default();
        let counted = interrupts.clone();
        thread::Builder::new().name("signals".into()).spawn(move || {
            while signals.wait().is_ok() {
                counted.0.fetch_add(1, Ordering::Relaxed);
            }
        })?;
        Ok(interrupts)
    }

    /// How many there were.
    pub(crate) fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}
