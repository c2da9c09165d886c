use std::time::Duration;

use super::*;
use crate::{FailureMark, HeartbeatMark, Mark};

/// 2018-07-10T01:10:00Z.
const START_US: i64 = 1_531_185_000_000_000;

const OFFSET: u64 = 3_964_928;

fn seen(us: i64, text: &str, mark: Option<Mark>) -> TargetEvent {
    TargetEvent { at: WallTime::from_micros(START_US + us), text: text.to_owned(), mark }
}

/// What the target saw while esx01 wrote the corpus's logs of version 6, by a clock 2.034 s behind.
fn target() -> Vec<TargetEvent> {
    let pulse = |us, stamp_us: u64| {
        let mark = HeartbeatMark { offset: OFFSET, stamp: Duration::from_micros(stamp_us) };
        seen(us, &format!("lun1: pulse, stamp {stamp_us} µs"), Some(Mark::Heartbeat(mark)))
    };
    let miscompare = |us| {
        let mark = FailureMark {
            device: "naa.60014053f0a1c2d4e5f60718293a4b5c".to_owned(),
            opcode: 0x89,
            status: 0x02,
            sense: Some((0x0e, 0x1d, 0x00)),
            heartbeat_offset: Some(OFFSET),
        };
        seen(us, "lun1: COMPARE AND WRITE answered MISCOMPARE", Some(Mark::Failure(mark)))
    };
    vec![
        pulse(4_357_000, 86_415_043_000),
        miscompare(9_014_000),
        seen(17_990_000, "lun1: LOGICAL UNIT RESET", None),
        pulse(19_357_000, 86_430_043_000),
        miscompare(99_213_000),
    ]
}

fn log(name: &str, text: &[u8]) -> Log {
    Log::read(name, text, WallTime::from_micros(START_US))
}

fn hosts() -> Vec<Host> {
    let esx01 = vec![
        log("vmkernel.log", include_bytes!("../corpus/esxi-6-vmkernel.log")),
        log("vobd.log", include_bytes!("../corpus/vobd-6.log")),
        log("hostd.log", include_bytes!("../corpus/hostd.log")),
    ];
    let other = b"2018-07-10T01:10:09.000Z cpu1:2)Lost previously held disk lock\n\
                  Lost previously held disk lock\n\x1b]0;evil\x07\n";
    let esx02 = vec![log("esx02.log", other)];
    let host = |name: &str, logs| Host { name: name.to_owned(), logs };
    vec![host("esx01", esx01), host("esx02", esx02)]
}

#[test]
fn the_timeline_is_as_the_golden_file_says() {
    let (hosts, target) = (hosts(), target());
    let shown = Timeline::of(&hosts, &target).to_string();
    assert!(shown == include_str!("../corpus/timeline.golden"), "should be\n{shown}");
}

#[test]
fn the_clocks_are_told_apart() {
    let (hosts, target) = (hosts(), target());
    let timeline = Timeline::of(&hosts, &target);
    let skews: Vec<_> = timeline.skews().map(|(host, skew)| (host.name.as_str(), skew)).collect();
    let [("esx01", Ok(skew)), ("esx02", Err(NoSkew::NothingInCommon))] = skews[..] else {
        panic!("{skews:?}");
    };
    assert!((skew.ahead_us - 2_034_000).abs() < 20_000, "{skew:?}");
    assert!(skew.by_stamp == 1 && skew.by_uptime > 0 && skew.by_failure > 0, "{skew:?}");
}

#[test]
fn nothing_is_still_a_timeline() {
    assert_eq!(Timeline::of(&[], &[]).to_string(), "All times are the target's.\n\n\n");
}
