//! Stories of a record: what is told to a recorder is what a reader tells, whatever has happened to the
//! file in between.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use pulsefield_data::Buffer;
use pulsefield_engine::{Lane, Stage, Waited};
use pulsefield_scsi::{Asc, Sense, Status};
use pulsefield_units::{BlockCount, BlockLength, Cdb, Instant, Lba, LbaRange};
use tempfile::TempDir;

use crate::*;

mod damage;
mod format;
mod writers;

const MIB: u64 = 1 << 20;

/// The wall clock when the monotonic one shows nothing.
const BOOT: u64 = 1_700_000_000_000_000_000;

fn at(micros: u64) -> Instant {
    Instant::from_nanos(micros * 1000)
}

fn wall(micros: u64) -> WallTime {
    WallTime::from_nanos(BOOT + micros * 1000)
}

fn range(lba: u64, blocks: u64) -> LbaRange {
    LbaRange::new(Lba::new(lba), BlockCount::new(blocks)).unwrap()
}

fn buffer(bytes: &[u8]) -> Buffer {
    let mut buffer = Buffer::heap(bytes.len());
    buffer.write_at(0, bytes);
    buffer
}

/// A sector that begins with these bytes.
fn sector(bytes: &[u8]) -> Vec<u8> {
    let mut sector = bytes.to_vec();
    sector.resize(512, 0);
    sector
}

/// A folder with the record of `ds1`.
struct Desk {
    folder: TempDir,
    bytes: u64,
    detail: Detail,
}

impl Desk {
    fn new(bytes: u64) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), bytes, detail: Detail::Whole }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("ds1.pulserec")
    }

    fn try_open(&self, micros: u64) -> Result<Recorder, OpenError> {
        let unit = Unit {
            folder: self.folder.path(),
            lun: "ds1",
            bytes: self.bytes,
            detail: self.detail,
            block_length: BlockLength::B512,
            blocks: BlockCount::new(1 << 21),
            after_breakdown: false,
        };
        Recorder::open(&unit, at(micros), wall(micros))
    }

    fn open(&self) -> Recorder {
        self.try_open(1).unwrap()
    }

    fn records(&self) -> Vec<Record> {
        Reader::open(&self.path()).unwrap().records().collect()
    }

    /// The commands that are recorded.
    fn commands(&self) -> Vec<Command> {
        self.records().iter().filter_map(Record::command).cloned().collect()
    }
}

/// A command to be told: ten microseconds from the ring to its start, and ten to its end.
struct Told {
    origin: Origin,
    cdb: Cdb,
    lane: Option<Lane>,
    blocks: Option<LbaRange>,
    status: Status,
    sense: Option<Sense>,
    data: Vec<u8>,
}

impl Told {
    fn new(cdb: &[u8], lane: Lane, blocks: LbaRange, data: &[u8]) -> Self {
        Self {
            origin: Origin::Initiator { command_id: 7 },
            cdb: Cdb::new(cdb),
            lane: Some(lane),
            blocks: Some(blocks),
            status: Status::Good,
            sense: None,
            data: data.to_vec(),
        }
    }

    /// A COMPARE AND WRITE of one sector.
    fn ats(lba: u64, expected: &[u8], written: &[u8]) -> Self {
        let data = [sector(expected), sector(written)].concat();
        Self::new(&[0x89; 16], Lane::Heartbeat, range(lba, 1), &data)
    }

    fn write(lba: u64, blocks: u64, fill: u8) -> Self {
        let data = vec![fill; usize::try_from(blocks * 512).unwrap()];
        Self::new(&[0x8a; 16], Lane::Bulk, range(lba, blocks), &data)
    }

    fn miscompared(self, offset: u64) -> Self {
        let sense = Some(Sense::miscompare(offset));
        Self { status: Status::CheckCondition, sense, ..self }
    }

    fn tell(&self, recorder: &mut Recorder, micros: u64) {
        let finished = Finished {
            origin: self.origin,
            cdb: &self.cdb,
            arrived: at(micros - 20),
            started: self.lane.map(|_| at(micros - 10)),
            ended: Some(at(micros)),
            waited: Waited { blocks: Duration::from_micros(9), ..Waited::default() },
            lane: self.lane,
            blocks: self.blocks,
            status: self.status,
            sense: self.sense.as_ref(),
            data: &buffer(&self.data),
        };
        recorder.command(at(micros), &finished);
    }
}

