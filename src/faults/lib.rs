//! Faults on purpose: what to break, where and when, and what must follow.
//!
//! Floor 3: `units`, `data`, `scsi`, `backstore`, `vmfs`, `settings` and `engine`; no clock, no threads. A
//! [`Plan`] is a seed and rules; a [`Rule`] says which commands it is for ([`Where`]), which of those it
//! hits ([`When`]), what then happens ([`Fault`]), and what must follow ([`Verdict`]). A [`Saboteur`]
//! stands in front of the device server of one logical unit, and does what the plans say that are armed
//! for it.

mod act;
mod alteration;
mod arming;
pub mod catalogue;
mod cdb;
mod delay;
mod digest;
mod facts;
mod fault;
mod log;
mod memory;
mod overlay;
mod place;
mod plan;
mod play;
mod plays;
mod reader;
mod report;
mod rng;
mod rule;
mod saboteur;
mod scene;
#[cfg(test)]
mod testing;
mod trigger;
mod turn;
mod when;
mod words;
mod writer;

pub use facts::Unit;
pub use fault::{BitFlipSide, Delay, Fault, Phase};
pub use log::{Cause, DataChange, HITS_MAX, Hit};
pub use place::{CommandSelector, Family, LunPattern, VmfsSelector, Where};
pub use plan::{Plan, Rule, Verdict};
pub use reader::KnownLun;
pub use report::{Disarm, FaultReport, PlanReport, RuleReport};
pub use rule::PlanId;
pub use saboteur::{Deed, Saboteur};
pub use scene::SceneId;
pub use when::{Chance, Select, When};
