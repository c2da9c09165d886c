//! SYNCHRONIZE CACHE (10) and (16) (SBC-4).

use super::{Extent, extent_10, extent_16};
use crate::field::Flag;
use crate::{Command, Sense};

/// IMMED: answer before the cache is written. (SYNC_NV beside it is obsolete.)
const IMMED: Flag = Flag::new(1, 1);

/// SYNCHRONIZE CACHE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SynchronizeCache {
    /// Which blocks; zero of them stand for all from the first to the end of the medium.
    pub extent: Extent,
    /// IMMED: the answer need not wait.
    pub immediate: bool,
}

pub(crate) fn parse_10(cdb: &[u8]) -> Result<Command, Sense> {
    Ok(synchronize_cache(cdb, extent_10(cdb)))
}

pub(crate) fn parse_16(cdb: &[u8]) -> Result<Command, Sense> {
    Ok(synchronize_cache(cdb, extent_16(cdb)))
}

fn synchronize_cache(cdb: &[u8], extent: Extent) -> Command {
    Command::SynchronizeCache(SynchronizeCache { extent, immediate: IMMED.read(cdb) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_bytes;

    #[test]
    fn both_lengths_have_their_layout() {
        assert_eq!(
            parse_bytes(&[0x35, 0x06, 0, 0, 0, 1, 0, 0, 8, 0]),
            Ok(Command::SynchronizeCache(SynchronizeCache {
                extent: Extent::new(1_u8, 8_u8),
                immediate: true,
            }))
        );
        assert_eq!(
            parse_bytes(&[0x91, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            Ok(Command::SynchronizeCache(SynchronizeCache {
                extent: Extent::new(0_u8, 0_u8),
                immediate: false,
            }))
        );
    }
}