#[test]
fn a_miscompare_is_recorded_whole() {
    let desk = Desk::new(MIB);
    let mut recorder = desk.open();
    let found = buffer(&sector(b"somebody else"));
    recorder.found(at(30), Some(7), range(8193, 1), 3, &found);
    Told::ats(8193, b"expected", b"wanted").miscompared(3).tell(&mut recorder, 40);
    recorder.stop(at(50), Stop::Told);
    drop(recorder);
    let records = desk.records();
    let sequences: Vec<_> = records.iter().map(|record| record.sequence).collect();
    assert_eq!(sequences, [1, 2, 3, 4]);
    let Event::Start(start) = records[0].event else { panic!() };
    assert_eq!((start.block_bytes, start.blocks.as_u64()), (512, 1 << 21));
    assert_eq!(start.process, std::process::id());
    let Event::Found(found) = &records[1].event else { panic!() };
    assert_eq!((found.blocks, found.image.offset), (range(8193, 1), 0));
    assert_eq!(found.image.bytes, sector(b"somebody else"));
    let Event::Command(command) = &records[2].event else { panic!() };
    assert_eq!(command.origin, Origin::Initiator { command_id: 7 });
    assert_eq!(
        (command.arrived, command.started, command.ended),
        (at(20), Some(at(30)), Some(at(40)))
    );
    assert_eq!((command.answered, command.took()), (at(40), Duration::from_micros(20)));
    assert_eq!(command.waited.blocks, Duration::from_micros(9));
    assert_eq!((command.lane, command.blocks), (Some(Lane::Heartbeat), Some(range(8193, 1))));
    assert_eq!((command.status, command.data_bytes), (0x02, 1024));
    let sense = SenseCode { key: 0x0e, asc: 0x1d, ascq: 0, information: Some(3) };
    assert_eq!(command.sense, Some(sense));
    assert_eq!(command.image(ImageRole::Expected).unwrap().bytes, sector(b"expected"));
    assert_eq!(command.image(ImageRole::Written).unwrap().bytes, sector(b"wanted"));
    assert_eq!(records[2].wall, Some(wall(40)));
    assert_eq!(records[3].event, Event::Stop(Stop::Told));
    let mut joiner = Joiner::default();
    let found: Vec<_> = records.iter().map(|record| joiner.take(record)).collect();
    assert!(found[2].is_some() && [0, 1, 3].iter().all(|nth| found[*nth].is_none()));
}

#[test]
fn of_a_brief_ats_there_are_no_images() {
    let desk = Desk { detail: Detail::Brief, ..Desk::new(MIB) };
    let mut recorder = desk.open();
    recorder.found(at(30), Some(7), range(1, 1), 3, &buffer(&[1; 512]));
    Told::ats(1, b"a", b"b").tell(&mut recorder, 40);
    recorder.set_detail(Detail::Whole);
    Told::ats(1, b"a", b"b").tell(&mut recorder, 60);
    let images: Vec<_> = desk.commands().iter().map(|command| command.images.len()).collect();
    assert_eq!((images, desk.records().len()), (vec![0, 2], 3));
}

#[test]
fn of_a_long_ats_the_block_that_differs_is_kept() {
    let desk = Desk::new(MIB);
    let mut recorder = desk.open();
    let half: Vec<u8> = (0..64).flat_map(|block| [block; 512]).collect();
    let mut ats = Told::ats(0, b"", b"");
    ats.blocks = Some(range(0, 64));
    ats.data = [half.clone(), half.clone()].concat();
    recorder.found(at(30), Some(7), range(0, 64), 20_000, &buffer(&half));
    ats.miscompared(20_000).tell(&mut recorder, 40);
    let command = &desk.commands()[0];
    for role in [ImageRole::Expected, ImageRole::Written] {
        let image = command.image(role).unwrap();
        assert_eq!((image.offset, image.bytes.len()), (39 * 512, 4096));
        assert_eq!(image.bytes, half[39 * 512..][..4096]);
    }
    let Event::Found(found) = &desk.records()[1].event else { panic!() };
    assert_eq!((found.image.offset, found.image.bytes[0]), (39 * 512, 39));
}

#[test]
fn aborts_and_faults_are_told_with_the_command_and_by_themselves() {
    let desk = Desk::new(MIB);
    let mut recorder = desk.open();
    recorder.fault_hit(at(5), 41, "slow pulses", 7, 0x89, Duration::from_secs(9));
    recorder.task_management(at(10), 1, &[7, 8], |id| id == 7);
    Told::ats(1, b"a", b"b").tell(&mut recorder, 40);
    let other = Told { origin: Origin::Initiator { command_id: 8 }, ..Told::ats(1, b"b", b"c") };
    other.tell(&mut recorder, 50);
    let records = desk.records();
    let hit = FaultHit {
        number: 41,
        rule: "slow pulses".to_owned(),
        command_id: 7,
        opcode: 0x89,
        delay: Duration::from_secs(9),
    };
    assert_eq!(records[1].event, Event::FaultHit(hit));
    let asked = TaskManagement { function: 1, commands: 2, command_ids: vec![7, 8] };
    assert_eq!((records[2].at, &records[2].event), (at(10), &Event::TaskManagement(asked)));
    let marks: Vec<_> =
        desk.commands().iter().map(|command| (command.hit, command.aborted)).collect();
    // The other was answered before the abort came.
    assert_eq!(marks, [(Some(41), Some(at(10))), (None, None)]);
}

