//! A run as it comes out of a recorder.

use pulsefield_checkers::{Pulse, UnitId};

use super::*;
use crate::run::{BREACHES_MAX, CAUSES_MAX, EXPLANATIONS_MAX};
use crate::testing;

const fn seconds(seconds: u64) -> Instant {
    Instant::from_nanos(seconds * 1_000_000_000)
}

fn conclusion() -> Conclusion {
    Conclusion {
        end: End::Planned,
        judgement: Judgement { passed: true, reasons: Vec::new() },
        verdicts: Vec::new(),
        notes: Vec::new(),
        expectations: Vec::new(),
        faults: Vec::new(),
    }
}

fn recorder(began: Instant) -> Recorder {
    let mut recorder = Recorder::new(Setup::default(), began);
    recorder.host(Host { id: 7, name: "esx07".to_owned(), ..Host::default() });
    recorder
}

fn pulse(at: Instant, took: Duration, alive: bool) -> Event {
    let returned = at.after(took);
    Event::Pulse(Pulse { host: HostId(7), unit: UnitId(0), invoked: at, returned, alive })
}

#[test]
fn pulses_are_kept_by_when_they_were_sent_and_how_far_apart() {
    let mut recorder = recorder(seconds(1_000));
    for (second, alive) in [(1_000, true), (1_003, true), (1_006, false), (1_009, true)] {
        recorder.observe(&pulse(seconds(second), Duration::from_millis(2), alive));
    }
    recorder.observe(&Event::Forgotten { host: HostId(7), at: seconds(1_010) });
    recorder.observe(&pulse(seconds(1_060), Duration::from_secs(9), true));
    let run = recorder.finish(seconds(1_090), conclusion());
    let [pulses] = &run.pulses[..] else { panic!("{:?}", run.pulses) };
    assert_eq!((pulses.host, pulses.alive, pulses.failed), (7, 4, 1));
    // What lies over a crash is no interval.
    assert_eq!(pulses.intervals.bins, [(3_000, 1), (6_000, 1)]);
    assert_eq!((pulses.intervals.longest_ms, pulses.intervals.on_the_grid()), (6_000, 1));
    assert_eq!((run.lasted_ms, run.heartbeats.over_time.buckets.len()), (90_000, 90));
    assert_eq!(run.heartbeats.over_time.buckets[60].unwrap().max_us, 9_000_000);
    assert_eq!(run.incidents[0].host.as_deref(), Some("esx07"));
}

#[test]
fn timelines_of_a_run_have_the_same_buckets() {
    let run = testing::with_faults();
    let length = run.heartbeats.over_time.buckets.len();
    assert_eq!((run.heartbeats.over_time.bucket_ms, length), (4_000, 150));
    assert_eq!(run.pulses.len(), 16);
    assert!(run.pulses.iter().all(|pulses| pulses.took.over_time.buckets.len() == length));
    assert!(run.commands.iter().all(|commands| commands.over_time.buckets.len() == length));
    assert!(run.causes.iter().all(|cause| cause.over_time.buckets.len() == length));
    assert_eq!(run.handovers.over_time.buckets.len(), length);
}

#[test]
fn lists_keep_their_beginning_and_count_the_rest() {
    let mut recorder = recorder(seconds(0));
    for nth in 0..10_000 {
        recorder.incident(seconds(nth), None, "something");
        let cause = format!("cause {}", nth % 20);
        let found = || Found { host: None, about: String::new(), text: String::new() };
        recorder.miscompare(seconds(nth), View::Host, (&cause, ""), found);
    }
    let breach = pulsefield_checkers::Breach {
        at: seconds(1),
        unit: None,
        hosts: vec![HostId(7), HostId(8)],
        what: "too late".to_owned(),
    };
    let verdict = Verdict {
        promise: pulsefield_checkers::Promise::HeartbeatDeadline,
        standing: pulsefield_checkers::Standing::Broken,
        checked: 5_000,
        figures: Vec::new(),
        breaches: vec![breach; 200],
        breaches_total: 4_000,
    };
    let run =
        recorder.finish(seconds(10_000), Conclusion { verdicts: vec![verdict], ..conclusion() });
    assert_eq!((run.incidents.len(), run.incidents_total), (INCIDENTS_MAX, 10_000));
    assert_eq!(run.causes.len(), CAUSES_MAX);
    assert_eq!(run.causes.iter().map(|cause| cause.total).sum::<u64>(), 10_000);
    assert!(run.causes.iter().all(|cause| cause.explanations.len() == EXPLANATIONS_MAX));
    let promise = &run.promises[0];
    assert_eq!((promise.breaches.len(), promise.breaches_total), (BREACHES_MAX, 4_000));
    assert_eq!(promise.breaches[0].hosts, ["esx07", "host 8"]);
}

#[test]
fn causes_of_either_side_are_apart_and_hosts_have_their_names() {
    let mut recorder = Recorder::new(Setup::default(), seconds(0));
    let uuid = "685eb8eb-7f3e3890-4544-bc2411b17e28".to_owned();
    recorder.host(Host { id: 7, uuid, name: "esx07".to_owned(), ..Host::default() });
    let found = || Found {
        host: Some(HostId(7)),
        about: "a slot".to_owned(),
        text: "pulse of 685eb8eb-7f3e3890-4544-bc2411b17e28\nof 1".to_owned(),
    };
    for view in [View::Host, View::Record, View::Record] {
        recorder.miscompare(seconds(1), view, ("other", ""), found);
    }
    let run = recorder.finish(seconds(2), conclusion());
    let seen: Vec<_> = run.causes.iter().map(|cause| (cause.view, cause.total)).collect();
    assert_eq!(seen, [(View::Record, 2), (View::Host, 1)]);
    assert_eq!(run.causes[0].explanations[0].text, "pulse of esx07\nof 1");
}
