//! What became of a command, as a host hears it.

use std::fmt;

use pulsefield_hosts::Outcome;
use pulsefield_scsi::{Asc, Sense, SenseKey, Status};

/// The outcome of a command that the unit has answered. `data` is what came with GOOD.
///
/// A unit attention is [`Outcome::Failed`] like any other sense data: nothing was done, and the host decides when
/// to send the command again.
pub fn outcome(status: Status, sense: Option<Sense>, data: Vec<u8>) -> Outcome {
    match status {
        Status::Good | Status::ConditionMet => Outcome::Good(data),
        Status::CheckCondition => match sense {
            Some(sense) if is_miscompare(&sense) => Outcome::Miscompare(sense.information),
            sense => Outcome::Failed { status, sense },
        },
        Status::Busy | Status::TaskSetFull => Outcome::Busy,
        Status::ReservationConflict => Outcome::ReservationConflict,
        // Somebody else has reset the unit or aborted its tasks, perhaps after it was done.
        Status::TaskAborted => Outcome::Lost,
        Status::AcaActive => Outcome::Failed { status, sense },
    }
}

/// 0Eh/1Dh/00h.
fn is_miscompare(sense: &Sense) -> bool {
    sense.key == SenseKey::Miscompare && sense.asc == Asc::MISCOMPARE_DURING_VERIFY_OPERATION
}

/// Whether all that an outcome says is that something has changed, and the command was not carried out.
pub fn is_unit_attention(outcome: &Outcome) -> bool {
    let Outcome::Failed { sense: Some(sense), .. } = outcome else { return false };
    sense.key == SenseKey::UnitAttention
}

/// An outcome in words, without the data.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a>(pub &'a Outcome);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Outcome::Good(_) => Status::Good.fmt(f),
            Outcome::Miscompare(Some(offset)) => write!(f, "MISCOMPARE at byte {offset}"),
            Outcome::Miscompare(None) => f.write_str("MISCOMPARE"),
            Outcome::ReservationConflict => Status::ReservationConflict.fmt(f),
            Outcome::Busy => Status::Busy.fmt(f),
            Outcome::Failed { status, sense: Some(sense) } => write!(f, "{status}: {sense}"),
            Outcome::Failed { status, sense: None } => status.fmt(f),
            Outcome::TimedOut => f.write_str("no answer in time"),
            Outcome::Lost => f.write_str("no answer: the path is lost, or the unit was reset"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_an_outcome() {
        let plain = |status| outcome(status, None, vec![7]);
        assert_eq!(plain(Status::Good), Outcome::Good(vec![7]));
        assert_eq!(plain(Status::ConditionMet), Outcome::Good(vec![7]));
        assert_eq!(plain(Status::Busy), Outcome::Busy);
        assert_eq!(plain(Status::TaskSetFull), Outcome::Busy);
        assert_eq!(plain(Status::ReservationConflict), Outcome::ReservationConflict);
        assert_eq!(plain(Status::TaskAborted), Outcome::Lost);
        for status in [Status::CheckCondition, Status::AcaActive] {
            assert_eq!(plain(status), Outcome::Failed { status, sense: None });
        }
    }

    #[test]
    fn only_the_sense_of_an_ats_is_a_miscompare() {
        let check = |sense| outcome(Status::CheckCondition, Some(sense), Vec::new());
        assert_eq!(check(Sense::miscompare(0x180)), Outcome::Miscompare(Some(0x180)));
        let without = Sense { information: None, ..Sense::miscompare(0) };
        assert_eq!(check(without), Outcome::Miscompare(None));
        for sense in [
            Sense::invalid_opcode(),
            Sense::new(SenseKey::Miscompare, Asc::NO_ADDITIONAL_SENSE_INFORMATION),
            Sense::new(SenseKey::AbortedCommand, Asc::MISCOMPARE_DURING_VERIFY_OPERATION),
        ] {
            let status = Status::CheckCondition;
            assert_eq!(check(sense), Outcome::Failed { status, sense: Some(sense) });
        }
    }

    #[test]
    fn a_unit_attention_is_known() {
        let reset = Asc::POWER_ON_RESET_OR_BUS_DEVICE_RESET_OCCURRED;
        let status = Status::CheckCondition;
        let attention = Sense::new(SenseKey::UnitAttention, reset);
        assert!(is_unit_attention(&Outcome::Failed { status, sense: Some(attention) }));
        let other = Sense::new(SenseKey::NotReady, reset);
        assert!(!is_unit_attention(&Outcome::Failed { status, sense: Some(other) }));
        assert!(!is_unit_attention(&Outcome::Busy));
    }

    #[test]
    fn an_outcome_can_be_told() {
        let words = |outcome| Words(&outcome).to_string();
        assert_eq!(words(Outcome::Miscompare(Some(0x180))), "MISCOMPARE at byte 384");
        let status = Status::CheckCondition;
        let failed = Outcome::Failed { status, sense: Some(Sense::invalid_opcode()) };
        let expected = "CHECK CONDITION: ILLEGAL REQUEST, INVALID COMMAND OPERATION CODE (20h/00h)";
        assert_eq!(words(failed), expected);
        assert_eq!(words(Outcome::Failed { status, sense: None }), "CHECK CONDITION");
    }
}
