//! Exchanges for tests: one of each kind that a logical unit sees.

use crate::{
    Answer, Command, Exchange, Function, Lun, Nexus, PortId, Residual, TaskManagement, Transfer,
};

/// 2026-03-29T20:49:20Z.
pub(crate) const START_NS: u64 = 1_774_817_360_000_000_000;

pub(crate) const INITIATOR: PortId = PortId::new(1, 2, 3);
pub(crate) const TARGET: PortId = PortId::new(0xf, 0, 1);

pub(crate) const NEXUS: Nexus =
    Nexus { initiator: INITIATOR, target: TARGET, lun: Lun::new(5).unwrap() };

/// Sense data in the fixed form: MISCOMPARE, MISCOMPARE DURING VERIFY OPERATION, INFORMATION 20.
pub(crate) const MISCOMPARE: [u8; 18] =
    [0xf0, 0, 0x0e, 0, 0, 0, 20, 10, 0, 0, 0, 0, 0x1d, 0, 0, 0, 0, 0];

/// Standard INQUIRY data of 36 bytes.
const INQUIRY: [u8; 36] = *b"\x00\x00\x06\x02\x1f\x00\x00\x02LIO-ORG pulsefield      4.0 ";

/// COMPARE AND WRITE of one block at LBA 43072.
pub(crate) const COMPARE_AND_WRITE: [u8; 16] =
    [0x89, 0, 0, 0, 0, 0, 0, 0, 0xa8, 0x40, 0, 0, 0, 1, 0, 0];

/// A command that came so many microseconds after the start and was answered with GOOD 100 µs
/// later.
pub(crate) const fn command<'c>(
    number: u16,
    micros: u64,
    cdb: &'c [u8],
    transfer: Transfer<'c>,
) -> Command<'c> {
    let at_ns = START_NS + micros * 1000;
    let answer = Answer { at_ns: at_ns + 100_000, status: 0, sense: &[], residual: Residual::None };
    Command {
        nexus: NEXUS,
        ox_id: number,
        rx_id: 0x100 + number,
        at_ns,
        cdb,
        transfer,
        answer: Some(answer),
        comment: "",
    }
}

fn task_management(number: u16, micros: u64, function: Function) -> TaskManagement<'static> {
    let at_ns = START_NS + micros * 1000;
    TaskManagement {
        nexus: NEXUS,
        function,
        ox_id: number,
        rx_id: 0x100 + number,
        at_ns,
        complete_ns: Some(at_ns + 50_000),
        comment: "",
    }
}

/// One of each kind, some of them at the same time.
pub(crate) fn session() -> Vec<Exchange<'static>> {
    static DATA: [u8; 8192] = [0x5a; 8192];
    let (image, block) = (&DATA[..1024], &DATA[..512]);

    let mut inquiry =
        command(1, 0, &[0x12, 0, 0, 0, 0xff, 0], Transfer::In { bytes: &INQUIRY, length: 255 });
    inquiry.answer =
        inquiry.answer.map(|answer| Answer { residual: Residual::Underrun(219), ..answer });

    let read = command(
        2,
        1000,
        &[0x28, 0, 0, 0, 0xa8, 0, 0, 0, 16, 0],
        Transfer::In { bytes: &DATA, length: 8192 },
    );

    // 1 MiB, of which one block was recorded.
    let write = command(
        3,
        1050,
        &[0x8a, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 8, 0, 0, 0],
        Transfer::Out { bytes: block, length: 1 << 20 },
    );

    let image = Transfer::Out { bytes: image, length: 1024 };
    let mut pulse = command(4, 2000, &COMPARE_AND_WRITE, image);
    pulse.comment = "pulse of host 685eb8eb-7f3e3890-4544-bc2411b17e28";
    let mut miscompare = command(5, 3000, &COMPARE_AND_WRITE, image);
    miscompare.answer =
        miscompare.answer.map(|answer| Answer { status: 2, sense: &MISCOMPARE, ..answer });

    let lost = Command { answer: None, ..command(6, 4000, &COMPARE_AND_WRITE, image) };
    let abort = task_management(6, 12_000, Function::AbortTask);
    let reset = task_management(7, 13_000, Function::LogicalUnitReset);
    let ready = command(8, 14_000, &[0; 6], Transfer::None);

    [inquiry, read, write, pulse, miscompare, lost, ready]
        .map(Exchange::Command)
        .into_iter()
        .chain([abort, reset].map(Exchange::TaskManagement))
        .collect()
}
