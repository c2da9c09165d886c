//! CDBs as an initiator builds them, in the form with the largest fields.

fn form_16(opcode: u8, byte_1: u8, lba: u64, blocks: u32) -> [u8; 16] {
    let mut cdb = [0; 16];
    (cdb[0], cdb[1]) = (opcode, byte_1);
    cdb[2..10].copy_from_slice(&lba.to_be_bytes());
    cdb[10..14].copy_from_slice(&blocks.to_be_bytes());
    cdb
}

/// The FUA bit of READ, WRITE and COMPARE AND WRITE.
pub(crate) const FUA: u8 = 0x08;
/// The UNMAP bit of WRITE SAME.
pub(crate) const UNMAP: u8 = 0x08;
/// The NDOB bit of WRITE SAME (16).
pub(crate) const NDOB: u8 = 0x01;

pub(crate) const TEST_UNIT_READY: [u8; 6] = [0x00, 0, 0, 0, 0, 0];

pub(crate) fn compare_and_write(lba: u64, blocks: u8) -> [u8; 16] {
    form_16(0x89, 0, lba, blocks.into())
}

pub(crate) fn read(lba: u64, blocks: u32) -> [u8; 16] {
    form_16(0x88, 0, lba, blocks)
}

pub(crate) fn write(lba: u64, blocks: u32) -> [u8; 16] {
    form_16(0x8a, 0, lba, blocks)
}

pub(crate) fn or_write(lba: u64, blocks: u32) -> [u8; 16] {
    form_16(0x8b, 0, lba, blocks)
}

/// WRITE ATOMIC without ATOMIC BOUNDARY.
pub(crate) fn write_atomic(lba: u64, blocks: u16) -> [u8; 16] {
    form_16(0x9c, 0, lba, blocks.into())
}

/// WRITE LONG with WR_UNCOR.
pub(crate) fn write_long(lba: u64) -> [u8; 16] {
    form_16(0x9f, 0x51, lba, 0)
}

pub(crate) fn pre_fetch(lba: u64, blocks: u32) -> [u8; 16] {
    form_16(0x90, 0, lba, blocks)
}

/// WRITE AND VERIFY with BYTCHK as given.
pub(crate) fn write_and_verify(lba: u64, blocks: u32, byte_check: u8) -> [u8; 16] {
    form_16(0x8e, byte_check << 1, lba, blocks)
}

/// VERIFY with BYTCHK as given.
pub(crate) fn verify(lba: u64, blocks: u32, byte_check: u8) -> [u8; 16] {
    form_16(0x8f, byte_check << 1, lba, blocks)
}

pub(crate) fn synchronize_cache(lba: u64, blocks: u32) -> [u8; 16] {
    form_16(0x91, 0, lba, blocks)
}

pub(crate) fn write_same(lba: u64, blocks: u32, bits: u8) -> [u8; 16] {
    form_16(0x93, bits, lba, blocks)
}

pub(crate) fn get_lba_status(lba: u64, allocation_length: u32) -> [u8; 16] {
    form_16(0x9e, 0x12, lba, allocation_length)
}

pub(crate) fn inquiry(page: Option<u8>) -> [u8; 6] {
    [0x12, u8::from(page.is_some()), page.unwrap_or(0), 0x02, 0x00, 0]
}

pub(crate) const fn request_sense(allocation_length: u8) -> [u8; 6] {
    [0x03, 0, 0, 0, allocation_length, 0]
}

/// SANITIZE, OVERWRITE, and its parameter list: so many passes with `pattern`.
pub(crate) fn overwrite(bits: u8, passes: u8, pattern: &[u8]) -> ([u8; 10], Vec<u8>) {
    let [high, low] = u16::try_from(pattern.len()).unwrap().to_be_bytes();
    let list = [&[passes, 0, high, low], pattern].concat();
    let [high, low] = u16::try_from(list.len()).unwrap().to_be_bytes();
    ([0x48, 0x01 | bits, 0, 0, 0, 0, 0, high, low, 0], list)
}

/// SANITIZE, BLOCK ERASE, or EXIT FAILURE MODE with the service action 1Fh.
pub(crate) const fn sanitize(byte_1: u8) -> [u8; 10] {
    [0x48, byte_1, 0, 0, 0, 0, 0, 0, 0, 0]
}

pub(crate) const REPORT_TARGET_PORT_GROUPS: [u8; 12] = [0xa3, 0x0a, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0];

/// EXTENDED COPY of either form: service action 0 or 1.
pub(crate) fn extended_copy(service_action: u8, list: &[u8]) -> [u8; 16] {
    form_16(0x83, service_action, 0, u32::try_from(list.len()).unwrap())
}

/// RECEIVE COPY RESULTS of any kind; LID1 takes only the first byte of the list identifier.
pub(crate) fn receive_copy_results(service_action: u8, list_identifier: u32) -> [u8; 16] {
    form_16(0x84, service_action, u64::from(list_identifier) << 32, 1024)
}

/// MODE SELECT (6).
pub(crate) fn mode_select(list: &[u8]) -> [u8; 6] {
    [0x15, 0x10, 0, 0, u8::try_from(list.len()).unwrap(), 0]
}

/// The parameter list that sets WCE of the Caching page.
pub(crate) fn write_cache(enabled: bool) -> Vec<u8> {
    let mut list = vec![0, 0, 0, 0, 0x08, 0x12, 0, 0];
    list[6] = if enabled { 0x04 } else { 0 };
    list.resize(4 + 20, 0);
    list
}

/// UNMAP, and its parameter list for these runs of blocks.
pub(crate) fn unmap(runs: &[(u64, u32)]) -> ([u8; 10], Vec<u8>) {
    let descriptors = u16::try_from(16 * runs.len()).unwrap();
    let mut list = (descriptors + 6).to_be_bytes().to_vec();
    list.extend(descriptors.to_be_bytes());
    list.extend([0; 4]);
    for (lba, blocks) in runs {
        list.extend(lba.to_be_bytes());
        list.extend(blocks.to_be_bytes());
        list.extend([0; 4]);
    }
    let [high, low] = (descriptors + 8).to_be_bytes();
    ([0x42, 0, 0, 0, 0, 0, 0, high, low, 0], list)
}

/// SET TARGET PORT GROUPS.
pub(crate) fn set_target_port_groups(list: &[u8]) -> [u8; 12] {
    let length = u8::try_from(list.len()).unwrap();
    [0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, length, 0, 0]
}
