//! What is explained of a record that was written here.

use std::fs;
use std::time::Duration;

use clap::Parser as _;
use pulsefield_engine::{Lane, Waited};
use pulsefield_record::{Finished, Origin, Recorder};
use pulsefield_scsi::{Sense, Status};
use pulsefield_units::Cdb;
use tempfile::TempDir;

use super::*;
use crate::cli::{Cli, Command};
use crate::testing::{HOST, at, buffer, range, recorder, wall};

const LBA: u64 = 43_520;

/// The heartbeat of a host that has been up for so many seconds.
fn pulse(seconds: u64) -> Vec<u8> {
    crate::testing::pulse(HOST, Duration::from_secs(seconds))
}

/// A machine with the record of a unit: three pulses, of which the third was answered after 9 s, when its
/// abort had been asked for; its host tries again, and later two initiators compete for another block.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        let mut ds1 = machine.recorder();
        let mut id = 0;
        let mut ats = |from: u64, to: u64, lba, halves: [&[u8]; 2], found: Option<&[u8]>| {
            id += 1;
            let block = range(lba, 1);
            if to - from > 8_000 {
                ds1.task_management(at(from + 8_000), 1, &[id], |_| true);
            }
            if let Some(found) = found {
                ds1.found(at(to), Some(id), block, 20, &buffer(found));
            }
            let mut cdb = [0; 16];
            cdb[0] = 0x89;
            cdb[2..10].copy_from_slice(&lba.to_be_bytes());
            cdb[13] = 1;
            let sense = found.map(|_| Sense::miscompare(20));
            let finished = Finished {
                origin: Origin::Initiator { command_id: id },
                cdb: &Cdb::new(&cdb),
                arrived: at(from),
                started: Some(at(from)),
                ended: Some(at(to)),
                waited: Waited::default(),
                lane: Some(Lane::Heartbeat),
                blocks: Some(block),
                status: if found.is_some() { Status::CheckCondition } else { Status::Good },
                sense: sense.as_ref(),
                data: &buffer(&halves.concat()),
            };
            ds1.command(at(to), &finished);
        };
        ats(0, 1, LBA, [&pulse(100), &pulse(103)], None);
        ats(3_000, 3_001, LBA, [&pulse(103), &pulse(106)], None);
        ats(6_000, 15_000, LBA, [&pulse(106), &pulse(109)], None);
        ats(15_100, 15_101, LBA, [&pulse(106), &pulse(115)], Some(&pulse(109)));
        ats(15_300, 15_301, LBA, [&pulse(109), &pulse(115)], None);
        let data = [1, 2, 3].map(|byte| [byte; 512]);
        ats(20_000, 20_001, 7, [&data[0], &data[1]], None);
        ats(20_000, 20_002, 7, [&data[0], &data[2]], Some(&data[1]));
        machine
    }

    fn recorder(&self) -> Recorder {
        recorder(self.0.path(), "ds1", 0)
    }

    /// What `pulsefield explain` with these arguments prints a minute after the record's begin.
    fn explain(&self, arguments: &str) -> Result<String, ExplainError> {
        let folder = self.0.path().to_str().unwrap();
        let line = format!("pulsefield explain --directory {folder} {arguments}");
        let Command::Explain(args) = Cli::parse_from(line.split_whitespace()).command else {
            panic!()
        };
        let mut out = Vec::new();
        explain(&args, wall(60_000), &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }
}

#[test]
fn a_retry_is_told_with_its_evidence() {
    let shown = Machine::new().explain("ds1").unwrap();
    let expected = "\
2023-11-14T22:13:35.000000Z ds1 HEARTBEAT TOO LATE: heartbeat at 3407872, host 685eb8eb-7f3e3890-4544-bc2411b17e28
  finding:  #3 COMPARE AND WRITE 43520+1 took 9.00 s: 9.00 s in service of the medium (most of it)
  to do:    The medium is slow: look at the disks below this unit, and at what else uses them.

2023-11-14T22:13:35.101000Z ds1 MISCOMPARE of #4 COMPARE AND WRITE 43520+1: heartbeat at 3407872, host 685eb8eb-7f3e3890-4544-bc2411b17e28
  finding:  retry of an applied ATS
            #3 COMPARE AND WRITE 43520+1 expected the same and was applied 101 ms before; its abort was asked for after 8.00 s
  expected: heartbeat slot 64 generation 5 stamp 106.000000 s of 685eb8eb-7f3e3890-4544-bc2411b17e28
  found:    heartbeat slot 64 generation 5 stamp 109.000000 s of 685eb8eb-7f3e3890-4544-bc2411b17e28
  wanted:   heartbeat slot 64 generation 5 stamp 115.000000 s of 685eb8eb-7f3e3890-4544-bc2411b17e28
  change:   pulse +3.000 s by host 685eb8eb-7f3e3890-4544-bc2411b17e28; differs from byte 20 of block 43520 on
            stamp: 106.000000 s → 109.000000 s
  to do:    ";
    assert!(shown.starts_with(expected), "{shown}");
    let rest = &shown[expected.len()..];
    let end = "

1 by contention alone: --all shows them.

ds1: 2023-11-14T22:13:20.000000Z to 2023-11-14T22:13:40.002000Z, 7 commands recorded, 7 of them ATS
  host                                  slot   pulses  failed  longest gap    jitter
  685eb8eb-7f3e3890-4544-bc2411b17e28     64        4       1       9.30 s    100 ms
  slowest of the heartbeat lane:
     9.00 s  2023-11-14T22:13:35.000000Z #3 COMPARE AND WRITE 43520+1
    2.00 ms  2023-11-14T22:13:40.002000Z #7 COMPARE AND WRITE 7+1
    1.00 ms  2023-11-14T22:13:20.001000Z #1 COMPARE AND WRITE 43520+1
    1.00 ms  2023-11-14T22:13:23.001000Z #2 COMPARE AND WRITE 43520+1
    1.00 ms  2023-11-14T22:13:35.101000Z #4 COMPARE AND WRITE 43520+1
  miscompares: 1 retry of an applied ATS, 1 contention
  heartbeats: 1 too late
";
    assert!(rest.ends_with(end), "{rest}");
}

