//! A command descriptor block as bytes, before anybody has read a meaning into it.

use std::fmt;

/// The bytes of a CDB, copied out of wherever they came from; their meaning is `scsi`'s business.
///
/// A transport may hand over more bytes than the CDB has (TCMU rounds up to eight) or fewer (a CDB
/// cut short); `len` says how many are really there. Bytes past [`Cdb::CAPACITY`] are not kept:
/// no CDB that Pulsefield executes is longer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Cdb {
    bytes: [u8; Self::CAPACITY],
    /// One byte, since every command in flight has a CDB.
    len: u8,
}

impl Cdb {
    /// The longest CDB kept: the 32-byte form of SBC-4.
    pub const CAPACITY: usize = 32;

    /// A copy of the first [`Cdb::CAPACITY`] of `bytes`.
    pub fn new(bytes: &[u8]) -> Self {
        Self::filled(bytes.len(), |kept| kept.copy_from_slice(&bytes[..kept.len()]))
    }

    /// A CDB of `len` bytes, the first [`Cdb::CAPACITY`] of which `fill` writes where they are kept: for
    /// whoever has them where there are no slices.
    #[inline]
    pub fn filled(len: usize, fill: impl FnOnce(&mut [u8])) -> Self {
        let kept = u8::try_from(len.min(Self::CAPACITY)).expect("at most CAPACITY");
        let mut cdb = Self { bytes: [0; Self::CAPACITY], len: kept };
        fill(&mut cdb.bytes[..usize::from(kept)]);
        cdb
    }

    /// The bytes that are there.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// The operation code, byte 0; `None` for an empty CDB.
    #[inline]
    pub fn opcode(&self) -> Option<u8> {
        (self.len > 0).then_some(self.bytes[0])
    }
}

impl fmt::Debug for Cdb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cdb(")?;
        for (at, byte) in self.as_bytes().iter().enumerate() {
            write!(f, "{}{byte:02x}", if at == 0 { "" } else { " " })?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cdb_keeps_what_is_there_and_says_how_much() {
        assert_eq!(Cdb::new(&[]).opcode(), None);
        assert_eq!(Cdb::new(&[0x89, 1]).as_bytes(), [0x89, 1]);
        assert_eq!(Cdb::new(&[0x7f; 260]).as_bytes().len(), Cdb::CAPACITY);
        assert_eq!(Cdb::filled(260, |bytes| bytes.fill(0x7f)), Cdb::new(&[0x7f; 32]));
        assert_eq!(Cdb::filled(2, |bytes| bytes.copy_from_slice(&[0x89, 1])), Cdb::new(&[0x89, 1]));
        assert_eq!(format!("{:?}", Cdb::new(&[0x89, 0, 1])), "Cdb(89 00 01)");
    }
}
