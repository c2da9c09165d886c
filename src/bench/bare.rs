//! The least that anybody behind a ring does: a command is read, its data copied or not, and answered
//! GOOD. There is no device server, and nothing of what one promises: no block is checked or claimed, no
//! time is taken, and nobody else could have the data meanwhile. What is left is the limit for a unit
//! behind the same ring.

use anyhow::{Context as _, Result};
use pulsefield_ring::{Answer, DataIn, Entry, Ring, RingCommand};
use pulsefield_units::{Cdb, Lba};

use crate::stand::BLOCK_LENGTH;
use crate::workload::Kind;

const READ: u8 = Kind::Read.opcode();
const WRITE: u8 = Kind::Write.opcode();
const COMPARE_AND_WRITE: u8 = Kind::CompareAndWrite.opcode();

const GOOD: Answer<'_> = Answer { status: 0, sense: None, data_in: DataIn::All };

/// A ring that is served by a loop.
pub(crate) struct BareRing<'a> {
    ring: Ring,
    /// What commands copy from and to, by their addresses; nothing if they do not.
    memory: &'a mut [u8],
}

impl<'a> BareRing<'a> {
    pub(crate) fn new(ring: Ring, memory: &'a mut [u8]) -> Self {
        Self { ring, memory }
    }

    /// Answers what is on the ring.
    ///
    /// # Errors
    /// If the ring makes no sense, or a command is none of [`Kind`] or miscompares.
    pub(crate) fn turn(&mut self) -> Result<()> {
        while let Some(entry) = self.ring.next_entry()? {
            let Entry::Command(mut command) = entry else { continue };
            if !self.memory.is_empty() {
                self.copy(&mut command)
                    .context("a command that this loop does not know, or that miscompares")?;
            }
            let RingCommand { token, data, .. } = command;
            self.ring.complete(token, GOOD, data);
        }
        // The simulated kernel is asked to look by whoever posts.
        let _ = self.ring.publish();
        Ok(())
    }

    fn copy(&mut self, command: &mut RingCommand) -> Option<()> {
        let RingCommand { cdb, data, .. } = command;
        let start = start(cdb)?;
        match cdb.opcode()? {
            READ => data.write_at(0, self.memory.get(start..start + data.len())?),
            WRITE => data.read_at(0, self.memory.get_mut(start..start + data.len())?),
            COMPARE_AND_WRITE => {
                let block = data.len() / 2;
                let stored = self.memory.get_mut(start..start + block)?;
                if data.first_difference(0, stored).is_some() {
                    return None;
                }
                data.read_at(block, stored);
            }
            _ => return None,
        }
        Some(())
    }
}

/// Where the first block of a CDB of 16 bytes lies, in bytes.
fn start(cdb: &Cdb) -> Option<usize> {
    let address = u64::from_be_bytes(cdb.as_bytes().get(2..10)?.try_into().ok()?);
    usize::try_from(BLOCK_LENGTH.offset_of(Lba::new(address))?).ok()
}
