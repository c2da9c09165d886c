//! The daemon: logical units between LIO's rings and media, each on a thread of its own.
//!
//! Floor 5: everything below, and the handlers by name. This is where clocks are read, threads are
//! started and the operating system is asked; what a command means is decided further down.
//!
//! ```text
//!   netlink ─► supervisor ─► lun (one thread a unit) ─► conductor ─┬─ ring
//!   signals ─┘     │  ▲                                            ├─ engine
//!   control socket, D-Bus ─► plane ─► table                        └─ medium
//! ```

mod absent;
mod announcements;
mod asking;
mod change_medium;
mod clock;
mod closing;
mod completions;
mod conductor;
mod copying;
mod counters;
#[cfg(feature = "embedded")]
pub mod embedded;
mod errand;
mod exposition;
mod faults;
mod hosts;
mod latencies;
mod latency;
mod logging;
mod lun;
mod media;
mod notice;
mod plane;
mod plans;
mod polling;
mod pool;
mod port_groups;
mod precedence;
mod pulses;
mod rate;
mod recording;
mod resize;
mod saved_state;
mod serve;
mod sharing;
mod signals;
mod station;
mod supervisor;
mod surroundings;
mod table;
#[cfg(test)]
mod testing;
mod uio;
mod watchdog;

pub use serve::{ServeOptions, StartError, serve};
