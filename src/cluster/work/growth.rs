//! Files that grow: each time a host takes some of the locks that all share, in one transaction.

use std::time::Duration;

use pulsefield_hosts::OrderKind;
use pulsefield_settings::{Diagnostic, Section};
use pulsefield_units::Instant;

use super::{Pace, Source, Stage};
use crate::TimeRange;
use crate::read::{count, time};

/// Its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Growth {
    /// From one transaction of a host to its next.
    pub every: Duration,
    /// How many locks one takes.
    pub locks: u32,
    /// How long it has them.
    pub hold: TimeRange,
}

impl Growth {
    pub(crate) fn read(mut section: Section<'_>) -> Result<Self, Box<Diagnostic>> {
        let every = section.value("every", time)?.unwrap_or(Duration::from_millis(500));
        let locks = section.value("locks", count)?.unwrap_or(2);
        let hold = section.value("hold", TimeRange::read)?;
        section.finish()?;
        let hold = hold.unwrap_or_else(|| TimeRange::around(Duration::from_millis(5)));
        Ok(Self { every, locks, hold })
    }

    pub(super) fn source(self, hosts: u32, start: Instant) -> Box<dyn Source> {
        Box::new(Growing { settings: self, pace: Pace::of_each(hosts, self.every, start) })
    }
}

struct Growing {
    settings: Growth,
    pace: Pace,
}

impl Source for Growing {
    fn due(&self) -> Instant {
        self.pace.due
    }

    fn act(&mut self, stage: &mut Stage<'_>) {
        self.pace.next(stage.now, stage.random);
        let Some(host) = stage.any_host() else { return };
        let locks = stage.resources(self.settings.locks);
        let hold = self.settings.hold.draw(stage.random);
        stage.order(host, OrderKind::Transaction { locks, hold });
    }
}
