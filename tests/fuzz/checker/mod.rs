//! Whether an answer is one that the standards allow: rules written from SPC-4's and SBC-4's text and
//! from what the unit's pages advertise, apart from the device server's own tables.
//!
//! Every reason why a command must fail is collected; the answer has to be one of them, and GOOD if
//! there is none. Which of several reasons is told is the device server's choice.

// A rule names the commands it is about; the others are none of its business.
#![allow(clippy::wildcard_enum_match_arm)]

mod data_in;
mod oracle;
mod sense;

use anyhow::{Context as _, Result, bail, ensure};
use pulsefield_ring::simulated_kernel::Finished;

use crate::commands::Sent;
use crate::shape::Shape;
use crate::standard::{
    ADDITIONAL_CDB_LENGTH, Form, Presence, Role, VARIABLE_LENGTH, blocks_of, control_at, flags_of,
    form_of, has_service_actions, no_data_out, number,
};
use sense::{Code, Sense};

pub(crate) use oracle::Oracle;

const GOOD: u8 = 0x00;
const CHECK_CONDITION: u8 = 0x02;
const CONDITION_MET: u8 = 0x04;
const BUSY: u8 = 0x08;
const TASK_ABORTED: u8 = 0x40;

const INVALID_OPCODE: Code = (0x05, 0x20, 0x00);
const LBA_OUT_OF_RANGE: Code = (0x05, 0x21, 0x00);
const INVALID_FIELD_IN_CDB: Code = (0x05, 0x24, 0x00);
const INVALID_FIELD_IN_PARAMETER_LIST: Code = (0x05, 0x26, 0x00);
const PARAMETER_LIST_LENGTH_ERROR: Code = (0x05, 0x1a, 0x00);
const INVALID_FIELD_IN_COMMAND_INFORMATION_UNIT: Code = (0x05, 0x0e, 0x03);
const SAVING_PARAMETERS_NOT_SUPPORTED: Code = (0x05, 0x39, 0x00);
const WRITE_PROTECTED: Code = (0x07, 0x27, 0x00);
const MISCOMPARE: Code = (0x0e, 0x1d, 0x00);
const MARKED_BAD: Code = (0x03, 0x11, 0x14);

/// The unit attention conditions that are raised here, or that MODE SELECT raises.
const ATTENTIONS: [Code; 3] = [(0x06, 0x2a, 0x01), (0x06, 0x2a, 0x09), (0x06, 0x3f, 0x03)];

/// What becomes of a medium that fails.
const FAILURES: [Code; 6] = [
    (0x03, 0x11, 0x00),
    (0x03, 0x0c, 0x00),
    (0x07, 0x27, 0x07),
    WRITE_PROTECTED,
    (0x02, 0x04, 0x03),
    (0x04, 0x44, 0x00),
];

/// What the checker knows of the unit besides its shape.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Standing {
    /// A unit attention condition may be pending.
    pub(crate) attention: bool,
    /// The medium may fail.
    pub(crate) failing: bool,
    /// The command may have been aborted.
    pub(crate) aborted: bool,
    /// WRITE LONG may have marked blocks.
    pub(crate) marked: bool,
    /// Something was asked for that may have changed what the unit does.
    pub(crate) disturbed: bool,
}

/// Objects to an answer that the standards do not allow.
pub(crate) fn check(
    shape: &Shape,
    standing: Standing,
    sent: &Sent,
    finished: &Finished,
) -> Result<()> {
    let form = form_of(sent.cdb());
    let reasons = reasons(shape, form, sent);
    let role = form.map(|form| form.role);
    match finished.status {
        GOOD => {
            if let Some((key, asc, ascq)) = reasons.must.first()
                && !standing.disturbed
            {
                bail!("GOOD, where {key:02x}h/{asc:02x}h/{ascq:02x}h is due");
            }
            data_in::check(shape, role, sent, finished).context("the data of GOOD")
        }
        CHECK_CONDITION => {
            let bytes = finished.sense.as_ref().context("CHECK CONDITION without sense data")?;
            let sense = Sense::decode(bytes)?;
            sense.check_pointer(sent)?;
            let known = |codes: &[Code]| codes.contains(&sense.code);
            let allowed = known(&reasons.must)
                || known(&reasons.may)
                || standing.disturbed
                || standing.failing && known(&FAILURES)
                || standing.marked && names_a_block_it_reads(role, sent, sense)
                || standing.attention && known(&ATTENTIONS)
                || form.is_some_and(|form| form.presence == Presence::Maybe);
            ensure!(allowed, "{sense} is none of {:02x?} {:02x?}", reasons.must, reasons.may);
            if sense.code == MISCOMPARE {
                let information = sense.information.context("MISCOMPARE does not say where")?;
                let compared = sent.data_out().len() as u64;
                ensure!(information < compared, "a difference at {information} of {compared}");
            }
            Ok(())
        }
        CONDITION_MET => {
            let fits = role == Some(Role::PreFetch) && reasons.must.is_empty();
            ensure!(fits, "CONDITION MET is PRE-FETCH's alone");
            Ok(())
        }
        BUSY => {
            ensure!(standing.failing, "BUSY, where nothing is");
            Ok(())
        }
        TASK_ABORTED => {
            ensure!(standing.aborted, "TASK ABORTED, where nothing was");
            Ok(())
        }
        status => bail!("status {status:02x}h"),
    }
}

