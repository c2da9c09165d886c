//! Finding out what became of a heartbeat that was not written for a lease, or that miscompared (KB 52879).
//!
//! All that is in flight on the device is halted: ESXi does it by a reset of the logical unit, which arrays see
//! (EMC KB 207382). Then the slot is read, and what lies there decides.

use pulsefield_units::Instant;
use pulsefield_vmfs::{Heartbeat, LockHolder, Standing};

use super::{Held, RETRY, image};
use crate::geometry::sector_of;
use crate::operation::{Input, Operation, Step, View};
use crate::swap::IO_TIMEOUT;
use crate::{HeartbeatMode, Io, Outcome, Sector};

/// A heartbeat being recovered.
#[derive(Debug)]
pub(crate) struct Recovery {
    mode: HeartbeatMode,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
// There are few of these, and they are not moved about: a box would be an allocation for each pulse.
#[allow(clippy::large_enum_variant)]
enum Stage {
    Reset,
    /// The slot is read, or will be soon.
    Read,
    /// Nobody had touched it: it is written.
    Reclaim {
        image: Sector,
        asked: Instant,
    },
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
// There are few of these, and they are not moved about: a box would be an allocation for each pulse.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Recovered {
    /// Nobody had cleared or used it (a). It has a new stamp now.
    Resumed(Held),
    /// Another host has cleared it, and that is all (b).
    Cleared,
    /// Another host is replaying it (c), or it is another host's, or was one's (d).
    Lost,
}

impl Recovery {
    /// Of a heartbeat that pulses like that.
    pub(crate) const fn new(mode: HeartbeatMode) -> Self {
        Self { mode, stage: Stage::Reset }
    }

    fn read(&mut self, view: &View<'_>) -> Step<Recovered> {
        self.stage = Stage::Read;
        request(view.geometry.read(view.own.heartbeat_address))
    }

    fn after_read(&mut self, view: &View<'_>, block: &[u8]) -> Step<Recovered> {
        let Some(seen) = sector_of(block) else { return Step::Wait(RETRY) };
        let heartbeat = Heartbeat::decode(&seen);
        match Standing::of(&view.own, heartbeat.as_ref()) {
            Standing::Held => self.reclaim(view, &seen),
            Standing::HeartbeatCleared { generation } if is_next(&view.own, generation) => {
                Step::Finished(Recovered::Cleared)
            }
            Standing::HeartbeatCleared { .. }
            | Standing::OtherGeneration { .. }
            | Standing::OtherHost { .. }
            | Standing::Replaying { .. }
            | Standing::NoHeartbeat => Step::Finished(Recovered::Lost),
        }
    }

    fn reclaim(&mut self, view: &View<'_>, seen: &Sector) -> Step<Recovered> {
        let image = image::pulsed(seen, view.uptime);
        self.stage = Stage::Reclaim { image, asked: view.now };
        let address = view.own.heartbeat_address;
        request(match self.mode {
            HeartbeatMode::ReadWrite => view.geometry.write(address, &image),
            HeartbeatMode::Ats | HeartbeatMode::AtsReadBack => {
                view.geometry.compare_and_write(address, seen, &image)
            }
        })
    }
}

/// KB 52879: "grown by exactly one".
fn is_next(own: &LockHolder, generation: u64) -> bool {
    own.heartbeat_generation.checked_add(1) == Some(generation)
}

fn request(io: Io) -> Step<Recovered> {
    Step::Do { io, timeout: IO_TIMEOUT }
}

impl Operation for Recovery {
    type End = Recovered;

    fn next(&mut self, view: &mut View<'_>, input: Input) -> Step<Recovered> {
        let outcome = match input {
            Input::Begin => return request(Io::LogicalUnitReset),
            Input::Time => return self.read(view),
            Input::Done(outcome) => outcome,
            Input::HeartbeatLost => unreachable!("that is what is to be found out"),
        };
        match (self.stage, outcome) {
            // A device that cannot be reset may still be read.
            (Stage::Reset, _) => self.read(view),
            (Stage::Read, Outcome::Good(block)) => self.after_read(view, &block),
            (Stage::Reclaim { image, asked }, Outcome::Good(_)) => {
                Step::Finished(Recovered::Resumed(Held { image, doubt: None, pulsed: asked }))
            }
            // It was touched, or the device does not answer: the slot is looked at again until it does.
            (Stage::Read | Stage::Reclaim { .. }, _) => Step::Wait(RETRY),
        }
    }
}
