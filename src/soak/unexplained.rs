//! MISCOMPAREs that hosts were told of, until the record of the unit explains them.
//!
//! Both sides are joined by blocks, time and bytes. The order is that in which hosts were told, whenever an
//! explanation comes: what is counted, and which ones are kept, then depends on nothing else.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use pulsefield_checkers::{Ending, HostId, Operation, OperationKind};
use pulsefield_units::{Instant, LbaRange};

use crate::miscompare::{Cause, cause};
use crate::witness::{Explained, Explanation, RECORDS_MAX};

/// The most that wait. There is a record of each, so more of them than records are kept are not in any; the oldest
/// is then one without an explanation.
const WAITING_MAX: usize = RECORDS_MAX;

/// For how long an explanation waits for its host to be told. Of most that wait for longer no host is: it had
/// given the command up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A COMPARE AND WRITE of which its host was told that it miscompared.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// Who was.
    pub(crate) host: HostId,
    /// When.
    pub(crate) at: Instant,
    /// Where the first difference is, if it was told that.
    pub(crate) offset: Option<u64>,
    invoked: Instant,
    blocks: LbaRange,
    test: Arc<[u8]>,
    set: Arc<[u8]>,
}

/// What waits for the other side.
#[derive(Debug, Default)]
pub(crate) struct Unexplained {
    told: VecDeque<Told>,
    explanations: VecDeque<Explanation>,
    /// All that was answered before this is explained.
    until: Instant,
}

impl Told {
    /// `None` of what is no MISCOMPARE.
    pub(crate) fn of(operation: &Operation) -> Option<Self> {
        let Ending::Miscompared(offset) = operation.ending else { return None };
        let OperationKind::CompareAndWrite { test, set } = &operation.kind else { return None };
        Some(Self {
            host: operation.host,
            at: operation.returned.unwrap_or(operation.invoked),
            offset,
            invoked: operation.invoked,
            blocks: operation.blocks,
            test: test.clone(),
            set: set.clone(),
        })
    }

    /// What its host can know of the cause.
    pub(crate) fn cause(&self) -> Cause {
        cause(&self.test, &self.set)
    }
}

impl Unexplained {
    /// A host was told.
    pub(crate) fn hear(&mut self, told: Told) {
        self.told.push_back(told);
    }

    /// The record was explained up to some moment.
    pub(crate) fn take(&mut self, explained: Explained) {
        let Explained { explanations, until } = explained;
        let is_waited_for =
            |explanation: &Explanation| until.since(explanation.answered) < PATIENCE;
        self.explanations.retain(is_waited_for);
        self.explanations.extend(explanations);
        self.until = until;
    }

    /// The next one of which all is known that will be: with its explanation, or without.
    pub(crate) fn settled(&mut self) -> Option<(Told, Option<Explanation>)> {
        let told = self.told.front()?;
        let is_of = |explanation: &Explanation| {
            explanation.is_of(told.blocks, &told.set, (told.invoked, told.at))
        };
        let explanation = match self.explanations.iter().position(is_of) {
            Some(at) => self.explanations.remove(at),
            None if told.at < self.until || self.told.len() > WAITING_MAX => None,
            None => return None,
        };
        Some((self.told.pop_front()?, explanation))
    }

    /// Those that wait, of which nothing will be known any more.
    pub(crate) fn rest(self) -> impl Iterator<Item = Told> {
        self.told.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use pulsefield_checkers::{OperationId, UnitId};
    use pulsefield_explain::FindingKind;
    use pulsefield_record::Record;

    use super::*;
    use crate::witness::Window;
    use crate::witness::testing::{Tape, at, block, data};

    const MILLISECOND: Duration = Duration::from_millis(1);

    /// What host 1 was told, whose command wanted to write this.
    fn told(from: u64, to: u64, set: u8) -> Told {
        let image = |byte| Arc::<[u8]>::from(data(byte).as_slice());
        let operation = Operation {
            id: OperationId(0),
            host: HostId(1),
            unit: UnitId(0),
            blocks: block(),
            invoked: at(from),
            returned: Some(at(to)),
            kind: OperationKind::CompareAndWrite { test: image(1), set: image(set) },
            ending: Ending::Miscompared(Some(0)),
        };
        Told::of(&operation).unwrap()
    }

    fn explained(records: impl IntoIterator<Item = Record>) -> Explained {
        let mut window = Window::default();
        records.into_iter().for_each(|record| assert!(window.take(record).is_none()));
        window.rest()
    }

    /// When they were told, and what is found.
    fn settled(unexplained: &mut Unexplained) -> Vec<(Instant, Option<FindingKind>)> {
        let next = || unexplained.settled();
        std::iter::from_fn(next).map(|(told, it)| (told.at, it.map(|it| it.finding))).collect()
    }

    #[test]
    fn both_sides_are_joined_by_block_time_and_bytes() {
        let mut tape = Tape::default();
        let mut records = vec![tape.applied(0, [1, 2], MILLISECOND)];
        records.extend(tape.miscompared(1_000, [1, 3], 2));
        records.extend(tape.miscompared(1_001, [9, 4], 2));
        let explained = explained(records);
        let mut unexplained = Unexplained::default();
        // Both were under way at the same time; and one was long before.
        unexplained.hear(told(100, 200, 3));
        unexplained.hear(told(900, 1_500, 4));
        unexplained.hear(told(900, 1_501, 3));
        assert_eq!(settled(&mut unexplained), []);
        unexplained.take(explained);
        let expected = [
            (at(200), None),
            (at(1_500), Some(FindingKind::Unknown)),
            (at(1_501), Some(FindingKind::Contention)),
        ];
        assert_eq!(settled(&mut unexplained), expected);
    }

    #[test]
    fn nobody_overtakes_who_waits() {
        let mut tape = Tape::default();
        let mut records = vec![tape.applied(0, [1, 2], MILLISECOND)];
        records.extend(tape.miscompared(1_000, [1, 3], 2));
        let mut explained = explained(records);
        explained.until = at(100);
        let mut unexplained = Unexplained::default();
        unexplained.hear(told(500, 900, 5));
        unexplained.hear(told(900, 1_500, 3));
        unexplained.take(explained);
        assert_eq!(settled(&mut unexplained), [], "the first may be explained yet");
        unexplained.take(Explained { explanations: Vec::new(), until: at(901) });
        let expected = [(at(900), None), (at(1_500), Some(FindingKind::Contention))];
        assert_eq!(settled(&mut unexplained), expected);
    }

    #[test]
    fn whoever_waits_in_vain_is_bounded() {
        let mut unexplained = Unexplained::default();
        (0..=WAITING_MAX).for_each(|_| unexplained.hear(told(0, 10, 3)));
        assert_eq!(settled(&mut unexplained).len(), 1);
        assert_eq!(unexplained.rest().count(), WAITING_MAX);
    }
}
