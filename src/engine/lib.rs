//! The device server of one logical unit (SAM-5): a state machine with time passed in.
//!
//! Floor 2: `units`, `data`, `scsi` and `backstore` types; no threads, no clock, no I/O. Whoever
//! conducts it (the daemon's device thread, a simulation) hands in commands, finished ops and task
//! management functions, and carries out what [`DeviceServer::poll_action`] asks for:
//!
//! ```text
//!   on_command ─► admit ─► range lock ─► lane ─► exec ─► Action::Submit ─► the medium
//!                   │          (waits)   (waits)   ▲                          │
//!                   │                              └────── on_op_done ◄───────┘
//!                   └────────────► retire ◄────────┘
//!                                    └─► Action::Answer
//! ```
//!
//! A command for which nothing stands in the way, of which the medium does all at once, goes from admission to its
//! answer without the steps in between (`at_once.rs`).
//!
//! Every command is answered exactly once, through `retire.rs`. COMPARE AND WRITE is atomic against
//! every overlapping command because all of them take part in the range lock (`range_lock.rs`); a
//! heartbeat does not wait behind bulk because its lane has slots of its own (`lane.rs`).

mod admit;
mod at_once;
mod background;
mod config;
mod copies;
mod copy;
mod event;
mod exec;
mod gate;
mod lane;
pub mod limits;
mod logical_unit;
mod marked_blocks;
mod medium_change;
mod outcome;
pub mod range_lock;
mod readiness;
mod retire;
mod saved_state;
mod scratch;
mod seen_metadata;
mod server;
mod space;
mod statistics;
mod task;
#[cfg(test)]
mod testing;
mod tmf;
mod unit_attention;
mod waiting;

pub use at_once::Medium;
pub use background::Operation;
pub use config::{AccessStateChange, Designators, Identity, LuConfig, PortGroup};
pub use event::{Event, Observer};
pub use exec::copy_op::CopyOp;
pub use exec::extended_copy::{CopyParty, CopyPeer};
pub use lane::{Lane, lane_of};
pub use outcome::Outcome;
pub use saved_state::SavedState;
pub use server::{Action, Answer, DeviceServer, Incoming, Query};
pub use space::{PoolLimits, SpaceReport};
pub use unit_attention::UnitAttention;
pub use waiting::{Stage, Waited, Whereabouts};
