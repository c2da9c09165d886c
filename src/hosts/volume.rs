//! A volume, as one host has it: whether it is mounted, the host's heartbeat there, and what the host does there.
//!
//! One thing at a time is done for the heartbeat, so two pulses are never under way. While the heartbeat is
//! not known to be valid (no pulse for a lease, or a miscompare) [`Works`] hears nothing.

mod mounting;
mod pulsing;
mod works;

use std::time::Duration;

use pulsefield_units::Instant;
use pulsefield_vmfs::{LEASE, LockHolder};

use crate::heartbeat::{Acquire, Clear, Held, Pulse, Recovery};
use crate::ledger::Ledger;
use crate::operation::{Input, View};
use crate::task::Task;
use crate::{Access, Geometry, HostConfig, IoId, Locking, MountedVolume, Order, Outcome, VolumeId};
use works::Works;

/// A host's volume.
#[derive(Debug)]
pub(crate) struct Volume {
    facts: Facts,
    told: MountedVolume,
    /// Whether it is to be mounted whenever the host is up.
    wanted: bool,
    /// Whether the device has ATS, as far as the host knows.
    has_ats: bool,
    phase: Phase,
    works: Works,
    extension: Option<Extension>,
}

/// What operations see of a volume.
#[derive(Clone, Copy, Debug)]
struct Facts {
    id: VolumeId,
    geometry: Geometry,
    locking: Locking,
    own: LockHolder,
}

/// Where the heartbeat is in its life.
#[derive(Debug)]
// There are few of these, and they are not moved about: a box would be an allocation for each pulse.
#[allow(clippy::large_enum_variant)]
enum Phase {
    /// There is none: the volume is not mounted.
    Away,
    /// The device is asked whether it has ATS.
    Probing(Probe),
    /// The host is on its way to a slot. Then it says what that means, if it had lost another one.
    Acquiring { task: Task<Acquire>, access: Option<Access> },
    /// The host has a heartbeat.
    Pulsing { held: Held, next: Next },
    /// The host must find out whether it has one.
    Recovering {
        recovery: Task<Recovery>,
        /// A pulse that was in flight, and what the recovery would hear if it were not any more.
        pulse: Option<(Task<Pulse>, Option<Outcome>)>,
    },
    /// The host gives it back.
    Clearing(Task<Clear>),
}

/// What comes next of a heartbeat.
#[derive(Debug)]
// There are few of these, and they are not moved about: a box would be an allocation for each pulse.
#[allow(clippy::large_enum_variant)]
enum Next {
    /// A pulse at that time.
    At(Instant),
    /// The end of the pulse that is under way.
    Pulse(Task<Pulse>),
}

/// A question to the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probe {
    /// The answer has not come.
    Asked(IoId),
    /// There was none; when to ask again.
    Again(Instant),
}

/// A device that is asked whether the volume could extend to it.
#[derive(Clone, Copy, Debug)]
struct Extension {
    by: VolumeId,
    io: IoId,
}

/// The host, at a time.
pub(crate) struct Moment<'a> {
    /// The time.
    pub(crate) now: Instant,
    /// How long the host has been up.
    pub(crate) uptime: Duration,
    /// Who it is.
    pub(crate) config: &'a HostConfig,
    /// What it remembers and says.
    pub(crate) ledger: &'a mut Ledger,
}

impl Facts {
    fn view<'a>(&'a self, moment: &'a mut Moment<'_>) -> View<'a> {
        View {
            now: moment.now,
            uptime: moment.uptime,
            volume: self.id,
            geometry: &self.geometry,
            locking: self.locking,
            own: self.own,
            ledger: moment.ledger,
        }
    }
}

impl Volume {
    /// A volume that a host is told of.
    pub(crate) fn new(id: VolumeId, told: MountedVolume, config: &HostConfig) -> Self {
        let own = LockHolder { heartbeat_address: 0, heartbeat_generation: 0, host: config.uuid };
        Self {
            facts: Facts { id, geometry: told.geometry, locking: told.locking, own },
            told,
            wanted: true,
            has_ats: false,
            phase: Phase::Away,
            works: Works::default(),
            extension: None,
        }
    }