#[test]
fn what_is_shown_can_be_chosen() {
    let machine = Machine::new();
    let all = machine.explain("--all").unwrap();
    assert!(all.contains("MISCOMPARE of #7 COMPARE AND WRITE 7+1: not VMFS metadata"), "{all}");
    let summary = machine.explain("ds1 --summary").unwrap();
    assert!(summary.starts_with("ds1: 2023-11-14T22:13:20"), "{summary}");
    let later = machine.explain("--summary --since 2023-11-14T22:13:36Z").unwrap();
    assert!(later.ends_with("miscompares: 1 contention\n  heartbeats: none late\n"), "{later}");
    let ago = machine.explain("--summary --since 44s").unwrap();
    assert_eq!(ago, later);
    let patient = machine.explain("--summary --warning 10s --error 10s").unwrap();
    assert!(patient.ends_with("heartbeats: none late\n"), "{patient}");
    let none = machine.explain("--since 1s").unwrap();
    assert_eq!(none, "ds1: nothing is recorded in that time\n");
}

#[test]
fn json_has_all_of_it() {
    let shown = Machine::new().explain("--json").unwrap();
    let document: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let ds1 = &document["luns"][0];
    let retry = &ds1["miscompares"][0];
    assert_eq!(retry["finding"], "retry-of-an-applied-ats");
    assert_eq!(retry["object"], "heartbeat at 3407872");
    assert_eq!(retry["host"], HOST);
    assert_eq!(retry["evidence"]["aborted_ns"], 14_000_000_000_u64);
    assert_eq!(retry["evidence"]["first"]["command"], "#3 COMPARE AND WRITE 43520+1");
    assert_eq!(retry["found"].as_str().map(str::len), Some(1024));
    assert_eq!(ds1["miscompares"][1]["finding"], "contention");
    assert_eq!(ds1["late_heartbeats"][0]["shares_us"]["in service of the medium"], 9_000_000);
    assert_eq!(ds1["summary"]["hosts"][0]["longest_gap_us"], 9_300_000);
    assert_eq!(ds1["summary"]["miscompares"]["contention"], 1);
}

#[test]
fn the_logs_of_hosts_stand_beside_the_record() {
    let machine = Machine::new();
    let log = machine.0.path().join("vmkernel.log");
    // The host's clock is 2 s ahead.
    fs::write(
        &log,
        "2023-11-14T22:13:37.108Z cpu1:2)ATS Miscompare detected between test and set HB images at offset \
         3407872 on vol 'ds'\n\
         2023-11-14T22:13:37.305Z cpu1:2)HBX: 231: Reclaimed heartbeat for volume \
         4e203815-40b2561a-dd72-0017a477003a (ds): [Timeout] [HB state abcdef02 offset 3407872 gen 5 stampUS \
         115000000 uuid 685eb8eb-7f3e3890-4544-bc2411b17e28 jrnl <FB 1> drv 24.82]\n\
         2023-11-14T22:13:38.000Z cpu1:2)something else\n\
         ATS Miscompare detected between test and\x01\n",
    )
    .unwrap();
    let shown = machine.explain(&format!("--vmkernel-log esx01={}", log.display())).unwrap();
    assert!(shown.contains("esx01: its clock is 2.00"), "{shown}");
    assert!(shown.contains("ahead of the target's, ± 0."), "{shown}");
    assert!(
        shown.contains("4 lines: 2 in the timeline, 1 about other things, 1 that cannot be read")
    );
    let order = [
        "ds1: the unit serves",
        "ds1: pulse +3.000 s by host 685eb8eb",
        "ds1: ABORT TASK of #3",
        "late: it took 9.00 s",
        "MISCOMPARE DURING VERIFY OPERATION, INFORMATION 20: retry of an applied ATS",
        "esx01   ",
        "stamp 115.000000 s",
    ];
    let timeline = &shown[shown.find("All times are the target's.").unwrap()..];
    let places: Vec<_> = order.map(|words| timeline.find(words)).to_vec();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}\n{timeline}");
    assert!(!timeline.contains("stamp 106.000000 s"), "a pulse in good order:\n{timeline}");
}

#[test]
fn what_cannot_be_read_is_said() {
    let machine = Machine::new();
    let missing = machine.explain("ds1 --vmkernel-log /nonexistent/vmkernel.log").unwrap_err();
    assert_eq!(missing.to_string(), "cannot read /nonexistent/vmkernel.log");
    assert!(matches!(machine.explain("ds2"), Err(ExplainError::Record(TraceError::Read(_)))));
    let noise = machine.0.path().join("noise");
    fs::write(&noise, [0x5a; 10_000]).unwrap();
    assert!(machine.explain(noise.to_str().unwrap()).is_err());
    for cut in [100, 5_000, 300_000] {
        let bytes = fs::read(machine.0.path().join("ds1.pulserec")).unwrap();
        fs::write(&noise, &bytes[..cut]).unwrap();
        // Whatever is left is explained, or it is said why not.
        let _ = machine.explain(noise.to_str().unwrap());
    }
    assert!(Cli::try_parse_from(["pulsefield", "explain", "--since", "yesterday"]).is_err());
    let both = ["pulsefield", "explain", "--json", "--vmkernel-log", "x"];
    assert!(Cli::try_parse_from(both).is_err());
}
