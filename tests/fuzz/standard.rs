//! The commands of SPC-4 and SBC-4 as the standards' tables have them: what the checker goes by. It
//! shares nothing with the tables of the device server.

use Presence::{Always, Kernel, Long, Maybe, Thin};
use Role::{
    CompareAndWrite, DataIn, OrWrite, Other, ParameterList, PreFetch, Read, SynchronizeCache,
    Verify, Write, WriteAndVerify, WriteAtomic, WriteLong, WriteSame,
};

/// Whether a command must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// On every unit.
    Always,
    /// On units with logical block provisioning management.
    Thin,
    /// It may be there or not.
    Maybe,
    /// LIO executes it, so a user backstore must not.
    Kernel,
    /// On units that are configured for CDBs of 32 bytes. (The standard has them only with type 2
    /// protection information.)
    Long,
}

/// What a command does with blocks and data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Read,
    Write,
    WriteAndVerify,
    Verify,
    CompareAndWrite,
    WriteSame,
    OrWrite,
    WriteAtomic,
    PreFetch,
    SynchronizeCache,
    WriteLong,
    /// Returns parameter data; its allocation length is so many bytes at such a byte of the CDB.
    DataIn(usize, usize),
    /// Takes a parameter list.
    ParameterList,
    /// Anything else.
    Other,
}

/// A row of the tables.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    pub(crate) opcode: u8,
    /// If the operation code is several commands: bits 4 to 0 of byte 1, or bytes 8 and 9 of 32.
    pub(crate) service_action: Option<u16>,
    pub(crate) role: Role,
    pub(crate) presence: Presence,
}

const fn form(opcode: u8, presence: Presence, role: Role) -> Form {
    Form { opcode, service_action: None, role, presence }
}

const fn action(opcode: u8, service_action: u16, presence: Presence, role: Role) -> Form {
    Form { opcode, service_action: Some(service_action), role, presence }
}

/// SBC-4 table 33 and SPC-4 table 142, Commands for direct access block devices and for all device
/// types.
pub(crate) const FORMS: &[Form] = &[
    form(0x00, Always, Other),                 // TEST UNIT READY
    form(0x03, Always, DataIn(4, 1)),          // REQUEST SENSE
    form(0x04, Maybe, ParameterList),          // FORMAT UNIT
    form(0x07, Maybe, ParameterList),          // REASSIGN BLOCKS
    form(0x08, Always, Read),                  // READ (6)
    form(0x0a, Always, Write),                 // WRITE (6)
    form(0x12, Always, DataIn(3, 2)),          // INQUIRY
    form(0x15, Always, ParameterList),         // MODE SELECT (6)
    form(0x16, Kernel, Other),                 // RESERVE (6)
    form(0x17, Kernel, Other),                 // RELEASE (6)
    form(0x1a, Always, DataIn(4, 1)),          // MODE SENSE (6)
    form(0x1b, Maybe, Other),                  // START STOP UNIT
    form(0x1c, Maybe, DataIn(3, 2)),           // RECEIVE DIAGNOSTIC RESULTS
    form(0x1d, Maybe, ParameterList),          // SEND DIAGNOSTIC
    form(0x1e, Maybe, Other),                  // PREVENT ALLOW MEDIUM REMOVAL
    form(0x25, Always, Other),                 // READ CAPACITY (10)
    form(0x28, Always, Read),                  // READ (10)
    form(0x2a, Always, Write),                 // WRITE (10)
    form(0x2e, Always, WriteAndVerify),        // WRITE AND VERIFY (10)
    form(0x2f, Always, Verify),                // VERIFY (10)
    form(0x34, Always, PreFetch),              // PRE-FETCH (10)
    form(0x35, Always, SynchronizeCache),      // SYNCHRONIZE CACHE (10)
    form(0x37, Always, DataIn(7, 2)),          // READ DEFECT DATA (10)
    form(0x3b, Maybe, ParameterList),          // WRITE BUFFER
    form(0x3c, Maybe, Other),                  // READ BUFFER
    form(0x3f, Always, WriteLong),             // WRITE LONG (10)
    form(0x41, Always, WriteSame),             // WRITE SAME (10)
    form(0x42, Thin, ParameterList),           // UNMAP
    form(0x48, Maybe, ParameterList),          // SANITIZE
    form(0x4c, Maybe, ParameterList),          // LOG SELECT
    form(0x4d, Maybe, DataIn(7, 2)),           // LOG SENSE
    form(0x55, Always, ParameterList),         // MODE SELECT (10)
    form(0x56, Kernel, Other),                 // RESERVE (10)
    form(0x57, Kernel, Other),                 // RELEASE (10)
    form(0x5a, Always, DataIn(7, 2)),          // MODE SENSE (10)
    form(0x5e, Kernel, DataIn(7, 2)),          // PERSISTENT RESERVE IN
    form(0x5f, Kernel, ParameterList),         // PERSISTENT RESERVE OUT
    action(0x7f, 0x09, Long, Read),            // READ (32)
    action(0x7f, 0x0a, Long, Verify),          // VERIFY (32)
    action(0x7f, 0x0b, Long, Write),           // WRITE (32)
    action(0x7f, 0x0c, Long, WriteAndVerify),  // WRITE AND VERIFY (32)
    action(0x7f, 0x0d, Long, WriteSame),       // WRITE SAME (32)
    action(0x7f, 0x0f, Long, WriteAtomic),     // WRITE ATOMIC (32)
    form(0x83, Maybe, ParameterList),          // THIRD-PARTY COPY OUT
    form(0x84, Maybe, DataIn(10, 4)),          // THIRD-PARTY COPY IN
    form(0x88, Always, Read),                  // READ (16)
    form(0x89, Always, CompareAndWrite),       // COMPARE AND WRITE
    form(0x8a, Always, Write),                 // WRITE (16)
    form(0x8b, Always, OrWrite),               // ORWRITE (16)
    form(0x8e, Always, WriteAndVerify),        // WRITE AND VERIFY (16)
    form(0x8f, Always, Verify),                // VERIFY (16)
    form(0x90, Always, PreFetch),              // PRE-FETCH (16)
    form(0x91, Always, SynchronizeCache),      // SYNCHRONIZE CACHE (16)
    form(0x93, Always, WriteSame),             // WRITE SAME (16)
    form(0x9c, Maybe, WriteAtomic),            // WRITE ATOMIC (16)
    action(0x9e, 0x10, Always, DataIn(10, 4)), // READ CAPACITY (16)
    action(0x9e, 0x12, Always, DataIn(10, 4)), // GET LBA STATUS (16)
    action(0x9f, 0x11, Always, WriteLong),     // WRITE LONG (16)
    form(0xa0, Kernel, DataIn(6, 4)),          // REPORT LUNS
    action(0xa3, 0x05, Maybe, DataIn(6, 4)),   // REPORT IDENTIFYING INFORMATION
    action(0xa3, 0x0a, Always, DataIn(6, 4)),  // REPORT TARGET PORT GROUPS
    action(0xa3, 0x0c, Always, DataIn(6, 4)),  // REPORT SUPPORTED OPERATION CODES
    action(0xa3, 0x0d, Maybe, DataIn(6, 4)),   // REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS
    action(0xa3, 0x0f, Maybe, DataIn(6, 4)),   // REPORT TIMESTAMP
    action(0xa4, 0x06, Maybe, ParameterList),  // SET IDENTIFYING INFORMATION
    action(0xa4, 0x0a, Maybe, ParameterList),  // SET TARGET PORT GROUPS
    form(0xa8, Always, Read),                  // READ (12)
    form(0xaa, Always, Write),                 // WRITE (12)
    form(0xae, Always, WriteAndVerify),        // WRITE AND VERIFY (12)
    form(0xaf, Always, Verify),                // VERIFY (12)
    form(0xb7, Always, DataIn(6, 4)),          // READ DEFECT DATA (12)
];

