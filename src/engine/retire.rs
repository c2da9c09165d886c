//! The only exit: every command leaves the device server through here, once.

use pulsefield_data::Buffer;
use pulsefield_units::{Instant, LbaRange, TaskId};

use crate::event::{Event, Observer};
use crate::exec::Exec;
use crate::lane::Lane;
use crate::outcome::Outcome;
use crate::range_lock::Holder;
use crate::scratch::Found;
use crate::server::{Answer, DeviceServer};
use crate::task::{Phase, Task};
use crate::waiting::Waited;

/// A command that is over before it was filed as a task.
pub(crate) struct Unfiled<T> {
    pub(crate) id: TaskId,
    pub(crate) opcode: u8,
    pub(crate) token: T,
    pub(crate) data: Buffer,
}

/// What it did with the medium.
pub(crate) struct Work {
    pub(crate) lane: Lane,
    pub(crate) blocks: LbaRange,
    pub(crate) tag: Option<u16>,
}

impl<T, O: Observer> DeviceServer<T, O> {
    /// Ends a task: its answer goes out, its slot and its range go to those who wait.
    pub(crate) fn retire(&mut self, now: Instant, at: Holder, outcome: Outcome) {
        if self.tasks.task(at).claim.is_some() {
            // It stays known which blocks these were.
            self.release_claim(now, at);
        }
        self.note_space(at);
        let mut task = self.tasks.remove(at);
        match task.phase {
            Phase::Running => self.lanes.finish(task.lane),
            Phase::Ready => self.lanes.withdraw(task.lane, at),
            Phase::Parked | Phase::Asking | Phase::Copying => {}
        }
        let answer = self.conclude(now, &mut task, outcome, false);
        self.answers.push_back(answer);
    }

    /// The answer to a task that is nowhere any more, or never was if all of it was done `at_once`; its claim is
    /// the last one that it had.
    #[inline]
    pub(crate) fn conclude(
        &mut self,
        now: Instant,
        task: &mut Task<T>,
        outcome: Outcome,
        at_once: bool,
    ) -> Answer<T> {
        let blocks = task.claim.map(|(range, _)| range);
        if let Some(found) = self.scratch.take_up() {
            self.tell_found(now, task, blocks, found);
        }
        self.count(now, task.arrived, &task.exec, blocks, outcome.status);
        task.enter(task.phase, now);
        let lane = match task.phase {
            Phase::Parked | Phase::Ready | Phase::Running => Some(task.lane),
            Phase::Asking | Phase::Copying => None,
        };
        if let Exec::ExtendedCopy(copy) = &task.exec {
            self.unit.copies.end(now, copy.id(), &outcome);
        }
        let Outcome { status, sense, data_in } = outcome;
        self.observer.observe(
            now,
            &Event::Retired {
                task: task.id,
                lane,
                opcode: task.opcode,
                status,
                sense,
                arrived: task.arrived,
                started: task.started,
                at_once,
                tag: task.tag,
                waited: task.waited,
                blocks,
                copies: matches!(task.exec, Exec::CopyPart(_)),
                data: &task.data,
            },
        );
        let token = task.token.take().expect("a task ends once");
        let data = std::mem::take(&mut task.data);
        Answer { token, lane, status, sense, data_in, data }
    }

    /// Tells what a task that has ended has found instead of what it expected.
    #[cold]
    fn tell_found(&mut self, now: Instant, task: &Task<T>, blocks: Option<LbaRange>, found: Found) {
        let Found { offset, buffer } = found;
        let (task, tag) = (task.id, task.tag);
        if let Some(blocks) = blocks {
            let event = Event::Miscompared { task, tag, blocks, offset, found: &buffer };
            self.observer.observe(now, &event);
        }
        self.scratch.give_buffer(buffer);
    }

    /// The answer to a command that never became a task; if it was carried out all the same, with what it did.
    #[inline(always)]
    pub(crate) fn end_at_once(
        &mut self,
        now: Instant,
        unfiled: Unfiled<T>,
        work: Option<Work>,
        outcome: Outcome,
    ) -> Answer<T> {
        let Unfiled { id, opcode, token, data } = unfiled;
        let Outcome { status, sense, data_in } = outcome;
        let lane = work.as_ref().map(|work| work.lane);
        self.observer.observe(
            now,
            &Event::Retired {
                task: id,
                lane,
                opcode,
                status,
                sense,
                arrived: now,
                started: work.as_ref().map(|_| now),
                at_once: work.is_some(),
                tag: work.as_ref().and_then(|work| work.tag),
                waited: Waited::default(),
                blocks: work.map(|work| work.blocks),
                copies: false,
                data: &data,
            },
        );
        Answer { token, lane, status, sense, data_in, data }
    }
}
