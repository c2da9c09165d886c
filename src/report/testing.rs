//! Runs for tests, as large and as various as real ones are.

use std::sync::Arc;
use std::time::Duration;

use pulsefield_checkers as checkers;
use pulsefield_checkers::{
    Claim, ClaimMode, Ending, Event, HostId, Operation, OperationId, OperationKind, Pulse, UnitId,
};
use pulsefield_units::{BlockCount, Instant, Lba, LbaRange, Random};

use crate::{
    Conclusion, Emulation, End, Environment, Evidence, Expectation, Fault, Found, Host, Judgement,
    Path, Recorder, Run, Setup, Unit, View,
};

const HOSTS: u32 = 16;

/// A run of ten minutes, in the middle of which faults are armed.
pub(crate) fn with_faults() -> Run {
    let mut recorder = Recorder::new(setup(), Instant::default());
    let mut noise = Random::new(0x5eed);
    for tenth in 0..6_000 {
        second_tenth(&mut recorder, &mut noise, tenth);
    }
    recorder.incident(at(421_000), Some(HostId(5)), "crashed, as the mix has it");
    let dead =
        Event::DeclaredDead { host: HostId(5), unit: UnitId(0), by: HostId(2), at: at(438_700) };
    recorder.observe(&dead);
    recorder.incident(at(451_000), Some(HostId(5)), "started again");
    recorder.finish(at(600_000), conclusion(true))
}

/// The same run, of which something was not as it should be.
pub(crate) fn failed() -> Run {
    Run { judgement: conclusion(false).judgement, ..with_faults() }.broken()
}

/// A run in which nothing happened.
pub(crate) fn empty() -> Run {
    let conclusion = Conclusion {
        end: End::Broken { why: "the device is gone".to_owned() },
        judgement: Judgement { passed: false, reasons: vec!["Nothing was checked.".to_owned()] },
        verdicts: Vec::new(),
        notes: Vec::new(),
        expectations: Vec::new(),
        faults: Vec::new(),
    };
    Recorder::new(Setup::default(), Instant::default()).finish(Instant::default(), conclusion)
}

impl Run {
    fn broken(mut self) -> Self {
        let promise = self.promises.iter_mut().find(|it| it.name == "lock-exclusion").unwrap();
        promise.standing = crate::Standing::Broken;
        promise.breaches_total = 2;
        let expectation = &mut self.expectations[0];
        expectation.met = false;
        expectation.seen = "nothing".to_owned();
        self
    }
}

const fn at(millis: u64) -> Instant {
    Instant::from_nanos(millis * 1_000_000)
}

fn name(host: u32) -> String {
    format!("esx{:02}", host + 1)
}

fn setup() -> Setup {
    let ways = [
        ("/dev/sdb", "Fibre Channel"),
        ("/dev/sdc", "iSCSI"),
        ("/dev/sdd", "SRP"),
        ("/dev/sde", "loopback"),
    ];
    let host = |id: u32| {
        let (device, transport) = ways[id as usize % ways.len()];
        let heartbeats = if id % 8 == 7 { "plain-write heartbeats" } else { "ATS heartbeats" };
        Host {
            id,
            uuid: format!("685eb8eb-7f3e3890-4544-bc2411b17e{id:02x}"),
            name: name(id),
            modes: ["VMFS-6", "ATS-only", heartbeats].map(str::to_owned).to_vec(),
            paths: vec![Path {
                unit: 0,
                device: device.to_owned(),
                transport: transport.to_owned(),
            }],
        }
    };
    Setup {
        version: "0.1.0".to_owned(),
        command: "pulsefield soak /dev/sdb /dev/sdc /dev/sdd /dev/sde --hosts 16 --mix mixed \
                  --seed 20260714 --duration 10min --plan slow-array.toml"
            .to_owned(),
        seed: 20_260_714,
        mix: "mixed".to_owned(),
        plan: Some("slow-array.toml".to_owned()),
        began_unix_ms: 1_783_999_800_000,
        emulation: Emulation::Devices,
        environment: Environment {
            machine: "lab-target-3".to_owned(),
            kernel: "Linux 6.12.9-amd64".to_owned(),
            cpu: "AMD EPYC 9354P 32-Core Processor".to_owned(),
            cpus: 64,
            memory_bytes: 256 << 30,
        },
        units: vec![Unit {
            id: 0,
            name: "naa.6001405a7c2f00d1e5c0ffee00000001".to_owned(),
            product: "LIO-ORG pulsefield 0100".to_owned(),
            bytes: 64 << 30,
            block_bytes: 512,
        }],
        hosts: (0..HOSTS).map(host).collect(),
        evidence: Evidence::Record { of: "ds1".to_owned() },
    }
}

