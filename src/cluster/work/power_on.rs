//! A power-on storm: hundreds of virtual machines start at once, as after an outage. Each takes the lock of
//! its files for as long as it runs, and writes to metadata that all share.

use std::time::Duration;

use pulsefield_hosts::OrderKind;
use pulsefield_settings::{Diagnostic, Section};
use pulsefield_units::Instant;

use super::{Source, Stage};
use crate::TimeRange;
use crate::read::{count, time};

/// Its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerOn {
    /// From one storm to the next.
    pub every: Duration,
    /// How many virtual machines start in a storm.
    pub machines: u32,
    /// How long one runs.
    pub run: TimeRange,
    /// How long a change of shared metadata takes.
    pub hold: TimeRange,
}

impl PowerOn {
    pub(crate) fn read(mut section: Section<'_>) -> Result<Self, Box<Diagnostic>> {
        let default = Self {
            every: Duration::from_secs(30),
            machines: 100,
            run: TimeRange::around(Duration::from_secs(10)),
            hold: TimeRange::around(Duration::from_millis(5)),
        };
        let read = Self {
            every: section.value("every", time)?.unwrap_or(default.every),
            machines: section.value("machines", count)?.unwrap_or(default.machines),
            run: section.value("run", TimeRange::read)?.unwrap_or(default.run),
            hold: section.value("hold", TimeRange::read)?.unwrap_or(default.hold),
        };
        section.finish()?;
        Ok(read)
    }

    pub(super) fn source(self, start: Instant) -> Box<dyn Source> {
        Box::new(Storms { settings: self, due: start })
    }
}

struct Storms {
    settings: PowerOn,
    due: Instant,
}

impl Source for Storms {
    fn due(&self) -> Instant {
        self.due
    }

    fn act(&mut self, stage: &mut Stage<'_>) {
        let PowerOn { every, machines, run, hold } = self.settings;
        self.due = stage.now.after(every);
        let scratch = stage.scratch;
        for _ in 0..machines {
            let Some(host) = stage.any_host() else { return };
            let Some(lock) = stage.any_of(&scratch.machines) else { return };
            let run = run.draw(stage.random);
            stage.order(host, OrderKind::Exclusive { lock, hold: run });
            let (locks, hold) = (stage.resources(2), hold.draw(stage.random));
            stage.order(host, OrderKind::Transaction { locks, hold });
        }
    }
}
