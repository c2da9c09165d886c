use zerocopy::IntoBytes;

use super::*;
use crate::testing::{COMPARE_AND_WRITE, MISCOMPARE, START_NS, command, session};

/// Of each frame: R_CTL, TYPE, F_CTL, SEQ_ID, SEQ_CNT, RX_ID, parameter, and the payload's length.
type Row = (u8, u8, u32, u8, u16, u16, u32, usize);

fn rows(exchange: &Exchange<'_>) -> Vec<Row> {
    let row = |frame: &Frame<'_>| {
        let header = frame.header_bytes();
        let bytes = header.as_bytes();
        let number = |at: usize, length: usize| {
            bytes[at..at + length].iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte))
        };
        let short = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let control = number(9, 3);
        (
            bytes[0],
            bytes[8],
            control,
            bytes[12],
            short(14),
            short(18),
            number(20, 4),
            frame.payload_length,
        )
    };
    exchange.frames().iter().map(row).collect()
}

#[test]
fn a_header_is_laid_out_as_fc_fs_has_it() {
    let exchange = Exchange::Command(command(0x1234, 0, &[0; 6], Transfer::None));
    let frames = exchange.frames();
    assert_eq!(
        frames[0].header_bytes().as_bytes(),
        [
            0x06, 0x0f, 0x00, 0x01, 0x00, 0x01, 0x02, 0x03, 0x08, 0x29, 0x00, 0x00, 0x00, 0x00,
            0x00, 0x00, 0x12, 0x34, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00
        ]
    );
    // The answer goes the other way, and has both ids.
    assert_eq!(
        frames[1].header_bytes().as_bytes(),
        [
            0x07, 0x01, 0x02, 0x03, 0x00, 0x0f, 0x00, 0x01, 0x08, 0x99, 0x00, 0x00, 0x01, 0x00,
            0x00, 0x00, 0x12, 0x34, 0x13, 0x34, 0x00, 0x00, 0x00, 0x00
        ]
    );
}

#[test]
fn data_out_waits_until_the_target_is_ready() {
    let data = [7; 1024];
    let transfer = Transfer::Out { bytes: &data, length: 1024 };
    let exchange = Exchange::Command(command(1, 0, &COMPARE_AND_WRITE, transfer));
    assert_eq!(
        rows(&exchange),
        [
            (0x06, 8, 0x29_0000, 0, 0, 0xffff, 0, 32),
            (0x05, 8, 0x89_0000, 1, 0, 0x101, 0, 12),
            (0x01, 8, 0x09_0008, 2, 0, 0x101, 0, 1024),
            (0x07, 8, 0x99_0000, 3, 0, 0x101, 0, 24),
        ]
    );
    let times: Vec<_> = exchange.frames().iter().map(|frame| frame.at_ns - START_NS).collect();
    assert_eq!(times, [0, 0, 0, 100_000]);
}

#[test]
fn data_in_is_split_and_its_last_word_filled() {
    let data = [7; PAYLOAD_MAX * 2 + 5];
    let transfer = Transfer::In { bytes: &data, length: 2053 };
    let exchange = Exchange::Command(command(1, 0, &[0x28; 10], transfer));
    assert_eq!(
        rows(&exchange)[1..4],
        [
            (0x01, 8, 0x80_0008, 1, 0, 0x101, 0, 1024),
            (0x01, 8, 0x80_0008, 1, 1, 0x101, 1024, 1024),
            // Three bytes fill up.
            (0x01, 8, 0x88_000b, 1, 2, 0x101, 2048, 5),
        ]
    );
}

#[test]
fn what_was_not_transferred_or_not_recorded_has_no_frames() {
    let data = [7; 1500];
    let mut short = command(1, 0, &[0x28; 10], Transfer::In { bytes: &data, length: 4096 });
    short.answer =
        short.answer.map(|answer| Answer { residual: Residual::Underrun(3584), ..answer });
    assert_eq!(rows(&Exchange::Command(short))[1], (0x01, 8, 0x88_0008, 1, 0, 0x101, 0, 512));

    let cut = command(1, 0, &[0x2a; 10], Transfer::Out { bytes: &data, length: 1 << 20 });
    let frames = Exchange::Command(cut).frames();
    let lengths: Vec<_> =
        frames[2..4].iter().map(|frame| (frame.payload.len(), frame.payload_length)).collect();
    assert_eq!((lengths, frames.len()), (vec![(1024, 1024), (476, 1024)], 5));

    let nothing = command(1, 0, &[0x2a; 10], Transfer::Out { bytes: &[], length: 512 });
    assert_eq!(Exchange::Command(nothing).frames().len(), 3);
}

#[test]
fn more_data_than_the_command_is_for_is_dropped() {
    let data = [7; 600];
    let long = command(1, 0, &[0x2a; 10], Transfer::Out { bytes: &data, length: 512 });
    assert_eq!(Exchange::Command(long).frames()[2].payload.len(), 512);
}

#[test]
fn a_command_without_an_answer_ends_with_its_data() {
    let data = [7; 1024];
    let transfer = Transfer::Out { bytes: &data, length: 1024 };
    let lost = Command { answer: None, ..command(1, 0, &COMPARE_AND_WRITE, transfer) };
    assert_eq!(Exchange::Command(lost).frames().len(), 3);
}

#[test]
fn an_abort_goes_on_in_the_tasks_exchange_and_others_have_their_own() {
    let functions = session().into_iter().filter(|one| matches!(one, Exchange::TaskManagement(_)));
    let rows: Vec<_> = functions.flat_map(|function| rows(&function)).collect();
    assert_eq!(
        rows,
        [
            (0x81, 0, 0x09_0000, 0, 0, 0x106, 0, 0),
            (0x84, 0, 0x99_0000, 1, 0, 0x106, 0, 12),
            (0x06, 8, 0x29_0000, 0, 0, 0xffff, 0, 32),
            (0x07, 8, 0x99_0000, 1, 0, 0x107, 0, 32),
        ]
    );
}

#[test]
fn each_function_has_its_bit() {
    let function = |function| {
        let function = TaskManagement {
            nexus: crate::testing::NEXUS,
            function,
            ox_id: 1,
            rx_id: 2,
            at_ns: START_NS,
            complete_ns: None,
            comment: "",
        };
        function.frames()[0].payload[10]
    };
    let bits = [
        Function::AbortTaskSet,
        Function::ClearTaskSet,
        Function::LogicalUnitReset,
        Function::TargetReset,
        Function::ClearAca,
    ]
    .map(function);
    assert_eq!(bits, [0x02, 0x04, 0x10, 0x20, 0x40]);
}

#[test]
fn sense_data_is_in_the_response() {
    let mut miscompare = command(1, 0, &COMPARE_AND_WRITE, Transfer::None);
    miscompare.answer =
        miscompare.answer.map(|answer| Answer { status: 2, sense: &MISCOMPARE, ..answer });
    let frames = Exchange::Command(miscompare).frames();
    let response = &frames.last().unwrap().payload;
    assert_eq!((response[11], &response[24..]), (2, &MISCOMPARE[..]));
}

#[test]
fn an_answer_alone_is_the_frame_that_was_missing() {
    for exchange in session() {
        let Exchange::TaskManagement(function) = exchange else { continue };
        let asked = TaskManagement { complete_ns: None, ..function };
        let parts = [Exchange::TaskManagement(asked), Exchange::TaskManagementAnswer(function)];
        assert_eq!(parts.map(|part| rows(&part)).concat(), rows(&exchange));
        assert!(rows(&Exchange::TaskManagementAnswer(asked)).is_empty());
    }
}
