//! Commands no sane initiator sends, over every fabric: opcodes that do not exist, CDBs that contradict
//! themselves, blocks that do not exist, data that does not fit.

use anyhow::Result;

use crate::backstore::{Backstore, Kind};
use crate::cdb;
use crate::disk::{Disk, Transport};
use crate::fabric;
use crate::reply::Answer;
use crate::report::Report;
use crate::sense::FieldPointer;
use crate::sg::{Data, Device};

const BLOCK: usize = 512;
/// Blocks that must stay as they are whatever is sent.
const CANARIES: u32 = 64;
const CANARY: u8 = 0x5c;
/// 05h/0Eh/03h INVALID FIELD IN COMMAND INFORMATION UNIT: the transfer length contradicts the CDB.
const LENGTH_CONTRADICTS: Answer = Answer::Check(0x05, 0x0e, 0x03);
const PARAMETER_LIST_LENGTH: Answer = Answer::Check(0x05, 0x1a, 0x00);
/// 05h/26h/00h INVALID FIELD IN PARAMETER LIST.
const PARAMETER_LIST: Answer = Answer::Check(0x05, 0x26, 0x00);

/// The data phase, and its length in bytes.
#[derive(Clone, Copy)]
enum Phase {
    None,
    In(usize),
    Out(usize),
}

/// One command and the answer it must get.
struct Case {
    name: &'static str,
    cdb: Vec<u8>,
    phase: Phase,
    answer: Answer,
}

pub(super) fn run(report: &mut Report) -> Result<()> {
    let backstore = Backstore::new(Kind::Pulsefield, "hostile", "64M");
    let disks = fabric::export_everywhere(&backstore)?;
    for disk in &disks {
        report.step(format!("hostile commands over {}", disk.transport));
        let device = disk.open()?;
        let canaries = vec![CANARY; BLOCK * usize::try_from(CANARIES)?];
        device.must(&cdb::write_16(0, CANARIES), Data::Out(&canaries))?;
        let blocks = device.capacity()?.blocks;
        let mut wrong = Vec::new();
        let mut cases = cases(blocks);
        // The FC and SRP initiators' drivers send 16 bytes of a CDB at most.
        if matches!(disk.transport, Transport::Fc | Transport::Srp) {
            cases.retain(|case| case.cdb.len() <= 16);
        }
        for case in &cases {
            if let Err(objection) = case.objection(&device) {
                wrong.push(format!("{}: {objection:#}", case.name));
            }
        }
        let name = format!("{} hostile commands over {}", cases.len(), disk.transport);
        report.none(&name, &wrong);
        let mut read = vec![0; canaries.len()];
        device.must(&cdb::read_16(0, CANARIES), Data::In(&mut read))?;
        let name = format!("the medium after hostile commands over {}", disk.transport);
        report.equal(&name, true, read == canaries);
        lengths(report, disk, &device)?;
        pointers(report, disk, &device)?;
    }
    fabric::detach_everywhere()?;
    for fabric in fabric::ALL {
        fabric::unexport(fabric)?;
    }
    backstore.delete()
}

impl Case {
    /// Sends it, and a TEST UNIT READY to see that nothing is stuck behind it.
    fn objection(&self, device: &Device) -> Result<()> {
        let mut bytes = vec![0xee; 8 * BLOCK];
        let data = match self.phase {
            Phase::None => Data::None,
            Phase::In(length) => Data::In(&mut bytes[..length]),
            Phase::Out(length) => Data::Out(&bytes[..length]),
        };
        let answer = device.send(&self.cdb, data)?.answer();
        anyhow::ensure!(answer == self.answer, "expected {}; seen {answer}", self.answer);
        device.must(&cdb::TEST_UNIT_READY, Data::None)
    }
}

