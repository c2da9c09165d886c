//! Commands that are over before they are filed.
//!
//! A heartbeat, or a short read of what is in memory, takes its medium less time than it would take to file
//! a task, to claim its blocks, to put it into its lane and to take all that back. So a command for which nothing stands in
//! the way is carried out while it is being taken: one that is a single op with hardly more than that
//! op, any other on a task that is nowhere but in the caller's hand. If
//! the medium would have to wait for an op, the task is filed with its claim and its slot as it is, and goes on
//! from there like any other.
//!
//! That changes nothing of what others see. No command is executed in between, so that a claim would have
//! excluded nobody; one that would have had to wait for its blocks or its slot is not carried out here.

use pulsefield_backstore::{BackstoreError, Op, OpOutput};
use pulsefield_data::Buffer;
use pulsefield_units::{Instant, LbaRange, TaskId};

use crate::event::{Event, Observer};
use crate::exec::{Input, OnlyOp, Step};
use crate::lane::Lane;
use crate::outcome::{Outcome, of_error};
use crate::range_lock::Access;
use crate::server::{Answer, DeviceServer, advance};
use crate::task::{Phase, Task};

/// A medium, as long as a command is being taken.
pub trait Medium {
    /// Whether it may be able, and has time, to do the ops of a command in `lane` at once that moves so many
    /// `bytes`.
    fn may_do(&self, lane: Lane, bytes: usize) -> bool;

    /// Does `op` of a command in `lane` now, or nothing of it: `None` if it would have to wait for something.
    fn at_once(
        &mut self,
        op: Op,
        buffer: &mut Buffer,
        lane: Lane,
    ) -> Option<Result<OpOutput, BackstoreError>>;
}

/// The medium of a command whose ops are all to be submitted.
pub(crate) struct Elsewhere;

impl Medium for Elsewhere {
    fn may_do(&self, _lane: Lane, _bytes: usize) -> bool {
        false
    }

    fn at_once(
        &mut self,
        _op: Op,
        _buffer: &mut Buffer,
        _lane: Lane,
    ) -> Option<Result<OpOutput, BackstoreError>> {
        None
    }
}

impl<T, O: Observer> DeviceServer<T, O> {
    /// Whether a command in `lane` that claims `range` would neither wait for its blocks nor for a slot, nor
    /// overtake one that is to start before it or that has ended before it, nor stop at the gate of a pool.
    #[inline]
    pub(crate) fn is_clear(&self, range: LbaRange, access: Access, lane: Lane) -> bool {
        // What has ended holds no blocks any more; but whoever hears the answers, and records them, shall hear of a
        // write before he hears of one that found what it wrote.
        self.answers.is_empty()
            && self.lanes.lets_by(lane)
            && self.unit.space.pool().is_none()
            && self.locks.is_clear(range, access)
    }

    /// Carries out a command that is one op on its own `data` and [`Self::is_clear`], if `medium` does that at once.
    #[inline(always)]
    pub(crate) fn carry_out_op(
        &mut self,
        now: Instant,
        task: TaskId,
        lane: Lane,
        only: &OnlyOp,
        data: &mut Buffer,
        medium: &mut impl Medium,
    ) -> Option<Outcome> {
        let OnlyOp { op, end, purpose } = *only;
        let result = medium.at_once(op, data, lane)?;
        self.observer.observe(now, &Event::OpSubmitted { task, op });
        self.observer.observe(now, &Event::OpDone { task, result });
        Some(result.map_or_else(|error| of_error(error, purpose), |_| end))
    }

    /// Carries a task out that [`Self::is_clear`], as far as `medium` does that at once.
    ///
    /// # Errors
    /// What it wants next, if it does not come to its end: it is to be filed then.
    #[inline]
    pub(crate) fn carry_out(
        &mut self,
        now: Instant,
        task: &mut Task<T>,
        medium: &mut impl Medium,
    ) -> Result<Answer<T>, Step> {
        let Self { unit, scratch, observer, .. } = self;
        let (id, lane) = (task.id, task.lane);
        (task.phase, task.started) = (Phase::Running, Some(now));
        let mut input = Input::Go;
        loop {
            match advance(unit, scratch, task, input) {
                Step::Op(op, mut buffer) => match medium.at_once(op, &mut buffer, lane) {
                    Some(result) => {
                        observer.observe(now, &Event::OpSubmitted { task: id, op });
                        observer.observe(now, &Event::OpDone { task: id, result });
                        input = Input::Done(result, buffer);
                    }
                    None => return Err(Step::Op(op, buffer)),
                },
                Step::End(outcome) => return Ok(self.conclude(now, task, outcome, true)),
                step @ (Step::Claim(_)
                | Step::Ask(_)
                | Step::SetAccessStates(_)
                | Step::Save(_)) => return Err(step),
            }
        }
    }

    /// Files a task whose only op was begun, and has it submitted.
    pub(crate) fn file_begun(&mut self, now: Instant, mut task: Task<T>, op: Op) {
        (task.phase, task.started) = (Phase::Running, Some(now));
        let data = std::mem::take(&mut task.data);
        self.file_running(now, task, Step::Op(op, data));
    }

    /// Files a task that was carried out in part, with its claim and a slot, and does what it wants next.
    pub(crate) fn file_running(&mut self, now: Instant, task: Task<T>, step: Step) {
        let (id, claim, lane) = (task.id, task.claim, task.lane);
        let range = claim.map(|(range, _)| range);
        self.observer.observe(now, &Event::Admitted { task: id, lane, range });
        self.observer.observe(now, &Event::Started { task: id, lane });
        let at = self.tasks.insert(task);
        if let Some((range, access)) = claim {
            let granted = self.locks.claim(at, range, access);
            assert!(granted, "nothing has come in its way meanwhile");
        }
        self.lanes.occupy(lane);
        self.follow(now, at, step);
    }
}

#[cfg(test)]
mod tests;
