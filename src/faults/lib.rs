//! Faults on purpose: what to break, where and when, and what must follow.
//!
//! Floor 3: `units`, `data`, `scsi`, `backstore`, `vmfs`, `settings`, `engine`, and `checkers` for the names of the
//! promises that a fault may break; no clock, no threads. A
//! [`Plan`] is a seed and rules; a [`Rule`] says which commands it is for ([`Where`]), which of those it
//! hits ([`When`]), what then happens ([`Fault`]), and what must follow ([`Verdict`]). A [`Saboteur`]
//! stands in front of the device server of one logical unit, and does what the plans say that are armed
//! for it.

pub mod catalogue;
mod fault;
mod place;
mod plan;
mod reach;
mod reader;
mod saboteur;
mod when;
mod words;
mod writer;

pub use fault::{BitFlipSide, Delay, Fault, Phase};
pub use place::{CommandSelector, Family, LunPattern, VmfsSelector, Where};
pub use plan::{Plan, Rule, Verdict};
pub use reader::KnownLun;
pub use saboteur::{
    Cause, DataChange, Deed, Disarm, FaultReport, HITS_MAX, Hit, PlanId, PlanReport, RuleReport,
    Saboteur, SceneId, Unit,
};
pub use when::{Chance, Select, When};
