//! CDBs as an initiator builds them (SBC-4, SPC-5): plain arrays, so that a check can spoil any
//! byte.

/// TEST UNIT READY.
pub const TEST_UNIT_READY: [u8; 6] = [0; 6];

/// RESERVE (6) of the whole unit (SPC-2).
pub const RESERVE_6: [u8; 6] = [0x16, 0, 0, 0, 0, 0];

/// RELEASE (6) of the whole unit (SPC-2).
pub const RELEASE_6: [u8; 6] = [0x17, 0, 0, 0, 0, 0];

/// INQUIRY of one vital product data page, 255 bytes.
pub const fn inquiry_vpd(page: u8) -> [u8; 6] {
    [0x12, 1, page, 0, 255, 0]
}

/// MODE SENSE (6) of one page's current values.
pub const fn mode_sense_6(page: u8, length: u8) -> [u8; 6] {
    [0x1a, 0, page, 0, length, 0]
}

/// READ CAPACITY (16), 32 bytes.
pub const fn read_capacity_16() -> [u8; 16] {
    let mut cdb = with_length(0x9e, 0, 32);
    cdb[1] = 0x10;
    cdb
}

/// READ (10).
pub fn read_10(lba: u32, blocks: u16) -> [u8; 10] {
    ten(0x28, lba, blocks)
}

/// WRITE (10).
pub fn write_10(lba: u32, blocks: u16) -> [u8; 10] {
    ten(0x2a, lba, blocks)
}

/// READ (16).
pub const fn read_16(lba: u64, blocks: u32) -> [u8; 16] {
    with_length(0x88, lba, blocks)
}

/// WRITE (16).
pub const fn write_16(lba: u64, blocks: u32) -> [u8; 16] {
    with_length(0x8a, lba, blocks)
}

/// VERIFY (16) without byte check.
pub const fn verify_16(lba: u64, blocks: u32) -> [u8; 16] {
    with_length(0x8f, lba, blocks)
}

/// WRITE SAME (16), not unmapping.
pub const fn write_same_16(lba: u64, blocks: u32) -> [u8; 16] {
    with_length(0x93, lba, blocks)
}

/// EXTENDED COPY, LID1 (0) or LID4 (1), with a parameter list of `length` bytes.
pub const fn extended_copy(service_action: u8, length: u32) -> [u8; 16] {
    let mut cdb = with_length(0x83, 0, length);
    cdb[1] = service_action;
    cdb
}

/// RECEIVE COPY RESULTS about the copy with a list identifier of one byte, 64 bytes.
pub const fn receive_copy_results(service_action: u8, list_identifier: u8) -> [u8; 16] {
    let mut cdb = with_length(0x84, 0, 64);
    (cdb[1], cdb[2]) = (service_action, list_identifier);
    cdb
}

/// PERSISTENT RESERVE OUT with a parameter list of `length` bytes; `scope_and_type` is byte 2.
pub const fn persistent_reserve_out(
    service_action: u8,
    scope_and_type: u8,
    length: u32,
) -> [u8; 10] {
    let l = length.to_be_bytes();
    [0x5f, service_action, scope_and_type, 0, 0, l[0], l[1], l[2], l[3], 0]
}

/// PERSISTENT RESERVE OUT's basic parameter list; `flags` is byte 20.
pub fn reservation_list(key: u64, service_action_key: u64, flags: u8) -> [u8; 24] {
    let mut list = [0; 24];
    list[..8].copy_from_slice(&key.to_be_bytes());
    list[8..16].copy_from_slice(&service_action_key.to_be_bytes());
    list[20] = flags;
    list
}

/// SYNCHRONIZE CACHE (16).
pub const fn synchronize_cache_16(lba: u64, blocks: u32) -> [u8; 16] {
    with_length(0x91, lba, blocks)
}

/// UNMAP with a parameter list of `length` bytes.
pub const fn unmap(length: u16) -> [u8; 10] {
    let [high, low] = length.to_be_bytes();
    [0x42, 0, 0, 0, 0, 0, 0, high, low, 0]
}

/// UNMAP's parameter list with one descriptor.
pub fn unmap_list(lba: u64, blocks: u32) -> [u8; 24] {
    let mut list = [0; 24];
    list[..4].copy_from_slice(&[0, 22, 0, 16]);
    list[8..16].copy_from_slice(&lba.to_be_bytes());
    list[16..20].copy_from_slice(&blocks.to_be_bytes());
    list
}

/// COMPARE AND WRITE.
pub const fn compare_and_write(lba: u64, blocks: u8) -> [u8; 16] {
    let mut cdb = with_length(0x89, lba, 0);
    cdb[13] = blocks;
    cdb
}

/// GET LBA STATUS, 24 bytes: one descriptor.
pub const fn get_lba_status(lba: u64) -> [u8; 16] {
    let mut cdb = with_length(0x9e, lba, 24);
    cdb[1] = 0x12;
    cdb
}

/// The common layout of 16-byte CDBs: LBA in bytes 2–9, a length in bytes 10–13.
const fn with_length(opcode: u8, lba: u64, length: u32) -> [u8; 16] {
    let a = lba.to_be_bytes();
    let l = length.to_be_bytes();
    [opcode, 0, a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], l[0], l[1], l[2], l[3], 0, 0]
}

fn ten(opcode: u8, lba: u32, blocks: u16) -> [u8; 10] {
    let a = lba.to_be_bytes();
    let [high, low] = blocks.to_be_bytes();
    [opcode, 0, a[0], a[1], a[2], a[3], 0, high, low, 0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_lie_where_the_standard_has_them() {
        assert_eq!(
            compare_and_write(0x0102_0304_0506_0708, 9),
            [0x89, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 9, 0, 0]
        );
        assert_eq!(read_10(0x0102_0304, 0x0506), [0x28, 0, 1, 2, 3, 4, 0, 5, 6, 0]);
        assert_eq!(read_capacity_16()[10..14], [0, 0, 0, 32]);
        assert_eq!(unmap_list(5, 6)[15], 5);
        assert_eq!(unmap_list(5, 6)[19], 6);
    }
}