#[rustfmt::skip]
fn cases(blocks: u64) -> Vec<Case> {
    use Phase::{In, None, Out};
    let case = |name, cdb: &[u8], phase, answer| Case { name, cdb: cdb.to_vec(), phase, answer };
    let with = |mut cdb: Vec<u8>, at: usize, byte: u8| { cdb[at] = byte; cdb };
    let opcode = |opcode, length| with(vec![0; length], 0, opcode);
    let last = blocks - 1;
    vec![
        // Operation codes that do not exist.
        case("vendor opcode C0h", &opcode(0xc0, 12), None, Answer::INVALID_OPCODE),
        case("vendor opcode C0h with Data-In", &opcode(0xc0, 12), In(4096), Answer::INVALID_OPCODE),
        case("vendor opcode FFh with Data-Out", &opcode(0xff, 10), Out(4096), Answer::INVALID_OPCODE),
        case("6-byte opcode 02h", &opcode(0x02, 6), None, Answer::INVALID_OPCODE),
        case("reserved group 3 opcode 60h", &opcode(0x60, 12), None, Answer::INVALID_OPCODE),
        case("variable length opcode 7Eh", &opcode(0x7e, 16), None, Answer::INVALID_OPCODE),
        case("PREVENT ALLOW MEDIUM REMOVAL of a fixed medium", &opcode(0x1e, 6), None, Answer::INVALID_OPCODE),
        case("unknown service action of 9Eh", &with(opcode(0x9e, 16), 1, 0x1f), In(32), Answer::INVALID_FIELD),
        case("unknown service action of A3h", &with(opcode(0xa3, 12), 1, 0x1f), In(32), Answer::INVALID_FIELD),
        // CDBs cut short: 7Fh says in byte 7 how long it is.
        case("7Fh of 8 bytes", &opcode(0x7f, 16), None, Answer::INVALID_OPCODE),
        case("7Fh cut after 16 bytes", &with(opcode(0x7f, 16), 7, 8), None, Answer::INVALID_OPCODE),
        case("7Fh, READ(32)", &with(with(opcode(0x7f, 32), 7, 0x18), 9, 9), In(BLOCK), Answer::INVALID_OPCODE),
        // Fields that must be zero, or name something that there is not.
        case("FORMAT UNIT with protection", &with(opcode(0x04, 6), 1, 0x80), None, Answer::INVALID_FIELD),
        case("SANITIZE in a way there is none", &with(opcode(0x48, 10), 1, 4), None, Answer::INVALID_FIELD),
        case("SANITIZE with a reserved byte", &with(with(opcode(0x48, 10), 1, 2), 4, 1), None, Answer::INVALID_FIELD),
        case("SANITIZE, OVERWRITE without a pattern", &with(opcode(0x48, 10), 1, 1), None, Answer::INVALID_FIELD),
        case("START STOP UNIT that ejects a fixed medium", &with(opcode(0x1b, 6), 4, 2), None, Answer::INVALID_FIELD),
        case("LOG SENSE of an unknown page", &[0x4d, 0, 0x7e, 0, 0, 0, 0, 0, 64, 0], In(64), Answer::INVALID_FIELD),
        case("NACA in CONTROL", &with(cdb::read_10(0, 1).to_vec(), 9, 4), In(BLOCK), Answer::INVALID_FIELD),
        case("READ with RDPROTECT", &with(cdb::read_10(0, 1).to_vec(), 1, 0x20), In(BLOCK), Answer::INVALID_FIELD),
        case("INQUIRY for a page without EVPD", &[0x12, 0, 0x83, 0, 96, 0], In(96), Answer::INVALID_FIELD),
        case("INQUIRY for an unknown page", &[0x12, 1, 0xcf, 0, 96, 0], In(96), Answer::INVALID_FIELD),
        case("READ DEFECT DATA in the reserved format", &with(opcode(0x37, 10), 2, 0x07), In(8), Answer::INVALID_FIELD),
        case("WRITE ATOMIC to a file, which may tear it", &with(opcode(0x9c, 16), 13, 1), Out(BLOCK), Answer::INVALID_OPCODE),
        // Blocks that do not exist.
        case("READ past the end", &cdb::read_16(blocks, 1), In(BLOCK), Answer::LBA_OUT_OF_RANGE),
        case("READ across the end", &cdb::read_16(last, 2), In(2 * BLOCK), Answer::LBA_OUT_OF_RANGE),
        case("READ whose end overflows", &cdb::read_16(u64::MAX, 2), In(2 * BLOCK), Answer::LBA_OUT_OF_RANGE),
        case("READ of everything there could be", &cdb::read_16(1, u32::MAX), In(BLOCK), Answer::LBA_OUT_OF_RANGE),
        case("WRITE across the end", &cdb::write_16(last, 2), Out(2 * BLOCK), Answer::LBA_OUT_OF_RANGE),
        case("WRITE whose end overflows", &cdb::write_16(u64::MAX, 1), Out(BLOCK), Answer::LBA_OUT_OF_RANGE),
        case("VERIFY past the end", &cdb::verify_16(blocks, 1), None, Answer::LBA_OUT_OF_RANGE),
        case("WRITE SAME whose end overflows", &cdb::write_same_16(u64::MAX, 2), Out(BLOCK), Answer::LBA_OUT_OF_RANGE),
        case("ORWRITE across the end", &with(cdb::write_16(last, 2).to_vec(), 0, 0x8b), Out(2 * BLOCK), Answer::LBA_OUT_OF_RANGE),
        case("PRE-FETCH across the end", &with(cdb::verify_16(last, 2).to_vec(), 0, 0x90), None, Answer::LBA_OUT_OF_RANGE),
        case("SYNCHRONIZE CACHE past the end", &cdb::synchronize_cache_16(blocks + 1, 0), None, Answer::LBA_OUT_OF_RANGE),
        case("GET LBA STATUS past the end", &cdb::get_lba_status(blocks), In(24), Answer::LBA_OUT_OF_RANGE),
        case("COMPARE AND WRITE past the end", &cdb::compare_and_write(blocks, 1), Out(2 * BLOCK), Answer::LBA_OUT_OF_RANGE),
        case("COMPARE AND WRITE whose end overflows", &cdb::compare_and_write(u64::MAX, 1), Out(2 * BLOCK), Answer::LBA_OUT_OF_RANGE),
        // No blocks at all.
        case("READ of no blocks", &cdb::read_16(0, 0), None, Answer::Good),
        case("READ of no blocks past the end", &cdb::read_16(blocks + 1, 0), None, Answer::LBA_OUT_OF_RANGE),
        case("WRITE of no blocks", &cdb::write_16(0, 0), None, Answer::Good),
        case("VERIFY of no blocks", &cdb::verify_16(0, 0), None, Answer::Good),
        case("COMPARE AND WRITE of no blocks", &cdb::compare_and_write(0, 0), None, Answer::Good),
        case("WRITE SAME of no blocks (WSNZ)", &cdb::write_same_16(0, 0), Out(BLOCK), Answer::INVALID_FIELD),
        case("UNMAP without a list", &cdb::unmap(0), None, Answer::Good),
        // More than the target takes.
        case("COMPARE AND WRITE of two blocks", &cdb::compare_and_write(0, 2), Out(4 * BLOCK), Answer::INVALID_FIELD),
        // Data that does not fit the CDB.
        case("WRITE with half its data", &cdb::write_16(0, 2), Out(BLOCK), LENGTH_CONTRADICTS),
        case("WRITE without data", &cdb::write_16(0, 2), None, LENGTH_CONTRADICTS),
        case("COMPARE AND WRITE with its first half", &cdb::compare_and_write(0, 1), Out(BLOCK), Answer::INVALID_FIELD),
        case("COMPARE AND WRITE with too much", &cdb::compare_and_write(0, 1), Out(4 * BLOCK), Answer::INVALID_FIELD),
        // 256 blocks, as libiscsi truncates them: none by the CDB, 256 KiB by the transfer length.
        case("COMPARE AND WRITE of no blocks with data", &cdb::compare_and_write(0, 0), Out(2 * BLOCK), Answer::INVALID_FIELD),
        case("COMPARE AND WRITE without data", &cdb::compare_and_write(0, 1), None, Answer::INVALID_FIELD),
        case("UNMAP with less than it says", &cdb::unmap(24), Out(8), PARAMETER_LIST_LENGTH),
        case("FORMAT UNIT with half a header", &with(opcode(0x04, 6), 1, 0x10), Out(2), PARAMETER_LIST_LENGTH),
        case("MODE SELECT with less than it says", &[0x15, 0x10, 0, 0, 24, 0], Out(4), PARAMETER_LIST_LENGTH),
        case("SANITIZE with less than it says", &[0x48, 1, 0, 0, 0, 0, 0, 0, 8, 0], Out(4), PARAMETER_LIST_LENGTH),
        case("UNMAP with half a header", &cdb::unmap(4), Out(4), PARAMETER_LIST_LENGTH),
        // Copies.
        case("unknown service action of 83h", &with(opcode(0x83, 16), 1, 0x1f), None, Answer::INVALID_FIELD),
        case("EXTENDED COPY without a list", &cdb::extended_copy(0, 0), None, Answer::Good),
        case("EXTENDED COPY with less than it says", &cdb::extended_copy(0, 4096), Out(512), PARAMETER_LIST_LENGTH),
        case("EXTENDED COPY with half a header", &cdb::extended_copy(0, 8), Out(8), PARAMETER_LIST_LENGTH),
        case("EXTENDED COPY(LID1) of garbage", &cdb::extended_copy(0, 512), Out(512), PARAMETER_LIST_LENGTH),
        case("EXTENDED COPY(LID4) of garbage", &cdb::extended_copy(1, 512), Out(512), PARAMETER_LIST),
        case("RECEIVE COPY DATA", &cdb::receive_copy_results(1, 0xee), In(64), Answer::INVALID_FIELD),
        case("RECEIVE COPY STATUS of no copy", &cdb::receive_copy_results(0, 0xee), In(64), Answer::INVALID_FIELD),
    ]
}

