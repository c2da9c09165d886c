//! The commands of a ring that are in flight, by the kernel's id of each.
//!
//! The kernel gives the lowest id that is free (`drivers/target/target_core_user.c`, an IDR), so the
//! table is as long as the most commands that were ever in flight at once, and is filled without
//! allocating from then on. An id is used again only after the doorbell has rung for its answer.

use pulsefield_engine::{Event, Lane, Observer};
use pulsefield_units::{Cdb, Instant};

use super::passage::{Passage, Served};

/// The commands that are not answered, and those that are and for which the doorbell has not rung.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    commands: Vec<Option<Passage>>,
    /// Those whose answers the doorbell has not rung for.
    answered: Vec<u16>,
    /// From which of those on the medium was at work between the last look at the clock and their answers.
    unseen: Option<usize>,
}

impl InFlight {
    /// Takes note of a command that was found on the ring.
    pub(crate) fn take(&mut self, now: Instant, tag: u16, cdb: &Cdb) {
        let at = usize::from(tag);
        if at >= self.commands.len() {
            self.commands.resize((at + 1).next_power_of_two(), None);
        }
        self.commands[at] = Some(Passage::new(*cdb, now));
    }

    /// Takes note of its answer, and of so many `bytes` that initiator and unit have exchanged.
    pub(crate) fn answer(&mut self, now: Instant, tag: u16, lane: Option<Lane>, bytes: u64) {
        if let Some(passage) = self.command(tag) {
            (passage.answered, passage.lane, passage.bytes) = (now, lane, bytes);
            self.answered.push(tag);
        }
    }

    /// The command with this id, until the doorbell has rung for its answer.
    pub(crate) fn passage(&self, tag: u16) -> Option<&Passage> {
        self.commands.get(usize::from(tag))?.as_ref()
    }

    /// Whether a command with this id is there and not answered.
    pub(crate) fn awaits_answer(&self, tag: u16) -> bool {
        self.passage(tag).is_some() && !self.answered.contains(&tag)
    }

    /// Takes note that the medium was at work on the unit's own thread since time was last looked at:
    /// when whatever is answered from now on was over shows with the next look.
    pub(crate) fn lose_sight_of_time(&mut self) {
        self.unseen.get_or_insert(self.answered.len());
    }

    /// Whether somebody must look at the clock for what was answered.
    pub(crate) const fn is_out_of_time(&self) -> bool {
        self.unseen.is_some()
    }

    /// Takes a look at the clock.
    pub(crate) fn see_time(&mut self, now: Instant) {
        let Some(from) = self.unseen.take() else { return };
        for tag in &self.answered[from..] {
            if let Some(passage) = &mut self.commands[usize::from(*tag)] {
                passage.answered = now;
                if let Some(served) = &mut passage.served {
                    served.ended = now;
                }
            }
        }
    }

    /// The commands that the doorbell rings for next, in the order of their answers.
    pub(crate) fn answered(&self) -> impl Iterator<Item = &Passage> {
        self.answered.iter().filter_map(|tag| self.commands[usize::from(*tag)].as_ref())
    }

    /// Lets go of them: it has rung.
    pub(crate) fn forget_answered(&mut self) {
        for tag in self.answered.drain(..) {
            self.commands[usize::from(tag)] = None;
        }
    }

    /// All of them, in no order, with their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u16, &Passage)> {
        (0..=u16::MAX)
            .zip(&self.commands)
            .filter_map(|(tag, passage)| Some((tag, passage.as_ref()?)))
    }

    /// The same, to make a note.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u16, &mut Passage)> {
        (0..=u16::MAX)
            .zip(&mut self.commands)
            .filter_map(|(tag, passage)| Some((tag, passage.as_mut()?)))
    }

    fn command(&mut self, tag: u16) -> Option<&mut Passage> {
        self.commands.get_mut(usize::from(tag))?.as_mut()
    }
}

impl Observer for InFlight {
    #[inline(always)]
    fn observe(&mut self, now: Instant, event: &Event<'_>) {
        if let Event::Retired { tag: Some(tag), arrived, started, waited, blocks, .. } = *event
            && let Some(passage) = self.command(tag)
        {
            passage.served = Some(Served { arrived, started, ended: now, waited, blocks });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_there_until_the_doorbell_has_rung_for_it() {
        let mut commands = InFlight::default();
        let cdb = Cdb::new(&[0x89]);
        for tag in [1, 2, 3] {
            commands.take(Instant::from_nanos(tag.into()), tag, &cdb);
        }
        assert_eq!(commands.answered().count(), 0);
        commands.answer(Instant::from_nanos(9), 2, Some(Lane::Heartbeat), 1024);
        assert_eq!(commands.iter().map(|(tag, _)| tag).collect::<Vec<_>>(), [1, 2, 3]);
        let gone = commands.answered().map(|passage| (passage.arrived, passage.answered));
        let (arrived, answered) = (Instant::from_nanos(2), Instant::from_nanos(9));
        assert_eq!(gone.collect::<Vec<_>>(), [(arrived, answered)]);
        commands.forget_answered();
        assert_eq!(commands.iter().map(|(tag, _)| tag).collect::<Vec<_>>(), [1, 3]);
        // Its id comes again.
        commands.take(Instant::from_nanos(11), 2, &cdb);
        assert_eq!((commands.answered().count(), commands.iter().count()), (0, 3));
    }
    #[test]
    fn what_the_medium_took_on_our_own_thread_counts_as_service() {
        let [arrived, seen] = [Instant::from_nanos(10), Instant::from_nanos(70)];
        let mut commands = InFlight::default();
        for tag in [1, 2] {
            commands.take(arrived, tag, &Cdb::new(&[0x28]));
        }
        commands.answer(arrived, 1, None, 0);
        commands.lose_sight_of_time();
        assert!(commands.is_out_of_time());
        commands.answer(arrived, 2, Some(Lane::Bulk), 0);
        commands.see_time(seen);
        assert!(!commands.is_out_of_time());
        commands.see_time(Instant::from_nanos(99));
        let answered: Vec<_> = commands.answered().map(|passage| passage.answered).collect();
        assert_eq!(answered, [arrived, seen], "the first was answered before");
    }
}
