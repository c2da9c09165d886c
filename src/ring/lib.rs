//! The TCMU ring: shared memory between LIO's `target_core_user` and one handler process.
//!
//! Floor 1: knows `units` and `data`, nothing of SCSI: it never reads a byte of a CDB. The contract
//! is `include/uapi/linux/target_core_user.h` and `drivers/target/target_core_user.c` of the kernel.
//!
//! A command's way: [`Ring::next_entry`] copies it out of its slot and checks it → the owner
//! executes it on its [`Buffer`](pulsefield_data::Buffer) → [`Ring::complete`] redeems its
//! [`CommandToken`] and writes the answer into the slot at the tail → [`Ring::publish`] moves the
//! tail, once per batch, and the owner rings the doorbell.
//!
//! What always holds:
//! * Every command is answered exactly once, also a malformed one, an aborted one, and one whose
//!   token was dropped.
//! * Nothing is believed that lies in shared memory: lengths, offsets and counts are compared with
//!   the bounds of the ring, the entry and the data area before they are used, and read once.
//! * A command is answered only when nobody can reach its data blocks any more.
//!
//! `unsafe` is in `mapping.rs` and `data_area.rs` alone. The kernel's side of the protocol is
//! `simulated_kernel`, behind the feature `simulated-kernel`.

// Numbers here come from shared memory: no arithmetic that can wrap, no index that can panic.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

mod abi;
mod circle;
mod command_ids;
mod completion;
mod consumer;
mod data_area;
mod mailbox;
mod mapping;
mod ring;
#[cfg(any(test, feature = "simulated-kernel"))]
// It computes with its own numbers, in programs where a panic is the right answer to a mistake.
#[allow(clippy::arithmetic_side_effects, clippy::indexing_slicing)]
pub mod simulated_kernel;
mod tmr;
mod token;
mod usage;

pub use completion::{Answer, DataIn};
pub use consumer::{Entry, Malformed, RingCommand, RingError};
pub use mapping::Mapping;
pub use ring::{AttachError, Features, Ring};
pub use tmr::{Tmr, TmrKind};
pub use token::CommandToken;
pub use usage::Usage;

#[cfg(test)]
mod tests;
