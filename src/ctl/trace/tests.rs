//! What is shown of a record that was written here.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser as _;
use pulsefield_data::Buffer;
use pulsefield_engine::{Lane, Stage, Waited};
use pulsefield_record::{Finished, Origin, Overdue, Reader, Recorder, Stop};
use pulsefield_scsi::{Asc, Sense, Status};
use pulsefield_units::Cdb;
use tempfile::TempDir;

use super::*;
use crate::cli::{Cli, Command};
use crate::testing::{HOST, at, buffer, pulse, range, recorder, wall};

const OTHER: &str = "685eb8ec-7f3e3890-4544-bc2411b17e28";

/// COMPARE AND WRITE of block 8704.
const COMPARE_AND_WRITE: [u8; 16] = [0x89, 0, 0, 0, 0, 0, 0, 0, 0x22, 0, 0, 0, 0, 1, 0, 0];

/// What the COMPARE AND WRITE expects and writes.
fn halves() -> Vec<u8> {
    [1, 4].map(|seconds| pulse(HOST, Duration::from_secs(seconds))).concat()
}

/// A machine with the records of two units.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        let mut ds1 = machine.recorder("ds1");
        ds1.fault_hit(at(10), 3, "slow", 7, 0x89, Duration::from_secs(1));
        ds1.task_management(at(15), 1, &[7], |_| true);
        let found = pulse(OTHER, Duration::from_micros(9));
        ds1.found(at(18), Some(7), range(8704, 1), 20, &buffer(&found));
        let data = buffer(&halves());
        let sense = Sense::miscompare(20);
        let ats = Finished {
            origin: Origin::Initiator { command_id: 7 },
            cdb: &Cdb::new(&COMPARE_AND_WRITE),
            arrived: at(10),
            started: Some(at(14)),
            ended: Some(at(18)),
            waited: Waited { blocks: Duration::from_millis(4), ..Waited::default() },
            lane: Some(Lane::Heartbeat),
            blocks: Some(range(8704, 1)),
            status: Status::CheckCondition,
            sense: Some(&sense),
            data: &data,
        };
        ds1.command(at(20), &ats);
        let read = Finished {
            origin: Origin::Initiator { command_id: 9 },
            cdb: &Cdb::new(&[0x28; 10]),
            arrived: at(30),
            waited: Waited::default(),
            lane: Some(Lane::Bulk),
            blocks: Some(range(100, 8)),
            status: Status::Good,
            sense: None,
            data: &Buffer::heap(4096),
            ..ats
        };
        ds1.command(at(31), &read);
        ds1.attention_raised(at(40), Asc::CAPACITY_DATA_HAS_CHANGED);
        ds1.overdue(
            at(45),
            &Overdue {
                command_id: 8,
                cdb: Cdb::new(&COMPARE_AND_WRITE),
                arrived: at(41),
                stage: Some((Stage::Medium, at(42))),
                blocks: Some(range(8704, 1)),
            },
        );
        ds1.stop(at(50), Stop::Told);
        let mut ds2 = machine.recorder("ds2");
        ds2.command(at(25), &Finished { cdb: &Cdb::new(&[0x8a; 16]), arrived: at(24), ..read });
        machine
    }

    fn recorder(&self, lun: &str) -> Recorder {
        recorder(self.0.path(), lun, 1)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The capture that `pulsefield trace` with these arguments prints.
    fn capture(&self, arguments: &str) -> Vec<u8> {
        self.run(&format!("--pcapng - {arguments}")).unwrap()
    }

    /// What `pulsefield trace` with these arguments prints.
    fn trace(&self, arguments: &str) -> Result<String, TraceError> {
        self.run(arguments).map(|out| String::from_utf8(out).unwrap())
    }

    fn run(&self, arguments: &str) -> Result<Vec<u8>, TraceError> {
        let folder = self.0.path().to_str().unwrap();
        let line = format!("pulsefield trace --directory {folder} {arguments}");
        let Command::Trace(args) = Cli::parse_from(line.split_whitespace()).command else {
            panic!()
        };
        let mut out = Vec::new();
        trace(&args, &mut out).map(|()| out)
    }

    /// The lines, without their process id.
    fn lines(&self, arguments: &str) -> Vec<String> {
        let process = format!("process {}", std::process::id());
        let text = self.trace(arguments).unwrap();
        text.lines().map(|line| line.replace(&process, "process 42")).collect()
    }
}