/// The row of a CDB.
pub(crate) fn form_of(cdb: &[u8]) -> Option<&'static Form> {
    let opcode = *cdb.first()?;
    let service_action = match opcode {
        VARIABLE_LENGTH => number(cdb, 8, 2),
        _ => u64::from(cdb.get(1).copied().unwrap_or(0) & 0x1f),
    };
    FORMS.iter().find(|form| {
        form.opcode == opcode
            && form.service_action.is_none_or(|action| u64::from(action) == service_action)
    })
}

/// The operation code of the CDBs of 32 bytes.
pub(crate) const VARIABLE_LENGTH: u8 = 0x7f;
/// Their ADDITIONAL CDB LENGTH, in byte 7.
pub(crate) const ADDITIONAL_CDB_LENGTH: u8 = 0x18;

/// Which byte has the protection field and the flags beside it, in CDBs of ten bytes and more.
pub(crate) const fn flags_at(opcode: u8) -> usize {
    if opcode == VARIABLE_LENGTH { 10 } else { 1 }
}

/// Which byte is CONTROL.
pub(crate) const fn control_at(opcode: u8) -> usize {
    if opcode == VARIABLE_LENGTH { 1 } else { cdb_length(opcode) - 1 }
}

/// The flags; none in six bytes.
pub(crate) fn flags_of(cdb: &[u8]) -> u8 {
    if cdb.len() == 6 { 0 } else { cdb[flags_at(cdb[0])] }
}

/// NDOB of WRITE SAME: there is no Data-Out.
pub(crate) fn no_data_out(cdb: &[u8]) -> bool {
    cdb.len() > 10 && flags_of(cdb) & 0x01 != 0
}

/// Whether the operation code is several commands.
pub(crate) fn has_service_actions(opcode: u8) -> bool {
    FORMS.iter().any(|form| form.opcode == opcode && form.service_action.is_some())
}

/// The length of a CDB by its group code (SPC-4, Operation code format); 7Fh says its own.
pub(crate) const fn cdb_length(opcode: u8) -> usize {
    match opcode >> 5 {
        0 => 6,
        1 | 2 => 10,
        4 => 16,
        5 => 12,
        _ => 32,
    }
}

/// A big-endian number of `len` bytes at byte `at`.
pub(crate) fn number(bytes: &[u8], at: usize, len: usize) -> u64 {
    bytes[at..at + len].iter().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// The first block and the number of blocks of a command on blocks.
pub(crate) fn blocks_of(cdb: &[u8], role: Role) -> (u64, u64) {
    match (cdb.len(), role) {
        (10, WriteLong) => (number(cdb, 2, 4), 1),
        (_, WriteLong) => (number(cdb, 2, 8), 1),
        (6, _) => {
            let blocks = if cdb[4] == 0 { 256 } else { u64::from(cdb[4]) };
            (number(cdb, 1, 3) & 0x1f_ffff, blocks)
        }
        (10, _) => (number(cdb, 2, 4), number(cdb, 7, 2)),
        (12, _) => (number(cdb, 2, 4), number(cdb, 6, 4)),
        (32, _) => (number(cdb, 12, 8), number(cdb, 28, 4)),
        (_, CompareAndWrite) => (number(cdb, 2, 8), number(cdb, 13, 1)),
        (_, WriteAtomic) => (number(cdb, 2, 8), number(cdb, 12, 2)),
        _ => (number(cdb, 2, 8), number(cdb, 10, 4)),
    }
}
