//! Asking the threads of units: a question goes to all of them at once, and each has a moment to answer.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use pulsefield_control::UnitError;
use pulsefield_control::protocol::LunState;
use pulsefield_units::BlockCount;

use crate::station::{Mailbox, Message};
use crate::table::{SharedTable, Unit};

/// How long a unit may take to answer: it does so between two commands.
const PATIENCE: Duration = Duration::from_secs(5);

/// A unit that serves.
pub(crate) struct Reached {
    pub(crate) name: String,
    pub(crate) blocks: BlockCount,
    mailbox: Mailbox,
}

/// An answer that is on its way.
pub(crate) struct Promise<T> {
    lun: String,
    answer: Receiver<T>,
}

impl Reached {
    /// A unit, if it serves.
    pub(crate) fn of(unit: &Unit) -> Option<Self> {
        let service = unit.service.as_ref().filter(|_| unit.state == LunState::Serving)?;
        let (name, blocks) = (unit.name.device().to_owned(), service.geometry.blocks);
        Some(Self { name, blocks, mailbox: service.mailbox.clone() })
    }

    /// Asks something that is answered through the channel in the message.
    pub(crate) fn ask<T>(&self, question: impl FnOnce(Sender<T>) -> Message) -> Promise<T> {
        let (sender, answer) = bounded(1);
        self.mailbox.send(question(sender));
        Promise { lun: self.name.clone(), answer }
    }
}

impl<T> Promise<T> {
    /// The unit's name and its answer.
    ///
    /// # Errors
    /// [`UnitError::NoAnswer`] if there is none in time.
    pub(crate) fn wait(self) -> Result<(String, T), UnitError> {
        self.wait_until(Instant::now() + PATIENCE)
    }

    /// The same, for those who cannot wait as long.
    ///
    /// # Errors
    /// [`UnitError::NoAnswer`] if there is none by then.
    pub(crate) fn wait_until(self, deadline: Instant) -> Result<(String, T), UnitError> {
        match self.answer.recv_deadline(deadline) {
            Ok(answer) => Ok((self.lun, answer)),
            Err(_) => Err(UnitError::NoAnswer(self.lun)),
        }
    }
}

/// The unit `name`, or all that serve.
///
/// # Errors
/// If there is no unit of that name, or it does not serve.
pub(crate) fn reach(table: &SharedTable, name: Option<&str>) -> Result<Vec<Reached>, UnitError> {
    let table = table.lock();
    let meant =
        table.units.values().filter(|unit| name.is_none_or(|name| unit.name.device() == name));
    if let Some(name) = name
        && meant.clone().next().is_none()
    {
        return Err(UnitError::NoSuchLun(name.to_owned()));
    }
    let reached: Vec<_> = meant.filter_map(Reached::of).collect();
    match name {
        Some(name) if reached.is_empty() => Err(UnitError::NotServing(name.to_owned())),
        Some(_) | None => Ok(reached),
    }
}
