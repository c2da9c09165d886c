//! Reads and writes of virtual machines, beside all that is about locks.

use std::time::Duration;

use pulsefield_hosts::Io;
use pulsefield_settings::{ByteSize, Diagnostic, Section};
use pulsefield_units::Instant;

use super::{Deed, Pace, Source, Stage};
use crate::bulk::data;
use crate::read::{count, percent, time};

/// Its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bulk {
    /// From one command of a host to its next.
    pub every: Duration,
    /// How many commands a host has in flight at most.
    pub depth: u32,
    /// How long one is, in bytes.
    pub length: u64,
    /// How many of 100 are reads.
    pub reads: u8,
}

impl Bulk {
    pub(crate) fn read(mut section: Section<'_>) -> Result<Self, Box<Diagnostic>> {
        let every = section.value("every", time)?.unwrap_or(Duration::from_millis(20));
        let depth = section.value("depth", count)?.unwrap_or(4);
        let length = section.value("length", ByteSize::read)?;
        let reads = section.value("reads", percent)?.unwrap_or(50);
        section.finish()?;
        Ok(Self { every, depth, length: length.map_or(16 << 10, ByteSize::bytes), reads })
    }

    pub(super) fn source(self, hosts: u32, start: Instant) -> Box<dyn Source> {
        let pace = Pace::of_each(hosts, self.every, start);
        Box::new(Traffic { settings: self, pace, sequence: 0 })
    }
}

struct Traffic {
    settings: Bulk,
    pace: Pace,
    /// Of the last write.
    sequence: u64,
}

impl Source for Traffic {
    fn due(&self) -> Instant {
        self.pace.due
    }

    fn act(&mut self, stage: &mut Stage<'_>) {
        self.pace.next(stage.now, stage.random);
        let Bulk { depth, length, reads, .. } = self.settings;
        let Some(host) = stage.any_idle_host(depth) else { return };
        let Some(blocks) = stage.place(length) else { return };
        let io = match stage.random.below(100) < u64::from(reads) {
            true => Io::Read(blocks),
            false => {
                self.sequence += 1;
                let block_length = stage.scratch.block_length;
                let data = data(blocks, block_length, host.0, self.sequence, stage.seed);
                Io::Write { lba: blocks.start(), data }
            }
        };
        stage.deeds.push_back(Deed::Io { host, io });
    }
}
