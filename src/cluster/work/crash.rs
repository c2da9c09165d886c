//! Hosts that crash, and come back as if they had been switched on again.

use std::time::Duration;

use pulsefield_settings::{Diagnostic, Section};
use pulsefield_units::Instant;

use super::{Deed, Pace, Source, Stage};
use crate::TimeRange;
use crate::read::time;

/// Its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash {
    /// From one crash to the next.
    pub every: Duration,
    /// How long a host is gone.
    pub down: TimeRange,
}

impl Crash {
    pub(crate) fn read(mut section: Section<'_>) -> Result<Self, Box<Diagnostic>> {
        let every = section.value("every", time)?.unwrap_or(Duration::from_secs(60));
        let down = section.value("down", TimeRange::read)?;
        section.finish()?;
        Ok(Self { every, down: down.unwrap_or_else(|| TimeRange::around(Duration::from_secs(20))) })
    }

    pub(super) fn source(self, start: Instant) -> Box<dyn Source> {
        Box::new(Crashes { settings: self, pace: Pace::of_all(self.every, start) })
    }
}

struct Crashes {
    settings: Crash,
    pace: Pace,
}

impl Source for Crashes {
    fn due(&self) -> Instant {
        self.pace.due
    }

    fn act(&mut self, stage: &mut Stage<'_>) {
        self.pace.next(stage.now, stage.random);
        if let Some(host) = stage.any_host_to_spare() {
            let down = self.settings.down.draw(stage.random);
            stage.deeds.push_back(Deed::Crash { host, down });
        }
    }
}