/// What there is in a tenth of a second.
fn second_tenth(recorder: &mut Recorder, noise: &mut Random, tenth: u64) {
    let now = tenth * 100;
    let slow = (240_000..330_000).contains(&now);
    for host in 0..HOSTS {
        let crashed = host == 5 && (421_000..451_000).contains(&now);
        if now % 3_000 == u64::from(host) * 100 && !crashed {
            pulse(recorder, noise, host, now, slow);
        }
    }
    for _ in 0..noise.below(4) + if slow { 0 } else { 3 } {
        bulk(recorder, noise, now);
    }
    if noise.below(3) == 0 {
        handover(recorder, noise, now);
    }
    if noise.below(if slow { 6 } else { 14 }) == 0 {
        miscompare(recorder, noise, now, slow);
    }
}

fn pulse(recorder: &mut Recorder, noise: &mut Random, host: u32, now: u64, slow: bool) {
    let late_by_ms = noise.below(12) + if slow { noise.below(400) } else { 0 };
    let invoked = at(now + late_by_ms);
    let took_us = match noise.below(1_000) {
        _ if slow && host % 4 == 1 => 2_600_000 + noise.below(6_600_000),
        _ if slow => 9_000 + noise.below(900_000),
        0..10 => 8_000 + noise.below(40_000),
        _ => 240 + noise.below(260) + noise.below(600) * noise.below(4),
    };
    let returned = invoked.after(Duration::from_micros(took_us.min(8_000_000)));
    let alive = took_us < 8_000_000;
    recorder.observe(&Event::Pulse(Pulse {
        host: HostId(host),
        unit: UnitId(0),
        invoked,
        returned,
        alive,
    }));
    let ending = if alive { Ending::Done } else { Ending::Maybe };
    recorder.observe(&operation(host, (invoked, returned), blocks(7, 1), ats(), ending));
}

fn operation(
    host: u32,
    (invoked, returned): (Instant, Instant),
    blocks: LbaRange,
    kind: OperationKind,
    ending: Ending,
) -> Event {
    let (host, unit, returned) = (HostId(host), UnitId(0), Some(returned));
    // Nothing that is recorded asks which it is.
    let id = OperationId(0);
    Event::Operation(Operation { id, host, unit, blocks, invoked, returned, kind, ending })
}

fn blocks(lba: u64, count: u64) -> LbaRange {
    LbaRange::new(Lba::new(lba), BlockCount::new(count)).unwrap()
}

fn ats() -> OperationKind {
    let image: Arc<[u8]> = Arc::new([0; 512]);
    OperationKind::CompareAndWrite { test: image.clone(), set: image }
}

fn bulk(recorder: &mut Recorder, noise: &mut Random, now: u64) {
    // What it moves is told by its blocks.
    let data: Arc<[u8]> = Arc::new([]);
    let kind = match noise.below(20) {
        0 => OperationKind::Zero,
        1 => OperationKind::Copy { from: Lba::new(0) },
        2..9 => OperationKind::Write { data },
        _ => OperationKind::Read { data },
    };
    let returned = at(now).after(Duration::from_micros(300 + noise.below(9_000)));
    let ending = if noise.one_in(400) { Ending::Refused } else { Ending::Done };
    let (host, blocks) = (any_host(noise), blocks(noise.below(1 << 20), 128));
    recorder.observe(&operation(host, (at(now), returned), blocks, kind, ending));
}

fn any_host(noise: &mut Random) -> u32 {
    u32::try_from(noise.below(HOSTS.into())).unwrap()
}

fn handover(recorder: &mut Recorder, noise: &mut Random, now: u64) {
    let (host, lock) = (any_host(noise), noise.below(64) * 512);
    let claim = |host: u32, at: Instant| Claim {
        host: HostId(host),
        unit: UnitId(0),
        at,
        lock,
        mode: ClaimMode::Exclusive,
        token: now,
    };
    let free_us = 900 + noise.below(4_000) * (1 + noise.below(12));
    recorder.observe(&Event::Left(claim(host, at(now))));
    let next = (host + 1) % HOSTS;
    recorder.observe(&Event::Taken(claim(next, at(now).after(Duration::from_micros(free_us)))));
    let (kind, outcome) = match noise.below(20) {
        0 => ("transaction", "stolen"),
        1 | 2 => ("exclusive", "contended"),
        3..9 => ("transaction", "done"),
        9..12 => ("read-only", "done"),
        12 => ("multi-writer", "done"),
        _ => ("exclusive", "done"),
    };
    recorder.order(kind, outcome, Duration::from_micros(free_us * 3 + 2_000));
}