#[test]
fn a_record_is_shown_line_by_line() {
    let machine = Machine::new();
    let expected = format!(
        "2023-11-14T22:13:20.001000Z the unit serves: 2097152 blocks of 512 bytes, process 42, epoch 1\n\
         2023-11-14T22:13:20.010000Z FAULT: rule \"slow\" hits #7 (89h), hit 3, held up for 1.00 s\n\
         2023-11-14T22:13:20.015000Z ABORT TASK of #7\n\
         2023-11-14T22:13:20.020000Z #7 COMPARE AND WRITE 8704+1 heartbeat 10.0 ms, 4.00 ms for blocks \
         CHECK CONDITION, MISCOMPARE, MISCOMPARE DURING VERIFY OPERATION, INFORMATION 20, \
         abort asked for after 5.00 ms, FAULT hit 3; \
         expects heartbeat slot 64 generation 5 stamp 1.000000 s of {HOST}; \
         writes heartbeat slot 64 generation 5 stamp 4.000000 s of {HOST}; \
         found heartbeat slot 64 generation 5 stamp 0.000009 s of {OTHER}\n\
         2023-11-14T22:13:20.020000Z ABORT TASK is over after 5.00 ms: whatever it names is answered\n\
         2023-11-14T22:13:20.031000Z #9 READ(10) 100+8 bulk 1.00 ms GOOD\n\
         2023-11-14T22:13:20.040000Z unit attention raised: CAPACITY DATA HAS CHANGED\n\
         2023-11-14T22:13:20.045000Z #8 COMPARE AND WRITE 8704+1 is NOT ANSWERED after 4.00 ms: it waits for \
         the medium, for 3.00 ms now\n\
         2023-11-14T22:13:20.050000Z the unit stops"
    );
    assert_eq!(machine.lines("ds1").join("\n"), expected);
}

#[test]
fn several_are_shown_in_the_order_of_time() {
    let machine = Machine::new();
    let lines = machine.lines("");
    let units: Vec<_> = lines.iter().map(|line| line.split(' ').nth(1).unwrap()).collect();
    let mut expected = ["ds1"; 11];
    (expected[1], expected[6]) = ("ds2", "ds2");
    assert_eq!(units, expected);
}

#[test]
fn only_what_is_asked_for_is_shown() {
    let machine = Machine::new();
    for (arguments, ids) in [
        ("--lane heartbeat", vec!["#7"]),
        ("--lane bulk", vec!["#9", "#9"]),
        ("--command compare-and-write", vec!["#7"]),
        ("--command READ --command 0x8A", vec!["#9", "#9"]),
        ("--command read(16)", vec![]),
        ("--status miscompare", vec!["#7"]),
        ("--status Check-Condition", vec!["#7"]),
        ("--status good", vec!["#9", "#9"]),
        ("--slower-than 10ms", vec!["#7"]),
        ("--slower-than 11ms", vec![]),
        ("--lba 8704", vec!["#7"]),
        ("--lba 107", vec!["#9", "#9"]),
        ("--object heartbeat", vec!["#7"]),
        ("--object lock", vec![]),
        (&format!("--host {HOST}"), vec!["#7"]),
        // It owns what was found.
        (&format!("--host {OTHER}"), vec!["#7"]),
        ("--host 00000001-7f3e3890-4544-bc2411b17e28", vec![]),
    ] {
        let lines = machine.lines(arguments);
        let shown: Vec<_> = lines.iter().map(|line| line.split(' ').nth(2).unwrap()).collect();
        assert_eq!(shown, ids, "{arguments}");
    }
}

#[test]
fn bytes_are_shown_without_the_zeros_at_their_end() {
    let machine = Machine::new();
    let lines = machine.lines("ds1 --bytes --lane heartbeat");
    assert_eq!(lines[1], "    expects:");
    assert_eq!(lines[2], "    000000  02 ef cd ab 00 00 34 00 00 00 00 00 05 00 00 00");
    assert_eq!(lines[5], "    000030  18");
    assert_eq!(lines[6], "    463 bytes of zeros");
    assert_eq!((lines[7].trim(), lines[13].trim(), lines.len()), ("writes:", "found:", 19));
}

#[test]
fn json_has_an_object_a_line() {
    let machine = Machine::new();
    let text = machine.trace("ds1 --json").unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    let expected = [
        "start",
        "fault-hit",
        "task-management",
        "command",
        "task-management-over",
        "command",
        "attention-raised",
        "overdue",
        "stop",
    ];
    assert_eq!(events, expected);
    let ats = &lines[3];
    assert_eq!(ats["time"], "2023-11-14T22:13:20.020000Z");
    assert_eq!(
        (&ats["lun"], &ats["lba"], &ats["took_us"]),
        (&"ds1".into(), &8704.into(), &10_000.into())
    );
    assert_eq!((&ats["sense"]["information"], &ats["hit"]), (&20.into(), &3.into()));
    assert_eq!(ats["images"][2]["role"], "found");
    assert_eq!(ats["images"][2]["vmfs"]["host"], OTHER);
    assert_eq!(ats["images"][0]["bytes"].as_str().unwrap().len(), 1024);
}

#[test]
fn a_record_is_saved_and_shown_from_there() {
    let machine = Machine::new();
    let copy = machine.path("copy.pulserec");
    let copy = copy.to_str().unwrap();
    assert_eq!(machine.trace(&format!("ds1 --save {copy}")).unwrap(), "");
    assert_eq!(machine.lines(copy), machine.lines("ds1"));
    let error = machine.trace(&format!("ds1 ds2 --save {copy}")).unwrap_err();
    assert!(matches!(error, TraceError::SeveralToSave), "{error}");
}