/// Whether sense data says of one of the command's own blocks that it is marked.
fn names_a_block_it_reads(role: Option<Role>, sent: &Sent, sense: Sense) -> bool {
    let reads = [Role::Read, Role::Verify, Role::PreFetch, Role::OrWrite, Role::CompareAndWrite];
    let Some(role) = role.filter(|role| sense.code == MARKED_BAD && reads.contains(role)) else {
        return false;
    };
    let (first, blocks) = blocks_of(sent.cdb(), role);
    let end = match blocks {
        0 if role == Role::PreFetch => u64::MAX,
        blocks => first.saturating_add(blocks),
    };
    match sense.information {
        Some(lba) => (first..end).contains(&lba),
        // Fixed format sense data cannot name a block beyond 32 bits.
        None => end > u64::from(u32::MAX),
    }
}

/// Whether a command may mark blocks.
pub(crate) fn marks(sent: &Sent) -> bool {
    form_of(sent.cdb()).is_some_and(|form| form.role == Role::WriteLong)
}

/// Whether GOOD may have changed what later commands are answered.
pub(crate) fn disturbs(sent: &Sent) -> bool {
    const MODE_SELECT: [u8; 2] = [0x15, 0x55];
    form_of(sent.cdb()).is_some_and(|form| {
        form.presence == Presence::Maybe
            && !matches!(form.role, Role::DataIn(..) | Role::WriteAtomic)
            || MODE_SELECT.contains(&form.opcode)
    })
}

/// Why a command fails.
#[derive(Default)]
struct Reasons {
    /// It must; with one of these.
    must: Vec<Code>,
    /// It may, with one of these.
    may: Vec<Code>,
}

fn reasons(shape: &Shape, form: Option<&Form>, sent: &Sent) -> Reasons {
    let mut reasons = Reasons::default();
    let cdb = sent.cdb();
    let Some(form) = form else {
        reasons.must.push(INVALID_OPCODE);
        if has_service_actions(cdb[0]) {
            reasons.must.push(INVALID_FIELD_IN_CDB);
        }
        return reasons;
    };
    match form.presence {
        Presence::Kernel => reasons.must.push(INVALID_OPCODE),
        Presence::Long if !shape.long_cdbs => reasons.must.push(INVALID_OPCODE),
        // Of others with this operation code there are some.
        Presence::Long if form.role == Role::WriteAtomic && !shape.capabilities.atomic_write => {
            reasons.must.push(INVALID_FIELD_IN_CDB);
        }
        Presence::Thin if !shape.thin() => reasons.must.push(INVALID_OPCODE),
        Presence::Maybe if form.role == Role::WriteAtomic && !shape.capabilities.atomic_write => {
            reasons.must.push(INVALID_OPCODE);
        }
        Presence::Maybe | Presence::Thin | Presence::Long | Presence::Always => {}
    }
    if form.opcode == VARIABLE_LENGTH && cdb[7] != ADDITIONAL_CDB_LENGTH {
        reasons.must.push(INVALID_FIELD_IN_CDB);
    }
    // NACA, where NORMACA of the standard INQUIRY data is 0.
    if cdb[control_at(cdb[0])] & 0x04 != 0 && form.presence != Presence::Kernel {
        reasons.must.push(INVALID_FIELD_IN_CDB);
    }
    match form.role {
        Role::Other => {}
        Role::DataIn(..) => {
            reasons.may =
                vec![INVALID_FIELD_IN_CDB, LBA_OUT_OF_RANGE, SAVING_PARAMETERS_NOT_SUPPORTED];
        }
        Role::ParameterList => {
            reasons.may = vec![
                INVALID_FIELD_IN_CDB,
                INVALID_FIELD_IN_PARAMETER_LIST,
                PARAMETER_LIST_LENGTH_ERROR,
                SAVING_PARAMETERS_NOT_SUPPORTED,
                LBA_OUT_OF_RANGE,
            ];
            if shape.capabilities.read_only {
                reasons.may.push(WRITE_PROTECTED);
            }
        }
        role => of_blocks(shape, role, sent, &mut reasons),
    }
    reasons
}

