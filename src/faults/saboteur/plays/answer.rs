//! Faults that answer a command in place of carrying it out.

use std::time::Duration;

use pulsefield_engine::Outcome;
use pulsefield_scsi::vpd::VpdPage;
use pulsefield_scsi::{Asc, Command, Sense, SenseKey, Status};
use pulsefield_units::Instant;

use super::Play;
use crate::Where;
use crate::saboteur::act::Act;
use crate::saboteur::alteration::Alteration;
use crate::saboteur::facts::Facts;
use crate::saboteur::rule::first_block;

/// Qualifier of 04h: ASYMMETRIC ACCESS STATE TRANSITION.
pub(super) const TRANSITION: u8 = 0x0a;

/// LOGICAL UNIT NOT READY, whatever the qualifier says of the cause.
const LOGICAL_UNIT_NOT_READY: u8 = 0x04;

/// `caw.unsupported`: 05h/20h/00h.
pub(super) fn unsupported() -> Play {
    Play::answered(Sense::invalid_opcode())
}

/// The other half of `caw.unsupported`: who asks whether there is a COMPARE AND WRITE is told that there is
/// none; `None` for a command that does not ask.
pub(crate) fn denial(command: &Command) -> Option<Play> {
    let alteration = if let Command::Inquiry(inquiry) = command
        && inquiry.vpd_page == Some(VpdPage::BlockLimits)
    {
        Alteration::NoCompareAndWrite
    } else if let Command::ReportSupportedOperationCodes(report) = command {
        Alteration::Unlisted(*report)
    } else {
        return None;
    };
    Some(Play::new(vec![Act::Original, Act::Alter(alteration)]))
}

/// Whether `caw.flap` is at a time at which COMPARE AND WRITE is supported: `off` comes first.
pub(crate) fn is_on(armed: Instant, now: Instant, off: Duration, on: Duration) -> bool {
    let turn = off.as_nanos() + on.as_nanos();
    let phase = now.since(armed).as_nanos().checked_rem(turn).unwrap_or_default();
    phase >= off.as_nanos()
}

/// `thin.full`: 07h/27h/07h.
pub(super) fn full() -> Play {
    Play::answered(Sense::new(SenseKey::DataProtect, Asc::SPACE_ALLOCATION_FAILED_WRITE_PROTECT))
}

/// `thin.threshold`: 06h/38h/07h, to this command alone. The device server's own condition would be
/// repeated for initiators that no rule is for.
pub(super) fn threshold() -> Play {
    unit_attention(Asc::THIN_PROVISIONING_SOFT_THRESHOLD_REACHED)
}

/// `not-ready` and `alua-transition`: 02h/04h.
pub(super) fn not_ready(qualifier: u8) -> Play {
    let asc = Asc::new(LOGICAL_UNIT_NOT_READY, qualifier);
    Play::answered(Sense::new(SenseKey::NotReady, asc))
}

/// `unit-attention`: 06h.
pub(super) fn unit_attention(asc: Asc) -> Play {
    Play::answered(Sense::new(SenseKey::UnitAttention, asc))
}

/// `reservation.conflict` and `reservation.stuck`.
pub(super) fn reservation_conflict() -> Play {
    Play::answered(Outcome::status(Status::ReservationConflict))
}

/// `medium-error`: 03h, and the first block that is bad.
pub(super) fn medium_error(facts: &Facts, place: &Where, asc: Asc) -> Play {
    let sense = Sense::new(SenseKey::MediumError, asc);
    let block = first_block(facts, &place.blocks);
    Play::answered(block.map_or(sense, |block| sense.with_information(block)))
}

#[cfg(test)]
mod tests;
