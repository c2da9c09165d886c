//! Putting together what belongs together.

use crate::event::{Event, Found, Record};

/// Found things that are remembered until their commands end: as many COMPARE AND WRITEs as may be held
/// up by faults at once, and more.
const REMEMBERED_MAX: usize = 1024;

/// Finds what a command found instead of what it expected, which stands in a record before its own.
#[derive(Clone, Debug, Default)]
pub struct Joiner(Vec<Found>);

impl Joiner {
    /// Takes the next record; if it is of a command, says what that found.
    pub fn take(&mut self, record: &Record) -> Option<Found> {
        match &record.event {
            Event::Found(found) => {
                self.0.retain(|other| other.origin != found.origin);
                if self.0.len() == REMEMBERED_MAX {
                    self.0.remove(0);
                }
                self.0.push(found.clone());
                None
            }
            Event::Command(command) => {
                let at = self.0.iter().position(|found| found.origin == command.origin)?;
                Some(self.0.swap_remove(at))
            }
            Event::Start(_) => {
                // Whatever was in flight is not any more.
                self.0.clear();
                None
            }
            Event::Stop(_)
            | Event::Anchor(_)
            | Event::TaskManagement(_)
            | Event::TaskManagementOver(_)
            | Event::FaultHit(_)
            | Event::AttentionRaised(_)
            | Event::Overdue(_) => None,
        }
    }
}
