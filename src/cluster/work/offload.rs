//! What hosts leave to the array: UNMAP of what was deleted, WRITE SAME of new disks, EXTENDED COPY of clones.

use std::time::Duration;

use pulsefield_hosts::Io;
use pulsefield_settings::{ByteSize, Diagnostic, Section};
use pulsefield_units::Instant;

use super::{Deed, Pace, Source, Stage};
use crate::read::{count, time};

/// Its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offload {
    /// From one command of a host to its next.
    pub every: Duration,
    /// How many commands a host has in flight at most, those of bulk reads and writes included.
    pub depth: u32,
    /// How much one is about, in bytes.
    pub length: u64,
}

impl Offload {
    pub(crate) fn read(mut section: Section<'_>) -> Result<Self, Box<Diagnostic>> {
        let every = section.value("every", time)?.unwrap_or(Duration::from_secs(1));
        let depth = section.value("depth", count)?.unwrap_or(6);
        let length = section.value("length", ByteSize::read)?;
        section.finish()?;
        Ok(Self { every, depth, length: length.map_or(64 << 10, ByteSize::bytes) })
    }

    pub(super) fn source(self, hosts: u32, start: Instant) -> Box<dyn Source> {
        Box::new(Errands { settings: self, pace: Pace::of_each(hosts, self.every, start) })
    }
}

struct Errands {
    settings: Offload,
    pace: Pace,
}

impl Source for Errands {
    fn due(&self) -> Instant {
        self.pace.due
    }

    fn act(&mut self, stage: &mut Stage<'_>) {
        self.pace.next(stage.now, stage.random);
        let Offload { depth, length, .. } = self.settings;
        let Some(host) = stage.any_idle_host(depth) else { return };
        let (Some(blocks), Some(from)) = (stage.place(length), stage.place(length)) else { return };
        let io = match stage.random.below(3) {
            0 if stage.scratch.unmaps_to_zeros => Io::Unmap(blocks),
            1 if stage.scratch.copies && !from.overlaps(blocks) => {
                Io::Copy { from: from.start(), to: blocks.start(), blocks: blocks.blocks() }
            }
            _ => Io::WriteZeros(blocks),
        };
        stage.deeds.push_back(Deed::Io { host, io });
    }
}
