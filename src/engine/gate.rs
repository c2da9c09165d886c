//! The gate of a full pool: a write passes if its blocks have space already, or if there is enough
//! for those that have none.
//!
//! A write stands here when it holds its blocks and its slot, and only if the pool may be full
//! (`space.rs`). Its blocks cannot change while the medium is asked about them.

use pulsefield_backstore::{BackstoreError, Mapping, Op, OpOutput};
use pulsefield_data::Buffer;
use pulsefield_scsi::Status;
use pulsefield_units::{Instant, LbaRange};

use crate::event::Observer;
use crate::outcome::{Outcome, Purpose, of_error};
use crate::range_lock::Holder;
use crate::server::{DeviceServer, SpaceNeeds};
use crate::space::SpaceReport;
use crate::unit_attention::UnitAttention;

/// A write that is being looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gate {
    /// What the medium has not been asked about.
    rest: LbaRange,
    /// Bytes of the blocks that have no space.
    needed: u64,
}

impl<T, O: Observer> DeviceServer<T, O> {
    /// Whether [`Self::on_space`] should be called before anything else: a comparison, unless there is
    /// a pool.
    pub fn wants_space_report(&self) -> bool {
        self.unit.space.wants_report()
    }

    /// Takes what is allocated now, and warns an initiator if the pool has reached a threshold.
    pub fn on_space(&mut self, report: SpaceReport) {
        if self.unit.space.take(report) && self.unit.has_thresholds() {
            self.raise(UnitAttention::ThinProvisioningSoftThresholdReached);
        }
    }

    /// Reserves what a task that is about to run may allocate. If the pool may be too full for that,
    /// sends the task to the gate and says so.
    pub(crate) fn stops_at_gate(&mut self, at: Holder) -> bool {
        let Self { unit, tasks, .. } = self;
        if unit.space.pool().is_none() {
            return false;
        }
        let task = tasks.task(at);
        let SpaceNeeds::Allocates(range) = task.exec.space_needs(&task.data) else { return false };
        let bytes = unit.space_of(range);
        if unit.space.reserve(bytes) {
            task.reserved = bytes;
            return false;
        }
        task.gate = Some(Gate { rest: range, needed: 0 });
        self.send(at, Op::Provisioning { range }, Buffer::empty());
        true
    }

    /// Notes what a task that is being retired did to the space of a pool.
    pub(crate) fn note_space(&mut self, at: Holder) {
        let Self { unit, tasks, .. } = self;
        let (space, task) = (&mut unit.space, tasks.task(at));
        space.settle(task.reserved);
        if space.pool().is_some() && task.exec.space_needs(&task.data) == SpaceNeeds::Relieves {
            space.relieve();
        }
    }

    /// Takes the medium's answer about a first part of what is left.
    pub(crate) fn look_on_at_gate(
        &mut self,
        now: Instant,
        at: Holder,
        gate: Gate,
        result: Result<OpOutput, BackstoreError>,
    ) {
        if self.tasks.task(at).aborted {
            self.retire(now, at, Outcome::status(Status::TaskAborted));
            return;
        }
        let (blocks, has_space) = match result {
            Err(error) => {
                self.retire(now, at, of_error(error, Purpose::Writing));
                return;
            }
            Ok(OpOutput::Extent(extent)) if !extent.blocks.is_zero() => {
                (extent.blocks, extent.mapping == Mapping::Mapped)
            }
            // A medium that cannot tell may allocate all of it.
            Ok(OpOutput::Extent(_) | OpOutput::Done | OpOutput::Miscompare { .. }) => {
                (gate.rest.blocks(), false)
            }
        };
        let (run, rest) = gate.rest.split_first(blocks);
        let new = if has_space { 0 } else { self.unit.space_of(run) };
        let needed = gate.needed + new;
        if let Some(rest) = rest {
            self.tasks.task(at).gate = Some(Gate { rest, needed });
            self.send(at, Op::Provisioning { range: rest }, Buffer::empty());
        } else if needed == 0 || self.unit.space.reserve(needed) {
            let task = self.tasks.task(at);
            task.leave_gate(now);
            task.reserved = needed;
            self.go(now, at);
        } else {
            self.retire(now, at, of_error(BackstoreError::NoSpace, Purpose::Writing));
        }
    }
}

#[cfg(test)]
mod tests;
