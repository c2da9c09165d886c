use std::time::Duration;

use pulsefield_control::config::Config;
use pulsefield_engine::Stage;
use pulsefield_faults::Fault;
use pulsefield_record::{
    Command, Event, ImageRole, Joiner, Origin, Reader, Reason, Record, Stop, TaskManagement,
};
use tempfile::TempDir;

use super::*;
use crate::latency::Deadlines;

/// A unit that is recorded.
struct Recorded {
    lu: Lu,
    folder: TempDir,
}

impl Recorded {
    fn new(lu: Lu, settings: &str) -> Self {
        let recorded = Self { lu, folder: tempfile::tempdir().unwrap() };
        recorded.order(settings);
        recorded
    }

    /// Has it recorded as these settings of `[defaults]` say; returns once that is so.
    fn order(&self, settings: &str) {
        let folder = self.folder.path().display();
        let text = format!(
            "[record]\ndirectory = \"{folder}\"\ndumps = \"{folder}/dumps\"\n[defaults]\n{settings}\n"
        );
        let orders = RecordOrders::of(&Config::parse("p", &text).unwrap(), "ds1");
        self.lu.mailbox.send(Message::Record(orders));
        // One to read the order, which may ask for a recorder, and one to read that.
        self.lu.probe(self.lu.mailbox.probe_passed() + 1);
        self.lu.probe(self.lu.mailbox.probe_passed() + 1);
    }

    fn records(&self) -> Vec<Record> {
        let path = self.folder.path().join("ds1.pulserec");
        Reader::open(&path).unwrap().records().collect()
    }

    fn commands(&self) -> Vec<Command> {
        self.records().iter().filter_map(Record::command).cloned().collect()
    }

    fn compare_and_write(&self, lba: u8, expected: u8, written: u8) -> u8 {
        let data = [block(expected), block(written)].concat();
        self.lu.execute(&compare_and_write(lba), Data::Out(data)).status
    }
}

#[test]
fn a_miscompare_is_recorded_whole() {
    let unit = Recorded::new(Lu::on("ram/"), "");
    unit.lu.write(3, b'A');
    assert_eq!(unit.compare_and_write(3, b'A', b'B'), GOOD);
    assert_eq!(unit.compare_and_write(3, b'A', b'C'), CHECK_CONDITION);
    let records = unit.records();
    let mut joiner = Joiner::default();
    let found: Vec<_> = records.iter().filter_map(|record| joiner.take(record)).collect();
    assert_eq!((found.len(), &found[0].image.bytes), (1, &block(b'B')));
    let commands = unit.commands();
    let miscompare = commands.last().unwrap();
    let sense = miscompare.sense.unwrap();
    assert_eq!((sense.key, sense.asc, sense.information), (0x0e, 0x1d, Some(0)));
    assert_eq!(miscompare.image(ImageRole::Expected).unwrap().bytes, block(b'A'));
    assert_eq!(miscompare.image(ImageRole::Written).unwrap().bytes, block(b'C'));
    assert_eq!(miscompare.blocks, LbaRange::new(Lba::new(3), BlockCount::new(1)));
    assert_eq!(miscompare.lane, Some(Lane::Heartbeat));
    assert_eq!(found[0].origin, miscompare.origin);
    let times =
        [Some(miscompare.arrived), miscompare.started, miscompare.ended, Some(miscompare.answered)];
    assert!(times.is_sorted() && times.iter().all(Option::is_some), "{times:?}");
    // Who wrote what it found, and who before.
    let writers: Vec<_> =
        commands.iter().filter(|command| command.may_have_changed(Lba::new(3))).collect();
    assert_eq!(writers.len(), 2);
    assert_eq!(writers[1].image(ImageRole::Written).unwrap().bytes, block(b'B'));
}

#[test]
fn what_is_recorded_can_be_changed_while_the_unit_serves() {
    let unit = Recorded::new(Lu::on("ram/"), "record = \"off\"");
    unit.lu.write(0, 1);
    assert!(!unit.folder.path().join("ds1.pulserec").exists());
    unit.order("record = \"brief\"");
    unit.compare_and_write(0, 1, 2);
    unit.order("record = \"whole\"");
    unit.compare_and_write(0, 2, 3);
    unit.order("record = \"off\"");
    unit.compare_and_write(0, 3, 4);
    let images: Vec<_> = unit.commands().iter().map(|command| command.images.len()).collect();
    assert_eq!(images, [0, 2]);
    unit.order("record_size = \"2MiB\"");
    unit.compare_and_write(0, 4, 5);
    let length = std::fs::metadata(unit.folder.path().join("ds1.pulserec")).unwrap().len();
    assert_eq!((length, unit.commands().len()), (2 << 20, 1));
}

#[test]
fn the_end_is_recorded_too() {
    let unit = Recorded::new(Lu::on("ram/"), "");
    unit.lu.write(0, 1);
    let Recorded { lu, folder } = unit;
    assert!(matches!(lu.stop(), End::Stopped));
    let reader = Reader::open(&folder.path().join("ds1.pulserec")).unwrap();
    assert_eq!(reader.records().last().unwrap().event, Event::Stop(Stop::Told));
}