/// The rules of SBC-4 for commands on blocks.
fn of_blocks(shape: &Shape, role: Role, sent: &Sent, reasons: &mut Reasons) {
    let cdb = sent.cdb();
    let bits = flags_of(cdb);
    let byte_check = (bits >> 1) & 0b11;
    // Protection information, which the unit does not have (PROTECT of the standard INQUIRY data).
    let field = match role {
        Role::PreFetch | Role::SynchronizeCache => false,
        // WR_UNCOR: without it the command is obsolete.
        Role::WriteLong => bits & 0x40 == 0,
        _ if bits >> 5 != 0 => true,
        Role::Verify => byte_check == 0b10,
        Role::WriteAndVerify => byte_check > 0b01,
        Role::WriteSame => {
            let (anchor, unmap) = (bits & 0x10 != 0, bits & 0x08 != 0);
            // ANC_SUP is 0; PBDATA and LBDATA are obsolete.
            anchor || unmap && !shape.thin() || bits & 0x06 != 0
        }
        // MAXIMUM ATOMIC BOUNDARY SIZE is 0.
        Role::WriteAtomic => number(cdb, if cdb.len() == 32 { 4 } else { 10 }, 2) != 0,
        _ => false,
    };
    let (lba, blocks) = blocks_of(cdb, role);
    let to_end = matches!(role, Role::WriteSame | Role::PreFetch | Role::SynchronizeCache);
    let counted = match blocks {
        0 if to_end => shape.blocks().saturating_sub(lba),
        blocks => blocks,
    };
    let long = match role {
        Role::PreFetch | Role::SynchronizeCache => false,
        Role::CompareAndWrite => counted > shape.compare_and_write_blocks_max.into(),
        // WSNZ is set on thin units.
        Role::WriteSame if blocks == 0 && shape.thin() => true,
        Role::WriteSame => counted > write_same_blocks_max(shape),
        _ => counted > transfer_blocks_max(shape),
    };
    if field || long {
        reasons.must.push(INVALID_FIELD_IN_CDB);
    }
    let beyond = lba.checked_add(blocks).is_none_or(|end| end > shape.blocks());
    if beyond || lba >= shape.blocks() {
        reasons.must.push(LBA_OUT_OF_RANGE);
    }
    let wanted = data_out_of(shape, role, cdb);
    let brought = sent.expected() as u64;
    if role == Role::CompareAndWrite && brought != wanted {
        reasons.must.push(INVALID_FIELD_IN_CDB);
    } else if brought < wanted || role == Role::WriteSame && wanted > 0 && brought != wanted {
        reasons.must.push(INVALID_FIELD_IN_COMMAND_INFORMATION_UNIT);
    }
    let reads = matches!(role, Role::Read | Role::Verify | Role::PreFetch | Role::SynchronizeCache);
    if shape.capabilities.read_only && !reads {
        // To write nothing may be refused or not.
        if counted == 0 {
            reasons.may.push(WRITE_PROTECTED)
        } else {
            reasons.must.push(WRITE_PROTECTED)
        }
    }
    let compares = match role {
        Role::CompareAndWrite => true,
        Role::Verify => byte_check != 0,
        Role::WriteAndVerify => byte_check != 0 && !shape.keeps(),
        _ => false,
    };
    if compares {
        reasons.may.push(MISCOMPARE);
    }
}