#[test]
fn what_cannot_be_shown_says_why() {
    let machine = Machine::new();
    let error = machine.trace("ds3").unwrap_err();
    assert!(matches!(error, TraceError::Read(ReadError::Io { .. })), "{error}");
    std::fs::write(machine.path("ds4.pulserec"), [7; 100]).unwrap();
    let error = machine.trace("ds4").unwrap_err().to_string();
    assert!(error.ends_with("ds4.pulserec is no record of Pulsefield's"), "{error}");
    std::fs::copy(machine.path("ds1.pulserec"), machine.path("ds5.pulserec")).unwrap();
    let error = machine.trace("ds5").unwrap_err().to_string();
    assert!(error.ends_with("ds5.pulserec is a record of ds1, not of ds5"), "{error}");
    let empty = tempfile::tempdir().unwrap();
    let nothing = source::places(&[], empty.path());
    assert!(matches!(nothing, Err(TraceError::NoRecord(_))));
}

#[test]
fn commands_are_captured_as_frames() {
    let machine = Machine::new();
    let path = machine.path("ds1.pcapng");
    assert_eq!(machine.trace(&format!("ds1 --pcapng {}", path.display())).unwrap(), "");
    let file = std::fs::read(&path).unwrap();
    let has = |bytes: &[u8]| file.windows(bytes.len()).any(|window| window == bytes);
    // The abort is ABTS in the exchange of the ATS, which has both images and sense data.
    assert!(has(&[0x81, 2, 0, 0, 0, 1, 0, 0, 0]));
    assert!(has(&COMPARE_AND_WRITE));
    assert!(has(&halves()));
    assert!(has(&[0xf0, 0, 0x0e, 0, 0, 0, 20, 10, 0, 0, 0, 0, 0x1d, 0]));
    assert!(has(b"#7 COMPARE AND WRITE 8704+1 heartbeat 10.0 ms"));
    // It was found at 10 ms, and its abort answered at 20 ms: the second frame of that time.
    let times = |millis| {
        let time = wall(millis).as_nanos().to_le_bytes();
        let time = [&time[4..], &time[..4]].concat();
        file.windows(8).filter(|window| *window == time).count()
    };
    assert!(times(10) > 0);
    assert_eq!(times(20), 2);
}

#[test]
fn a_capture_can_be_piped_and_filtered() {
    let machine = Machine::new();
    let all = machine.capture("");
    assert_eq!(all[..4], [0x0a, 0x0d, 0x0d, 0x0a]);
    let has = |file: &[u8], words: &[u8]| file.windows(words.len()).any(|window| window == words);
    assert!(has(&all, b"LUN 0 is ds1. LUN 1 is ds2."));
    assert!(has(&all, b"READ(10)") && has(&all, b"ABORT TASK"));
    let ats = machine.capture("--status miscompare");
    assert!(has(&ats, b"COMPARE AND WRITE") && !has(&ats, b"READ(10)"));
    assert!(!has(&ats, b"ABORT TASK"));
}

#[test]
fn an_abort_that_is_followed_is_answered_when_its_command_is() {
    let machine = Machine::new();
    let reader = Reader::open(&machine.path("ds1.pulserec")).unwrap();
    let records: Vec<Record> = reader.records().collect();
    let happenings: Vec<_> =
        records.iter().map(|record| Happening { lun: "ds1", record, found: None }).collect();
    let captured = |batches: &[&[Happening<'_>]]| {
        let mut file = Vec::new();
        let mut capture = Capture::begin(Box::new(&mut file), vec!["ds1".to_owned()]).unwrap();
        batches.iter().for_each(|batch| capture.write(batch).unwrap());
        drop(capture);
        file
    };
    let one_by_one: Vec<_> = happenings.chunks(1).collect();
    let (whole, followed) = (captured(&[&happenings]), captured(&one_by_one));
    // R_CTL, the address it goes to, and TYPE of basic link services: BA_ACC.
    let accept = [0x84, 1, 0, 0, 0, 2, 0, 0, 0];
    let accepts = |file: &[u8]| file.windows(9).filter(|window| *window == accept).count();
    assert_eq!((accepts(&whole), accepts(&followed)), (1, 1));
    // The same frames, if not in the same order.
    assert_eq!(whole.len(), followed.len());
    // What the unit has forgotten by beginning again is answered no more.
    let again = Record { epoch: 2, ..records[0].clone() };
    let again = [Happening { lun: "ds1", record: &again, found: None }];
    let (before, after) = happenings.split_at(3);
    assert_eq!(accepts(&captured(&[before, &again, after])), 0);
}

#[test]
fn a_capture_that_cannot_be_written_is_an_error() {
    let machine = Machine::new();
    let error = machine.trace("ds1 --pcapng /no-such-folder/x").unwrap_err();
    assert!(matches!(error, TraceError::Capture(..)), "{error}");
}
