//! What a host did and believes, as it would log it.

use std::time::Duration;

use pulsefield_vmfs::{HostUuid, LockMode};
use thiserror::Error;

use crate::{Locking, OrderId, Outcome, VolumeId};

/// Something that a host noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It has a heartbeat slot now.
    HeartbeatAcquired {
        /// On which volume.
        volume: VolumeId,
        /// Which, counted from 0.
        slot: u64,
        /// The generation under which it takes locks.
        generation: u64,
    },
    /// The volume is not mounted, and will not be before the host starts again.
    NotMounted {
        /// Which.
        volume: VolumeId,
        /// Why.
        error: MountError,
    },
    /// Metadata is changed in another way from now on: because somebody wanted it, or because the device has no
    /// ATS any more.
    LockingChanged {
        /// Of which volume.
        volume: VolumeId,
        /// How.
        locking: Locking,
    },
    /// Somebody asked whether a volume could extend to another device.
    Extension {
        /// The volume.
        volume: VolumeId,
        /// The device.
        by: VolumeId,
        /// Whether it could. Not if the device did not answer, nor if it has no ATS and the volume wants ATS
        /// alone.
        permitted: bool,
    },
    /// A pulse came to its end; also the first one, with which the slot was taken, and one that shows
    /// that the host still has it.
    Pulse {
        /// On which volume.
        volume: VolumeId,
        /// How long it took.
        took: Duration,
        /// How it ended; never with data.
        outcome: Outcome,
        /// Whether the pulse is on the medium as far as the host can tell.
        alive: bool,
    },
    /// It gave its slot back.
    HeartbeatCleared {
        /// On which volume.
        volume: VolumeId,
    },
    /// It left the volume with its slot as it is: somebody else has changed it, or the device refused for as long as was
    /// tried. Others will find it silent.
    HeartbeatLeft {
        /// On which volume.
        volume: VolumeId,
    },
    /// "Lost access to volume", and what followed.
    Access {
        /// To which volume.
        volume: VolumeId,
        /// What.
        access: Access,
    },
    /// It has cleared the heartbeat of a host that it takes for dead.
    Replayed {
        /// On which volume.
        volume: VolumeId,
        /// Whose slot, counted from 0.
        slot: u64,
        /// Whose.
        owner: Option<HostUuid>,
        /// For how long it saw no pulse there.
        silent: Duration,
    },
    /// It believes from now on that a lock is its own, or shared by it.
    LockTaken(Claim),
    /// It believes so no longer. Told before the I/O that lets go is submitted.
    LockLeft(Claim),
    /// It took a lock from an owner whose heartbeat is cleared or of another generation.
    LockBroken {
        /// On which volume.
        volume: VolumeId,
        /// Which, in bytes from the start of the volume.
        lock: u64,
        /// From whom.
        owner: Option<HostUuid>,
    },
    /// An order came to its end.
    Finished {
        /// Which.
        order: OrderId,
        /// How.
        outcome: LockOutcome,
        /// Since the order was given.
        took: Duration,
        /// ATS that miscompared meanwhile.
        miscompares: u32,
    },
    /// The host is gone: it neither hears nor says anything from now on.
    Crashed,
    /// It has started (again).
    Started,
}

/// Why a volume is not mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Error)]
pub enum MountError {
    /// It wants ATS and nothing else.
    #[error("not mounted: the volume is ATS-only, and the device has no ATS")]
    NoAts,
    /// As many hosts as there are slots have it.
    #[error("not mounted: no heartbeat slot is clear")]
    NoSlot,
}

/// Access to a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// No pulse for the length of a lease, or a miscompare: the heartbeat is being recovered, and nothing
    /// else goes to the volume ("Lost access to volume … due to connectivity issues").
    Lost,
    /// Nobody had touched the slot (KB 52879, a).
    Resumed,
    /// Another host had cleared it: it was taken anew (b).
    Reacquired,
    /// Another host was replaying it, or somebody has it: all locks are lost ("Lost previously held disk
    /// lock") (d).
    LocksLost,
}

/// What a host believes to have of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// On which volume.
    pub volume: VolumeId,
    /// Which, in bytes from the start of the volume.
    pub lock: u64,
    /// For what.
    pub mode: LockMode,
    /// The lock's token since.
    pub token: u64,
}

/// How an order ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LockOutcome {
    /// As it was meant: taken, kept and let go.
    Done,
    /// Somebody else had it for as long as was tried.
    Contended,
    /// Another host won a lock of the transaction each time ("Optimistic lock acquired by another host").
    Stolen,
    /// Eight hosts share it already ("Too many lock holders").
    TooManyHolders,
    /// It was taken, and then lost with the heartbeat.
    Lost,
    /// Devices answered with errors for as long as was tried.
    Failed,
    /// The volume was not there: it is offline, or its host crashed.
    Offline,
}
