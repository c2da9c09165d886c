//! GET LBA STATUS (SBC-4 5.7): asks the medium run by run how its blocks are provisioned.
//!
//! It claims no range: the answer describes blocks that others may be writing, and is out of date
//! when it arrives, whatever is locked. Holding the whole medium would stop every heartbeat.

use pulsefield_backstore::{Mapping, Op, OpOutput};
use pulsefield_data::Buffer;
use pulsefield_scsi::parameter::{LbaStatus, ProvisioningStatus, encode_lba_status};
use pulsefield_units::{BlockCount, LbaRange};

use super::immediate::answer_with;
use super::{Context, Input, Step};
use crate::limits::LBA_STATUS_DESCRIPTORS_MAX;
use crate::outcome::Purpose;

/// Bytes of the header, and of each descriptor.
const HEADER_BYTES: usize = 8;
const DESCRIPTOR_BYTES: usize = 16;
/// The most blocks that one descriptor can tell.
const DESCRIPTOR_BLOCKS_MAX: BlockCount = BlockCount::new(u32::MAX as u64);

#[derive(Debug)]
pub(crate) struct GetLbaStatus {
    /// What has not been asked about yet.
    rest: Option<LbaRange>,
    descriptors: Vec<LbaStatus>,
    descriptors_max: usize,
    allocation_length: u32,
}

impl GetLbaStatus {
    /// Reports on `range`, as far as the initiator takes it.
    pub(crate) fn new(range: LbaRange, allocation_length: u32) -> Self {
        let room = usize::try_from(allocation_length).unwrap_or(usize::MAX);
        // One even if there is no room for it: its length is told in the header.
        let descriptors_max = (room.saturating_sub(HEADER_BYTES) / DESCRIPTOR_BYTES)
            .clamp(1, LBA_STATUS_DESCRIPTORS_MAX);
        Self { rest: Some(range), descriptors: Vec::new(), descriptors_max, allocation_length }
    }

    pub(crate) fn step(&mut self, cx: &mut Context<'_>, input: Input) -> Step {
        match input {
            // Where provisioning is not managed all blocks are mapped, whatever the medium has done.
            Input::Go if !cx.unit.thin() => self.take(OpOutput::Done),
            Input::Go => {}
            Input::Done(Err(error), _) => return Step::failed(error, Purpose::Reading),
            Input::Done(Ok(output), _) => self.take(output),
        }
        match self.rest {
            // No claim keeps the medium from being cut off meanwhile.
            Some(range) if range.fits(cx.unit.geometry.blocks) => {
                Step::Op(Op::Provisioning { range }, Buffer::empty())
            }
            Some(_) | None => self.end(cx),
        }
    }

    /// Takes the medium's answer about a first part of what is left.
    fn take(&mut self, output: OpOutput) {
        let Some(rest) = self.rest.take() else { return };
        let (blocks, status) = match output {
            OpOutput::Extent(extent) if !extent.blocks.is_zero() => {
                (extent.blocks, of_mapping(extent.mapping))
            }
            // A medium that cannot tell says nothing about the rest: then all of it is mapped.
            OpOutput::Extent(_) | OpOutput::Done | OpOutput::Miscompare { .. } => {
                (rest.blocks(), ProvisioningStatus::Mapped)
            }
        };
        let (run, rest) = rest.split_first(blocks);
        if self.add(run, status) {
            self.rest = rest;
        }
    }

    /// Adds a run, to the one before if both are alike; says whether there may be more.
    fn add(&mut self, run: LbaRange, status: ProvisioningStatus) -> bool {
        let full = self.descriptors.len() == self.descriptors_max;
        match self.descriptors.last_mut() {
            // It tells fewer blocks than it has, and the next must start where it says it ends.
            Some(last) if last.blocks > DESCRIPTOR_BLOCKS_MAX => false,
            Some(last) if last.status == status => {
                let blocks = last.blocks.as_u64() + run.blocks().as_u64();
                last.blocks = BlockCount::new(blocks);
                true
            }
            _ if full => false,
            _ => {
                let (start, blocks) = (run.start(), run.blocks());
                self.descriptors.push(LbaStatus { start, blocks, status });
                true
            }
        }
    }

    fn end(&self, cx: &mut Context<'_>) -> Step {
        let mut bytes = Vec::new();
        encode_lba_status(&self.descriptors, &mut bytes);
        Step::End(answer_with(&bytes, self.allocation_length, cx.data))
    }
}

const fn of_mapping(mapping: Mapping) -> ProvisioningStatus {
    match mapping {
        Mapping::Mapped => ProvisioningStatus::Mapped,
        Mapping::Deallocated => ProvisioningStatus::Deallocated,
    }
}

#[cfg(test)]
mod tests;
