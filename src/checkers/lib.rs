//! What must hold of a cluster, whatever its devices do: each promise checked on the history of what hosts
//! asked and were told.
//!
//! Floor 2: `units`, `vmfs`. A checker hears [`Event`]s in the order in which they happened and gives a
//! [`Verdict`]; it knows neither hosts nor devices, so that emulated hosts, a simulation and the record
//! of a unit that real hosts use can all be checked by it. One file each, with what it must catch.

mod answered_once;
mod deadline;
mod digest;
mod durability;
mod event;
mod exclusion;
mod fairness;
#[cfg(test)]
mod history;
mod information;
mod ledger;
mod linearizable;
mod monotonic;
mod panel;
#[cfg(test)]
mod planted;
mod takeover;
mod verdict;
mod words;

pub use answered_once::AnsweredOnce;
pub use deadline::{DEADLINE, HeartbeatDeadline, LATE};
pub use durability::Durability;
pub use event::{
    Begun, Claim, ClaimMode, Ending, Event, HostId, Operation, OperationId, OperationKind, Pulse,
    UnitId,
};
pub use exclusion::LockExclusion;
pub use fairness::{Fairness, OTHERS_ANSWERED, RACES_MAX, STARVED_AFTER};
pub use information::InformationOffset;
pub use ledger::{BREACHES_MAX, Ledger};
pub use linearizable::{BLOCKS_MAX, Linearizable};
pub use monotonic::Monotonic;
pub use panel::Panel;
pub use takeover::NoEarlyTakeover;
pub use verdict::{Breach, Checker, Figure, Promise, Standing, Verdict};
