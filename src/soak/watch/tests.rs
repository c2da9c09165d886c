//! Records that a recorder wrote, and what is concluded from them.

mod embedded;
mod tape;

use std::fs;
use std::path::PathBuf;

use pulsefield_report::{Promise, Run, Standing, json};

use super::*;
use crate::soak::with_causes;
use tape::{A, B, Tape, free, in_use, locked, replaying};

const SLOT_A: u64 = 8192;
const SLOT_B: u64 = 8200;
const LOCK: u64 = 9000;

/// For these records or units, by whoever serves none.
fn options(names: &[&str]) -> WatchOptions {
    WatchOptions {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        directory: PathBuf::from("/nowhere"),
        socket: PathBuf::from("/nowhere/control.sock"),
        duration: None,
        report: None,
        junit: None,
        json: true,
        command: "pulsefield soak --watch".to_owned(),
        version: "0".to_owned(),
    }
}

fn watched(tape: &Tape) -> (Conclusion, Run) {
    let mut out = Vec::new();
    let conclusion = watch(&options(&[&tape.path()]), &mut out).unwrap();
    (conclusion, json::read(std::str::from_utf8(&out).unwrap()).unwrap())
}

fn broken(run: &Run) -> Vec<&str> {
    let broken = run.promises.iter().filter(|promise| promise.standing == Standing::Broken);
    broken.map(|promise| promise.name.as_str()).collect()
}

fn promise<'r>(run: &'r Run, name: &str) -> &'r Promise {
    run.promises.iter().find(|promise| promise.name == name).unwrap()
}

/// Two hosts that pulse for half a minute.
fn pulsing() -> Tape {
    let mut tape = Tape::new();
    for nth in 0..10 {
        let at = 1_000 + 3_000 * nth;
        tape.ats([at, at + 5], SLOT_A, &in_use(A, 0, 3 * nth), &in_use(A, 0, 3 * nth + 3));
        tape.ats([at + 1, at + 7], SLOT_B, &in_use(B, 1, 3 * nth), &in_use(B, 1, 3 * nth + 3));
    }
    tape
}

#[test]
fn hosts_that_do_nothing_wrong_keep_every_promise_that_a_record_can_decide() {
    let mut tape = pulsing();
    // B begins first, waits, and finds that A has the lock.
    tape.ats([29_001, 29_010], LOCK, &free(4), &locked(A, 5));
    tape.miscompares([29_000, 29_011], LOCK, &free(4), &locked(B, 5), &locked(A, 5));
    tape.ats([29_020, 29_021], LOCK, &locked(A, 5), &free(6));
    tape.ats([29_030, 29_031], LOCK, &free(6), &locked(B, 7));
    // An administrator's tool puts something else there, and the lock back.
    tape.writes([29_040, 29_041], LOCK, &[0xa5; 512]);
    tape.writes([29_050, 29_051], LOCK, &locked(B, 7));
    tape.ats([29_060, 29_061], LOCK, &locked(B, 7), &free(8));
    let (conclusion, run) = watched(&tape);
    assert_eq!(conclusion, Conclusion::Held, "{:#?}", run.promises);
    let hosts: Vec<_> = run.setup.hosts.iter().map(|host| host.uuid.clone()).collect();
    assert_eq!(hosts, [A.to_string(), B.to_string()]);
    assert_eq!(run.setup.hosts[0].name, format!("host 0 ({A})"));
    assert_eq!(run.setup.hosts[0].modes, ["heartbeats by ATS"]);
    assert_eq!(run.heartbeats.all.map(|all| all.count), Some(20));
    assert_eq!(run.handovers.all.map(|all| all.count), Some(1));
    for promise in &run.promises {
        let decided =
            !["durability", "answered-once", "no-early-takeover"].contains(&&*promise.name);
        let standing = if decided { Standing::Held } else { Standing::Unchecked };
        assert_eq!(promise.standing, standing, "{}", promise.name);
    }
    assert!(promise(&run, "durability").note.as_ref().unwrap().starts_with("Not checked: "));
    assert_eq!(
        run.judgement.reasons,
        ["held, of what a record can decide: lock-exclusion, linearizable, information, \
          heartbeat-deadline, fairness, monotonic"]
    );
    assert_eq!(run.causes.len(), 1);
}

#[test]
fn an_ats_that_takes_for_equal_what_is_not_is_caught() {
    let mut tape = pulsing();
    tape.ats([29_000, 29_010], LOCK, &free(4), &locked(A, 5));
    tape.ats([29_020, 29_030], LOCK, &free(4), &locked(B, 5));
    let (conclusion, run) = watched(&tape);
    assert_eq!(conclusion, Conclusion::Failed);
    assert_eq!(broken(&run), ["lock-exclusion", "linearizable"]);
    let breach = &promise(&run, "linearizable").breaches[0];
    assert!(
        breach.what.starts_with("COMPARE AND WRITE of block 9000 by host 1, 1029.020000 s"),
        "{}",
        breach.what
    );
    assert_eq!(breach.hosts, [format!("host 1 ({B})"), format!("host 0 ({A})")]);
    assert_eq!(run.judgement.reasons, ["lock-exclusion was broken", "linearizable was broken"]);
}

