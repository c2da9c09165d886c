//! Tasks: commands in flight, in one table of plain data.

use pulsefield_backstore::OpTag;
use pulsefield_data::Buffer;
use pulsefield_units::{Instant, LbaRange, TaskId};

use crate::exec::Exec;
use crate::gate::Gate;
use crate::lane::Lane;
use crate::limits;
use crate::range_lock::{Access, Holder};
use crate::waiting::Waited;

/// Where a task is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Waits for its range.
    Parked,
    /// Holds its range; waits for a slot of its lane.
    Ready,
    /// Occupies a slot; an op is with the medium, or is about to be.
    Running,
    /// Waits for the answer to a query about the world outside, or for the end of a background
    /// operation.
    Asking,
    /// Waits for a part of a copy, which is a task of its own, or for an answer that it needs.
    Copying,
}

/// A command in flight.
#[derive(Debug)]
pub(crate) struct Task<T> {
    pub(crate) id: TaskId,
    /// What the transport knows the command by, given back with the answer; there until then.
    pub(crate) token: Option<T>,
    /// What a task management function names the command by, if it is one.
    pub(crate) tag: Option<u16>,
    pub(crate) opcode: u8,
    pub(crate) lane: Lane,
    pub(crate) phase: Phase,
    /// The blocks it claims; changes while a command works through several ranges.
    pub(crate) claim: Option<(LbaRange, Access)>,
    pub(crate) exec: Exec,
    /// The command's data, here or with an op.
    pub(crate) data: Buffer,
    /// Where it stands if the pool may be full.
    pub(crate) gate: Option<Gate>,
    /// Bytes of the pool that are reserved for it.
    pub(crate) reserved: u64,
    pub(crate) aborted: bool,
    pub(crate) arrived: Instant,
    pub(crate) started: Option<Instant>,
    /// When its phase began, or when it was let through the gate.
    pub(crate) since: Instant,
    pub(crate) waited: Waited,
}

/// All tasks of a logical unit, at most [`limits::TASKS_MAX`].
#[derive(Debug)]
pub(crate) struct Tasks<T> {
    slots: Vec<Option<Task<T>>>,
    free: Vec<Holder>,
}

impl<T> Tasks<T> {
    pub(crate) fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::with_capacity(limits::TASKS_MAX) }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len() == limits::TASKS_MAX
    }

    /// Files a task and says where.
    ///
    /// # Panics
    /// If the table is full; the caller asks [`Self::is_full`] first.
    // Inlined, it is made where it is filed.
    #[inline(always)]
    pub(crate) fn insert(&mut self, task: Task<T>) -> Holder {
        if let Some(at) = self.free.pop() {
            self.slots[index(at)] = Some(task);
            return at;
        }
        assert!(!self.is_full(), "more tasks than the table holds");
        self.slots.push(Some(task));
        Holder::try_from(self.slots.len() - 1).expect("TASKS_MAX fits")
    }

    /// The task at `at`.
    ///
    /// # Panics
    /// If there is none: something was retired twice.
    pub(crate) fn task(&mut self, at: Holder) -> &mut Task<T> {
        self.slots[index(at)].as_mut().expect("a live task")
    }

    /// Takes the task at `at` out of the table.
    ///
    /// # Panics
    /// As [`Self::task`].
    #[inline(always)]
    pub(crate) fn remove(&mut self, at: Holder) -> Task<T> {
        self.free.push(at);
        self.slots[index(at)].take().expect("a live task")
    }

    /// Where the tasks are for which `matches` says yes.
    pub(crate) fn find(&self, matches: impl Fn(&Task<T>) -> bool) -> Vec<Holder> {
        let live =
            self.slots.iter().zip(0..).filter(|(slot, _)| slot.as_ref().is_some_and(&matches));
        live.map(|(_, at)| at).collect()
    }

    /// The tag of an op of the task at `at`: its place, and the low bits of its name, so that an
    /// answer for a task that is long gone is recognised.
    pub(crate) fn op_tag(&mut self, at: Holder) -> OpTag {
        op_tag(self.task(at).id, at)
    }

    /// Where the task is that sent the op with `tag`.
    ///
    /// # Panics
    /// If it is gone: the medium answered an op twice.
    pub(crate) fn by_op_tag(&mut self, tag: OpTag) -> Holder {
        let at = Holder::try_from(tag.0 & u64::from(Holder::MAX)).expect("masked to its width");
        assert_eq!(self.op_tag(at), tag, "an op was answered twice");
        at
    }

    /// Where the task is that has this tag of an op; `None` if it is gone.
    pub(crate) fn find_op_tag(&self, tag: OpTag) -> Option<Holder> {
        let at = Holder::try_from(tag.0 & u64::from(Holder::MAX)).expect("masked to its width");
        let task = self.slots.get(index(at))?.as_ref()?;
        (op_tag(task.id, at) == tag).then_some(at)
    }
}

fn op_tag(id: TaskId, at: Holder) -> OpTag {
    OpTag((id.as_u64() << 32) | u64::from(at))
}

#[inline]
fn index(at: Holder) -> usize {
    usize::try_from(at).expect("a table index")
}
