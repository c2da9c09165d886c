//! CDBs as an initiator builds them (SPC-4, SBC-4). Of several lengths the one of 16 bytes, which reaches every
//! block.

use pulsefield_units::{Cdb, Lba};

/// What VPD pages and mode pages are asked for with: longer than any of them here.
pub(crate) const ALLOCATION_LENGTH: u8 = 255;

/// The parameter data of GET LBA STATUS up to the end of its first descriptor.
pub(crate) const LBA_STATUS_BYTES: u32 = 24;

/// TEST UNIT READY.
pub(crate) fn test_unit_ready() -> Cdb {
    Cdb::new(&[0; 6])
}

/// RESERVE (6) of the whole unit (SPC-2).
pub(crate) fn reserve_6() -> Cdb {
    Cdb::new(&[0x16, 0, 0, 0, 0, 0])
}

/// RELEASE (6) of it (SPC-2).
pub(crate) fn release_6() -> Cdb {
    Cdb::new(&[0x17, 0, 0, 0, 0, 0])
}

/// INQUIRY for the standard data.
pub(crate) fn inquiry() -> Cdb {
    Cdb::new(&[0x12, 0, 0, 0, ALLOCATION_LENGTH, 0])
}

/// INQUIRY for a VPD page.
pub(crate) fn inquiry_vpd(page: u8) -> Cdb {
    Cdb::new(&[0x12, 1, page, 0, ALLOCATION_LENGTH, 0])
}

/// MODE SENSE (6) for all pages, of which only the header counts.
pub(crate) fn mode_sense_6() -> Cdb {
    Cdb::new(&[0x1a, 0x08, 0x3f, 0, ALLOCATION_LENGTH, 0])
}

/// READ CAPACITY (16), 32 bytes.
pub(crate) fn read_capacity_16() -> Cdb {
    let mut cdb = with_length(0x9e, Lba::new(0), 32);
    cdb[1] = 0x10;
    Cdb::new(&cdb)
}

/// READ (16).
pub(crate) fn read_16(lba: Lba, blocks: u32) -> Cdb {
    Cdb::new(&with_length(0x88, lba, blocks))
}

/// WRITE (16).
pub(crate) fn write_16(lba: Lba, blocks: u32) -> Cdb {
    Cdb::new(&with_length(0x8a, lba, blocks))
}

/// COMPARE AND WRITE.
pub(crate) fn compare_and_write(lba: Lba, blocks: u8) -> Cdb {
    Cdb::new(&with_length(0x89, lba, blocks.into()))
}

/// WRITE SAME (16) of the block that comes with it, not unmapping.
pub(crate) fn write_same_16(lba: Lba, blocks: u32) -> Cdb {
    Cdb::new(&with_length(0x93, lba, blocks))
}

/// GET LBA STATUS (16), 24 bytes: as many as tell of the first block.
pub(crate) fn get_lba_status(lba: Lba) -> Cdb {
    let mut cdb = with_length(0x9e, lba, LBA_STATUS_BYTES);
    cdb[1] = 0x12;
    Cdb::new(&cdb)
}

/// UNMAP with a parameter list of so many bytes.
pub(crate) fn unmap(length: u16) -> Cdb {
    let [high, low] = length.to_be_bytes();
    Cdb::new(&[0x42, 0, 0, 0, 0, 0, 0, high, low, 0])
}

/// EXTENDED COPY (LID1) with a parameter list of so many bytes.
pub(crate) fn extended_copy(length: u32) -> Cdb {
    Cdb::new(&with_length(0x83, Lba::new(0), length))
}

/// What CDBs of 16 bytes have in common: an address in bytes 2 to 9, a length in bytes 10 to 13.
fn with_length(opcode: u8, lba: Lba, length: u32) -> [u8; 16] {
    let mut cdb = [0; 16];
    cdb[0] = opcode;
    cdb[2..10].copy_from_slice(&lba.as_u64().to_be_bytes());
    cdb[10..14].copy_from_slice(&length.to_be_bytes());
    cdb
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the tables of the standards, not from the target's parser.
    #[test]
    fn fields_lie_where_the_standards_have_them() {
        let lba = Lba::new(0x0102_0304_0506_0708);
        let address = [1, 2, 3, 4, 5, 6, 7, 8];
        let bytes =
            |opcode: u8, length: [u8; 4]| [&[opcode, 0][..], &address, &length, &[0, 0]].concat();
        assert_eq!(compare_and_write(lba, 9).as_bytes(), bytes(0x89, [0, 0, 0, 9]));
        assert_eq!(read_16(lba, 0x0a0b_0c0d).as_bytes(), bytes(0x88, [10, 11, 12, 13]));
        assert_eq!(write_16(lba, 1).as_bytes(), bytes(0x8a, [0, 0, 0, 1]));
        assert_eq!(write_same_16(lba, 1).as_bytes(), bytes(0x93, [0, 0, 0, 1]));
        assert_eq!(read_capacity_16().as_bytes()[..2], [0x9e, 0x10]);
        assert_eq!(read_capacity_16().as_bytes()[10..14], [0, 0, 0, 32]);
        assert_eq!(get_lba_status(lba).as_bytes()[..2], [0x9e, 0x12]);
        assert_eq!(get_lba_status(lba).as_bytes()[2..10], address);
        assert_eq!(get_lba_status(lba).as_bytes()[10..], [0, 0, 0, 24, 0, 0]);
        assert_eq!(unmap(0x0102).as_bytes(), [0x42, 0, 0, 0, 0, 0, 0, 1, 2, 0]);
        assert_eq!(extended_copy(0x5c).as_bytes()[10..14], [0, 0, 0, 0x5c]);
        assert_eq!(inquiry_vpd(0xb0).as_bytes(), [0x12, 1, 0xb0, 0, 255, 0]);
    }
}
