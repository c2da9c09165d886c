//! Hosts that ask which blocks are mapped, by GET LBA STATUS: of a block that is not, and reads as zeros then, the
//! answer is as good as a read.

use std::time::Duration;

use pulsefield_hosts::Io;
use pulsefield_settings::{Diagnostic, Section};
use pulsefield_units::Instant;

use super::{Deed, Pace, Source, Stage};
use crate::read::{count, time};

/// Its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// From one question of a host to its next.
    pub every: Duration,
    /// How many commands a host has in flight at most, all those of bulk I/O included.
    pub depth: u32,
}

impl Status {
    pub(crate) fn read(mut section: Section<'_>) -> Result<Self, Box<Diagnostic>> {
        let every = section.value("every", time)?.unwrap_or(Duration::from_secs(1));
        let depth = section.value("depth", count)?.unwrap_or(6);
        section.finish()?;
        Ok(Self { every, depth })
    }

    pub(super) fn source(self, hosts: u32, start: Instant) -> Box<dyn Source> {
        Box::new(Questions { settings: self, pace: Pace::of_each(hosts, self.every, start) })
    }
}

struct Questions {
    settings: Status,
    pace: Pace,
}

impl Source for Questions {
    fn due(&self) -> Instant {
        self.pace.due
    }

    fn act(&mut self, stage: &mut Stage<'_>) {
        self.pace.next(stage.now, stage.random);
        if !stage.scratch.unmaps_to_zeros {
            return;
        }
        let Some(host) = stage.any_idle_host(self.settings.depth) else { return };
        let Some(block) = stage.place(stage.scratch.block_length.bytes().into()) else { return };
        stage.deeds.push_back(Deed::Io { host, io: Io::LbaStatus(block.start()) });
    }
}
