//! What a host is told to do by whoever makes it work.

use std::time::Duration;

use crate::VolumeId;

/// An order to one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId(pub u64);

/// Something to do with locks. [`crate::Notice::Finished`] tells its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What its notices are told with.
    pub id: OrderId,
    /// On which volume.
    pub volume: VolumeId,
    /// What.
    pub kind: OrderKind,
}

/// What there is to do. Addresses of locks are bytes from the start of the volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderKind {
    /// Take a lock for oneself, keep it so long, and let it go.
    Exclusive {
        /// Which lock.
        lock: u64,
        /// How long.
        hold: Duration,
    },
    /// Share a lock for reading, as of a disk image that several virtual machines are linked to.
    ReadOnly {
        /// Which lock.
        lock: u64,
        /// How long.
        hold: Duration,
    },
    /// Share a lock for writing (KB 10051, mode 3).
    MultiWriter {
        /// Which lock.
        lock: u64,
        /// How long.
        hold: Duration,
    },
    /// A transaction on metadata: take these locks optimistically, make them one's own at the end, all or
    /// none, keep them so long as the change takes, and let them go.
    Transaction {
        /// Which locks.
        locks: Vec<u64>,
        /// How long the change takes.
        hold: Duration,
    },
}
