//! How the daemon stands on the bus, for whoever wants to know.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::protocol::DbusState;

/// The current [`DbusState`], told by the D-Bus thread to everybody else.
#[derive(Debug)]
pub struct Presence {
    state: Mutex<DbusState>,
    changed: Condvar,
}

impl Presence {
    /// A presence that begins as `state`: connecting, or disabled for good.
    pub const fn new(state: DbusState) -> Self {
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// How it stands now.
    pub fn state(&self) -> DbusState {
        self.lock().clone()
    }

    /// Waits until the first attempt has succeeded or failed, at most `patience`; how it stands
    /// then. With this before READY=1, a targetcli that is run right after the daemon's start sees
    /// `user:pulsefield`.
    pub fn wait_settled(&self, patience: Duration) -> DbusState {
        self.wait_while(patience, |state| *state == DbusState::Connecting)
    }

    pub(super) fn wait_while(
        &self,
        patience: Duration,
        condition: impl Fn(&DbusState) -> bool,
    ) -> DbusState {
        self.changed
            .wait_timeout_while(self.lock(), patience, |state| condition(state))
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .clone()
    }

    pub(super) fn set(&self, state: DbusState) {
        *self.lock() = state;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, DbusState> {
        // Every change is a single assignment: no panic leaves it half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
