//! The corpus, whole, compressed and damaged.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;
use crate::{HeartbeatMark, Host, Mark, TargetEvent, Timeline};

/// A log of the corpus, and what is read of it.
struct Sample {
    name: &'static str,
    log: &'static [u8],
    golden: &'static str,
}

macro_rules! samples {
    ($($name:literal),* $(,)?) => {
        &[$(Sample {
            name: $name,
            log: include_bytes!(concat!("../corpus/", $name, ".log")),
            golden: include_str!(concat!("../corpus/", $name, ".golden")),
        }),*]
    };
}

const CORPUS: &[Sample] = samples![
    "esx-3.5-vmkernel",
    "esx-4-vmkernel",
    "esxi-5-vmkernel",
    "esxi-6-vmkernel",
    "esxi-7-vmkernel",
    "esxi-8-vmkernel",
    "hostd",
    "mixed",
    "truncated",
    "vobd-6",
    "vobd-8",
];

/// In 2012: what the logs of version 3.5 and 4 are from.
const NEAR: WallTime = WallTime::from_micros(1_340_000_000_000_000);

fn read(bytes: &[u8]) -> Vec<Line> {
    read_lines(bytes, NEAR).unwrap().map(Result::unwrap).collect()
}

fn told(lines: &[Line]) -> String {
    lines.iter().fold(String::new(), |mut told, line| {
        let at = line.head.at.map_or("-".to_owned(), |at| at.to_string());
        let uptime = line.head.uptime.map_or("-".to_owned(), |up| format!("{up:?}"));
        writeln!(told, "{}: {at} {uptime} {:?}", line.number, line.content).unwrap();
        told
    })
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn the_corpus_is_read_as_the_golden_files_say() {
    for sample in CORPUS {
        let told = told(&read(sample.log));
        assert!(told == sample.golden, "{}.golden should be\n{told}", sample.name);
    }
}

#[test]
fn compressed_and_with_other_line_ends_the_corpus_reads_the_same() {
    for sample in CORPUS {
        let plain = read(sample.log);
        assert_eq!(read(&gzip(sample.log)), plain, "{}", sample.name);
        let unix: Vec<u8> = sample.log.iter().copied().filter(|byte| *byte != b'\r').collect();
        let dos = unix.iter().flat_map(|byte| match byte {
            b'\n' => vec![b'\r', b'\n'],
            other => vec![*other],
        });
        assert_eq!(read(&dos.collect::<Vec<_>>()), plain, "{}", sample.name);
    }
}

#[test]
fn every_line_is_accounted_for() {
    for sample in CORPUS {
        let log = Log::read(sample.name, sample.log, NEAR);
        let ends = sample.log.iter().filter(|byte| **byte == b'\n').count();
        let without_end = usize::from(!sample.log.ends_with(b"\n"));
        assert_eq!(log.line_count(), (ends + without_end) as u64, "{}", sample.name);
        assert!(log.error.is_none());
    }
}

#[test]
fn a_log_that_is_no_log_is_counted_and_shown_in_part() {
    let garbage = "\u{1}\u{2}\n".repeat(UNREADABLE_MAX + 5);
    let log = Log::read("garbage", garbage.as_bytes(), NEAR);
    assert_eq!(log.unreadable_count, UNREADABLE_MAX as u64 + 5);
    assert_eq!(log.unreadable.len(), UNREADABLE_MAX);
    assert_eq!((log.events.len(), log.unknown_count), (0, 0));
}

#[test]
fn a_compressed_log_that_ends_early_keeps_what_it_had() {
    let sample = &CORPUS[3];
    let whole = gzip(sample.log);
    let log = Log::read(sample.name, &whole[..whole.len() - 8], NEAR);
    assert_eq!(log.events.len(), read(sample.log).iter().filter_map(Line::event).count());
    let error = log.error.unwrap();
    assert_eq!(error.source.kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(error.after_line, 9);
}

#[test]
fn a_line_that_is_too_long_is_read_by_its_beginning() {
    let filler = "x".repeat(LINE_MAX_BYTES);
    let text = format!("Lost previously held disk lock {filler}\n{filler}x\n{filler}\n");
    let lines = read(text.as_bytes());
    assert_eq!(lines[0].content, Content::Event(Event::LockLost));
    assert_eq!(lines[1].content, Content::Unreadable(Unreadable::TooLong));
    assert_eq!(lines[2].content, Content::Unknown);
    assert!(lines.iter().all(|line| line.text.len() <= LINE_MAX_BYTES));
}

/// Any bytes, and lines of the corpus with any bytes in them.
fn any_log() -> impl Strategy<Value = Vec<u8>> {
    let noise = proptest::collection::vec(any::<u8>(), 0..2000);
    let damaged = (0..CORPUS.len(), proptest::collection::vec((any::<u16>(), any::<u8>()), 0..20));
    let damaged = damaged.prop_map(|(sample, changes)| {
        let mut log = CORPUS[sample].log.to_vec();
        for (at, byte) in changes {
            let at = usize::from(at) % log.len();
            match byte {
                0..64 => drop(log.drain(at..(at + usize::from(byte)).min(log.len()))),
                _ => log[at] = byte,
            }
            if log.is_empty() {
                break;
            }
        }
        log
    });
    prop_oneof![noise, damaged.clone(), damaged.prop_map(|log| gzip(&log))]
}

/// What no target sees: heartbeats of the corpus's slots with the least and the greatest stamps, at the
/// beginning and the end of time.
fn extreme_target() -> Vec<TargetEvent> {
    let times = [i64::MIN, 0, i64::MAX].map(WallTime::from_micros);
    let stamps = [Duration::ZERO, Duration::from_micros(86_430_043_000), Duration::MAX];
    let pulses = times.into_iter().flat_map(|at| stamps.map(|stamp| (at, stamp)));
    let event = |(at, stamp)| {
        let mark = Some(Mark::Heartbeat(HeartbeatMark { offset: 3_964_928, stamp }));
        TargetEvent { at, text: "pulse".to_owned(), mark }
    };
    pulses.map(event).collect()
}

proptest! {
    #[test]
    fn whatever_the_bytes_are_every_line_is_accounted_for(bytes in any_log()) {
        let log = Log::read("any", &bytes[..], NEAR);
        if !bytes.starts_with(&[0x1f, 0x8b]) {
            let ends = bytes.iter().filter(|byte| **byte == b'\n').count();
            let last = usize::from(!bytes.is_empty() && !bytes.ends_with(b"\n"));
            prop_assert_eq!(log.line_count(), (ends + last) as u64);
            prop_assert!(log.error.is_none());
        }
        // And it can be joined with anything, and shown.
        let hosts = [Host { name: "any".to_owned(), logs: vec![log] }];
        let shown = Timeline::of(&hosts, &extreme_target()).to_string();
        prop_assert!(shown.chars().all(|c| c == '\n' || !c.is_control()));
    }
}
