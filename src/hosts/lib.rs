//! Emulated ESXi hosts: VMFS's locking protocol from the host's side, as state machines.
//!
//! Floor 2: `units`, `scsi`, `vmfs`. No I/O, no clock, no thread: time is passed in, [`Io`] goes out with
//! [`Action::Submit`] and its [`Outcome`] comes back, so the same code runs in real time on devices and in
//! virtual time in a simulation. What a host does and what it believes goes out as [`Notice`]s, for
//! checkers and reports; nothing here judges it.
//!
//! What ESXi does is not published as a whole. Each module names where its part is from.

mod config;
mod geometry;
mod heartbeat;
mod host;
mod io;
mod ledger;
mod lock;
mod locking;
mod notice;
mod operation;
mod order;
mod swap;
mod task;
#[cfg(test)]
mod testing;
mod volume;

pub use config::{HeartbeatMode, HostConfig, MountedVolume};
pub use geometry::{Geometry, Sector};
pub use host::Host;
pub use io::{Action, Io, IoId, Outcome, VolumeId};
pub use locking::{Locking, NoAts};
pub use notice::{Access, Claim, LockOutcome, MountError, Notice};
pub use order::{Order, OrderId, OrderKind};
