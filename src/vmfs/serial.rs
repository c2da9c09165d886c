//! The number of a heartbeat or lock that only grows.

use crate::{DiskLock, Heartbeat};

/// Which version of an object it is. Of two images of the same object the one with the greater number is the
/// later one; of heartbeats, one with the same number may be later as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Serial {
    /// Of a heartbeat: [`Heartbeat::generation`], which grows with every change of state.
    Generation(u64),
    /// Of a lock: [`DiskLock::token`], which grows whenever it is taken or released.
    Token(u64),
}

impl Serial {
    /// The address of the object that `sector` begins with, in bytes from the start of the volume, and its
    /// number. Looks at nothing else: cheap enough for every sector that goes by.
    pub fn of(sector: &[u8]) -> Option<(u64, Self)> {
        if let Some((address, generation)) = Heartbeat::serial(sector) {
            return Some((address, Self::Generation(generation)));
        }
        let (address, token) = DiskLock::serial(sector)?;
        Some((address, Self::Token(token)))
    }

    /// The number.
    pub const fn number(self) -> u64 {
        match self {
            Self::Generation(number) | Self::Token(number) => number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LockKind;

    #[test]
    fn the_number_is_the_one_that_is_decoded() {
        let free = DiskLock::never_taken(LockKind::JournalCluster, 0x1dd1_4000);
        let lock = DiskLock { token: 77, ..free };
        assert_eq!(Serial::of(&lock.encode()), Some((0x1dd1_4000, Serial::Token(77))));
        let mut slot = [0; 512];
        slot[..4].copy_from_slice(&[0x02, 0xef, 0xcd, 0xab]);
        slot[4..8].copy_from_slice(&[0, 0, 0x34, 0]);
        slot[0x0c] = 5;
        let heartbeat = Heartbeat::decode(&slot).unwrap();
        assert_eq!((heartbeat.address, heartbeat.generation), (0x34_0000, 5));
        assert_eq!(Serial::of(&slot), Some((0x34_0000, Serial::Generation(5))));
        for other in [&[0; 512][..], &slot[..511], &[]] {
            assert_eq!(Serial::of(other), None);
        }
    }
}
