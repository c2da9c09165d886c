//! The seam between a host and what it does on a volume: an operation is a machine that says what it wants
//! done next and hears what became of it. It never waits, and it never sees a device.
//!
//! **An operation hears something only while its host's heartbeat on the volume is valid.** When it ceases to
//! be, the host keeps outcomes and moments back; if it turns out that nobody touched the heartbeat, the
//! operation goes on where it was. If the locks are lost, it hears [`Input::HeartbeatLost`] and is over.

use std::time::Duration;

use pulsefield_units::Instant;
use pulsefield_vmfs::LockHolder;

use crate::ledger::Ledger;
use crate::{Geometry, Io, Locking, Outcome, VolumeId};

/// Something that takes several I/Os, one after the other.
pub(crate) trait Operation {
    /// What there is to say at the end.
    type End;

    /// Takes the next step. `input` is what the step before asked for, and [`Input::Begin`] before the first;
    /// [`Input::HeartbeatLost`] may come in place of anything but the beginning.
    ///
    /// # Panics
    /// May, if `input` is not what was asked for, or if it is called after its end.
    fn next(&mut self, view: &mut View<'_>, input: Input) -> Step<Self::End>;
}

/// What an operation hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// That it may begin.
    Begin,
    /// What became of its I/O.
    Done(Outcome),
    /// That the time it wanted to wait is over.
    Time,
    /// That the host has no lock on the volume any more, nor the heartbeat under which it took them. The
    /// operation must end, and what it had is nothing that it could release. If an I/O is in flight, its
    /// outcome will be told to nobody.
    HeartbeatLost,
}

/// What an operation wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step<End> {
    /// Do this. Of [`Io::Reserve`] the host sees to it that no other of its operations on the volume asks
    /// for it before this one's [`Io::Release`] has come back, since both come from the same initiator.
    Do {
        /// What.
        io: Io,
        /// How long it may take; what takes longer is aborted, and its outcome is [`Outcome::TimedOut`].
        timeout: Duration,
    },
    /// Nothing for so long.
    Wait(Duration),
    /// It is over.
    Finished(End),
}

impl<End> Step<End> {
    /// The step, or what `then` makes of the end: for an operation that has another one within it.
    pub(crate) fn or_then<Other>(self, then: impl FnOnce(End) -> Step<Other>) -> Step<Other> {
        match self {
            Self::Do { io, timeout } => Step::Do { io, timeout },
            Self::Wait(duration) => Step::Wait(duration),
            Self::Finished(end) => then(end),
        }
    }
}

/// What an operation sees of its host.
pub(crate) struct View<'a> {
    /// The time.
    pub(crate) now: Instant,
    /// How long the host has been up.
    pub(crate) uptime: Duration,
    /// The volume.
    pub(crate) volume: VolumeId,
    /// Where things are on it.
    pub(crate) geometry: &'a Geometry,
    /// How metadata is to be changed: what the volume wants and its device can.
    pub(crate) locking: Locking,
    /// What the host enters into locks: its UUID, and the heartbeat that it has on this volume.
    pub(crate) own: LockHolder,
    /// What the host remembers, and where it says what it noticed.
    pub(crate) ledger: &'a mut Ledger,
}
