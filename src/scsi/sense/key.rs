//! Sense keys.

use std::fmt;

/// The class of a condition (SPC-4 4.5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SenseKey {
    /// Nothing to report.
    NoSense = 0x0,
    /// Done, with some recovery on the way.
    RecoveredError = 0x1,
    /// The logical unit cannot be accessed now.
    NotReady = 0x2,
    /// The medium or the data on it is bad.
    MediumError = 0x3,
    /// The device is bad.
    HardwareError = 0x4,
    /// The CDB or the parameter list is wrong.
    IllegalRequest = 0x5,
    /// Something changed that the initiator has to know first.
    UnitAttention = 0x6,
    /// The medium may not be written.
    DataProtect = 0x7,
    /// Blank or non-blank medium where the other was expected.
    BlankCheck = 0x8,
    /// The vendor's own.
    VendorSpecific = 0x9,
    /// A copy operation ended early.
    CopyAborted = 0xa,
    /// The device server gave up on the command; it may be sent again.
    AbortedCommand = 0xb,
    /// Reserved; EQUAL until SPC-2.
    Reserved = 0xc,
    /// The medium ended before the data did.
    VolumeOverflow = 0xd,
    /// The data differs from what is on the medium.
    Miscompare = 0xe,
    /// A background operation ended.
    Completed = 0xf,
}

impl SenseKey {
    /// All of them, in ascending order.
    const ALL: [Self; 16] = [
        Self::NoSense,
        Self::RecoveredError,
        Self::NotReady,
        Self::MediumError,
        Self::HardwareError,
        Self::IllegalRequest,
        Self::UnitAttention,
        Self::DataProtect,
        Self::BlankCheck,
        Self::VendorSpecific,
        Self::CopyAborted,
        Self::AbortedCommand,
        Self::Reserved,
        Self::VolumeOverflow,
        Self::Miscompare,
        Self::Completed,
    ];

    /// The sense key of these four bits; `None` for more than four.
    pub fn from_u8(bits: u8) -> Option<Self> {
        Self::ALL.get(usize::from(bits)).copied()
    }

    /// The four bits on the wire.
    pub const fn as_u8(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for SenseKey {
    /// The sense key in T10's words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSense => "NO SENSE",
            Self::RecoveredError => "RECOVERED ERROR",
            Self::NotReady => "NOT READY",
            Self::MediumError => "MEDIUM ERROR",
            Self::HardwareError => "HARDWARE ERROR",
            Self::IllegalRequest => "ILLEGAL REQUEST",
            Self::UnitAttention => "UNIT ATTENTION",
            Self::DataProtect => "DATA PROTECT",
            Self::BlankCheck => "BLANK CHECK",
            Self::VendorSpecific => "VENDOR SPECIFIC",
            Self::CopyAborted => "COPY ABORTED",
            Self::AbortedCommand => "ABORTED COMMAND",
            Self::Reserved => "RESERVED",
            Self::VolumeOverflow => "VOLUME OVERFLOW",
            Self::Miscompare => "MISCOMPARE",
            Self::Completed => "COMPLETED",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_and_back() {
        (0..16).for_each(|bits| assert_eq!(SenseKey::from_u8(bits).unwrap().as_u8(), bits));
        assert_eq!(SenseKey::from_u8(16), None);
    }
}
