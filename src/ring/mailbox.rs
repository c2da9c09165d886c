//! Head and tail: every atomic access of this room, and why its ordering is what it is.
//!
//! Head and tail are byte offsets from the start of the command ring. The kernel moves the head
//! after it has written entries; the handler moves the tail after it has written answers. Equal
//! means empty.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::Mapping;
use crate::abi::{MAILBOX_CMD_HEAD, MAILBOX_CMD_TAIL, MailboxHeader};

/// The mailbox at the start of a mapped region, which must be at least
/// [`crate::abi::MAILBOX_SIZE`] bytes long.
#[derive(Clone)]
pub(crate) struct Mailbox {
    mapping: Arc<Mapping>,
}

impl Mailbox {
    pub(crate) fn new(mapping: Arc<Mapping>) -> Self {
        Self { mapping }
    }

    /// The members that never change. Plain reads: the kernel wrote them before it created the
    /// device we have opened.
    pub(crate) fn header(&self) -> MailboxHeader {
        self.mapping.read(0)
    }

    /// Where the kernel will write next.
    ///
    /// Acquire: pairs with the kernel's `smp_store_release` of the head. Whoever sees the new head
    /// also sees the entries before it. With a plain load, aarch64 reads stale entries and answers
    /// ids that do not exist, which breaks the device for good.
    pub(crate) fn head(&self) -> u32 {
        self.mapping.atomic_u32(MAILBOX_CMD_HEAD).load(Ordering::Acquire)
    }

    /// Where the last handler stopped.
    ///
    /// Relaxed: read once, on attaching. The writers were a process that is gone, or `reset_ring`
    /// in a system call of our own; nothing behind the tail is read on the strength of it.
    pub(crate) fn tail(&self) -> u32 {
        self.mapping.atomic_u32(MAILBOX_CMD_TAIL).load(Ordering::Relaxed)
    }

    /// Gives every slot before `tail` back to the kernel.
    ///
    /// Release: orders the answers in those slots, and the Data-In bytes they stand for, before the
    /// new tail. The kernel reads the tail without acquire (`READ_ONCE`), but only inside the
    /// `write(2)` that rings the doorbell. A thread sees its own stores in order, also in a system
    /// call; so the thread that stores the tail must be the one that rings, and the only one.
    pub(crate) fn publish_tail(&self, tail: u32) {
        self.mapping.atomic_u32(MAILBOX_CMD_TAIL).store(tail, Ordering::Release);
    }
}

/// The kernel's end of the mailbox.
#[cfg(any(test, feature = "simulated-kernel"))]
impl Mailbox {
    /// Shows the entries before `head` to the handler. Release: see [`Mailbox::head`].
    pub(crate) fn publish_head(&self, head: u32) {
        self.mapping.atomic_u32(MAILBOX_CMD_HEAD).store(head, Ordering::Release);
    }

    /// How far the handler has answered.
    ///
    /// Acquire: stands for the system call that orders this read after the handler's stores in a
    /// real kernel; pairs with [`Mailbox::publish_tail`].
    pub(crate) fn answered_tail(&self) -> u32 {
        self.mapping.atomic_u32(MAILBOX_CMD_TAIL).load(Ordering::Acquire)
    }

    /// Empties the ring, as `reset_ring` does. Release: a handler that attaches later must not see
    /// entries from before the reset as new ones.
    pub(crate) fn reset(&self) {
        self.mapping.atomic_u32(MAILBOX_CMD_TAIL).store(0, Ordering::Release);
        self.publish_head(0);
    }
}
