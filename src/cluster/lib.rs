//! A cluster of emulated hosts at work: what they are made to do, and the history of it.
//!
//! Floor 3: `units`, `scsi`, `vmfs`, `settings`, `hosts` and `checkers`; no device, no clock, no thread. A
//! [`Cluster`] is the hosts of a run and their [`Mix`] of work, as one machine with time passed in: commands
//! go out and what became of them comes back, so that a soak of real devices and a simulation in virtual time
//! run the same. What happened goes out as events for checkers.

mod bulk;
mod cluster;
mod history;
mod mix;
mod read;
mod scratch;
mod time_range;
mod work;

pub use cluster::{Cluster, ClusterConfig, Effect, Ticket};
pub use history::UNIT;
pub use mix::{Mix, UnknownMix};
pub use scratch::Scratch;
pub use time_range::TimeRange;
pub use work::{
    Bulk, Collisions, Crash, Freeze, Growth, Offload, PowerOn, Sharing, Status, Switching, VMotion,
};
