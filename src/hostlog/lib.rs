//! What ESXi hosts write in their logs about VMFS and its devices, and how it lines up with what
//! the target saw.
//!
//! Floor 1: flate2; no files, no clock, no SCSI and no VMFS: bytes come from whatever can be read,
//! and the target's side is told in [`TargetEvent`]s. Reads vmkernel.log, vobd.log and hostd.log of
//! ESX 3.5 to ESXi 8, as they are, rotated and compressed, or forwarded by syslog.
//!
//! None of these lines is documented. What stands here was read off lines in public reports of all
//! those versions and off VMware's knowledge base (KB 2113956, KB 2136081, KB 52879), and what is
//! only inferred says so. Whatever the bytes are, nothing panics and every line is accounted for:
//! as an event, as unknown, or as one that cannot be read ([`Content`]).
//!
//! [`Skew::estimate`] tells how far a host's clock is off, and [`Timeline`] puts both sides into
//! one order.

mod command;
mod event;
mod head;
mod heartbeat;
mod lines;
mod log;
mod scan;
mod skew;
mod target;
mod timeline;
mod uuid;
mod wall_time;

pub use command::{CommandFailure, LoggedSense, Validity};
pub use event::Event;
pub use head::Head;
pub use heartbeat::{HeartbeatRecord, Journal};
pub use lines::LINE_MAX_BYTES;
pub use log::{Content, Line, Log, LogError, UNREADABLE_MAX, Unreadable, read_lines};
pub use skew::{NoSkew, Skew};
pub use target::{FailureMark, HeartbeatMark, Mark, TargetEvent};
pub use timeline::{Host, Timeline};
pub use uuid::{Uuid, Volume};
pub use wall_time::WallTime;
