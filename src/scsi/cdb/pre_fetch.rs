//! PRE-FETCH (10) and (16) (SBC-4).

use super::{Extent, extent_10, extent_16};
use crate::field::Flag;
use crate::{Command, Sense};

/// IMMED: answer before the blocks are in the cache.
const IMMED: Flag = Flag::new(1, 1);

/// PRE-FETCH: the blocks will soon be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreFetch {
    /// Which blocks; zero of them stand for all from the first to the end of the medium.
    pub extent: Extent,
    /// IMMED: the answer need not wait.
    pub immediate: bool,
}

pub(crate) fn parse_10(cdb: &[u8]) -> Result<Command, Sense> {
    Ok(pre_fetch(cdb, extent_10(cdb)))
}

pub(crate) fn parse_16(cdb: &[u8]) -> Result<Command, Sense> {
    Ok(pre_fetch(cdb, extent_16(cdb)))
}

fn pre_fetch(cdb: &[u8], extent: Extent) -> Command {
    Command::PreFetch(PreFetch { extent, immediate: IMMED.read(cdb) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_bytes;

    #[test]
    fn both_lengths_have_their_layout() {
        // GROUP NUMBER is ignored.
        assert_eq!(
            parse_bytes(&[0x34, 0x02, 0, 0, 0, 1, 0x03, 0x01, 0x00, 0]),
            Ok(Command::PreFetch(PreFetch {
                extent: Extent::new(1_u8, 0x100_u16),
                immediate: true
            }))
        );
        assert_eq!(
            parse_bytes(&[0x90, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 1, 0, 0x03, 0]),
            Ok(Command::PreFetch(PreFetch {
                extent: Extent::new(0x1_0000_0002_u64, 0x100_u16),
                immediate: false
            }))
        );
    }
}
