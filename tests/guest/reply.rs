//! What came back for one command, and what a check compares it with.

use std::fmt;

use crate::sense::Sense;

/// The answer to one command as the initiator's driver reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// SCSI status; meaningful only if `host_status` is 0.
    pub status: u8,
    /// `DID_*` of the Linux SCSI mid-layer; 0 if the target answered.
    pub host_status: u16,
    /// Sense data, if there was any.
    pub sense: Option<Sense>,
    /// Expected minus actual transfer length in bytes.
    pub residual: i32,
}

/// The status byte of a command that went well.
pub const GOOD: u8 = 0x00;
/// The status byte that says: read the sense data.
pub const CHECK_CONDITION: u8 = 0x02;

/// What a command comes to, in the few words that checks and people compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// GOOD.
    Good,
    /// CHECK CONDITION with this sense key, ASC and ASCQ.
    Check(u8, u8, u8),
    /// Another SCSI status.
    Status(u8),
    /// CHECK CONDITION with no or unreadable sense data.
    NoSense,
    /// No answer: the initiator's driver gave up (`DID_*` code).
    Host(u16),
}

impl Answer {
    /// MISCOMPARE DURING VERIFY OPERATION.
    pub const MISCOMPARE: Self = Self::Check(0x0e, 0x1d, 0x00);
    /// LOGICAL BLOCK ADDRESS OUT OF RANGE.
    pub const LBA_OUT_OF_RANGE: Self = Self::Check(0x05, 0x21, 0x00);
    /// INVALID COMMAND OPERATION CODE.
    pub const INVALID_OPCODE: Self = Self::Check(0x05, 0x20, 0x00);
    /// INVALID FIELD IN CDB.
    pub const INVALID_FIELD: Self = Self::Check(0x05, 0x24, 0x00);
    /// BUSY.
    pub const BUSY: Self = Self::Status(0x08);
    /// RESERVATION CONFLICT.
    pub const RESERVATION_CONFLICT: Self = Self::Status(0x18);
    /// TASK SET FULL.
    pub const TASK_SET_FULL: Self = Self::Status(0x28);
    /// TASK ABORTED.
    pub const TASK_ABORTED: Self = Self::Status(0x40);
    /// `DID_SOFT_ERROR`: the driver asks for another try. An FC initiator that has waited for two seconds
    /// asks the target about the exchange, and gives it up if the target does not know it any more.
    const SOFT_ERROR: Self = Self::Host(0x0b);

    /// Whether a Linux disk driver sends the command again after this, unseen by its user
    /// (`scsi_decide_disposition` in `drivers/scsi/scsi_error.c`).
    pub const fn is_tried_again(self) -> bool {
        matches!(self, Self::BUSY | Self::TASK_SET_FULL | Self::TASK_ABORTED | Self::SOFT_ERROR)
    }
}

impl Reply {
    /// The reply in few words.
    pub const fn answer(&self) -> Answer {
        match (self.host_status, self.status, self.sense) {
            (0, GOOD, _) => Answer::Good,
            (0, CHECK_CONDITION, Some(sense)) => Answer::Check(sense.key, sense.asc, sense.ascq),
            (0, CHECK_CONDITION, None) => Answer::NoSense,
            (0, status, _) => Answer::Status(status),
            (host, ..) => Answer::Host(host),
        }
    }

    /// Whether the command succeeded.
    pub const fn is_good(&self) -> bool {
        self.host_status == 0 && self.status == GOOD
    }

    /// Whether the target only announced something (a power-on, a reset, a new size) and did not
    /// execute the command.
    pub fn is_unit_attention(&self) -> bool {
        matches!(self.answer(), Answer::Check(0x06, ..))
    }

    /// The INFORMATION field, if valid.
    pub fn information(&self) -> Option<u64> {
        self.sense.and_then(|sense| sense.information)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Good => f.write_str("GOOD"),
            Self::Check(key, asc, ascq) => {
                write!(f, "CHECK CONDITION {key:02X}h/{asc:02X}h/{ascq:02X}h")
            }
            Self::BUSY => f.write_str("BUSY"),
            Self::RESERVATION_CONFLICT => f.write_str("RESERVATION CONFLICT"),
            Self::TASK_SET_FULL => f.write_str("TASK SET FULL"),
            Self::TASK_ABORTED => f.write_str("TASK ABORTED"),
            Self::Status(status) => write!(f, "status {status:02X}h"),
            Self::NoSense => f.write_str("CHECK CONDITION without sense"),
            Self::Host(host) => write!(f, "no answer (host status {host:02X}h)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u8, host_status: u16) -> Reply {
        Reply { status, host_status, sense: None, residual: 0 }
    }

    #[test]
    fn a_host_status_outranks_a_status() {
        assert_eq!(reply(GOOD, 3).answer(), Answer::Host(3));
        assert!(!reply(GOOD, 3).is_good());
        assert_eq!(reply(0x08, 0).answer(), Answer::BUSY);
        assert_eq!(reply(CHECK_CONDITION, 0).answer(), Answer::NoSense);
    }
}
