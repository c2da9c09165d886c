//! Soaking: emulated ESXi hosts at work on a logical unit for as long as one likes, what was promised to them
//! checked all the while, and a report in the end.
//!
//! Floor 7: everything that a run is made of. What hosts do is decided in `cluster`, whether it went well in
//! `checkers`; here they are put on devices, or on a unit within the process, with a clock:
//!
//! ```text
//!   Cluster (hosts, mix) ─► Run ─► Transport ─► SG_IO on devices, or a ring within the process
//!        ▲                   │ ◄──────┘ outcomes
//!        └───────────────────┤
//!                            ├─► Collector (checkers, recorder) ─► judgement ─► report
//!                            └─► Witness (the unit's own record) ──┘ explanations
//! ```
//!
//! `watch` has no hosts: it tells the collector what the records of units say that others use.

mod area;
mod clock;
mod collector;
mod devices;
mod embedded;
mod environment;
mod expectation;
mod faults;
mod hosts;
mod miscompare;
mod options;
mod outlet;
mod progress;
mod run;
mod signals;
mod soak;
#[cfg(test)]
mod tests;
mod transport;
mod trouble;
mod unexplained;
mod watch;
mod witness;

pub use area::PrepareError;
pub use devices::DevicesError;
pub use faults::{FaultError, PlanError};
pub use options::{On, SoakOptions};
pub use outlet::OutletError;
pub use pulsefield_hosts::Locking;
pub use soak::{Conclusion, SoakError, soak};
pub use transport::TransportError;
pub use watch::{WatchError, WatchOptions, watch};
