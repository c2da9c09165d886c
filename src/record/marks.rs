//! What has happened to commands that are still in flight, to be told with their ends: few of them, and
//! seldom any.

use pulsefield_units::Instant;

use crate::functions::Places;

/// Commands that are remembered; what happens to more at once is not told with their ends. That it
/// happened stands in a record of its own.
const MARKS_MAX: usize = 256;

/// What has happened to a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The number of the fault's hit.
    pub(crate) hit: Option<u64>,
    /// When its abort was asked for.
    pub(crate) aborted: Option<Instant>,
    /// The task management functions that wait for its answer.
    pub(crate) awaited_by: Places,
}

#[derive(Debug)]
pub(crate) struct Marks(Vec<(u16, Mark)>);

impl Default for Marks {
    fn default() -> Self {
        Self(Vec::with_capacity(MARKS_MAX))
    }
}

impl Marks {
    /// A fault has hit the command.
    pub(crate) fn hit(&mut self, command_id: u16, number: u64) {
        if let Some(mark) = self.of(command_id) {
            mark.hit = Some(number);
        }
    }

    /// Its abort was asked for, by the function at this place, if it has one.
    pub(crate) fn abort(&mut self, command_id: u16, now: Instant, place: Places) {
        if let Some(mark) = self.of(command_id) {
            mark.aborted.get_or_insert(now);
            mark.awaited_by |= place;
        }
    }

    /// Whether so many more commands are certain to be remembered.
    pub(crate) const fn has_room_for(&self, commands: usize) -> bool {
        self.0.len() + commands <= MARKS_MAX
    }

    /// What has happened to a command that is over.
    pub(crate) fn take(&mut self, command_id: u16) -> Option<Mark> {
        if self.0.is_empty() {
            return None;
        }
        let at = self.0.iter().position(|(id, _)| *id == command_id)?;
        Some(self.0.swap_remove(at).1)
    }

    fn of(&mut self, command_id: u16) -> Option<&mut Mark> {
        let at = match self.0.iter().position(|(id, _)| *id == command_id) {
            Some(at) => at,
            None if self.0.len() == MARKS_MAX => return None,
            None => {
                self.0.push((command_id, Mark::default()));
                self.0.len() - 1
            }
        };
        Some(&mut self.0[at].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_goes_with_the_end_of_its_command() {
        let mut marks = Marks::default();
        marks.hit(7, 41);
        marks.abort(7, Instant::from_nanos(5), 0b01);
        marks.abort(7, Instant::from_nanos(9), 0b10);
        let aborted = Some(Instant::from_nanos(5));
        let mark = Mark { hit: Some(41), aborted, awaited_by: 0b11 };
        assert_eq!((marks.take(8), marks.take(7), marks.take(7)), (None, Some(mark), None));
    }

    #[test]
    fn marks_are_bounded() {
        let mut marks = Marks::default();
        (0..=u16::MAX).for_each(|id| marks.hit(id, 0));
        assert_eq!((marks.0.len(), marks.0.capacity()), (MARKS_MAX, MARKS_MAX));
        assert!(marks.has_room_for(0) && !marks.has_room_for(1));
    }
}
