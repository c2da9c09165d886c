//! A device in the process: what initiators see of LIO, in front of the conductor that serves a ring.
//!
//! Floor 6: `units`, `scsi`, the simulated kernel of `ring`, and the daemon's embedded unit. No thread and no
//! clock: time is passed in, so the same device serves emulated hosts in real time and in virtual time.
//!
//! ```text
//!   initiators ─► Target (nexuses, task management, reservations) ─► ring ─► EmbeddedConductor ─► medium
//! ```
//!
//! A [`Target`] outlives the daemon: when that is killed, commands stay on the ring, run out of time there, or
//! are answered BUSY by [`Target::take_over`], which is how the next daemon begins.

mod attention;
mod reservation;
mod target;
mod task;

pub use target::{Event, ServeError, Target};
pub use task::{Nexus, Tag};

pub use pulsefield_daemon::embedded::{EmbeddedConductor, EmbeddedError, EmbeddedUnit};
pub use pulsefield_ring::simulated_kernel::{Data, Options};
