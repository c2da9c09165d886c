//! Virtual machines that move from host to host: the one that gets it asks for the lock while the other
//! still has it, and waits until that lets go.

use std::time::Duration;

use pulsefield_hosts::OrderKind;
use pulsefield_settings::{Diagnostic, Section};
use pulsefield_units::Instant;

use super::{Pace, Source, Stage};
use crate::TimeRange;
use crate::read::{count, time};

/// Its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VMotion {
    /// From one move to the next.
    pub every: Duration,
    /// How many virtual machines there are that move.
    pub machines: u32,
    /// How long one stays with a host.
    pub stay: TimeRange,
}

impl VMotion {
    pub(crate) fn read(mut section: Section<'_>) -> Result<Self, Box<Diagnostic>> {
        let every = section.value("every", time)?.unwrap_or(Duration::from_millis(500));
        let machines = section.value("machines", count)?.unwrap_or(4);
        let stay = section.value("stay", TimeRange::read)?;
        section.finish()?;
        let stay = stay.unwrap_or_else(|| TimeRange::around(Duration::from_secs(2)));
        Ok(Self { every, machines, stay })
    }

    pub(super) fn source(self, start: Instant) -> Box<dyn Source> {
        Box::new(Moves { settings: self, pace: Pace::of_all(self.every, start) })
    }
}

struct Moves {
    settings: VMotion,
    pace: Pace,
}

impl Source for Moves {
    fn due(&self) -> Instant {
        self.pace.due
    }

    fn act(&mut self, stage: &mut Stage<'_>) {
        self.pace.next(stage.now, stage.random);
        // From the end of the list, so that storms, which draw from all of it, meet them seldom.
        let nth = stage.random.below(self.settings.machines.into());
        let nth = usize::try_from(nth).unwrap_or(0);
        let lock = stage.scratch.machines.iter().rev().nth(nth).copied();
        let (Some(lock), Some(host)) = (lock, stage.any_host()) else { return };
        let hold = self.settings.stay.draw(stage.random);
        stage.order(host, OrderKind::Exclusive { lock, hold });
    }
}
