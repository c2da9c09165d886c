//! The initiator of one host: a logical unit, and all paths that lead there.

use std::io;
use std::sync::Arc;

use crossbeam_channel::Sender;
use pulsefield_hosts::Outcome;

use crate::clock;
use crate::device::Device;
use crate::path::{Completion, Event, Lane, Path, Settings, Submission};

/// One host's way to one logical unit. It uses one path as long as that answers, as hosts do by default ("most
/// recently used"), and changes to the next when a request was lost there and the path does not answer. Nothing is sent
/// twice: the host hears of what was lost, and decides.
///
/// Hosts that go by the same path are one initiator to the target: a reservation of one does not keep the others out,
/// and a reset is told to none of them but him who comes by another path.
pub struct Initiator<T> {
    paths: Vec<Path<T>>,
    current: usize,
    events: Sender<Event<T>>,
}

impl<T: Send + 'static> Initiator<T> {
    /// Starts the threads of all paths, called after `name`. They tell `events`; where that is bounded it must have
    /// room for whatever is under way, since [`Self::submit`] tells it, too.
    ///
    /// # Errors
    /// The operating system has no thread left.
    ///
    /// # Panics
    /// If there is no path.
    pub fn start(
        name: &str,
        paths: Vec<Arc<dyn Device>>,
        settings: Settings,
        events: Sender<Event<T>>,
    ) -> io::Result<Self> {
        assert!(!paths.is_empty(), "an initiator has a path");
        let start = |(number, device)| Path::start(name, number, device, settings, events.clone());
        let paths = paths.into_iter().enumerate().map(start).collect::<io::Result<_>>()?;
        Ok(Self { paths, current: 0, events })
    }

    /// The path that is used, counted from 0.
    pub const fn path(&self) -> usize {
        self.current
    }

    /// Sends a request by the path that is used, or by the next one that can be. If there is none, the request is
    /// [`Outcome::Lost`] at once, and was not sent.
    ///
    /// # Errors
    /// The submission, if the lane is full.
    pub fn submit(&mut self, lane: Lane, submission: Submission<T>) -> Result<(), Submission<T>> {
        let count = self.paths.len();
        let order = (0..count).map(|nth| (self.current + nth) % count);
        match order.into_iter().find(|path| self.paths[*path].is_usable()) {
            Some(path) => {
                self.current = path;
                self.paths[path].submit(lane, submission)
            }
            None => {
                let now = clock::now();
                let Submission { tag, .. } = submission;
                let (path, outcome) = (self.current, Outcome::Lost);
                let done = Completion { tag, path, invoked: now, returned: now, outcome };
                // Whoever has stopped listening wants to hear nothing.
                let _ = self.events.send(Event::Done(done));
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests;
