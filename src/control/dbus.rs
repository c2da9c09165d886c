//! `user:pulsefield` in targetcli, by way of the system bus.
//!
//! targetcli asks whoever owns `org.kernel.TCMUService1` which kinds of user backstore there are
//! and whether a cfgstring is good; rtslib and the kernel never ask the bus. So the bus is a
//! convenience: without one the daemon serves all the same, says so once, and tries again every few
//! seconds.
//!
//! The name has one owner. This daemon queues for it; while tcmu-runner has it, this daemon registers
//! with tcmu-runner as an external handler, and when tcmu-runner ends the bus passes the name on. The
//! two roles need different object trees (an object manager lists everything below it, and
//! targetcli makes a backstore of everything listed), so each has a connection of its own.
//!
//! Everything runs on one thread, which is in [`zbus::block_on`] while there is a bus: a
//! CheckConfig that hangs on a dead file system holds up D-Bus, and nothing else.

mod presence;
mod r0;
mod session;
mod stop;

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use futures_lite::future;
use zbus::connection::Builder;

pub use presence::Presence;

use crate::ControlPlane;
use crate::protocol::DbusState;
use session::Session;
use stop::Stop;

/// How long to wait before the bus is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// This daemon's place on the system bus, kept until this is dropped.
#[derive(Debug)]
pub struct DbusService {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

impl DbusService {
    /// Offers `plane` on the system bus; how that goes is told to `presence`.
    ///
    /// # Errors
    /// If no thread can be started. A bus that is not there is not an error.
    pub fn start(plane: Arc<dyn ControlPlane>, presence: Arc<Presence>) -> io::Result<Self> {
        Self::start_on(Builder::system, plane, presence)
    }

    fn start_on(
        bus: impl Fn() -> Builder<'static> + Send + Sync + 'static,
        plane: Arc<dyn ControlPlane>,
        presence: Arc<Presence>,
    ) -> io::Result<Self> {
        let stop = Arc::new(Stop::default());
        let session = Session { bus: Box::new(bus), plane, presence };
        let thread = thread::Builder::new().name("dbus".to_owned()).spawn({
            let stop = Arc::clone(&stop);
            move || run(&session, &stop)
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for DbusService {
    fn drop(&mut self) {
        self.stop.stop();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the D-Bus thread has panicked");
        }
    }
}

fn run(session: &Session, stop: &Stop) {
    loop {
        let stopped = async {
            stop.stopped().await;
            None
        };
        let lost = async {
            let Err(error) = session.hold().await;
            Some(error)
        };
        let Some(error) = zbus::block_on(future::or(stopped, lost)) else {
            return;
        };
        let state = DbusState::Absent { reason: error.to_string() };
        if session.presence.state() != state {
            tracing::warn!(reason = %error, "no D-Bus: targetcli cannot offer user:pulsefield");
        }
        session.presence.set(state);
        if stop.wait(RETRY) {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
