//! What a handler must do, on one page: [`Backstore`] is an open medium, [`Handler`] opens it.
//!
//! Floor 1: `units` and `data` only. A backstore never hears of CDBs, sense or rings; it moves
//! blocks and says, with one of few errors, why it could not. What that becomes on the wire is the
//! engine's business.
//!
//! Beside the contract lives what handlers share: [`cfgstring`], the language in which a user names
//! a medium; [`Registry`], which finds the handler for one; [`FileMedium`], every op on a file
//! descriptor; [`Workers`], threads for handlers that block; [`WorkedMedium`], both, and io_uring; [`set_precedence`], for
//! threads that heartbeats wait for. `conformance` (feature of the same
//! name) is the test kit that every handler passes; `handlers/template` is the one to copy.

pub mod cfgstring;
mod claim;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod handler;
mod lately_read;
mod medium;
mod precedence;
mod registry;
mod request;
mod shortcut;
mod uring;
mod worked_medium;
mod workers;

pub use cfgstring::{Cfgstring, ConfigError};
pub use claim::Claim;
pub use error::BackstoreError;
pub use handler::{Handler, OpenError, OpenSpec};
pub use medium::{CACHED_BYTES_MAX, DeviceAccess, FileMedium, MediumAccess};
pub use precedence::set_precedence;
pub use registry::Registry;
pub use request::{
    Backstore, Capabilities, Completion, CompletionSink, Extent, Geometry, Mapping, Op, OpOutput,
    OpTag, Request, Topology, wait_for_answer,
};
pub use worked_medium::{IoWay, WorkedMedium};
pub use workers::Workers;
