//! What hosts were told, other than that all is well.

use std::time::Duration;

use pulsefield_checkers::{Ending, Event};
use pulsefield_hosts::{Access, Notice};

/// A heartbeat that takes longer is one that somebody notices (KB 2136081 has hosts pulse so often).
const LATE: Duration = Duration::from_secs(3);

/// How often hosts were told of trouble, or waited in vain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// Miscompares. Most are contention, and no trouble.
    pub(crate) miscompared: u64,
    /// Commands that were refused.
    pub(crate) refused: u64,
    /// Commands of which nobody knows whether they were done.
    pub(crate) unknown: u64,
    /// Heartbeats that did not count.
    pub(crate) dead_pulses: u64,
    /// Heartbeats that took more than 3 s.
    pub(crate) late_pulses: u64,
    /// Times that a host lost access to the volume.
    pub(crate) lost_access: u64,
}

impl Trouble {
    /// Hears what checkers hear.
    pub(crate) fn event(&mut self, event: &Event) {
        match event {
            Event::Operation(operation) => match operation.ending {
                Ending::Refused => self.refused += 1,
                Ending::Maybe => self.unknown += 1,
                Ending::Miscompared(_) => self.miscompared += 1,
                Ending::Done => {}
            },
            Event::Pulse(pulse) => {
                self.dead_pulses += u64::from(!pulse.alive);
                self.late_pulses += u64::from(pulse.returned.since(pulse.invoked) > LATE);
            }
            Event::Begun(_)
            | Event::Taken(_)
            | Event::Left(_)
            | Event::Forgotten { .. }
            | Event::DeclaredDead { .. }
            | Event::Gap { .. }
            | Event::ReadBack { .. } => {}
        }
    }

    /// Hears what a host noticed.
    pub(crate) fn notice(&mut self, notice: &Notice) {
        if matches!(notice, Notice::Access { access: Access::Lost, .. }) {
            self.lost_access += 1;
        }
    }

    /// What there was, but for miscompares; `None` if nothing was.
    pub(crate) fn words(&self) -> Option<String> {
        let Self { miscompared: _, refused, unknown, dead_pulses, late_pulses, lost_access } =
            *self;
        let kinds = [
            (refused, "commands refused"),
            (unknown, "commands without an answer"),
            (dead_pulses, "heartbeats failed"),
            (late_pulses, "heartbeats over 3 s"),
            (lost_access, "times access lost"),
        ];
        let some = kinds.into_iter().filter(|(count, _)| *count > 0);
        let words: Vec<_> = some.map(|(count, what)| format!("{count} {what}")).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_there_was_is_said() {
        assert_eq!(Trouble::default().words(), None);
        let trouble = Trouble { refused: 3, late_pulses: 1, ..Trouble::default() };
        assert_eq!(trouble.words().as_deref(), Some("3 commands refused, 1 heartbeats over 3 s"));
    }
}