/// Transfer lengths that differ from the CDB's, but leave something sensible to do.
fn lengths(report: &mut Report, disk: &Disk, device: &Device) -> Result<()> {
    let fabric = disk.transport;
    let mut short = [0; BLOCK];
    let reply = device.send(&cdb::read_16(0, 8), Data::In(&mut short))?;
    let right = reply.is_good() && short == [CANARY; BLOCK];
    let seen = format!("{}, {} bytes missing", reply.answer(), reply.residual);
    report.check(
        &format!("{fabric}: READ with less room than data"),
        right,
        "GOOD, one block",
        seen,
    );

    more_room_than_data(report, disk, device)?;

    let reply = device.send(&cdb::write_16(0, 1), Data::Out(&[CANARY ^ 0xff; 8 * BLOCK]))?;
    let (first, second) = (device.read_block(0, 512)?, device.read_block(1, 512)?);
    let right = reply.is_good() && first == [CANARY ^ 0xff; BLOCK] && second == [CANARY; BLOCK];
    report.check(
        &format!("{fabric}: WRITE with more data than blocks"),
        right,
        "GOOD, one block written",
        reply.answer(),
    );
    device.write_block(0, &[CANARY; BLOCK])
}

/// What a READ does not fill must not be another command's data. The kernel of the initiator keeps a
/// buffer for each open node and copies all of it, so the node is read before with a harmless
/// pattern, and the secret goes to the target through another: only the target can mix the two.
fn more_room_than_data(report: &mut Report, disk: &Disk, device: &Device) -> Result<()> {
    const HARMLESS: u8 = 0x11;
    const SECRET: u8 = 0x99;
    let far = u64::from(CANARIES) * 2;
    device.must(&cdb::write_16(far, 8), Data::Out(&[HARMLESS; 8 * BLOCK]))?;
    let mut long = [0; 8 * BLOCK];
    device.must(&cdb::read_16(far, 8), Data::In(&mut long))?;
    disk.open()?.must(&cdb::write_16(far, 8), Data::Out(&[SECRET; 8 * BLOCK]))?;

    let reply = device.send(&cdb::read_16(0, 1), Data::In(&mut long))?;
    let (data, rest) = long.split_at(BLOCK);
    let leaked = rest.iter().filter(|&&byte| byte == SECRET).count();
    // libfc keeps a residual to itself.
    let residual = if disk.transport == Transport::Fc { 0 } else { rest.len() };
    let right = reply.is_good()
        && data.iter().all(|&byte| byte == CANARY)
        && leaked == 0
        && usize::try_from(reply.residual)? == residual;
    report.check(
        &format!("{}: READ with more room than data", disk.transport),
        right,
        format_args!("GOOD, residual {residual}, 0 leaked"),
        format_args!("{}, residual {}, {leaked} leaked", reply.answer(), reply.residual),
    );
    Ok(())
}

/// The sense data says which byte of the CDB is at fault.
fn pointers(report: &mut Report, disk: &Disk, device: &Device) -> Result<()> {
    let fabric = disk.transport;
    let mut unknown_action = [0; 16];
    unknown_action[..2].copy_from_slice(&[0x9e, 0x1f]);
    let too_many = cdb::compare_and_write(0, 2);
    for (name, cdb, byte) in
        [("service action", &unknown_action, 1), ("number of blocks", &too_many, 13)]
    {
        let data = [0; 4 * BLOCK];
        let reply = device.send(cdb, Data::Out(&data))?;
        let field = reply.sense.and_then(|sense| sense.field);
        let right = matches!(field, Some(FieldPointer { in_cdb: true, byte: b, .. }) if b == byte);
        report.check(
            &format!("{fabric}: field pointer to the {name}"),
            right,
            format_args!("CDB byte {byte}"),
            format_args!("{field:?}"),
        );
    }
    Ok(())
}
