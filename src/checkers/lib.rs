//! What must hold of a cluster, whatever its devices do: each promise checked on the history of what hosts
//! asked and were told.
//!
//! Floor 2: `units`, `vmfs`. A checker hears [`Event`]s in the order in which they happened and gives a
//! [`Verdict`]; it knows neither hosts nor devices, so that emulated hosts, a simulation and the record
//! of a unit that real hosts use can all be checked by it. One file each, with what it must catch.

mod event;
mod verdict;

pub use event::{
    Begun, Claim, ClaimMode, Ending, Event, HostId, Operation, OperationId, OperationKind, Pulse,
    UnitId,
};
pub use verdict::{Breach, Checker, Figure, Promise, Standing, Verdict};
