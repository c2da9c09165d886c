//! The heartbeat of a host on one volume: how it comes to a slot, pulses, gives it back, finds out what became of
//! it, and how another host clears it. Each is an operation, which the volume runs.

mod acquire;
mod clear;
mod image;
mod pulse;
mod recovery;
mod replay;
mod slot;

use std::time::Duration;

use pulsefield_units::Instant;

use crate::Sector;

pub(crate) use acquire::{Acquire, Acquired};
pub(crate) use clear::Clear;
pub(crate) use image::Author;
pub(crate) use pulse::{Finding, Pulse, Pulsed};
pub(crate) use recovery::{Recovered, Recovery};
pub(crate) use replay::{Replay, Replayed};

/// How long until a heartbeat that could not be written or read is tried again (KB 2136081).
pub(crate) const RETRY: Duration = Duration::from_secs(1);

/// The same of one that met another host's reservation. A layer below that of heartbeats tries such a command some
/// eighty times before it gives up (`Sync CR at 64`, `48`, …: KB 1005009); how soon is not published. Once a
/// second is too seldom beside hosts that reserve all the time.
pub(crate) const RETRY_RESERVED: Duration = Duration::from_millis(100);

/// A heartbeat that a host has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// What the host takes for the image on the medium: the last one it read or wrote.
    pub(crate) image: Sector,
    /// What may be there instead: an image that was sent, and nobody knows whether it was written.
    pub(crate) doubt: Option<Sector>,
    /// When the last image was asked for that is known to be written: the lease runs from here.
    pub(crate) pulsed: Instant,
}