/// The bytes of Data-Out that a command on blocks needs.
pub(crate) fn data_out_of(shape: &Shape, role: Role, cdb: &[u8]) -> u64 {
    let block = shape.block_bytes();
    let (_, blocks) = blocks_of(cdb, role);
    match role {
        Role::Write | Role::WriteAndVerify | Role::OrWrite | Role::WriteAtomic => {
            blocks.saturating_mul(block)
        }
        Role::CompareAndWrite => blocks.saturating_mul(2 * block),
        Role::Verify => match (flags_of(cdb) >> 1) & 0b11 {
            0b01 => blocks.saturating_mul(block),
            0b11 => block.min(blocks.saturating_mul(block)),
            _ => 0,
        },
        Role::WriteSame if no_data_out(cdb) => 0,
        Role::WriteSame => block,
        Role::Read
        | Role::PreFetch
        | Role::SynchronizeCache
        | Role::WriteLong
        | Role::DataIn(..)
        | Role::ParameterList
        | Role::Other => 0,
    }
}

/// MAXIMUM TRANSFER LENGTH of the Block Limits page: 8 MiB.
pub(crate) fn transfer_blocks_max(shape: &Shape) -> u64 {
    (8 << 20) / shape.block_bytes()
}

/// MAXIMUM WRITE SAME LENGTH of the Block Limits page: 16 MiB.
pub(crate) fn write_same_blocks_max(shape: &Shape) -> u64 {
    (16 << 20) / shape.block_bytes()
}

#[cfg(test)]
mod tests {
    use pulsefield_ring::simulated_kernel::Data;
    use pulsefield_units::Random;

    use super::*;
    use crate::commands::CDB_BYTES;
    use crate::shape::SHAPES;
    use crate::unit::{STALE, Unit};

    /// Sends READ (10) of one block with these changes to the CDB, and has `spoil` change the answer.
    fn spoilt(bytes: &[(usize, u8)], spoil: impl FnOnce(&mut Finished)) -> Result<()> {
        let [shape, ..] = &SHAPES;
        let mut random = Random::new(0);
        let mut cdb = [0; CDB_BYTES];
        (cdb[0], cdb[8]) = (0x28, 1);
        for (at, byte) in bytes {
            cdb[*at] = *byte;
        }
        let sent = Sent { cdb, data: Data::In(512) };
        let mut unit = Unit::new(shape, &mut random)?;
        unit.submit(&sent.cdb, sent.data.clone()).expect("room in an empty ring");
        let mut finished = unit.finish(&mut random)?.pop().expect("an answer");
        check(shape, Standing::default(), &sent, &finished).expect("an answer that is not spoilt");
        spoil(&mut finished);
        check(shape, Standing::default(), &sent, &finished)
    }

    #[test]
    fn a_status_that_is_not_due_is_objected_to() {
        for status in [CHECK_CONDITION, CONDITION_MET, BUSY, TASK_ABORTED, 0x18, 0xff] {
            assert!(spoilt(&[], |finished| finished.status = status).is_err(), "{status:02x}h");
        }
        // Past the end, protection information, NACA: GOOD is none of the answers.
        for wrong in [(5, 96), (1, 0x20), (9, 0x04), (0, 0xc0)] {
            assert!(spoilt(&[wrong], |finished| finished.status = GOOD).is_err(), "{wrong:02x?}");
        }
    }

    #[test]
    fn data_of_another_length_or_of_another_command_is_objected_to() {
        assert!(spoilt(&[], |finished| finished.data_in[7..11].fill(STALE)).is_err());
        assert!(spoilt(&[], |finished| finished.data_in.truncate(511)).is_err());
        let shorter = |finished: &mut Finished| {
            finished.data_in.truncate(511);
            finished.residual = 1;
        };
        assert!(spoilt(&[], shorter).is_err());
    }

    #[test]
    fn sense_data_that_makes_no_sense_is_objected_to() {
        // RDPROTECT = 1: fixed format, 05h/24h/00h, byte 1 bit 7 of the CDB.
        for (at, byte) in
            [(0, 0x7e), (2, 0x0c), (2, 0x0b), (12, 0x25), (15, 0x8f), (17, 10), (18, 1)]
        {
            let spoil = |finished: &mut Finished| {
                finished.sense.as_mut().expect("CHECK CONDITION")[at] = byte;
            };
            assert!(spoilt(&[(1, 0x20)], spoil).is_err(), "byte {at} = {byte:02x}h");
        }
    }
}
