//! Faults on purpose: what to break, where and when, and what must follow.
//!
//! Floor 3: `units`, `scsi`, `vmfs`, `settings` and `engine`. A [`Plan`] is a seed and rules; a [`Rule`] says
//! which commands it is for ([`Where`]), which of those it hits ([`When`]), what then happens
//! ([`Fault`]), and what must follow ([`Verdict`]).

pub mod catalogue;
mod fault;
mod place;
mod plan;
mod reader;
mod when;
mod words;
mod writer;

pub use fault::{BitFlipSide, Delay, Fault, Phase};
pub use place::{CommandSelector, Family, LunPattern, VmfsSelector, Where};
pub use plan::{Plan, Rule, Verdict};
pub use reader::KnownLun;
pub use when::{Chance, Select, When};
