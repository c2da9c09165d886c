//! Where a host keeps its journal.

use std::fmt;
use std::num::NonZeroU32;

/// What the low three bits of an address say that it is of.
const KIND_MASK: u32 = 0b111;
const FILE_BLOCK: u32 = 1;
const JOURNAL_BLOCK: u32 = 6;

/// The address of a journal, as VMFS packs it: `FS3_Address`. Written as ESXi's logs do, `<FB 1531>` for a
/// file block; and `<JB c2 r0>` for a journal block of VMFS 6, of which no line of a log was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct JournalAddress(NonZeroU32);

impl JournalAddress {
    /// The address in this word of a heartbeat; `None` for 0, which is no journal.
    pub const fn from_raw(raw: u32) -> Option<Self> {
        match NonZeroU32::new(raw) {
            Some(raw) => Some(Self(raw)),
            None => None,
        }
    }

    /// The word on the medium.
    pub const fn raw(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for JournalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let raw = self.raw();
        match raw & KIND_MASK {
            FILE_BLOCK => write!(f, "<FB {}>", raw >> 6),
            // The cluster has bits 3 to 15, the block in it the topmost six.
            JOURNAL_BLOCK => write!(f, "<JB c{} r{}>", raw >> 3 & 0x1fff, raw >> 26),
            kind => write!(f, "<type {kind} {raw:#x}>"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_in_logs() {
        for (raw, text) in [
            // Of a VMFS 5 volume whose journal lies at 1531 MiB.
            (0x0001_7ec1, "<FB 1531>"),
            (0x16, "<JB c2 r0>"),
            (0x0400_000e, "<JB c1 r1>"),
            (0x0080_0004, "<type 4 0x800004>"),
        ] {
            let address = JournalAddress::from_raw(raw).unwrap();
            assert_eq!((address.to_string().as_str(), address.raw()), (text, raw));
        }
        assert_eq!(JournalAddress::from_raw(0), None);
    }
}
