//! What is to happen, in order: by time, and at the same time in the order in which it was put down.

use std::collections::BTreeMap;

use pulsefield_units::Instant;

/// Things that are to happen.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    entries: BTreeMap<(Instant, u64), T>,
    next: u64,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), next: 0 }
    }
}

impl<T> Agenda<T> {
    /// Puts something down.
    pub(crate) fn put(&mut self, at: Instant, what: T) {
        self.entries.insert((at, self.next), what);
        self.next += 1;
    }

    /// When the next thing is to happen.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.entries.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next thing, if its time has come.
    pub(crate) fn due(&mut self, now: Instant) -> Option<T> {
        let first = self.entries.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_in_order() {
        let at = Instant::from_nanos;
        let mut agenda = Agenda::default();
        for (time, what) in [(5, "c"), (1, "a"), (5, "d"), (2, "b"), (9, "e")] {
            agenda.put(at(time), what);
        }
        assert_eq!(agenda.next_at(), Some(at(1)));
        let due: Vec<_> = std::iter::from_fn(|| agenda.due(at(5))).collect();
        assert_eq!((due.concat(), agenda.next_at()), ("abcd".to_owned(), Some(at(9))));
    }
}
