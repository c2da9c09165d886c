use std::io::Cursor;

use super::*;
use crate::{FailureMark, Log, WallTime};

/// 2018-07-10T01:00:00Z.
const START_US: i64 = 1_531_184_400_000_000;

const OFFSET: u64 = 3_964_928;
const NAA: &str = "naa.60014053f0a1c2d4e5f60718293a4b5c";

fn at(us: i64) -> WallTime {
    WallTime::from_micros(START_US + us)
}

/// A pulse that the target saw `us` after the start.
fn pulse(us: i64, stamp_us: u64) -> TargetEvent {
    let mark = HeartbeatMark { offset: OFFSET, stamp: Duration::from_micros(stamp_us) };
    let mark = Some(crate::Mark::Heartbeat(mark));
    TargetEvent { at: at(us), text: String::new(), mark }
}

fn failure(us: i64) -> TargetEvent {
    let mark = FailureMark {
        device: NAA.to_owned(),
        opcode: 0x89,
        status: 2,
        sense: Some((0xe, 0x1d, 0)),
        heartbeat_offset: Some(OFFSET),
    };
    TargetEvent { at: at(us), text: String::new(), mark: Some(crate::Mark::Failure(mark)) }
}

fn reclaimed(us: i64, stamp_us: u64) -> String {
    format!(
        "{} cpu1:2)HBX: 231: Reclaimed heartbeat for volume 5630b2a6-c21df93e-32f1-e41f13b64614 (DS1): \
         [Timeout] [HB state abcdef02 offset {OFFSET} gen 61 stampUS {stamp_us} uuid\n",
        at(us)
    )
}

fn failed(us: i64) -> String {
    format!(
        "{} cpu1:2)ScsiDeviceIO: 2651: Cmd(0x43a6) 0x89, CmdSN 0x1 from world 3 to dev \"{NAA}\" failed \
         H:0x0 D:0x2 P:0x0 Valid sense data: 0xe 0x1d 0x0.\n",
        at(us)
    )
}

fn estimate(log: &str, target: &[TargetEvent]) -> Result<Skew, NoSkew> {
    let log = Log::read("vmkernel.log", Cursor::new(log), at(0));
    assert_eq!(log.unreadable_count, 0);
    Skew::estimate(&log.events, target)
}

#[test]
fn a_stamp_that_both_have_tells_the_difference() {
    let target = [pulse(0, 5_000_000), pulse(3_000_000, 8_000_000)];
    let skew = estimate(&reclaimed(5_020_000, 8_000_000), &target).unwrap();
    assert_eq!((skew.by_stamp, skew.by_uptime, skew.by_failure), (1, 0, 0));
    // A line's time is rounded down to a millisecond, and taken for the middle of it.
    assert_eq!(skew.ahead_us, 2_020_500);
    assert_eq!(skew.uncertainty, Duration::from_micros(500) + PROMPT);
}

#[test]
fn an_old_image_is_not_taken_for_a_new_one() {
    let waiting = reclaimed(25_000_000, 8_000_000).replace(
        "Reclaimed heartbeat for volume 5630b2a6-c21df93e-32f1-e41f13b64614 (DS1): [Timeout]",
        "Waiting for timed out",
    );
    assert_eq!(estimate(&waiting, &[pulse(3_000_000, 8_000_000)]), Err(NoSkew::NothingInCommon));
}

/// vobd has been seen to tell a heartbeat's recovery with the image from before the outage.
#[test]
fn an_image_older_than_the_uptime_beside_it_is_not_taken_for_a_new_one() {
    let target = [pulse(3_000_000, 8_000_000), pulse(603_000_000, 608_000_000)];
    let line = reclaimed(604_000_000, 8_000_000).replace("cpu1:2)", "[x] 609000000us: ");
    let skew = estimate(&line, &target).unwrap();
    assert_eq!((skew.by_stamp, skew.by_uptime, skew.ahead_us), (0, 1, 500));
}

#[test]
fn any_line_with_an_uptime_tells_it_once_a_slot_is_known() {
    // Booted 5 s before the start by the target's clock; the host's is an hour behind.
    let target =
        [pulse(40_000, 5_000_000), pulse(3_002_000, 8_000_000), pulse(6_900_000, 11_000_000)];
    let hour = 3_600 * SECOND_US;
    let log = format!(
        "{}{} [vmfsCorrelator] 9500000us: [vob.vmfs.heartbeat.timedout] 5630b2a6-c21df93e-32f1-e41f13b64614 DS1\n",
        // Nothing like this stamp was seen: the line only names the slot.
        reclaimed(9_000_000 - hour, 13_999_999),
        at(4_500_000 - hour),
    );
    let skew = estimate(&log, &target).unwrap();
    assert_eq!((skew.by_stamp, skew.by_uptime), (0, 1));
    // The pulse that was least late was late by 2 ms.
    assert_eq!(skew.ahead_us, -hour - 2_000 + 500);
}

#[test]
fn a_reboot_does_not_mislead() {
    let mut target: Vec<_> = (0..5_u32)
        .map(|n| pulse(i64::from(n) * 3_000_000, 900_000_000 + u64::from(n) * 3_000_000))
        .collect();
    target.extend((0..5_u32).map(|n| {
        pulse(600_000_000 + i64::from(n) * 3_000_000, 200_000_000 + u64::from(n) * 3_000_000)
    }));
    let vob = |us: i64, uptime_us: u64| {
        format!(
            "{} [x] {uptime_us}us: [vob.vmfs.heartbeat.timedout] 5630b2a6-c21df93e-32f1-e41f13b64614 DS1\n",
            at(us + 7_000_000)
        )
    };
    let log = [
        reclaimed(607_001_000, 200_000_000),
        vob(6_000_000, 906_000_000),
        vob(606_000_000, 206_000_000),
        vob(609_000_000, 209_000_000),
    ];
    let skew = estimate(&log.concat(), &target).unwrap();
    assert_eq!((skew.by_stamp, skew.by_uptime), (1, 3));
    assert!((6_990_000..7_010_000).contains(&skew.ahead_us), "{skew:?}");
}

#[test]
fn failures_alone_must_agree_in_number() {
    let times = [0, 1_700_000, 9_100_000, 31_000_000, 32_400_000];
    let target: Vec<_> = times.into_iter().map(failure).collect();
    let log: String = times.into_iter().map(|us| failed(us - 12_345_000)).collect();
    let skew = estimate(&log, &target).unwrap();
    assert_eq!((skew.ahead_us, skew.by_failure), (-12_344_500, 5));
    assert_eq!(estimate(&failed(0), &target[..1]), Err(NoSkew::NothingInCommon));
}

#[test]
fn equal_intervals_are_ambiguous() {
    let times = (0..8).map(|n| n * 3_000_000);
    let target: Vec<_> = times.clone().map(failure).collect();
    let log: String = times.map(|us| failed(us + 1_000_000)).collect();
    assert_eq!(estimate(&log, &target), Err(NoSkew::Ambiguous));
    // One stamp decides, and the failures agree.
    let mut target = target;
    target.push(pulse(40_000_000, 77));
    let skew = estimate(&(log + &reclaimed(41_010_000, 77)), &target).unwrap();
    assert_eq!((skew.by_stamp, skew.by_failure), (1, 8));
}

#[test]
fn nothing_in_common_is_told() {
    assert_eq!(estimate("", &[]), Err(NoSkew::NothingInCommon));
    assert_eq!(estimate(&failed(0), &[pulse(0, 1)]), Err(NoSkew::NothingInCommon));
}
