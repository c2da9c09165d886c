//! SCSI from the initiator's side: what an emulated host asks for goes to real devices, and what became of it comes
//! back.
//!
//! Floor 3: `units`, `scsi`, `hosts`. From the bottom up:
//!
//! - pure: [`Request`] is a host's [`Io`](pulsefield_hosts::Io) as a command, [`outcome()`] what an answer means to the
//!   host; also for whoever has no device but a logical unit in the process;
//! - [`pass_through`], the kernel's ioctls, which is the only `unsafe` here; [`SgDevice`], a path that commands can be
//!   sent by; [`Claim`], which keeps others off;
//! - [`Sysfs`] finds paths, and [`LogicalUnit`] asks what they lead to;
//! - [`Initiator`] is the host's: several paths with fail-over, and threads for lanes.
//!
//! **A command is sent once.** Nothing here repeats one, whatever it met: what a host does after a unit attention, a
//! time-out or the loss of a path is the host's business, and what soaks are about.

mod cdb;
pub mod clock;
mod command;
mod device;
mod initiator;
mod naa;
mod outcome;
mod paged;
mod parameter;
pub mod pass_through;
mod path;
mod resets;
mod sysfs;
mod transport;
mod unit;

pub use command::{Command, CommandError, Data, Request};
pub use device::{Claim, Device, OpenError, SgDevice};
pub use initiator::Initiator;
pub use naa::{Naa, NaaError};
pub use outcome::{Words, is_unit_attention, outcome};
pub use path::{Completion, Event, Lane, Settings, Submission};
pub use sysfs::{Sysfs, UnitPath};
pub use transport::Transport;
pub use unit::{LogicalUnit, UnitError};