#[test]
fn an_abort_is_told_with_the_command_that_it_met() {
    let (medium, requests) = held_medium(64);
    let unit = Recorded::new(Lu::new(medium), "");
    let data = [block(0), block(1)].concat();
    let ats = unit.lu.submit(&compare_and_write(5), Data::Out(data));
    let read = requests.recv_timeout(PATIENCE).unwrap();
    unit.lu.uio.abort(&[ats]);
    wait_until(|| unit.lu.counters.aborted.load() == 1);
    read.complete(Ok(OpOutput::Done));
    assert_eq!(unit.lu.uio.answer(ats).status, TASK_ABORTED);
    let commands = unit.commands();
    assert_eq!((commands.len(), commands[0].status), (1, TASK_ABORTED));
    let Origin::Initiator { command_id } = commands[0].origin else { panic!() };
    assert!(commands[0].aborted.is_some_and(|asked| asked <= commands[0].answered));
    let records = unit.records();
    let asked = TaskManagement { function: 1, commands: 1, command_ids: vec![command_id] };
    let asked = Event::TaskManagement(asked);
    assert!(records.iter().any(|record| record.event == asked), "{records:?}");
}

#[test]
fn a_fault_is_told_with_the_command_that_it_hit() {
    let unit = Recorded::new(Lu::on("ram/"), "");
    unit.lu.arm(Fault::Stall { duration: Duration::from_millis(20) });
    unit.lu.write(3, b'A');
    let command = &unit.commands()[0];
    assert_eq!(command.hit, Some(0));
    assert!(command.took() >= Duration::from_millis(20));
    let is_hit =
        |record: &Record| matches!(&record.event, Event::FaultHit(hit) if hit.opcode == 0x2a);
    assert!(unit.records().iter().any(is_hit));
}

#[test]
fn a_late_heartbeat_has_the_record_copied() {
    let (medium, requests) = held_medium(64);
    let unit = Recorded::new(Lu::new(medium), "");
    let deadlines = Deadlines { warning: None, error: Some(Duration::from_nanos(1)) };
    unit.lu.mailbox.send(Message::SetDeadlines(deadlines));
    let read = unit.lu.submit(&read(0, 1), Data::In(512));
    requests.recv_timeout(PATIENCE).unwrap().complete(Ok(OpOutput::Done));
    unit.lu.uio.answer(read);
    assert!(unit.lu.asked.try_iter().all(|asked| !matches!(asked, Asked::Dump(_))));
    let data = [block(0), block(0)].concat();
    let ats = unit.lu.submit(&compare_and_write(5), Data::Out(data));
    for _ in 0..2 {
        requests.recv_timeout(PATIENCE).unwrap().complete(Ok(OpOutput::Done));
    }
    unit.lu.uio.answer(ats);
    // It may have been found late before it was answered.
    let mut asked = iter::repeat_with(|| unit.lu.asked());
    assert!(asked.any(|asked| asked == Asked::Dump(Reason::LateHeartbeat)));
}

#[test]
fn a_heartbeat_that_is_never_answered_has_the_record_copied_too() {
    let (medium, requests) = held_medium(64);
    let unit = Recorded::new(Lu::new(medium), "");
    let deadlines = Deadlines { warning: None, error: Some(Duration::from_millis(5)) };
    unit.lu.mailbox.send(Message::SetDeadlines(deadlines));
    let data = [block(0), block(0)].concat();
    let ats = unit.lu.submit(&compare_and_write(5), Data::Out(data));
    let read = requests.recv_timeout(PATIENCE).unwrap();
    assert_eq!(unit.lu.asked(), Asked::Dump(Reason::UnansweredHeartbeat));
    let overdue: Vec<_> =
        unit.records()
            .into_iter()
            .filter_map(|record| {
                if let Event::Overdue(overdue) = record.event { Some(overdue) } else { None }
            })
            .collect();
    let [overdue] = &overdue[..] else { panic!("{overdue:?}") };
    assert_eq!(overdue.stage.map(|(stage, _)| stage), Some(Stage::Medium));
    assert_eq!(overdue.blocks, LbaRange::new(Lba::new(5), BlockCount::new(1)));
    // Once it is answered, that is a reason of its own.
    read.complete(Ok(OpOutput::Done));
    requests.recv_timeout(PATIENCE).unwrap().complete(Ok(OpOutput::Done));
    unit.lu.uio.answer(ats);
    assert_eq!(unit.lu.asked(), Asked::Dump(Reason::LateHeartbeat));
}

#[test]
fn a_new_size_is_recorded_as_news_for_initiators() {
    let unit = Recorded::new(Lu::on("ram/"), "");
    unit.lu.write(0, 1);
    let (done, _resized) = crossbeam_channel::bounded(1);
    unit.lu.mailbox.send(Message::Resize { blocks: BlockCount::new(32), done });
    unit.lu.probe(unit.lu.mailbox.probe_passed() + 1);
    let asc = Asc::CAPACITY_DATA_HAS_CHANGED;
    let raised = Event::AttentionRaised(pulsefield_record::AttentionRaised { asc });
    assert!(unit.records().iter().any(|record| record.event == raised));
}
