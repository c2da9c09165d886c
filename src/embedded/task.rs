//! What initiators have sent and LIO has not answered: commands, and task management functions that wait
//! for the commands that they end.

use std::collections::{BTreeMap, BTreeSet};

use pulsefield_ring::simulated_kernel::Submitted;

/// An initiator's way to the logical unit: a number that the caller gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nexus(pub u32);

/// A command or a task management function that was sent; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(u64);

/// Who hears of the end of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hears {
    /// Its initiator, how it ended.
    Answer,
    /// Its initiator, that another one has aborted it (TAS = 1, which is LIO's default).
    Aborted,
    /// Nobody: its initiator has aborted it, or is gone.
    Nobody,
}

/// A command on its way through the backstore.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task {
    pub(crate) tag: Tag,
    pub(crate) nexus: Nexus,
    pub(crate) hears: Hears,
}

/// A task management function, answered when the backstore has let go of all that it ends
/// (`target_put_cmd_and_wait`).
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) tag: Tag,
    pub(crate) nexus: Nexus,
    pub(crate) is_reset: bool,
    waits_for: BTreeSet<Submitted>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    commands: BTreeMap<Submitted, Task>,
    functions: Vec<Function>,
    next_tag: u64,
}

impl Tasks {
    /// A tag for whatever comes next.
    pub(crate) fn tag(&mut self) -> Tag {
        self.next_tag += 1;
        Tag(self.next_tag)
    }

    /// Takes note of a command that the kernel has taken.
    pub(crate) fn begin(&mut self, command: Submitted, tag: Tag, nexus: Nexus) {
        self.commands.insert(command, Task { tag, nexus, hears: Hears::Answer });
    }

    /// The commands for which this holds, in the order in which they came.
    pub(crate) fn those(&self, which: impl Fn(&Task) -> bool) -> Vec<Submitted> {
        self.commands.iter().filter(|(_, task)| which(task)).map(|(command, _)| *command).collect()
    }

    /// Has a function of `nexus` end these commands.
    pub(crate) fn manage(&mut self, nexus: Nexus, is_reset: bool, ended: &[Submitted]) -> Tag {
        for command in ended {
            let task = self.commands.get_mut(command).expect("it is one of those");
            task.hears = match task.hears {
                Hears::Answer if task.nexus != nexus => Hears::Aborted,
                Hears::Aborted => Hears::Aborted,
                Hears::Answer | Hears::Nobody => Hears::Nobody,
            };
        }
        let tag = self.tag();
        let waits_for = ended.iter().copied().collect();
        self.functions.push(Function { tag, nexus, is_reset, waits_for });
        tag
    }

    /// Has nobody hear of what `nexus` has sent.
    pub(crate) fn forget(&mut self, nexus: Nexus) {
        for task in self.commands.values_mut().filter(|task| task.nexus == nexus) {
            task.hears = Hears::Nobody;
        }
    }

    /// Ends a command.
    pub(crate) fn end(&mut self, command: Submitted) -> Option<Task> {
        for function in &mut self.functions {
            function.waits_for.remove(&command);
        }
        self.commands.remove(&command)
    }

    /// The next function that waits for nothing any more.
    pub(crate) fn done(&mut self) -> Option<Function> {
        let at = self.functions.iter().position(|function| function.waits_for.is_empty())?;
        Some(self.functions.remove(at))
    }
}
