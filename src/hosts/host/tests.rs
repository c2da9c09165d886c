//! Whole hosts on a device in memory.

// A test asks for what it is about, and not for what else hosts do and say.
#![allow(clippy::wildcard_enum_match_arm)]

mod chance;
mod leaving;
mod modes;
mod pulses;
mod recovery;
mod takeover;