#[test]
fn a_pulse_that_was_acknowledged_and_is_gone_is_caught() {
    let mut tape = pulsing();
    let [older, old, new] = [27, 30, 33].map(|stamp| in_use(A, 0, stamp));
    tape.miscompares([31_000, 31_005], SLOT_A, &old, &new, &older);
    assert_eq!(broken(&watched(&tape).1), ["linearizable"]);
}

#[test]
fn what_a_plain_write_left_is_known() {
    let mut tape = pulsing();
    tape.writes([29_000, 29_005], SLOT_A, &in_use(A, 0, 90));
    tape.ats([31_000, 31_005], SLOT_A, &in_use(A, 0, 30), &in_use(A, 0, 33));
    assert_eq!(broken(&watched(&tape).1), ["linearizable"]);
}

#[test]
fn an_information_that_points_elsewhere_is_caught() {
    let mut tape = pulsing();
    // What was in flight to the lock before the first ATS that is seen may have left anything there.
    tape.ats([29_000, 29_010], LOCK, &free(4), &locked(A, 5));
    tape.ats([29_012, 29_014], LOCK, &locked(A, 5), &free(6));
    tape.miscompares_at(3, [29_020, 29_030], LOCK, &free(4), &locked(B, 5), &free(6));
    assert_eq!(broken(&watched(&tape).1), ["information"]);
}

#[test]
fn a_heartbeat_that_takes_eight_seconds_and_one_that_is_never_answered() {
    let mut tape = pulsing();
    tape.ats([31_000, 39_000], SLOT_A, &in_use(A, 0, 30), &in_use(A, 0, 33));
    tape.overdue([32_000, 40_001], SLOT_B);
    tape.ats([43_000, 43_005], SLOT_A, &in_use(A, 0, 33), &in_use(A, 0, 45));
    let (_, run) = watched(&tape);
    let deadline = promise(&run, "heartbeat-deadline");
    let who: Vec<_> = deadline.breaches.iter().map(|breach| breach.hosts[0].clone()).collect();
    assert_eq!(who, [format!("host 0 ({A})"), format!("host 1 ({B})")]);
    assert!(deadline.breaches[1].what.contains("took 11.005 s"), "{:?}", deadline.breaches);
}