#[test]
fn a_function_is_over_when_the_last_of_its_commands_is_answered() {
    let desk = Desk::new(MIB);
    let mut recorder = desk.open();
    let over = |micros: u64| {
        let is_over = |record: &Record| matches!(record.event, Event::TaskManagementOver(_));
        let over: Vec<_> = desk.records().into_iter().filter(is_over).collect();
        assert!(over.iter().all(|record| record.at == at(micros)), "{over:?}");
        over.into_iter().map(|record| record.event).collect::<Vec<_>>()
    };
    let of = |function, commands, asked| {
        Event::TaskManagementOver(TaskManagementOver { function, commands, asked: at(asked) })
    };
    recorder.task_management(at(10), 5, &[7, 8, 9], |id| id != 9);
    recorder.task_management(at(12), 1, &[8], |_| true);
    Told::ats(1, b"a", b"b").tell(&mut recorder, 40);
    assert_eq!(over(40), []);
    let other = Told { origin: Origin::Initiator { command_id: 8 }, ..Told::ats(1, b"b", b"c") };
    other.tell(&mut recorder, 50);
    assert_eq!(over(50), [of(5, 3, 10), of(1, 1, 12)]);
    // The next command of that number is nobody's business.
    other.tell(&mut recorder, 60);
    assert_eq!(over(50).len(), 2);
}

#[test]
fn a_function_that_meets_no_command_is_over_at_once() {
    let desk = Desk::new(MIB);
    let mut recorder = desk.open();
    recorder.task_management(at(10), 5, &[], |_| true);
    let over = TaskManagementOver { function: 5, commands: 0, asked: at(10) };
    let last = desk.records().pop().unwrap();
    assert_eq!((last.at, last.event), (at(10), Event::TaskManagementOver(over)));
}

#[test]
fn what_happens_to_the_unit_is_told() {
    let desk = Desk::new(MIB);
    let mut recorder = desk.open();
    recorder.attention_raised(at(5), Asc::CAPACITY_DATA_HAS_CHANGED);
    let stages = [Stage::Blocks, Stage::Slot, Stage::Pool, Stage::Medium, Stage::Elsewhere];
    let stages = stages.into_iter().map(|stage| Some((stage, at(9)))).chain([None]);
    let overdue = |stage: Option<(Stage, Instant)>| Overdue {
        command_id: 7,
        cdb: Cdb::new(&[0x89; 16]),
        arrived: at(6),
        stage,
        blocks: stage.map(|_| range(8192, 1)),
    };
    let told: Vec<_> = stages.map(overdue).collect();
    told.iter().for_each(|overdue| recorder.overdue(at(10), overdue));
    let events: Vec<_> = desk.records().into_iter().skip(1).map(|record| record.event).collect();
    let raised = AttentionRaised { asc: Asc::new(0x2a, 0x09) };
    assert_eq!(events[0], Event::AttentionRaised(raised));
    let told: Vec<_> = told.into_iter().map(Event::Overdue).collect();
    assert_eq!(events[1..], told);
}

#[test]
fn the_oldest_are_overwritten_and_bulk_does_not_push_out_heartbeats() {
    let desk = Desk::new(MIB);
    let mut recorder = desk.open();
    Told::ats(1, b"the first", b"pulse").tell(&mut recorder, 100);
    for nth in 0..20_000 {
        Told::write(4096, 8, 1).tell(&mut recorder, 200 + nth);
    }
    let reader = Reader::open(&desk.path()).unwrap();
    let records: Vec<_> = reader.records().collect();
    assert_eq!(reader.missing(), 0);
    assert!(records[..3].iter().map(|record| record.sequence).eq([1, 2, records[2].sequence]));
    assert!(records.len() > 1000 && records.len() < 5000, "{}", records.len());
    let bulk = records[2..].windows(2).all(|pair| pair[0].sequence + 1 == pair[1].sequence);
    assert!(bulk && records.last().unwrap().sequence == 20_002);
    assert_eq!(reader.complete_from(), records[2].sequence);
}