fn miscompare(recorder: &mut Recorder, noise: &mut Random, now: u64, slow: bool) {
    let (cause, advice) = match (slow, noise.below(8)) {
        (true, 0..3) => (
            "injected",
            "Nothing: a fault did this, as ordered. `pulsefield fault ls` shows what is armed.",
        ),
        (true, 3 | 4) => (
            "retry of an applied ATS",
            "The datastore is sound; the host recovers by itself. Find out why the first answer did \
             not reach it.",
        ),
        // Of some the record was overwritten.
        (_, 7) => ("lock contended", "none: another host changed the lock"),
        _ => ("contention", "Nothing: hosts compete for a lock, one wins, the others try again."),
    };
    let view = if cause == "lock contended" { View::Host } else { View::Record };
    let host = any_host(noise);
    let lba = 8_192 + noise.below(2_048);
    recorder.miscompare(at(now), view, (cause, advice), || Found {
        host: Some(HostId(host)),
        about: format!("lock at block {lba}"),
        text: format!(
            "expected: free, v 1207\nfound:    {} has it exclusively, v 1208, written by COMPARE AND WRITE \
             #88213 {} ms before\nwanted:   {} exclusively, v 1208",
            name((host + 1) % HOSTS),
            lba % 40,
            name(host),
        ),
    });
    let (times, ending) = ((at(now), at(now + 1)), Ending::Miscompared(Some(14)));
    recorder.observe(&operation(host, times, blocks(lba, 1), ats(), ending));
}

fn conclusion(passed: bool) -> Conclusion {
    use checkers::{Breach, Figure, Promise, Standing, Verdict};
    let held = |promise, checked| Verdict {
        promise,
        standing: Standing::Held,
        checked,
        figures: Vec::new(),
        breaches: Vec::new(),
        breaches_total: 0,
    };
    let breach = |millis, host, what: &str| Breach {
        at: at(millis),
        unit: Some(UnitId(0)),
        hosts: vec![HostId(host)],
        what: what.to_owned(),
    };
    let late = vec![
        breach(249_130, 1, "the heartbeat sent at 241.1 s was aborted after 8.00 s"),
        breach(257_412, 9, "the heartbeat sent at 249.4 s was aborted after 8.00 s"),
        breach(264_007, 13, "the heartbeat sent at 256.0 s was aborted after 8.00 s"),
    ];
    let verdicts = vec![
        held(Promise::LockExclusion, 12_904),
        held(Promise::Linearizable, 1_204_311),
        held(Promise::Information, 733),
        Verdict {
            standing: Standing::Broken,
            figures: vec![
                Figure { name: "longest_us", value: 8_000_000 },
                Figure { name: "over_3_s", value: 231 },
            ],
            breaches: late,
            breaches_total: 37,
            ..held(Promise::HeartbeatDeadline, 3_190)
        },
        held(Promise::Durability, 88_120),
        held(Promise::AnsweredOnce, 1_208_423),
        held(Promise::Fairness, 16),
        held(Promise::Monotonic, 15_201),
        Verdict { standing: Standing::Unchecked, ..held(Promise::NoEarlyTakeover, 0) },
    ];
    let fault = |rule: &str, fault: &str, sentence: &str, from_ms, until_ms, hits| Fault {
        rule: rule.to_owned(),
        fault: fault.to_owned(),
        sentence: sentence.to_owned(),
        from_ms,
        until_ms,
        hits,
    };
    let expectation = |rule: &str, fault: &str, expected: &str, seen: &str| Expectation {
        rule: rule.to_owned(),
        fault: fault.to_owned(),
        expected: expected.to_owned(),
        seen: seen.to_owned(),
        met: true,
    };
    let reasons = if passed {
        vec!["All that followed is what the plan declares.".to_owned()]
    } else {
        vec![
            "lock-exclusion is broken, and no rule of the plan declares that.".to_owned(),
            "Rule slow-heartbeats was to be seen by initiators, and nothing was.".to_owned(),
        ]
    };
    Conclusion {
        end: End::Planned,
        judgement: Judgement { passed, reasons },
        verdicts,
        notes: Vec::new(),
        expectations: vec![
            expectation(
                "slow-heartbeats",
                "caw.slow",
                "an initiator sees it",
                "37 heartbeats timed out",
            ),
            expectation(
                "lost-answers",
                "caw.status-lost",
                "a retry hides it",
                "31 retries miscompared on what they had written themselves",
            ),
        ],
        faults: vec![
            fault(
                "slow-heartbeats",
                "caw.slow",
                "COMPARE AND WRITE of a heartbeat takes 2.6 s to 9.2 s longer.",
                240_000,
                Some(330_000),
                118,
            ),
            fault(
                "lost-answers",
                "caw.status-lost",
                "One in fifty COMPARE AND WRITE commands is applied and never answered.",
                285_000,
                Some(330_000),
                31,
            ),
        ],
    }
}