    /// When it wants to be told the time.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        let heartbeat = match &self.phase {
            Phase::Away | Phase::Probing(Probe::Asked(_)) => None,
            Phase::Probing(Probe::Again(due)) => Some(*due),
            Phase::Acquiring { task, .. } => task.due(),
            Phase::Pulsing { held, next: Next::At(due) } => Some(expiry(held).min(*due)),
            Phase::Pulsing { held, next: Next::Pulse(_) } => Some(expiry(held)),
            Phase::Recovering { recovery, .. } => recovery.due(),
            Phase::Clearing(task) => task.due(),
        };
        heartbeat.into_iter().chain(self.works.due()).min()
    }

    /// Does what is due.
    pub(crate) fn on_time(&mut self, moment: &mut Moment<'_>) {
        self.expire(moment);
        let is_due = |due: Option<Instant>| due.is_some_and(|due| due <= moment.now);
        match &self.phase {
            Phase::Probing(Probe::Again(due)) if is_due(Some(*due)) => self.probe(moment),
            Phase::Pulsing { next: Next::At(due), .. } if is_due(Some(*due)) => self.pulse(moment),
            Phase::Acquiring { task, .. } if is_due(task.due()) => {
                self.on_acquiring(moment, Input::Time);
            }
            Phase::Recovering { recovery, .. } if is_due(recovery.due()) => {
                self.on_recovering(moment, Input::Time);
            }
            Phase::Clearing(task) if is_due(task.due()) => self.on_clearing(moment, Input::Time),
            Phase::Away
            | Phase::Probing(_)
            | Phase::Acquiring { .. }
            | Phase::Pulsing { .. }
            | Phase::Recovering { .. }
            | Phase::Clearing(_) => {}
        }
        self.works.on_time(&mut self.facts.view(moment));
        self.leave_if_idle(moment);
    }

    /// Tells the outcome of an I/O to what waits for it.
    pub(crate) fn on_done(&mut self, moment: &mut Moment<'_>, io: IoId, outcome: Outcome) {
        if self.extension.is_some_and(|extension| extension.io == io) {
            return self.on_extension(moment, outcome);
        }
        match &mut self.phase {
            Phase::Probing(probe) if *probe == Probe::Asked(io) => self.on_probe(moment, outcome),
            Phase::Acquiring { task, .. } if task.waits_for(io) => {
                self.on_acquiring(moment, Input::Done(outcome));
            }
            Phase::Pulsing { next: Next::Pulse(task), .. } if task.waits_for(io) => {
                self.on_pulsing(moment, outcome);
            }
            Phase::Recovering { pulse: Some((pulse, _)), .. } if pulse.waits_for(io) => {
                self.on_late_pulse(moment, outcome);
            }
            Phase::Recovering { recovery, .. } if recovery.waits_for(io) => {
                self.on_recovering(moment, Input::Done(outcome));
            }
            Phase::Clearing(task) if task.waits_for(io) => {
                self.on_clearing(moment, Input::Done(outcome));
            }
            Phase::Away
            | Phase::Probing(_)
            | Phase::Acquiring { .. }
            | Phase::Pulsing { .. }
            | Phase::Recovering { .. }
            | Phase::Clearing(_) => {
                // Whether the heartbeat is still valid must be known before anything else is heard.
                self.expire(moment);
                self.works.on_done(&mut self.facts.view(moment), io, outcome);
            }
        }
        self.leave_if_idle(moment);
    }

    /// Carries out an order, or ends it at once if the volume is not there.
    pub(crate) fn order(&mut self, moment: &mut Moment<'_>, order: Order) {
        self.expire(moment);
        let view = &mut self.facts.view(moment);
        if self.wanted && matches!(self.phase, Phase::Pulsing { .. }) {
            self.works.give(view, order);
        } else {
            self.works.refuse(view, order);
        }
    }

    /// The host crashes. It will mount the volume again when it is up.
    pub(crate) fn crash(&mut self, moment: &mut Moment<'_>) {
        self.works.lose(&mut self.facts.view(moment));
        self.phase = Phase::Away;
        self.extension = None;
    }
}

/// When others may take the host for dead.
fn expiry(held: &Held) -> Instant {
    held.pulsed.after(LEASE)
}
