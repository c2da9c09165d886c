//! The only exit: every command leaves the device server through here, once.

use pulsefield_data::Buffer;
use pulsefield_units::{Instant, LbaRange, TaskId};

use crate::event::{Event, Observer};
use crate::exec::Exec;
use crate::outcome::Outcome;
use crate::range_lock::Holder;
use crate::scratch::Found;
use crate::server::{Answer, DeviceServer};
use crate::task::Phase;
use crate::waiting::Waited;

impl<T, O: Observer> DeviceServer<T, O> {
    /// Ends a task: its answer goes out, its slot and its range go to those who wait.
    pub(crate) fn retire(&mut self, now: Instant, at: Holder, outcome: Outcome) {
        let claimed = self.tasks.task(at).claim.map(|(range, _)| range);
        if let Some(found) = self.scratch.take_up() {
            self.tell_found(now, at, claimed, found);
        }
        self.release(now, at);
        self.count(now, at, claimed, outcome.status);
        self.note_space(at);
        let Self { unit, tasks, lanes, observer, answers, .. } = self;
        let task = tasks.task(at);
        task.enter(task.phase, now);
        match task.phase {
            Phase::Running => lanes.finish(task.lane),
            Phase::Ready => lanes.withdraw(task.lane, at),
            Phase::Parked | Phase::Asking | Phase::Copying => {}
        }
        let lane = match task.phase {
            Phase::Parked | Phase::Ready | Phase::Running => Some(task.lane),
            Phase::Asking | Phase::Copying => None,
        };
        if let Exec::ExtendedCopy(copy) = &task.exec {
            unit.copies.end(now, copy.id(), &outcome);
        }
        let Outcome { status, sense, data_in } = outcome;
        observer.observe(
            now,
            &Event::Retired {
                task: task.id,
                lane,
                opcode: task.opcode,
                status,
                sense,
                arrived: task.arrived,
                started: task.started,
                tag: task.tag,
                waited: task.waited,
                blocks: claimed,
                copies: matches!(task.exec, Exec::CopyPart(_)),
                data: &task.data,
            },
        );
        let (token, data) = tasks.remove(at);
        answers.push_back(Answer { token, lane, status, sense, data_in, data });
    }

    /// Tells what the task that is being retired has found instead of what it expected.
    #[cold]
    fn tell_found(&mut self, now: Instant, at: Holder, blocks: Option<LbaRange>, found: Found) {
        let Found { offset, buffer } = found;
        let task = self.tasks.task(at);
        let (task, tag) = (task.id, task.tag);
        if let Some(blocks) = blocks {
            let event = Event::Miscompared { task, tag, blocks, offset, found: &buffer };
            self.observer.observe(now, &event);
        }
        self.scratch.give_buffer(buffer);
    }

    /// Ends a command that never became a task.
    pub(crate) fn answer_at_once(
        &mut self,
        now: Instant,
        task: TaskId,
        opcode: u8,
        token: T,
        data: Buffer,
        outcome: Outcome,
    ) {
        let Outcome { status, sense, data_in } = outcome;
        self.observer.observe(
            now,
            &Event::Retired {
                task,
                lane: None,
                opcode,
                status,
                sense,
                arrived: now,
                started: None,
                tag: None,
                waited: Waited::default(),
                blocks: None,
                copies: false,
                data: &data,
            },
        );
        self.answers.push_back(Answer { token, lane: None, status, sense, data_in, data });
    }
}
