//! Hosts that freeze, for longer than their lease or shorter, and do not know it when they go on: what they
//! believe to have may be another's by then.

use std::time::Duration;

use pulsefield_settings::{Diagnostic, Section};
use pulsefield_units::Instant;

use super::{Deed, Pace, Source, Stage};
use crate::TimeRange;
use crate::read::time;

/// Its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freeze {
    /// From one freeze to the next.
    pub every: Duration,
    /// For how long a host does nothing.
    pub lasting: TimeRange,
}

impl Freeze {
    pub(crate) fn read(mut section: Section<'_>) -> Result<Self, Box<Diagnostic>> {
        let every = section.value("every", time)?.unwrap_or(Duration::from_secs(60));
        let lasting = section.value("lasting", TimeRange::read)?;
        section.finish()?;
        Ok(Self {
            every,
            lasting: lasting.unwrap_or_else(|| TimeRange::around(Duration::from_secs(20))),
        })
    }

    pub(super) fn source(self, start: Instant) -> Box<dyn Source> {
        Box::new(Freezes { settings: self, pace: Pace::of_all(self.every, start) })
    }
}

struct Freezes {
    settings: Freeze,
    pace: Pace,
}

impl Source for Freezes {
    fn due(&self) -> Instant {
        self.pace.due
    }

    fn act(&mut self, stage: &mut Stage<'_>) {
        self.pace.next(stage.now, stage.random);
        if let Some(host) = stage.any_host_to_spare() {
            let lasting = self.settings.lasting.draw(stage.random);
            stage.deeds.push_back(Deed::Freeze { host, lasting });
        }
    }
}
