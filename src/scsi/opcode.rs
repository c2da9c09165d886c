//! The one table of commands: operation code, service action, CDB length and usage map, T10's
//! name, and who executes it.
//!
//! [`parse`] finds a CDB's parser here, [`cdb_length`] and [`name_of`] read it, and REPORT SUPPORTED
//! OPERATION CODES is generated from it. A new command is a row here and a file in `cdb/`.

mod table;

use pulsefield_units::Cdb;

pub(crate) use table::TABLE;

use crate::field::{Bits, Number, position};
use crate::{Command, Sense};

/// SERVICE ACTION of the CDBs of up to 16 bytes that have one.
const SERVICE_ACTION: Bits = Bits::new(1, 4, 0);
/// NACA of CONTROL (SAM-5, CONTROL byte).
const NACA_BIT: u8 = 2;

// The head of a CDB of variable length (SPC-4, Variable length CDB formats): 32 bytes are the only
// length that SBC-4 has a use for.
const LONG_CONTROL: usize = 1;
const ADDITIONAL_CDB_LENGTH: Number<1> = Number::at(7);
const ADDITIONAL_CDB_LENGTH_32: u8 = 0x18;
const LONG_SERVICE_ACTION: Number<2> = Number::at(8);
const LONG_HEAD_LENGTH: usize = 10;

/// OPERATION CODE of INQUIRY.
pub const INQUIRY: u8 = 0x12;
/// OPERATION CODE of FORMAT UNIT.
pub const FORMAT_UNIT: u8 = 0x04;
/// OPERATION CODE of SEND DIAGNOSTIC.
pub const SEND_DIAGNOSTIC: u8 = 0x1d;
/// OPERATION CODE of PREVENT ALLOW MEDIUM REMOVAL.
pub const PREVENT_ALLOW_MEDIUM_REMOVAL: u8 = 0x1e;
/// OPERATION CODE of UNMAP.
pub const UNMAP: u8 = 0x42;
/// OPERATION CODE of SANITIZE.
pub const SANITIZE: u8 = 0x48;
/// SERVICE ACTION of SANITIZE, BLOCK ERASE.
pub const SANITIZE_BLOCK_ERASE: u16 = 0x02;
/// OPERATION CODE of the CDBs of 32 bytes.
pub const VARIABLE_LENGTH: u8 = 0x7f;
/// SERVICE ACTION of WRITE ATOMIC (32).
pub const WRITE_ATOMIC_32: u16 = 0x000f;
/// OPERATION CODE of EXTENDED COPY and its like.
pub const THIRD_PARTY_COPY_OUT: u8 = 0x83;
/// OPERATION CODE of RECEIVE COPY RESULTS and its like.
pub(crate) const THIRD_PARTY_COPY_IN: u8 = 0x84;
/// OPERATION CODE of COMPARE AND WRITE.
pub const COMPARE_AND_WRITE: u8 = 0x89;
/// WRITE ATOMIC (16).
pub const WRITE_ATOMIC_16: u8 = 0x9c;

/// Who executes a command.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Executor {
    /// We do; the parser is given exactly the bytes of the CDB.
    Engine(fn(&[u8]) -> Result<Command, Sense>),
    /// LIO does, before a user backstore sees the CDB. One that comes through all the same is one
    /// that LIO has been told not to execute.
    Kernel,
}

/// One row of the table: a command, or one service action of one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OperationCode {
    /// OPERATION CODE.
    pub(crate) opcode: u8,
    /// SERVICE ACTION, if the operation code has them.
    pub(crate) service_action: Option<u16>,
    /// T10's name, with the CDB length where there are several.
    pub(crate) name: &'static str,
    /// The CDB usage data (SPC-4, one_command parameter data format), as long as the CDB: the operation code and the service
    /// action as they are, and a one for every other bit that is evaluated.
    pub(crate) usage: &'static [u8],
    /// Who executes it.
    pub(crate) executor: Executor,
}

/// What an initiator should wait for a command, in seconds: twice as long as TCMU waits for us unless
/// told otherwise, so that the kernel gives up a command that hangs before its initiator does.
///
/// Source: `drivers/target/target_core_user.c`, `TCMU_TIME_OUT`.
const RECOMMENDED_TIMEOUT_S: u32 = 60;

impl OperationCode {
    /// RECOMMENDED COMMAND TIMEOUT in seconds; 0, for none, of what takes as long as the medium is
    /// large.
    pub(crate) const fn recommended_timeout_s(&self) -> u32 {
        match self.opcode {
            FORMAT_UNIT | SANITIZE => 0,
            _ => RECOMMENDED_TIMEOUT_S,
        }
    }

    /// The length of the CDB in bytes.
    pub(crate) fn cdb_length(&self) -> u16 {
        position(self.usage.len())
    }

    /// Which byte CONTROL is: the last one, unless that is another for each length.
    const fn control(&self) -> usize {
        match self.opcode {
            VARIABLE_LENGTH => LONG_CONTROL,
            _ => self.usage.len().saturating_sub(1),
        }
    }
}

