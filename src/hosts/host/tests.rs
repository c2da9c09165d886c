//! Whole hosts on a device in memory.

mod chance;
mod modes;
mod pulses;
mod recovery;
mod takeover;
