//! Parameter lists that are whole, and contradict themselves or ask for what there is not. (Those that
//! are shorter than they say are among `commands`; those of PERSISTENT RESERVE OUT, which LIO reads, in
//! `reservations`.)

use anyhow::Result;

use crate::backstore::{Backstore, Kind};
use crate::cdb;
use crate::fabric::{self, Loopback};
use crate::reply::Answer;
use crate::report::Report;
use crate::sg::Data;

const CANARIES: usize = 128 * 512;
const CANARY: u8 = 0x5c;
const LENGTH_ERROR: Answer = Answer::Check(0x05, 0x1a, 0x00);
/// 05h/26h/00h INVALID FIELD IN PARAMETER LIST.
const FIELD: Answer = Answer::Check(0x05, 0x26, 0x00);
const TOO_MANY_TARGETS: Answer = Answer::Check(0x05, 0x26, 0x06);
const TARGET_TYPE: Answer = Answer::Check(0x05, 0x26, 0x07);
const TOO_MANY_SEGMENTS: Answer = Answer::Check(0x05, 0x26, 0x08);
const SEGMENT_TYPE: Answer = Answer::Check(0x05, 0x26, 0x09);
const INLINE_DATA: Answer = Answer::Check(0x05, 0x26, 0x0b);

struct Case {
    name: &'static str,
    cdb: Vec<u8>,
    list: Vec<u8>,
    answer: Answer,
}

pub(super) fn run(report: &mut Report) -> Result<()> {
    report.step("parameter lists that contradict themselves");
    let unit = Backstore::new(Kind::Pulsefield, "lists", "64M");
    let device = fabric::over_loopback(&unit)?.open()?;
    let canaries = vec![CANARY; CANARIES];
    device.must(&cdb::write_16(0, 128), Data::Out(&canaries))?;
    let blocks = device.capacity()?.blocks;
    let mut wrong = Vec::new();
    let cases: Vec<_> = [unmap(blocks), mode_select(), format_unit(), sanitize(), extended_copy()]
        .into_iter()
        .flatten()
        .collect();
    for case in &cases {
        let seen = device.send(&case.cdb, Data::Out(&case.list))?.answer();
        if seen != case.answer {
            wrong.push(format!("{}: expected {}; seen {seen}", case.name, case.answer));
        }
        device.must(&cdb::TEST_UNIT_READY, Data::None)?;
    }
    report.none(&format!("{} lists that are wrong", cases.len()), &wrong);
    let mut read = vec![0; CANARIES];
    device.must(&cdb::read_16(0, 128), Data::In(&mut read))?;
    report.equal("the medium after wrong lists", true, read == canaries);
    drop(device);
    fabric::unexport(&Loopback)?;
    unit.delete()
}

fn case(name: &'static str, cdb: &[u8], list: &[u8], answer: Answer) -> Case {
    Case { name, cdb: cdb.to_vec(), list: list.to_vec(), answer }
}

/// UNMAP with this list. Only the last descriptor of each could be executed, and none names a canary.
fn unmap(blocks: u64) -> Vec<Case> {
    let sent = |name, list: &[u8], answer| {
        let length = u16::try_from(list.len()).unwrap_or(u16::MAX);
        case(name, &cdb::unmap(length), list, answer)
    };
    let mut many = vec![0; 8 + 65 * 16];
    many[2..4].copy_from_slice(&1040_u16.to_be_bytes());
    let mut claims_more = cdb::unmap_list(1000, 1);
    claims_more[2..4].copy_from_slice(&u16::MAX.to_be_bytes());
    let mut cut = cdb::unmap_list(0, 128);
    cut[3] = 15;
    vec![
        sent("UNMAP with 65 descriptors", &many, FIELD),
        sent("UNMAP of too many blocks", &cdb::unmap_list(0, (1 << 20) + 1), FIELD),
        sent("UNMAP past the end", &cdb::unmap_list(blocks, 1), Answer::LBA_OUT_OF_RANGE),
        sent("UNMAP whose end overflows", &cdb::unmap_list(u64::MAX, 2), Answer::LBA_OUT_OF_RANGE),
        // Neither is an error (SBC-4, UNMAP): what is there is executed, and a part is ignored.
        sent("UNMAP that claims more descriptors than it has", &claims_more, Answer::Good),
        sent("UNMAP with a descriptor that is cut off", &cut, Answer::Good),
    ]
}