/// The meaning of a CDB. Bytes after the CDB's end are ignored, as are reserved and obsolete bits
/// (see the head of the crate).
///
/// # Errors
/// ILLEGAL REQUEST with
/// - INVALID COMMAND OPERATION CODE: unknown here, or LIO's to execute;
/// - INVALID FIELD IN CDB: an unknown service action; a CDB cut short (the field pointer names the
///   first byte that is missing); an ADDITIONAL CDB LENGTH that is not that of 32 bytes; NACA = 1; a
///   field with a value that is not served.
pub fn parse(cdb: &Cdb) -> Result<Command, Sense> {
    parse_supported(cdb, |_, _| true)
}

/// The meaning of a CDB to a logical unit that carries out only what `supported` says of an
/// operation code and its service action; it answers any other as if there were no row for it.
///
/// # Errors
/// As [`parse`].
pub fn parse_supported(
    cdb: &Cdb,
    supported: impl Fn(u8, Option<u16>) -> bool,
) -> Result<Command, Sense> {
    let rows = cdb.opcode().map(rows).unwrap_or_default();
    let has = |row: &OperationCode| supported(row.opcode, row.service_action);
    if !rows.iter().any(has) {
        return Err(Sense::invalid_opcode());
    }
    let row = find(rows, cdb)?;
    if rows.len() > 1 && !has(row) {
        return Err(invalid_service_action(row.opcode));
    }
    let Executor::Engine(parser) = row.executor else {
        return Err(Sense::invalid_opcode());
    };
    if row.opcode == VARIABLE_LENGTH
        && ADDITIONAL_CDB_LENGTH.read(cdb.as_bytes()) != ADDITIONAL_CDB_LENGTH_32
    {
        return Err(ADDITIONAL_CDB_LENGTH.invalid_in_cdb());
    }
    let Some(bytes) = cdb.as_bytes().get(..row.usage.len()) else {
        return Err(Sense::invalid_field_in_cdb(position(cdb.as_bytes().len()), None));
    };
    let control = row.control();
    if bytes.get(control).is_some_and(|control| control & (1 << NACA_BIT) != 0) {
        // NORMACA is 0 in the standard INQUIRY data.
        return Err(Sense::invalid_field_in_cdb(position(control), Some(NACA_BIT)));
    }
    parser(bytes)
}

/// The length in bytes of a CDB with this operation code; `None` if it is unknown.
pub fn cdb_length(opcode: u8) -> Option<usize> {
    rows(opcode).first().map(|row| row.usage.len())
}

/// T10's name of the command, whoever executes it, for a log; `None` if it is unknown.
pub fn name_of(cdb: &Cdb) -> Option<&'static str> {
    find(cdb.opcode().map(rows)?, cdb).ok().map(|row| row.name)
}

/// The rows of an operation code: none if it is unknown, several if it has service actions.
pub(crate) fn rows(opcode: u8) -> &'static [OperationCode] {
    let [from, to] = ROWS.get(usize::from(opcode)).copied().unwrap_or_default();
    TABLE.get(from..to).unwrap_or_default()
}

/// Where the rows of each operation code begin and end in [`TABLE`]: every command looks there.
// At compile time, where an overflow or a wrong index is an error.
#[allow(clippy::arithmetic_side_effects, clippy::indexing_slicing)]
static ROWS: [[usize; 2]; 256] = {
    let mut rows = [[0; 2]; 256];
    let mut at = 0;
    while at < TABLE.len() {
        let [from, to] = &mut rows[TABLE[at].opcode as usize];
        if *to == 0 {
            *from = at;
        }
        at += 1;
        *to = at;
    }
    rows
};

/// The one of an operation code's rows that a CDB is of.
fn find(rows: &'static [OperationCode], cdb: &Cdb) -> Result<&'static OperationCode, Sense> {
    match rows {
        [] => Err(Sense::invalid_opcode()),
        [row] if row.service_action.is_none() => Ok(row),
        rows => {
            let service_action = service_action(cdb)?;
            rows.iter()
                .find(|row| row.service_action == Some(service_action))
                .ok_or(invalid_service_action(cdb.opcode().unwrap_or_default()))
        }
    }
}

/// SERVICE ACTION of a CDB that has one.
///
/// # Errors
/// 05h/24h/00h if the CDB is one of variable length that ends before its service action does.
fn service_action(cdb: &Cdb) -> Result<u16, Sense> {
    let bytes = cdb.as_bytes();
    match cdb.opcode() {
        Some(VARIABLE_LENGTH) if bytes.len() < LONG_HEAD_LENGTH => {
            Err(Sense::invalid_field_in_cdb(position(bytes.len()), None))
        }
        Some(VARIABLE_LENGTH) => Ok(LONG_SERVICE_ACTION.read(bytes)),
        _ => Ok(SERVICE_ACTION.read(bytes).into()),
    }
}

const fn invalid_service_action(opcode: u8) -> Sense {
    match opcode {
        VARIABLE_LENGTH => LONG_SERVICE_ACTION.invalid_in_cdb(),
        _ => SERVICE_ACTION.invalid_in_cdb(),
    }
}

#[cfg(test)]
mod tests;
