//! Must-complete tokens: no command is ever left without an answer.
//!
//! A command's token and its buffers share one [`Lease`]. The ring answers a command only when the
//! lease has no other holder: as long as somebody can still reach the data blocks, the kernel must
//! not give them to the next command.

use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;

use crate::Mapping;

/// Which command an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CommandRef {
    pub(crate) cmd_id: u16,
    /// Counts commands in the order in which they were read from the ring.
    pub(crate) sequence: u64,
    /// The length of the command's data in bytes, of the only direction or of Data-Out.
    pub(crate) data_len: usize,
    /// What all its data takes of the data area, in bytes.
    pub(crate) area_bytes: usize,
}

/// What a token and the buffers of one command have in common.
pub(crate) struct Lease {
    /// Keeps the data blocks mapped, also when the ring itself is gone.
    _mapping: Arc<Mapping>,
    /// Where the token goes if it is dropped; nowhere if the ring is gone.
    lost: Weak<LostCommands>,
}

impl Lease {
    pub(crate) fn new(mapping: Arc<Mapping>, lost: Weak<LostCommands>) -> Self {
        Self { _mapping: mapping, lost }
    }
}

/// Commands whose token was dropped; touched by nobody in the ordinary course of things but by the
/// ring, once per batch.
#[derive(Default)]
pub(crate) struct LostCommands {
    commands: Mutex<Vec<(CommandRef, Arc<Lease>)>>,
}

impl LostCommands {
    /// Takes the commands lost since the last call. Allocates only if there are any.
    pub(crate) fn take(&self) -> Vec<(CommandRef, Arc<Lease>)> {
        mem::take(&mut *self.commands.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, command: CommandRef, lease: Arc<Lease>) {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner).push((command, lease));
    }
}

/// The duty to answer one command, discharged by [`crate::Ring::complete`] only.
///
/// # Dropping
/// To drop a token whose ring still exists is a bug. With debug assertions it panics, unless the
/// thread is panicking already. Otherwise the ring answers the command with CHECK CONDITION,
/// HARDWARE ERROR, INTERNAL TARGET FAILURE at the next [`crate::Ring::publish`] at which no buffer
/// of the command is alive, and counts it in [`crate::Ring::lost`].
///
/// A token that outlives its ring is void: drop the ring first when the device is gone, or when
/// `reset_ring` has made the kernel answer everything.
#[must_use = "a command must be completed"]
pub struct CommandToken {
    command: CommandRef,
    /// `None` once the token has been redeemed.
    lease: Option<Arc<Lease>>,
}

impl CommandToken {
    pub(crate) fn new(command: CommandRef, lease: Arc<Lease>) -> Self {
        Self { command, lease: Some(lease) }
    }

    /// The kernel's id of the command, by which a [`crate::Tmr`] names it; unique among the
    /// commands in flight, and used again as soon as the command is answered.
    pub const fn cmd_id(&self) -> u16 {
        self.command.cmd_id
    }

    pub(crate) const fn command(&self) -> CommandRef {
        self.command
    }

    /// Whether this is a token of the ring with that list.
    pub(crate) fn is_of(&self, lost: &Arc<LostCommands>) -> bool {
        let own = self.lease.as_ref().map(|lease| Weak::as_ptr(&lease.lost));
        own == Some(Arc::as_ptr(lost))
    }

    /// Ends the duty; the caller takes it over.
    pub(crate) fn redeem(mut self) -> (CommandRef, Arc<Lease>) {
        let lease = self.lease.take().expect("a token is redeemed by value, so only once");
        (self.command, lease)
    }
}

impl Drop for CommandToken {
    fn drop(&mut self) {
        let Some(lease) = self.lease.take() else {
            return;
        };
        let Some(lost) = lease.lost.upgrade() else {
            return;
        };
        lost.push(self.command, lease);
        if cfg!(debug_assertions) && !thread::panicking() {
            panic!("command {} was dropped without an answer", self.command.cmd_id);
        }
    }
}

impl fmt::Debug for CommandToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommandToken({})", self.command.cmd_id)
    }
}