/// MODE SELECT (6) with PF.
fn mode_select() -> Vec<Case> {
    let sent = |name, list: &[u8], answer| {
        let length = u8::try_from(list.len()).unwrap_or(u8::MAX);
        case(name, &[0x15, 0x10, 0, 0, length, 0], list, answer)
    };
    let control = |byte_2: u8| [&[0; 4][..], &[0x0a, 0x0a, byte_2], &[0; 9]].concat();
    vec![
        sent("MODE SELECT with half a header", &[0; 3], LENGTH_ERROR),
        sent("MODE SELECT with half a page", &control(0)[..9], LENGTH_ERROR),
        sent("MODE SELECT of an unknown page", &[0, 0, 0, 0, 0x3e, 2, 0, 0], FIELD),
        sent("MODE SELECT with a wrong page length", &[0, 0, 0, 0, 0x0a, 4, 0, 0, 0, 0], FIELD),
        sent("MODE SELECT of a field that cannot be changed", &control(0x60), FIELD),
    ]
}

/// FORMAT UNIT with FMTDATA.
fn format_unit() -> Vec<Case> {
    let sent = |name, list: &[u8]| case(name, &[0x04, 0x10, 0, 0, 0, 0], list, FIELD);
    vec![
        sent("FORMAT UNIT with protection information", &[0x01, 0, 0, 0]),
        sent("FORMAT UNIT with an initialization pattern", &[0, 0x88, 0, 0]),
        sent("FORMAT UNIT with options that do not count", &[0, 0x20, 0, 0]),
        sent("FORMAT UNIT with a list of defects", &[0, 0, 0, 4]),
    ]
}

/// SANITIZE, OVERWRITE.
fn sanitize() -> Vec<Case> {
    let sent = |name, list: &[u8], answer| {
        let [_, _, high, low] = u32::try_from(list.len()).unwrap_or(u32::MAX).to_be_bytes();
        case(name, &[0x48, 1, 0, 0, 0, 0, 0, high, low, 0], list, answer)
    };
    let too_long = [&[1, 0, 2, 1][..], &[0; 513]].concat();
    vec![
        sent("SANITIZE with a pattern of no bytes", &[1, 0, 0, 0, 0], FIELD),
        sent("SANITIZE with a pattern longer than the list", &[1, 0, 0, 9, 0], FIELD),
        sent("SANITIZE with a pattern longer than a block", &too_long, Answer::INVALID_FIELD),
        sent("SANITIZE of no passes", &[0, 0, 0, 1, 0], FIELD),
        sent("SANITIZE with a TEST of the vendor's", &[0x21, 0, 0, 1, 0], FIELD),
    ]
}

/// EXTENDED COPY (LID1).
fn extended_copy() -> Vec<Case> {
    /// An Identification Descriptor CSCD, and a segment from block device to block device.
    const TARGET: [u8; 32] = target(0xe4);
    const SEGMENT: [u8; 28] = segment(0x02);
    let sent = |name, targets: &[[u8; 32]], segments: &[[u8; 28]], inline: u8, answer| {
        let (targets, segments) = (targets.as_flattened(), segments.as_flattened());
        let mut header = [0; 16];
        let lengths =
            [targets.len(), segments.len()].map(|length| u16::try_from(length).unwrap_or(u16::MAX));
        header[2..4].copy_from_slice(&lengths[0].to_be_bytes());
        header[10..12].copy_from_slice(&lengths[1].to_be_bytes());
        header[15] = inline;
        let list = [&header, targets, segments].concat();
        let length = u32::try_from(list.len()).unwrap_or(u32::MAX);
        case(name, &cdb::extended_copy(0, length), &list, answer)
    };
    vec![
        sent("EXTENDED COPY with nine targets", &[TARGET; 9], &[SEGMENT], 0, TOO_MANY_TARGETS),
        sent("EXTENDED COPY with nine segments", &[TARGET], &[SEGMENT; 9], 0, TOO_MANY_SEGMENTS),
        sent("EXTENDED COPY of an unknown target", &[target(0xe0)], &[SEGMENT], 0, TARGET_TYPE),
        sent("EXTENDED COPY of an unknown segment", &[TARGET], &[segment(0x77)], 0, SEGMENT_TYPE),
        sent("EXTENDED COPY with inline data", &[TARGET], &[SEGMENT], 8, INLINE_DATA),
    ]
}

const fn target(type_code: u8) -> [u8; 32] {
    let mut descriptor = [0; 32];
    descriptor[0] = type_code;
    descriptor
}

/// With its length, and no blocks to copy.
const fn segment(type_code: u8) -> [u8; 28] {
    let mut descriptor = [0; 28];
    (descriptor[0], descriptor[3]) = (type_code, 0x18);
    descriptor
}
