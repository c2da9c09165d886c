//! How commands were answered: counts by status, and with CHECK CONDITION by sense key.

use pulsefield_scsi::{SenseKey, Status};

use super::Counter;

/// The statuses that carry no sense, GOOD aside.
const WITHOUT_SENSE: [Status; 6] = [
    Status::ConditionMet,
    Status::Busy,
    Status::ReservationConflict,
    Status::TaskSetFull,
    Status::AcaActive,
    Status::TaskAborted,
];

/// Answers as initiators got them.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    good: Counter,
    /// In the order of [`WITHOUT_SENSE`].
    without_sense: [Counter; WITHOUT_SENSE.len()],
    /// CHECK CONDITION, by the number of the sense key.
    by_sense_key: [Counter; 16],
}

impl Answers {
    /// Counts one.
    pub(crate) fn count(&self, status: Status, key: Option<SenseKey>) {
        match status {
            Status::Good => self.good.increment(),
            Status::CheckCondition => {
                let key = key.unwrap_or(SenseKey::NoSense);
                self.by_sense_key[usize::from(key.as_u8())].increment();
            }
            Status::ConditionMet
            | Status::Busy
            | Status::ReservationConflict
            | Status::TaskSetFull
            | Status::AcaActive
            | Status::TaskAborted => {
                let place = WITHOUT_SENSE.iter().position(|of| *of == status);
                place.into_iter().for_each(|place| self.without_sense[place].increment());
            }
        }
    }

    /// How many there were of each kind: GOOD, and of the others those there were any of.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (Status, Option<SenseKey>, u64)> {
        let others =
            WITHOUT_SENSE.iter().zip(&self.without_sense).map(|(of, count)| (*of, None, count));
        let checks = (0..)
            .zip(&self.by_sense_key)
            .map(|(key, count)| (Status::CheckCondition, SenseKey::from_u8(key), count));
        let all = others.chain(checks).map(|(status, key, count)| (status, key, count.load()));
        std::iter::once((Status::Good, None, self.good.load()))
            .chain(all.filter(|(_, _, count)| *count > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_counted_as_what_it_was() {
        let answers = Answers::default();
        answers.count(Status::Good, None);
        for status in WITHOUT_SENSE {
            answers.count(status, None);
        }
        for _ in 0..2 {
            answers.count(Status::CheckCondition, Some(SenseKey::Miscompare));
        }
        let counts: Vec<_> = answers.counts().collect();
        assert_eq!(counts[0], (Status::Good, None, 1));
        assert_eq!(counts[1..7], WITHOUT_SENSE.map(|status| (status, None, 1)));
        assert_eq!(counts[7..], [(Status::CheckCondition, Some(SenseKey::Miscompare), 2)]);
    }
}
