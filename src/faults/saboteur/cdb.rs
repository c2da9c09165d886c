//! The CDBs that plays send to the device server (SBC-4), in the form with the largest fields.

use pulsefield_scsi::{Command, CompareAndWrite, OrWrite, Write, WriteAtomic};
use pulsefield_units::{Cdb, LbaRange};

const READ_16: u8 = 0x88;
const COMPARE_AND_WRITE: u8 = 0x89;
const WRITE_16: u8 = 0x8a;
const VERIFY_16: u8 = 0x8f;

/// FUA of WRITE and COMPARE AND WRITE.
const FUA: u8 = 0x08;
/// BYTCHK = 01b of VERIFY: compare with Data-Out, block by block.
const COMPARE: u8 = 0x02;

pub(crate) fn read(range: LbaRange) -> Cdb {
    form_16(READ_16, 0, range)
}

/// WRITE; with FUA if the command it stands for, or is a part of, has it.
pub(crate) fn write(range: LbaRange, fua: bool) -> Cdb {
    form_16(WRITE_16, if fua { FUA } else { 0 }, range)
}

pub(crate) fn verify(range: LbaRange) -> Cdb {
    form_16(VERIFY_16, COMPARE, range)
}

/// COMPARE AND WRITE of at most 255 blocks.
pub(crate) fn compare_and_write(range: LbaRange, fua: bool) -> Cdb {
    form_16(COMPARE_AND_WRITE, if fua { FUA } else { 0 }, range)
}

/// Whether a command asks for stable storage before its answer.
pub(crate) const fn forces_unit_access(command: &Command) -> bool {
    matches!(
        command,
        Command::Write(Write { fua: true, .. })
            | Command::WriteAtomic(WriteAtomic { fua: true, .. })
            | Command::OrWrite(OrWrite { fua: true, .. })
            | Command::CompareAndWrite(CompareAndWrite { fua: true, .. })
            | Command::WriteAndVerify(_)
    )
}

fn form_16(opcode: u8, byte_1: u8, range: LbaRange) -> Cdb {
    let blocks = u32::try_from(range.blocks().as_u64()).expect("what one transfer moves");
    let mut cdb = [0; 16];
    (cdb[0], cdb[1]) = (opcode, byte_1);
    cdb[2..10].copy_from_slice(&range.start().as_u64().to_be_bytes());
    cdb[10..14].copy_from_slice(&blocks.to_be_bytes());
    Cdb::new(&cdb)
}
