//! What checkers hear.

use std::sync::Arc;

use pulsefield_units::{Instant, Lba, LbaRange};

/// A host, or whoever else asks: a number that the caller gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub u32);

impl HostId {
    /// Somebody, of whom whoever tells does not know who it is. Two that are called so may be two hosts: what one of
    /// them waits for or loses says nothing about another.
    pub const SOMEBODY: Self = Self(u32::MAX);
}

/// A logical unit, however many paths lead there: a number that the caller gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitId(pub u32);

/// A command, from its beginning to its end: a number that the caller gives to no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(pub u64);

/// What happened, in the order in which it is told.
///
/// That order counts, not the moments that events carry: an operation that was told to have ended before
/// another one was told to begin came before it. So whoever tells them from several threads sends them
/// through one queue, [`Event::Begun`] *before* it reads the clock for the beginning and the end *after* it
/// read the clock for the end. What goes wrong then only makes two operations look as if they had overlapped,
/// and checkers permit more, never less.
#[derive(Clone, Debug)]
pub enum Event {
    /// A host is about to ask a device.
    Begun(Begun),
    /// It was answered, or nobody waits for the answer any more. Every operation that has begun is told
    /// once.
    Operation(Operation),
    /// A heartbeat of a host was asked for and ended; also the one by which it got its slot.
    Pulse(Pulse),
    /// A host believes to have a lock from now on.
    Taken(Claim),
    /// It believes so no longer.
    Left(Claim),
    /// All that a host believed to have on any unit is lost to it, and it knows: it crashed, or gave up.
    Forgotten {
        /// Who.
        host: HostId,
        /// When.
        at: Instant,
    },
    /// A host declared another one dead and cleared its heartbeat.
    DeclaredDead {
        /// Who is taken for dead.
        host: HostId,
        /// Where.
        unit: UnitId,
        /// By whom.
        by: HostId,
        /// When.
        at: Instant,
    },
    /// Something may have happened on a unit that is not told: what is known of it counts no more. Nor does what is in
    /// flight to it, of whose end nothing is told.
    Gap {
        /// Where.
        unit: UnitId,
        /// When it is known again what happens.
        at: Instant,
    },
    /// Nothing is in flight to a unit, and from now on it is only read, to see what is left: what it last
    /// acknowledged must be there. Told only if blocks are read afterwards.
    ReadBack {
        /// Which.
        unit: UnitId,
        /// When.
        at: Instant,
    },
}

/// The beginning of an operation.
#[derive(Clone, Copy, Debug)]
pub struct Begun {
    /// Which.
    pub id: OperationId,
    /// Whose.
    pub host: HostId,
    /// Where.
    pub unit: UnitId,
    /// When.
    pub at: Instant,
    /// Which blocks it reads or writes; of a copy those that it writes.
    pub blocks: LbaRange,
}

/// One command of a host to a device.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Which.
    pub id: OperationId,
    /// Whose.
    pub host: HostId,
    /// Where.
    pub unit: UnitId,
    /// Which blocks it reads or writes, as its beginning told; of a copy those that it writes.
    pub blocks: LbaRange,
    /// Before this it had not begun.
    pub invoked: Instant,
    /// When it ended, and before this it was done if it was done; `None` if it may yet be done, up to two
    /// minutes after it began.
    pub returned: Option<Instant>,
    /// What.
    pub kind: OperationKind,
    /// How.
    pub ending: Ending,
}

/// What an operation does. Data is of as many whole blocks as [`Operation::blocks`] has, or empty if nobody
/// knows it: the record of a unit keeps no bulk data.
#[derive(Clone, Debug)]
pub enum OperationKind {
    /// Reads; or is told of a block that is deallocated, which reads as zeros.
    Read {
        /// What was there, if the ending is [`Ending::Done`].
        data: Arc<[u8]>,
    },
    /// Writes.
    Write {
        /// What.
        data: Arc<[u8]>,
    },
    /// Compares and writes.
    CompareAndWrite {
        /// What must be there.
        test: Arc<[u8]>,
        /// What is to be there.
        set: Arc<[u8]>,
    },
    /// Makes zeros: UNMAP of a unit that reads zeros then, WRITE SAME.
    Zero,
    /// Copies blocks within the unit.
    Copy {
        /// The first to read.
        from: Lba,
    },
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Done.
    Done,
    /// Not done, because a block was not what was expected; with the offset that INFORMATION told, or `None`
    /// if it was not valid.
    Miscompared(Option<u64>),
    /// Not done.
    Refused,
    /// Nobody can say whether it was done: aborted, timed out, reset, the way broke, the host crashed.
    Maybe,
}

/// A heartbeat.
#[derive(Clone, Copy, Debug)]
pub struct Pulse {
    /// Whose.
    pub host: HostId,
    /// Where.
    pub unit: UnitId,
    /// When it was asked for.
    pub invoked: Instant,
    /// When the device answered; a host that was frozen may hear of it later.
    pub returned: Instant,
    /// Whether the host may count it as a pulse.
    pub alive: bool,
}

/// What a host believes of a lock.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// Who.
    pub host: HostId,
    /// Where.
    pub unit: UnitId,
    /// When it began or ceased to believe so.
    pub at: Instant,
    /// Which lock, in bytes from the start of the volume.
    pub lock: u64,
    /// What it may do.
    pub mode: ClaimMode,
    /// The token of the lock since.
    pub token: u64,
}

/// What a claim permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClaimMode {
    /// Nobody else has any.
    Exclusive,
    /// All others only read, too.
    ReadOnly,
    /// All others write as well, and know it.
    MultiWriter,
}

impl ClaimMode {
    /// What it is called, as a lock's mode on the medium.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exclusive => "exclusive",
            Self::ReadOnly => "read-only",
            Self::MultiWriter => "multi-writer",
        }
    }
}
