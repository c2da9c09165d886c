//! An operation under way: what it waits for.

use pulsefield_units::Instant;

use crate::IoId;
use crate::operation::{Input, Operation, Step, View};

/// An operation, and what it waits for.
#[derive(Debug)]
pub(crate) struct Task<O> {
    operation: O,
    waits: Waits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    ForIo(IoId),
    Until(Instant),
}

impl<O: Operation> Task<O> {
    /// Begins an operation, which must ask for something before it can end.
    ///
    /// # Panics
    /// If it does not.
    pub(crate) fn begin(operation: O, view: &mut View<'_>) -> Self {
        let mut task = Self { operation, waits: Waits::Until(view.now) };
        let end = task.hear(view, Input::Begin);
        assert!(end.is_none(), "an operation asks for something first");
        task
    }

    /// Whether it waits for this I/O.
    pub(crate) fn waits_for(&self, io: IoId) -> bool {
        self.waits == Waits::ForIo(io)
    }

    /// Until when it waits, if it waits for a moment.
    pub(crate) const fn due(&self) -> Option<Instant> {
        match self.waits {
            Waits::Until(due) => Some(due),
            Waits::ForIo(_) => None,
        }
    }

    /// Tells it what it waited for; what it says at its end, if that is it.
    pub(crate) fn hear(&mut self, view: &mut View<'_>, input: Input) -> Option<O::End> {
        match self.operation.next(view, input) {
            Step::Do { io, timeout } => {
                self.waits = Waits::ForIo(view.ledger.submit(view.volume, io, timeout));
                None
            }
            Step::Wait(duration) => {
                self.waits = Waits::Until(view.now.after(duration));
                None
            }
            Step::Finished(end) => Some(end),
        }
    }

    /// The operation, to be ended otherwise.
    pub(crate) const fn operation(&mut self) -> &mut O {
        &mut self.operation
    }
}
