//! Task management: what an abort does to a task.
//!
//! LIO has decided which commands a function affects (ABORT TASK, LUN RESET, …) and names them; it
//! waits for their answers before it answers the function. So the promise of SAM-5 follows from one
//! rule: a task that has not touched the medium is dropped and answered now, or when its read comes
//! back; a task that has is run to its end first. Nothing is ever applied after the answer.

use pulsefield_scsi::Status;
use pulsefield_units::Instant;

use crate::event::{Event, Observer};
use crate::outcome::Outcome;
use crate::server::DeviceServer;
use crate::task::Phase;

impl<T, O: Observer> DeviceServer<T, O> {
    /// Aborts the commands with these tags; tags of commands already answered are ignored.
    pub fn on_abort(&mut self, now: Instant, tags: &[u16]) {
        for at in
            self.tasks.find(|task| task.tag.is_some_and(|tag| tags.contains(&tag)) && !task.aborted)
        {
            let task = self.tasks.task(at);
            task.aborted = true;
            let applied = task.exec.has_written();
            let (id, phase) = (task.id, task.phase);
            self.observer.observe(now, &Event::Aborted { task: id, applied });
            let idle = match phase {
                Phase::Parked | Phase::Ready | Phase::Asking | Phase::Copying => true,
                Phase::Running => false,
            };
            if idle && !applied {
                self.retire(now, at, Outcome::status(Status::TaskAborted));
            }
        }
    }
}

#[cfg(test)]
mod tests;
