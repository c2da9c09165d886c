//! What the kernel says of a unit, and the duty to answer it.

use nix::errno::Errno;
use pulsefield_kernel::{Event, EventKind, UioName};
use pulsefield_units::LuId;
use tracing::{error, info};

/// Something that happened to a unit of ours. Whoever caused it sleeps until it is answered; dropped
/// unanswered, it answers EIO.
pub(crate) struct Notice {
    pub(crate) id: LuId,
    pub(crate) name: UioName,
    pub(crate) kind: EventKind,
    reply: Reply,
}

type Reply = Box<dyn FnOnce(Result<(), Errno>) + Send>;

impl Notice {
    /// A notice that is answered by a call of `reply`.
    pub(crate) fn new(id: LuId, name: UioName, kind: EventKind, reply: Reply) -> Self {
        Self { id, name, kind, reply }
    }

    /// Answers: it is done, or why it cannot be.
    pub(crate) fn answer(self, result: Result<(), Errno>) {
        let Self { id, name, kind, reply } = self;
        if let Err(errno) = result {
            info!(lu = %id, name = name.device(), ?kind, %errno, "refused");
        }
        reply(result);
    }
}

impl From<Event> for Notice {
    fn from(event: Event) -> Self {
        let (id, name, kind) = (event.id(), event.name().clone(), event.kind().clone());
        let reply = Box::new(move |result| {
            if let Err(error) = event.reply(result) {
                let error: &dyn std::error::Error = &error;
                error!(lu = %id, error, "the kernel was not answered");
            }
        });
        Self::new(id, name, kind, reply)
    }
}
