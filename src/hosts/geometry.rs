//! Where on its device a volume has its sectors.

use pulsefield_units::{BlockCount, BlockLength, Lba, LbaRange};
use pulsefield_vmfs::{HeartbeatRegion, SECTOR, Version};

use crate::Io;

/// A heartbeat or a lock as it lies on the medium.
pub type Sector = [u8; SECTOR];

/// Where a volume lies on its device, and what of it a host must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// How long a block of the device is; not longer than slots are apart.
    pub block_length: BlockLength,
    /// Where the volume begins, in bytes from the start of the device; a whole number of blocks.
    pub start: u64,
    /// Its version.
    pub version: Version,
    /// Its heartbeat slots.
    pub heartbeats: HeartbeatRegion,
}

impl Geometry {
    /// The block that holds the sector at `address`, in bytes from the start of the volume.
    ///
    /// # Panics
    /// If that is past the end of the 64-bit address space, where no volume has anything.
    pub fn block(&self, address: u64) -> LbaRange {
        let byte = self.start.checked_add(address).expect("volumes end before 2^64 bytes");
        let lba = Lba::new(self.block_length.blocks_in(byte).as_u64());
        LbaRange::new(lba, BlockCount::new(1)).expect("a block number is far from 2^64")
    }

    /// Reads the sector at `address`.
    pub fn read(&self, address: u64) -> Io {
        Io::Read(self.block(address))
    }

    /// Writes the sector at `address`.
    pub fn write(&self, address: u64, sector: &Sector) -> Io {
        Io::Write { lba: self.block(address).start(), data: self.whole_block(sector) }
    }

    /// Writes `set` to `address` if `test` is there.
    pub fn compare_and_write(&self, address: u64, test: &Sector, set: &Sector) -> Io {
        Io::CompareAndWrite {
            lba: self.block(address).start(),
            test: self.whole_block(test),
            set: self.whole_block(set),
        }
    }

    /// A sector has the block that it begins to itself; the rest is zero.
    fn whole_block(&self, sector: &Sector) -> Vec<u8> {
        let mut block = sector.to_vec();
        block.resize(self.block_length.bytes() as usize, 0);
        block
    }
}

/// The sector that a block begins with; `None` if less came back.
pub(crate) fn sector_of(block: &[u8]) -> Option<Sector> {
    block.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn geometry(block_length: BlockLength) -> Geometry {
        Geometry {
            block_length,
            start: 0x121_0000,
            version: Version { major: 24, minor: 82 },
            heartbeats: HeartbeatRegion { slots: 1024, stride: 4096 },
        }
    }

    #[test]
    fn slot_64_of_a_volume_lies_where_esxi_has_it() {
        // A partition at block 2048, and the volume 110_0000h bytes further on.
        let geometry = Geometry { start: (1 << 20) + 0x110_0000, ..geometry(BlockLength::B512) };
        let address = geometry.heartbeats.address(64).unwrap();
        assert_eq!(geometry.block(address).start(), Lba::new(43_008 + 8 * 64));
        assert_eq!(geometry.block(address).blocks(), BlockCount::new(1));
    }

    #[test]
    fn a_sector_is_written_with_the_rest_of_its_block() {
        let geometry = geometry(BlockLength::B4096);
        let Io::CompareAndWrite { lba, test, set } =
            geometry.compare_and_write(0x30_1000, &[1; SECTOR], &[2; SECTOR])
        else {
            panic!("it is no other command");
        };
        assert_eq!(lba, Lba::new((0x121_0000 + 0x30_1000) / 4096));
        assert_eq!((test.len(), set.len()), (4096, 4096));
        assert_eq!((test[511], test[512]), (1, 0));
        assert_eq!(sector_of(&set), Some([2; SECTOR]));
        assert_eq!(sector_of(&set[..511]), None);
    }
}