#[test]
fn nobody_may_be_taken_for_dead_within_its_lease() {
    let marked_at = |at| {
        let mut tape = pulsing();
        tape.ats([at, at + 5], SLOT_A, &in_use(A, 0, 30), &replaying(A, 0, 30, B));
        let (_, run) = watched(&tape);
        broken(&run).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(marked_at(43_990), ["no-early-takeover"]);
    assert_eq!(marked_at(44_000), [""; 0]);
}

#[test]
fn over_a_gap_everything_is_forgotten() {
    let mut tape = pulsing();
    tape.ats([29_000, 29_010], LOCK, &free(4), &locked(A, 5));
    tape.restart(30_000);
    // Under way when the daemon went: what became of it nobody knows.
    tape.ats([29_900, 30_010], SLOT_B, &in_use(B, 1, 90), &in_use(B, 1, 93));
    tape.ats([30_020, 30_030], LOCK, &free(8), &locked(B, 9));
    tape.ats([30_040, 30_050], SLOT_B, &in_use(B, 1, 60), &in_use(B, 1, 63));
    let (conclusion, run) = watched(&tape);
    assert_eq!(conclusion, Conclusion::Held, "{:#?}", run.promises);
    let incidents: Vec<_> = run.incidents.iter().map(|incident| incident.what.as_str()).collect();
    assert_eq!(incidents, ["ds1: served from here on", "ds1: served from here on"]);
    // And what is known since then counts.
    tape.ats([30_060, 30_070], LOCK, &free(8), &locked(A, 9));
    assert_eq!(broken(&watched(&tape).1), ["linearizable"]);
}

#[test]
fn a_record_that_has_lost_something_says_so() {
    let mut tape = pulsing();
    tape.ats([29_000, 29_010], LOCK, &free(4), &locked(A, 5));
    tape.ats([29_020, 29_030], LOCK, &locked(A, 5), &free(6));
    tape.ats([29_040, 29_050], LOCK, &free(6), &locked(B, 7));
    tape.ats([29_060, 29_070], LOCK, &locked(B, 7), &free(8));
    tape.spoil(&locked(B, 7));
    let (conclusion, run) = watched(&tape);
    assert_eq!(conclusion, Conclusion::Held, "{:#?}", run.promises);
    assert!(
        run.judgement.reasons[1].starts_with("ds1: the record has gaps (1);"),
        "{:?}",
        run.judgement
    );
}

#[test]
fn a_record_without_the_data_of_ats_decides_nothing() {
    let mut tape = Tape::brief();
    tape.ats([1_000, 1_005], SLOT_A, &in_use(A, 0, 0), &in_use(A, 0, 3));
    let (conclusion, run) = watched(&tape);
    assert_eq!((conclusion, broken(&run)), (Conclusion::Failed, vec![]));
    assert_eq!(
        run.judgement.reasons,
        [
            "nothing was seen that a promise is about",
            "ds1: of 1 COMPARE AND WRITEs the data is not recorded, which takes `record = \"whole\"`"
        ]
    );
}

#[test]
fn a_unit_in_use_is_followed_from_now_on() {
    let mut tape = pulsing();
    tape.ats([29_000, 29_010], LOCK, &free(4), &locked(A, 5));
    let watched = vec![sources::followed("ds1", tape.folder()).unwrap()];
    // The first that is seen of the lock, and then something that does not follow from it.
    tape.ats([30_020, 30_030], LOCK, &free(8), &locked(B, 9));
    tape.ats([30_040, 30_050], LOCK, &free(8), &locked(A, 9));
    let times = Times { began: Instant::from_nanos(1_030_000_000_000), began_unix_ms: 0 };
    let recorder = Recorder::new(setup(&options(&["ds1"]), &watched, &times), times.began);
    let (collector, teller) = Collector::start(Panel::of(&DECIDED), recorder).unwrap();
    let progress = Progress::new(None, collector.counts(), true);
    let mut watch = Watch { watched, units: Vec::new(), hosts: Hosts::default(), operations: 0 };
    let (at_once, nobody) = (Some(Duration::ZERO), Interrupts::default());
    let outcome = watch.follow(at_once, &teller, &nobody, &progress, &times);
    drop(teller);
    let heard = collector.finish(outcome.at);
    let mut seen = None;
    let publish = |run: &Run| {
        seen = Some(run.clone());
        Ok(())
    };
    assert_eq!(watch.conclude(outcome, heard, publish).unwrap(), Conclusion::Failed);
    let run = seen.unwrap();
    assert_eq!(broken(&run), ["linearizable"]);
    assert_eq!(promise(&run, "linearizable").checked, 2);
    assert_eq!(run.end, report::End::Planned);
}

#[test]
fn a_unit_that_is_not_recorded_is_not_followed() {
    let mut tape = pulsing();
    let refused = |tape: &Tape, lun| {
        with_causes(&sources::followed(lun, tape.folder()).map(|_| ()).unwrap_err())
    };
    let words = refused(&tape, "ds2");
    assert!(words.contains("ds2.pulserec is not there; "), "{words}");
    tape.stops(31_000);
    let words = refused(&tape, "ds1");
    assert!(words.contains("ds1.pulserec has come to its end; "), "{words}");
}

#[test]
fn the_report_is_written_as_of_any_soak() {
    let (tape, folder) = (pulsing(), tempfile::tempdir().unwrap());
    let report = folder.path().join("report");
    let junit = folder.path().join("junit.xml");
    let paths = (Some(report.clone()), Some(junit.clone()));
    let options =
        WatchOptions { report: paths.0, junit: paths.1, json: false, ..options(&[&tape.path()]) };
    let mut out = Vec::new();
    assert_eq!(watch(&options, &mut out).unwrap(), Conclusion::Held);
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with("PASS: 2 hosts watched for 28 s\n  held, of what"), "{text}");
    assert!(
        text.contains("durability          not checked  0 looked at\n    Not checked: "),
        "{text}"
    );
    assert!(text.contains("  20 heartbeats, 99 % within "), "{text}");
    assert!(
        fs::read_to_string(report.join("soak.html")).unwrap().contains("watched from the target")
    );
    let junit = fs::read_to_string(junit).unwrap();
    assert!(junit.contains("pulsefield soak: watching ds1"), "{junit}");
    assert!(junit.contains("<skipped message=\"Not checked: "), "{junit}");
}

#[test]
fn what_cannot_be_watched_is_refused() {
    let refused = |names: &[&str]| {
        let error = watch(&options(names), &mut Vec::new()).map(|_| ()).unwrap_err();
        with_causes(&error)
    };
    let words = "ds1 cannot be watched: no daemon answers on /nowhere/control.sock";
    assert!(refused(&["ds1"]).starts_with(words), "{}", refused(&["ds1"]));
    let tape = pulsing();
    let path = tape.path();
    let words =
        format!("files and units in use are not watched together: {path} is a file, ds1 a unit");
    assert_eq!(refused(&[&path, "ds1"]), words);
    assert_eq!(refused(&[&path, &path]), format!("{path} is named twice"));
    let other = tape.folder().join("other.pulserec");
    fs::write(&other, "not a record of anything, and longer than its header would be").unwrap();
    let other = other.display().to_string();
    assert_eq!(refused(&[&other]), format!("{other} is no record of Pulsefield's"));
    let mut newer = fs::read(&path).unwrap();
    newer[8] = 99;
    fs::write(&other, newer).unwrap();
    assert!(refused(&[&other]).contains("is a record of version 99"));
}
