//! Files that several hosts have open at once: disk images that virtual machines are linked to are shared for
//! reading, disks of clustered applications for writing (KB 10051).

use std::time::Duration;

use pulsefield_hosts::OrderKind;
use pulsefield_settings::{Diagnostic, Section};
use pulsefield_units::Instant;

use super::{Pace, Source, Stage};
use crate::TimeRange;
use crate::read::time;

/// Its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sharing {
    /// From one opening of a host to its next.
    pub every: Duration,
    /// How long a file is open.
    pub hold: TimeRange,
}

impl Sharing {
    pub(crate) fn read(mut section: Section<'_>) -> Result<Self, Box<Diagnostic>> {
        let every = section.value("every", time)?.unwrap_or(Duration::from_secs(2));
        let hold = section.value("hold", TimeRange::read)?;
        section.finish()?;
        Ok(Self { every, hold: hold.unwrap_or_else(|| TimeRange::around(Duration::from_secs(4))) })
    }

    pub(super) fn source(self, hosts: u32, start: Instant) -> Box<dyn Source> {
        Box::new(Openings { settings: self, pace: Pace::of_each(hosts, self.every, start) })
    }
}

struct Openings {
    settings: Sharing,
    pace: Pace,
}

impl Source for Openings {
    fn due(&self) -> Instant {
        self.pace.due
    }

    fn act(&mut self, stage: &mut Stage<'_>) {
        self.pace.next(stage.now, stage.random);
        let Some(host) = stage.any_host() else { return };
        let hold = self.settings.hold.draw(stage.random);
        // The first two files of all: one is read, one is written.
        let [read, written, ..] = stage.scratch.machines[..] else { return };
        let kind = match stage.random.one_in(2) {
            true => OrderKind::ReadOnly { lock: read, hold },
            false => OrderKind::MultiWriter { lock: written, hold },
        };
        stage.order(host, kind);
    }
}
