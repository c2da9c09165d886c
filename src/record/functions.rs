//! Task management functions that wait for the commands that they name: LIO answers one when the last of
//! them is answered (`core_tmr_abort_task` and `core_tmr_lun_reset` in `drivers/target/target_core_tmr.c`).

use pulsefield_units::Instant;

/// Functions that are waited with; of more at once the ends are not told.
const WAITING_MAX: usize = 16;

/// Places of functions, one bit each.
pub(crate) type Places = u16;

/// A function that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// The kernel's number for it.
    pub(crate) function: u8,
    /// When it was found on the ring.
    pub(crate) asked: Instant,
    /// The commands that it names.
    pub(crate) commands: u32,
    /// Those of them that are not answered.
    pub(crate) unanswered: usize,
}

/// The functions that wait.
#[derive(Debug, Default)]
pub(crate) struct Functions([Option<Waiting>; WAITING_MAX]);

impl Functions {
    /// A place that no function has; `None` if there is none.
    pub(crate) fn free_place(&self) -> Option<Places> {
        let at = self.0.iter().position(Option::is_none)?;
        Some(1 << at)
    }

    /// Gives a function this place.
    pub(crate) fn wait(&mut self, place: Places, waiting: Waiting) {
        if let Some(free) = self.0.get_mut(place.trailing_zeros() as usize) {
            *free = Some(waiting);
        }
    }

    /// Takes that a command is answered that the functions at `places` wait for; says which of them is over
    /// with it, until there is none.
    pub(crate) fn answered(&mut self, places: Places) -> impl Iterator<Item = Waiting> {
        let waits_here = move |at: usize| places & (1 << at) != 0;
        self.0.iter_mut().enumerate().filter(move |(at, _)| waits_here(*at)).filter_map(
            |(_, of)| {
                let waiting = of.as_mut()?;
                waiting.unanswered = waiting.unanswered.saturating_sub(1);
                if waiting.unanswered == 0 { of.take() } else { None }
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn waiting(function: u8, unanswered: usize) -> Waiting {
        Waiting { function, asked: Instant::from_nanos(5), commands: 3, unanswered }
    }

    #[test]
    fn a_function_is_over_with_the_last_of_its_commands() {
        let mut functions = Functions::default();
        functions.wait(functions.free_place().unwrap(), waiting(1, 2));
        functions.wait(functions.free_place().unwrap(), waiting(5, 1));
        assert_eq!(functions.answered(0b01).count(), 0);
        let over: Vec<_> = functions.answered(0b11).map(|it| it.function).collect();
        assert_eq!(over, [1, 5]);
        assert_eq!(functions.free_place(), Some(1));
    }

    #[test]
    fn functions_are_bounded() {
        let mut functions = Functions::default();
        for _ in 0..WAITING_MAX {
            functions.wait(functions.free_place().unwrap(), waiting(1, 1));
        }
        assert_eq!(functions.free_place(), None);
        assert_eq!(functions.answered(Places::MAX).count(), WAITING_MAX);
    }
}
