//! What hosts do with the locks of a volume: the operations of VMFS's list, and the orders that ask for them.
//!
//! An [`Execution`] carries out one order. Within it `acquire` and `upgrade` take locks, alone or several in
//! one transaction, and `release` lets go of them. Each lock is taken by a `change`, which puts what `image`
//! makes of it in the place of what was found, or several by one `section`; what is in the way goes to `contention`, which backs off,
//! asks after the owner (`owner`), and gives up in the end.
//!
//! Of the inputs of an operation an execution alone hears [`HeartbeatLost`](crate::operation::Input): it
//! ends, and what is within it is never asked again.
//!
//! From KB 52879, Cormac Hogan's "VMFS Locking Uncovered" (2012) and the patents US8560747 (heartbeats) and
//! US8700585 (optimistic locks). How long is waited and how often tried is not published: those numbers are ours.

mod acquire;
mod change;
mod contention;
mod image;
mod orders;
mod owner;
mod release;
mod section;
mod upgrade;

#[cfg(test)]
mod tests;

use pulsefield_vmfs::DiskLock;

use crate::geometry::sector_of;
use crate::operation::Step;
use crate::swap::IO_TIMEOUT;
use crate::{Claim, Io, Outcome, Sector, VolumeId};

pub(crate) use orders::{Execution, Orders};

/// The lock in a sector that was read from `address`, in bytes from the start of the volume. `None` if there
/// is none, or one that says that it is elsewhere.
fn lock_in(sector: &Sector, address: u64) -> Option<DiskLock> {
    DiskLock::decode(sector).filter(|lock| lock.address == address)
}

/// What the host believes when it has taken `lock`.
const fn claim_of(volume: VolumeId, lock: &DiskLock) -> Claim {
    Claim { volume, lock: lock.address, mode: lock.mode, token: lock.token }
}

/// Asks for an I/O for metadata.
const fn request<End>(io: Io) -> Step<End> {
    Step::Do { io, timeout: IO_TIMEOUT }
}

/// The sector that a read brought.
fn sector_read(outcome: &Outcome) -> Option<Sector> {
    match outcome {
        Outcome::Good(block) => sector_of(block),
        Outcome::Miscompare(_)
        | Outcome::ReservationConflict
        | Outcome::Busy
        | Outcome::Failed { .. }
        | Outcome::TimedOut
        | Outcome::Lost => None,
    }
}
