//! Hosts whose administrator turns hardware accelerated locking off and on while they run
//! (`/VMFS3/HardwareAcceleratedLocking`): they lock under reservations then, and pulse by plain writes, beside
//! hosts that do both by ATS. The same sectors are written in both ways, as where hosts with and without ATS
//! share a volume.

use std::time::Duration;

use pulsefield_settings::{Diagnostic, Section};
use pulsefield_units::Instant;

use super::{Deed, Pace, Source, Stage};
use crate::read::time;

/// Its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockModes {
    /// From one switch to the next.
    pub every: Duration,
}

impl LockModes {
    pub(crate) fn read(mut section: Section<'_>) -> Result<Self, Box<Diagnostic>> {
        let every = section.value("every", time)?.unwrap_or(Duration::from_secs(20));
        section.finish()?;
        Ok(Self { every })
    }

    pub(super) fn source(self, start: Instant) -> Box<dyn Source> {
        Box::new(Switches { pace: Pace::of_all(self.every, start) })
    }
}

struct Switches {
    pace: Pace,
}

impl Source for Switches {
    fn due(&self) -> Instant {
        self.pace.due
    }

    fn act(&mut self, stage: &mut Stage<'_>) {
        self.pace.next(stage.now, stage.random);
        if let Some(host) = stage.any_host() {
            stage.deeds.push_back(Deed::SwitchLocking { host });
        }
    }
}