#[test]
fn a_later_daemon_goes_on_where_the_last_was_killed() {
    let desk = Desk::new(MIB);
    let mut recorder = desk.open();
    for nth in 0..10_000 {
        Told::ats(1, b"a", b"b").tell(&mut recorder, 100 + nth);
    }
    assert!(matches!(desk.try_open(1), Err(OpenError::InUse { .. })));
    // It is dropped, and says nothing.
    drop(recorder);
    let before = desk.records();
    let mut recorder = desk.try_open(20_000).unwrap();
    Told::ats(1, b"b", b"c").tell(&mut recorder, 30_000);
    let after = desk.records();
    let last = before.last().unwrap();
    let new: Vec<_> = after.iter().filter(|record| record.epoch == 2).collect();
    let sequences: Vec<_> = new.iter().map(|record| record.sequence).collect();
    assert_eq!((last.epoch, sequences), (1, vec![last.sequence + 1, last.sequence + 2]));
    assert_eq!(new[1].wall, Some(wall(30_000)));
    // The hint may be lost: then it is found.
    drop(recorder);
    let file = OpenOptions::new().write(true).open(desk.path()).unwrap();
    file.write_all_at(&[0xff; 128], 2048).unwrap();
    drop(desk.try_open(40_000).unwrap());
    let records = desk.records();
    let end = records.last().unwrap();
    assert_eq!((end.epoch, end.sequence), (3, last.sequence + 3));
    assert_eq!(Reader::open(&desk.path()).unwrap().missing(), 0);
}

#[test]
fn a_file_of_another_length_is_put_aside() {
    let desk = Desk::new(MIB);
    drop(desk.open());
    let desk = Desk { bytes: 2 * MIB, ..desk };
    drop(desk.open());
    assert_eq!(desk.records().len(), 1);
    assert_eq!(fs::metadata(desk.path()).unwrap().len(), 2 * MIB);
    let old = Reader::open(&desk.folder.path().join("ds1.old")).unwrap();
    assert_eq!((old.lun(), old.records().count()), ("ds1", 1));
}

#[test]
fn an_idle_record_takes_little_space() {
    use std::os::unix::fs::MetadataExt as _;
    let desk = Desk::new(64 * MIB);
    let recorder = desk.open();
    let taken = fs::metadata(desk.path()).unwrap().blocks() * 512;
    assert!(taken <= 256 << 10, "{taken}");
    drop(recorder);
}

#[test]
fn the_wall_clock_is_reckoned_from_the_last_look_at_it() {
    let desk = Desk::new(MIB);
    let mut recorder = desk.open();
    assert!(!recorder.wants_anchor(at(59_000_000)));
    assert!(recorder.wants_anchor(at(61_000_000)));
    // Somebody has set the clock by a second.
    recorder.anchor(at(61_000_000), wall(62_000_000));
    assert!(!recorder.wants_anchor(at(62_000_000)));
    Told::ats(1, b"a", b"b").tell(&mut recorder, 70_000_000);
    assert_eq!(desk.records().last().unwrap().wall, Some(wall(71_000_000)));
}

#[test]
fn whoever_follows_hears_everything_once_and_in_order() {
    let desk = Desk::new(MIB);
    let mut recorder = desk.open();
    let (mut follower, reader) = Follower::open(&desk.path()).unwrap();
    assert_eq!((reader.lun(), reader.records().count()), ("ds1", 1));
    assert_eq!(reader.complete_from(), 0, "nothing was overwritten");
    assert_eq!(follower.poll().unwrap(), []);
    let mut told = 1;
    for round in 0..200 {
        for nth in 0..50 {
            let micros = 100 + 100 * round + nth;
            match nth % 3 {
                0 => Told::ats(1, b"a", b"b").tell(&mut recorder, micros),
                _ => Told::write(4096, 8, 1).tell(&mut recorder, micros),
            }
        }
        for record in follower.poll().unwrap() {
            told += 1;
            assert_eq!(record.sequence, told);
            assert_eq!(record.wall, Some(WallTime::from_nanos(BOOT + record.at.as_nanos())));
        }
    }
    assert_eq!(told, 10_001);
    // Whoever comes too late misses some, and goes on.
    for nth in 0..20_000 {
        Told::ats(1, b"a", b"b").tell(&mut recorder, 100_000 + nth);
    }
    let late = follower.poll().unwrap();
    assert!(late.len() < 20_000 && late[0].sequence > told + 1);
    assert_eq!(late.last().unwrap().sequence, 30_001);
    assert_eq!(follower.poll().unwrap(), []);
}

#[test]
fn whoever_follows_goes_over_to_a_file_that_replaces_the_first() {
    let desk = Desk::new(MIB);
    drop(desk.open());
    let (mut follower, _) = Follower::open(&desk.path()).unwrap();
    let desk = Desk { bytes: 2 * MIB, ..desk };
    let mut recorder = desk.open();
    Told::ats(1, b"a", b"b").tell(&mut recorder, 70);
    assert_eq!(follower.poll().unwrap().len(), 2);
    assert_eq!(follower.poll().unwrap(), []);
}
