//! COMPARE AND WRITE and plain WRITE of the same block at once, from two hosts: no protocol of VMFS does that, and a
//! target that lets go of the block between compare and write passes all of them until a host without ATS comes.
//!
//! One block after the other, three times: a WRITE of something new; a COMPARE AND WRITE that expects that, and
//! another WRITE beside it; a READ. If the COMPARE AND WRITE was first, the other WRITE is what lies there; if it was
//! second, it miscompares. Anything else is for the checker of linearizability.

use std::time::Duration;

use pulsefield_checkers::HostId;
use pulsefield_hosts::Io;
use pulsefield_settings::{Diagnostic, Section};
use pulsefield_units::{BlockCount, Instant, Lba, LbaRange};

use super::{Deed, Pace, Source, Stage};
use crate::bulk::data;
use crate::read::{count, time};

/// How many of a host's commands may be in flight before it is left out.
const DEPTH: u32 = 2;
/// Blocks lie so far apart, that they share no page.
const STRIDE: u64 = 64;

/// Its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Collisions {
    /// From one step to the next, of whatever block.
    pub every: Duration,
    /// On how many blocks.
    pub blocks: u32,
}

impl Collisions {
    pub(crate) fn read(mut section: Section<'_>) -> Result<Self, Box<Diagnostic>> {
        let every = section.value("every", time)?.unwrap_or(Duration::from_millis(20));
        let blocks = section.value("blocks", count)?.unwrap_or(8);
        section.finish()?;
        Ok(Self { every, blocks })
    }

    pub(super) fn source(self, start: Instant) -> Box<dyn Source> {
        let pace = Pace::of_all(self.every, start);
        Box::new(Rounds {
            blocks: self.blocks.into(),
            pace,
            turn: 0,
            sequence: 0,
            lies: Vec::new(),
        })
    }
}

struct Rounds {
    blocks: u64,
    pace: Pace,
    /// How many steps there were.
    turn: u64,
    /// Of the last write.
    sequence: u64,
    /// What was written to each block in its first step.
    lies: Vec<Vec<u8>>,
}

impl Rounds {
    fn fresh(&mut self, stage: &Stage<'_>, block: LbaRange, host: HostId) -> Vec<u8> {
        self.sequence += 1;
        data(block, stage.scratch.block_length, host.0, self.sequence, stage.seed)
    }

    fn act_on(&mut self, stage: &mut Stage<'_>, nth: u64, lba: Lba) -> Option<()> {
        let block = LbaRange::new(lba, BlockCount::new(1))?;
        let nth = usize::try_from(nth).ok()?;
        let host = stage.any_idle_host(DEPTH)?;
        match self.turn / self.blocks % 3 {
            0 => {
                let written = self.fresh(stage, block, host);
                self.lies.resize(self.lies.len().max(nth + 1), Vec::new());
                self.lies[nth].clone_from(&written);
                stage.deeds.push_back(Deed::Io { host, io: Io::Write { lba, data: written } });
            }
            1 => {
                let other = stage.any_idle_host_but(host, DEPTH)?;
                let test = self.lies.get(nth).filter(|lies| !lies.is_empty())?.clone();
                let (set, data) = (self.fresh(stage, block, host), self.fresh(stage, block, other));
                let swap = Deed::Io { host, io: Io::CompareAndWrite { lba, test, set } };
                let write = Deed::Io { host: other, io: Io::Write { lba, data } };
                let both = if stage.random.one_in(2) { [swap, write] } else { [write, swap] };
                stage.deeds.extend(both);
            }
            _ => stage.deeds.push_back(Deed::Io { host, io: Io::Read(block) }),
        }
        Some(())
    }
}

impl Source for Rounds {
    fn due(&self) -> Instant {
        self.pace.due
    }

    fn act(&mut self, stage: &mut Stage<'_>) {
        self.pace.next(stage.now, stage.random);
        let nth = self.turn % self.blocks;
        let region = stage.scratch.bulk;
        if let Some(lba) = region.start().checked_add(BlockCount::new(nth * STRIDE))
            && lba < region.end()
        {
            // Without a host that has time for it, the block has its next turn.
            let _ = self.act_on(stage, nth, lba);
        }
        self.turn += 1;
    }
}
