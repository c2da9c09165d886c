//! Hosts whose administrator turns one of their options off and on while they run: ATS heartbeats
//! (`/VMFS3/UseATSForHBOnVMFS5`), so that plain writes meet ATS on neighbouring slots, or hardware accelerated
//! locking (`/VMFS3/HardwareAcceleratedLocking`), so that they lock under reservations and pulse by plain writes
//! beside hosts that do both by ATS, as where hosts with and without it share a volume.

use std::time::Duration;

use pulsefield_checkers::HostId;
use pulsefield_settings::{Diagnostic, Section};
use pulsefield_units::Instant;

use super::{Deed, Pace, Source, Stage};
use crate::read::time;

/// Its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switching {
    /// From one switch to the next.
    pub every: Duration,
}

impl Switching {
    pub(crate) fn read(mut section: Section<'_>) -> Result<Self, Box<Diagnostic>> {
        let every = section.value("every", time)?.unwrap_or(Duration::from_secs(20));
        section.finish()?;
        Ok(Self { every })
    }

    /// Hosts that switch what `switch` is about.
    pub(super) fn source(self, start: Instant, switch: fn(HostId) -> Deed) -> Box<dyn Source> {
        Box::new(Switches { pace: Pace::of_all(self.every, start), switch })
    }
}

struct Switches {
    pace: Pace,
    switch: fn(HostId) -> Deed,
}

impl Source for Switches {
    fn due(&self) -> Instant {
        self.pace.due
    }

    fn act(&mut self, stage: &mut Stage<'_>) {
        self.pace.next(stage.now, stage.random);
        if let Some(host) = stage.any_host() {
            stage.deeds.push_back((self.switch)(host));
        }
    }
}
