use super::*;
use crate::Transfer;
use crate::testing::{START_NS, command, session};

/// A block of a file: its type and its body.
struct Read<'f> {
    kind: u32,
    body: &'f [u8],
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// The blocks of a file, each with the same length at both ends.
fn blocks(mut file: &[u8]) -> Vec<Read<'_>> {
    let mut blocks = Vec::new();
    while !file.is_empty() {
        let length = word(file, 4) as usize;
        assert_eq!(length % 4, 0);
        assert_eq!(word(file, length - 4) as usize, length);
        blocks.push(Read { kind: word(file, 0), body: &file[8..length - 4] });
        file = &file[length..];
    }
    blocks
}

/// The values of the options with this code.
fn options(mut options: &[u8], code: u16) -> Vec<&[u8]> {
    let mut values = Vec::new();
    while let [low, high, length_low, length_high, rest @ ..] = options {
        let length = usize::from(u16::from_le_bytes([*length_low, *length_high]));
        if u16::from_le_bytes([*low, *high]) == code {
            values.push(&rest[..length]);
        }
        options = &rest[length.next_multiple_of(4)..];
    }
    assert!(options.is_empty());
    values
}

fn file(exchanges: &[Exchange<'_>]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = Writer::begin(&mut file, "of a test").unwrap();
    writer.write(exchanges).unwrap();
    writer.flush().unwrap();
    file
}

#[test]
fn a_file_begins_with_a_section_and_an_interface() {
    let file = file(&[]);
    let blocks = blocks(&file);
    let [section, interface] = &blocks[..] else { panic!("{} blocks", blocks.len()) };
    assert_eq!(section.kind, 0x0a0d_0d0a);
    assert_eq!(section.body[..8], [0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0]);
    assert_eq!(section.body[8..16], [0xff; 8]);
    let comment = options(&section.body[16..], 1);
    assert!(comment[0].starts_with(b"of a test\nFrames made up"));
    assert_eq!(interface.kind, 1);
    assert_eq!(interface.body[..8], [224, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(options(&interface.body[8..], 9), [[9]]);
}

#[test]
fn a_frame_is_one_block_to_the_byte() {
    let mut ready = command(1, 0, &[0; 6], Transfer::None);
    ready.comment = "hi!";
    let file = file(&[Exchange::Command(ready)]);
    let blocks = blocks(&file);
    assert_eq!(blocks.len(), 4);
    let body = blocks[2].body;
    assert_eq!(blocks[2].kind, 6);
    // Interface 0, the higher half of the time first, 24 + 32 bytes captured of as many.
    let time = START_NS.to_le_bytes();
    let head = [&[0; 4], &time[4..], &time[..4], &[56, 0, 0, 0, 56, 0, 0, 0]].concat();
    assert_eq!(body[..20], head);
    assert_eq!(body[20..24], [0x06, 0x0f, 0x00, 0x01]);
    // A comment of three bytes and one to fill up, the flags, the end.
    assert_eq!(body[76..], [1, 0, 3, 0, b'h', b'i', b'!', 0, 2, 0, 4, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    // The response goes out.
    assert_eq!(options(&blocks[3].body[20 + 48..], 2), [[2, 0, 0, 0]]);
}

#[test]
fn frames_are_in_order_of_time() {
    let mut exchanges = session();
    exchanges.reverse();
    let file = file(&exchanges);
    let times: Vec<u64> = blocks(&file)
        .iter()
        .filter(|block| block.kind == 6)
        .map(|block| u64::from(word(block.body, 4)) << 32 | u64::from(word(block.body, 8)))
        .collect();
    assert!(times.is_sorted());
    assert_eq!(times.len(), 34);
}

#[test]
fn a_frame_that_is_cut_says_how_long_it_was() {
    let data = [0; 100];
    let cut = command(1, 0, &[0x2a; 10], Transfer::Out { bytes: &data, length: 4096 });
    let file = file(&[Exchange::Command(cut)]);
    let blocks = blocks(&file);
    assert_eq!((word(blocks[4].body, 12), word(blocks[4].body, 16)), (124, 1048));
}

#[test]
fn a_long_comment_is_cut_between_characters() {
    let long = "ä".repeat(COMMENT_MAX);
    let mut ready = command(1, 0, &[0; 6], Transfer::None);
    let comment = format!("x{long}");
    ready.comment = &comment;
    let file = file(&[Exchange::Command(ready)]);
    let blocks = blocks(&file);
    let comment = options(&blocks[2].body[76..], 1)[0];
    assert_eq!(comment.len(), COMMENT_MAX - 1);
    assert!(std::str::from_utf8(comment).is_ok());
}
