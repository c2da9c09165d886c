//! What a command that runs alone does to the blocks, by the slowest means: byte by byte.

use anyhow::{Result, bail, ensure};
use pulsefield_ring::simulated_kernel::Finished;

use super::{CHECK_CONDITION, GOOD, MISCOMPARE, Sense, data_out_of};
use crate::commands::Sent;
use crate::shape::Shape;
use crate::standard::{Role, blocks_of, flags_of, form_of, no_data_out, number};

/// FORMAT UNIT and SANITIZE: afterwards another unit takes this one's place.
const WHOLE_MEDIUM: [u8; 2] = [0x04, 0x48];

/// EXTENDED COPY: what its list names is not followed here, and what was copied before it failed
/// stays copied.
const COPY: u8 = 0x83;

/// The blocks before the command.
pub(crate) struct Oracle {
    before: Vec<u8>,
}

impl Oracle {
    /// Remembers what the medium holds.
    pub(crate) fn new(medium: &[u8]) -> Self {
        Self { before: medium.to_vec() }
    }

    /// Objects to a medium that does not hold what the command and its answer say, or to an answer
    /// that does not tell what it held.
    pub(crate) fn check(
        mut self,
        shape: &Shape,
        sent: &Sent,
        finished: &Finished,
        medium: &[u8],
    ) -> Result<()> {
        if self.before.is_empty() {
            // A medium that keeps nothing.
            return Ok(());
        }
        let Some(form) = form_of(sent.cdb()) else { return self.unchanged(medium) };
        if WHOLE_MEDIUM.contains(&form.opcode) && finished.status == GOOD {
            return Ok(());
        }
        if form.opcode == COPY {
            return Ok(());
        }
        if matches!(form.role, Role::Other | Role::ParameterList | Role::DataIn(..)) {
            if form.opcode == 0x42 && finished.status == GOOD {
                self.unmap(shape, sent)?;
            }
            return self.unchanged(medium);
        }
        let block = usize::try_from(shape.block_bytes())?;
        let (lba, blocks) = blocks_of(sent.cdb(), form.role);
        let blocks = match (blocks, form.role) {
            (0, Role::WriteSame) => shape.blocks().saturating_sub(lba),
            (blocks, _) => blocks,
        };
        let wanted =
            usize::try_from(data_out_of(shape, form.role, sent.cdb())).unwrap_or(usize::MAX);
        let data = sent.data_out().get(..wanted).unwrap_or_default();
        let bounds = |first: u64, len: u64| {
            let start = usize::try_from(first).ok()?.checked_mul(block)?;
            Some(start..start.checked_add(usize::try_from(len).ok()?.checked_mul(block)?)?)
        };
        let Some(held) = bounds(lba, blocks).and_then(|bounds| self.before.get_mut(bounds)) else {
            ensure!(finished.status != GOOD || blocks == 0, "GOOD, past the end");
            return self.unchanged(medium);
        };
        let difference = difference(form.role, sent.cdb(), held, data, block);
        match finished.status {
            GOOD => {
                ensure!(difference.is_none(), "equal, where byte {difference:?} differs");
                apply(form.role, sent.cdb(), held, data, finished)?;
            }
            CHECK_CONDITION => {
                let sense = Sense::decode(finished.sense.as_ref().map_or(&[], |bytes| &bytes[..]))?;
                if sense.code == MISCOMPARE {
                    let told = sense.information;
                    ensure!(told == difference, "told {told:?}, differs at {difference:?}");
                }
            }
            _ => {}
        }
        self.unchanged(medium)
    }

    fn unchanged(&self, medium: &[u8]) -> Result<()> {
        match self.before.iter().zip(medium).position(|(due, held)| due != held) {
            Some(at) => bail!(
                "byte {at} of the medium is {:02x}h, where {:02x}h is due",
                medium[at],
                self.before[at]
            ),
            None => Ok(()),
        }
    }

    fn unmap(&mut self, shape: &Shape, sent: &Sent) -> Result<()> {
        let list = sent.data_out();
        let length = usize::try_from(number(sent.cdb(), 7, 2))?.min(list.len());
        let Some(descriptors) = list.get(8..length) else { return Ok(()) };
        let stated = usize::try_from(number(list, 2, 2))?.min(descriptors.len());
        for descriptor in descriptors[..stated].chunks_exact(16) {
            let (lba, blocks) = (number(descriptor, 0, 8), number(descriptor, 8, 4));
            // An empty descriptor names no block, so none has to exist.
            if blocks > 0 {
                let exists = lba.checked_add(blocks).is_some_and(|end| end <= shape.blocks());
                ensure!(exists, "GOOD, with {blocks} blocks from {lba} on to unmap");
                let byte = |lba: u64| usize::try_from(lba * shape.block_bytes());
                self.before[byte(lba)?..byte(lba + blocks)?].fill(0);
            }
        }
        Ok(())
    }
}

/// Where what is held first differs from what it is compared with, in bytes from the start of Data-Out.
fn difference(role: Role, cdb: &[u8], held: &[u8], data: &[u8], block: usize) -> Option<u64> {
    let position = |data: &[u8]| held.iter().zip(data).position(|(held, due)| held != due);
    let at = match (role, (flags_of(cdb) >> 1) & 0b11) {
        (Role::CompareAndWrite, _) => position(&data[..data.len() / 2]),
        (Role::Verify, 0b01) => position(data),
        (Role::Verify, 0b11) => {
            let differs = |at: &usize| data.get(at % block).is_some_and(|due| held[*at] != *due);
            (0..held.len()).find(differs).map(|at| at % block)
        }
        _ => None,
    };
    at.map(|at| at as u64)
}

/// Changes `held` as the command does.
fn apply(role: Role, cdb: &[u8], held: &mut [u8], data: &[u8], finished: &Finished) -> Result<()> {
    match role {
        Role::Write | Role::WriteAndVerify | Role::WriteAtomic => held.copy_from_slice(data),
        Role::CompareAndWrite => held.copy_from_slice(&data[data.len() / 2..]),
        Role::OrWrite => held.iter_mut().zip(data).for_each(|(byte, mask)| *byte |= mask),
        Role::WriteSame if no_data_out(cdb) => held.fill(0),
        Role::WriteSame => {
            for block in held.chunks_mut(data.len().max(1)) {
                block.copy_from_slice(data);
            }
        }
        Role::Read => {
            let read = &finished.data_in[..finished.data_in.len().min(held.len())];
            ensure!(*read == held[..read.len()], "another block was read");
        }
        Role::Verify
        | Role::PreFetch
        | Role::SynchronizeCache
        | Role::WriteLong
        | Role::DataIn(..)
        | Role::ParameterList
        | Role::Other => {}
    }
    Ok(())
}
