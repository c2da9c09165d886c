//! How a conductor goes over from one medium to another: nothing more is taken from the ring until
//! what was accepted has ended and the old medium has it on stable storage; then the device server
//! hears of the new one, and what waited goes there.
//!
//! Parts of other units' copies are done while the last commands end, or two units that change their
//! media while each copies from the other would wait for one another. Once the old medium is flushed
//! they wait too.

use std::time::Duration;

use pulsefield_backstore::{BackstoreError, Op, OpOutput, OpTag};
use pulsefield_data::Buffer;
use pulsefield_units::Instant;

use super::Conductor;
use crate::change_medium::{ChangeError, MediumChange};

/// How long initiators may be kept waiting. After that the old medium serves on: ESXi takes a
/// datastore for lost when a heartbeat has waited 8 seconds.
const HOLD_MAX: Duration = Duration::from_secs(5);

/// What the conductor's own flush is called; no op of the device server is.
pub(super) const FLUSH_TAG: OpTag = OpTag(u64::MAX - 1);

/// A change that is under way.
pub(super) struct Changing {
    change: MediumChange,
    since: Instant,
}

impl Conductor<'_> {
    /// Begins to change over, unless something works through the old medium.
    pub(super) fn begin_change(&mut self, change: MediumChange) {
        // A flush that was given up on says nothing of what was written since.
        let busy = self.server.is_in_background() || self.flushing || self.changing.is_some();
        if self.stopping.is_some() {
            refuse(change, ChangeError::Ended);
        } else if busy {
            refuse(change, ChangeError::Busy);
        } else {
            self.changing = Some(Changing { change, since: self.station.clock.now() });
        }
    }

    /// Whether a part of another unit's copy has to wait for the new medium.
    pub(super) fn holds_copy_requests(&self) -> bool {
        self.flushing && self.changing.is_some()
    }

    /// Flushes the old medium once nothing is in flight, or gives up if that takes too long.
    pub(super) fn go_on_changing(&mut self) {
        let Some(changing) = &self.changing else { return };
        if self.station.clock.now().since(changing.since) >= HOLD_MAX {
            self.end_change(Err(ChangeError::Late));
        } else if self.server.in_flight() == 0 && !self.flushing {
            self.flushing = true;
            self.submit(Op::Flush, FLUSH_TAG, Buffer::empty(), true);
        }
    }

    /// Takes the end of that flush. A medium that is gone has nothing that could be kept.
    pub(super) fn flushed(&mut self, result: Result<OpOutput, BackstoreError>) {
        self.flushing = false;
        match result {
            Ok(_) | Err(BackstoreError::Gone) => self.end_change(Ok(())),
            Err(error) => self.end_change(Err(ChangeError::Flush(error))),
        }
    }

    /// Changes over, or stays; either way what waited goes on. Nothing happens if it was given up.
    fn end_change(&mut self, result: Result<(), ChangeError>) {
        let Some(Changing { change, .. }) = self.changing.take() else { return };
        match result.and_then(|()| self.watch(&change)) {
            Ok(()) => self.change_over(change),
            Err(error) => refuse(change, error),
        }
        for request in std::mem::take(&mut self.held_requests) {
            self.take_copy_request(request);
        }
    }

    /// Has the thread wake for the new medium instead of the old one.
    fn watch(&mut self, change: &MediumChange) -> Result<(), ChangeError> {
        let watched = self.station.watch_medium(&*change.medium);
        watched.map_err(|error| {
            // It worked when the unit started; if it does not now, requests are reaped with the next command.
            if let Err(error) = self.station.watch_medium(&**self.backstore) {
                tracing::error!(%error, "the old medium cannot wake its unit any more");
            }
            ChangeError::Watch(error)
        })
    }

    fn change_over(&mut self, change: MediumChange) {
        let MediumChange { medium, done } = change;
        let old = std::mem::replace(self.backstore, medium);
        let had_cache = old.capabilities().write_cache;
        let (geometry, capabilities) = (self.backstore.geometry(), self.backstore.capabilities());
        // It was opened with the size that initiators know.
        self.station.orders.blocks = None;
        self.server.change_medium(geometry, capabilities);
        if capabilities.write_cache != had_cache
            && let Some(enabled) = self.station.orders.write_cache
        {
            self.server.set_write_cache(enabled);
        }
        self.update_saboteur();
        // Whoever waits for it has no time limit, and is gone only after a panic.
        drop(done.send(Ok(old)));
    }
}

/// Has the old medium serve on, and says why.
fn refuse(change: MediumChange, error: ChangeError) {
    let MediumChange { medium, done } = change;
    // Whoever opened it closes it, where that may wait.
    drop(medium);
    // Gone only if the thread that waits for this has panicked.
    drop(done.send(Err(error)));
}
