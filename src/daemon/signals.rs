//! SIGTERM and SIGINT stop the daemon, SIGHUP reloads its configuration.
//!
//! The signals are blocked in every thread and waited for in one, so no code ever runs in a signal
//! handler.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::{io, thread};

use nix::sys::signal::{SigSet, Signal};
use pulsefield_control::ControlPlane;
use tracing::{error, info};

/// Blocks the signals, in this thread and in all that it starts afterwards.
///
/// # Errors
/// If the operating system refuses.
pub(crate) fn block() -> io::Result<SigSet> {
    let signals: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().collect();
    signals.thread_block()?;
    Ok(signals)
}

/// Waits for the signals on a thread of its own; `stop` is called once for each that ends us.
///
/// # Errors
/// If there can be no more threads.
pub(crate) fn watch(
    signals: SigSet,
    plane: Arc<dyn ControlPlane>,
    stop: impl Fn() + Send + 'static,
) -> io::Result<()> {
    thread::Builder::new().name("signals".into()).spawn(move || {
        loop {
            match signals.wait() {
                Ok(Signal::SIGHUP) => {
                    // A panic must not cost the daemon its way to stop. Unwind safety: the plane
                    // keeps its own state whole.
                    match catch_unwind(AssertUnwindSafe(|| plane.reload())) {
                        Ok(Ok(_)) => {}
                        Ok(Err(error)) => error!(%error, "the configuration in force stays"),
                        Err(_) => error!("the configuration was not reloaded: a panic"),
                    }
                }
                Ok(signal) => {
                    info!(%signal, "stopping");
                    stop();
                }
                Err(error) => {
                    error!(%error, "signals cannot be waited for");
                    return;
                }
            }
        }
    })?;
    Ok(())
}
