//! The status byte that ends every command.

use std::fmt;

/// A SCSI status code (SAM-5, Status codes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Status {
    /// The command did what it was asked to.
    Good = 0x00,
    /// It did not; sense data says why.
    CheckCondition = 0x02,
    /// A requested condition is met (PRE-FETCH and the like).
    ConditionMet = 0x04,
    /// The logical unit cannot take the command now; try again.
    Busy = 0x08,
    /// Another I_T nexus holds a reservation that forbids the command.
    ReservationConflict = 0x18,
    /// No room for one more task from this I_T nexus.
    TaskSetFull = 0x28,
    /// An auto contingent allegiance is in the way.
    AcaActive = 0x30,
    /// Another I_T nexus aborted the task (TAS = 1).
    TaskAborted = 0x40,
}

impl Status {
    /// All of them, in ascending order.
    const ALL: [Self; 8] = [
        Self::Good,
        Self::CheckCondition,
        Self::ConditionMet,
        Self::Busy,
        Self::ReservationConflict,
        Self::TaskSetFull,
        Self::AcaActive,
        Self::TaskAborted,
    ];

    /// The status of this byte; `None` if it is reserved or obsolete.
    pub fn from_u8(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_u8() == byte)
    }

    /// The byte on the wire.
    pub const fn as_u8(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for Status {
    /// The status in T10's words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Good => "GOOD",
            Self::CheckCondition => "CHECK CONDITION",
            Self::ConditionMet => "CONDITION MET",
            Self::Busy => "BUSY",
            Self::ReservationConflict => "RESERVATION CONFLICT",
            Self::TaskSetFull => "TASK SET FULL",
            Self::AcaActive => "ACA ACTIVE",
            Self::TaskAborted => "TASK ABORTED",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_back() {
        let known = (0..=u8::MAX).filter_map(Status::from_u8);
        assert!(known.eq(Status::ALL));
    }
}
