//! One pulse: the stamp of the host's slot moves on.

use pulsefield_units::Instant;

use super::{Held, image};
use crate::geometry::sector_of;
use crate::operation::{Input, Operation, Step, View};
use crate::swap::IO_TIMEOUT;
use crate::{HeartbeatMode, Io, Outcome, Sector};

/// A pulse on its way.
#[derive(Debug)]
pub(crate) struct Pulse {
    mode: HeartbeatMode,
    held: Held,
    /// What is being written.
    set: Sector,
    asked: Instant,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Read,
    Write,
    CompareAndWrite,
}

/// A pulse at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pulsed {
    /// How the last of its I/Os ended, without data.
    pub(crate) outcome: Outcome,
    /// What that means.
    pub(crate) finding: Finding,
    /// When the pulse began.
    pub(crate) asked: Instant,
    /// The heartbeat now, as far as the host knows.
    pub(crate) held: Held,
}

/// What a pulse found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The slot has the new image.
    Alive,
    /// The slot has an image that the host does not expect.
    Changed,
    /// Nothing: the device refused, broke, or did not answer in time.
    Nothing,
}

impl Pulse {
    /// The next pulse of a heartbeat.
    pub(crate) const fn new(mode: HeartbeatMode, held: Held) -> Self {
        let set = held.image;
        Self { mode, asked: held.pulsed, held, set, stage: Stage::Read }
    }

    fn begin(&mut self, view: &View<'_>) -> Step<Pulsed> {
        self.asked = view.now;
        match self.mode {
            HeartbeatMode::ReadWrite => self.read(view),
            HeartbeatMode::AtsReadBack if self.held.doubt.is_some() => self.read(view),
            HeartbeatMode::Ats | HeartbeatMode::AtsReadBack => self.write(view),
        }
    }

    fn read(&mut self, view: &View<'_>) -> Step<Pulsed> {
        self.stage = Stage::Read;
        request(view.geometry.read(view.own.heartbeat_address))
    }

    fn write(&mut self, view: &View<'_>) -> Step<Pulsed> {
        let address = view.own.heartbeat_address;
        self.set = image::pulsed(&self.held.image, view.uptime);
        if self.mode == HeartbeatMode::ReadWrite {
            self.stage = Stage::Write;
            return request(view.geometry.write(address, &self.set));
        }
        self.stage = Stage::CompareAndWrite;
        request(view.geometry.compare_and_write(address, &self.held.image, &self.set))
    }

    /// The host's own look at what is there. What it has sent itself is as good as what it knows of.
    fn after_read(&mut self, view: &View<'_>, block: Vec<u8>) -> Step<Pulsed> {
        let own = |seen: &Sector| *seen == self.held.image || Some(*seen) == self.held.doubt;
        let Some(seen) = sector_of(&block).filter(own) else {
            return Step::Finished(self.end(Outcome::Good(block)));
        };
        self.held.image = seen;
        self.held.doubt = None;
        self.write(view)
    }

    /// Whether it has not come to writing yet.
    pub(crate) fn is_reading(&self) -> bool {
        self.stage == Stage::Read
    }

    /// The pulse, ended with the outcome of the I/O in flight: of one that writes, or of whatever it is if the
    /// heartbeat is already being recovered.
    pub(crate) fn end(&mut self, outcome: Outcome) -> Pulsed {
        let wrote = self.stage != Stage::Read;
        let finding = match outcome {
            Outcome::Good(_) if wrote => Finding::Alive,
            Outcome::Good(_) | Outcome::Miscompare(_) => Finding::Changed,
            Outcome::TimedOut
            | Outcome::Lost
            | Outcome::Busy
            | Outcome::ReservationConflict
            | Outcome::Failed { .. } => Finding::Nothing,
        };
        match finding {
            Finding::Alive => {
                self.held = Held { image: self.set, doubt: None, pulsed: self.asked };
            }
            // Even of BUSY: a target that was started again says it of what it had done before.
            Finding::Nothing if wrote => self.held.doubt = Some(self.set),
            Finding::Nothing | Finding::Changed => {}
        }
        let outcome =
            if let Outcome::Good(_) = outcome { Outcome::Good(Vec::new()) } else { outcome };
        Pulsed { outcome, finding, asked: self.asked, held: self.held.clone() }
    }
}

fn request(io: Io) -> Step<Pulsed> {
    Step::Do { io, timeout: IO_TIMEOUT }
}

impl Operation for Pulse {
    type End = Pulsed;

    fn next(&mut self, view: &mut View<'_>, input: Input) -> Step<Pulsed> {
        let outcome = match input {
            Input::Begin => return self.begin(view),
            Input::Done(outcome) => outcome,
            Input::Time | Input::HeartbeatLost => unreachable!("a pulse only asks for I/O"),
        };
        match (outcome, self.stage) {
            (Outcome::Good(block), Stage::Read) => self.after_read(view, block),
            (outcome, _) => Step::Finished(self.end(outcome)),
        }
    }
}
