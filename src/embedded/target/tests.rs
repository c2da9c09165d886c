use std::sync::Arc;
use std::time::Duration;

use pulsefield_backstore::{Backstore, Cfgstring, Geometry, Handler as _, OpenSpec};
use pulsefield_daemon::embedded::EmbeddedUnit;
use pulsefield_engine::LuConfig;
use pulsefield_faults::Plan;
use pulsefield_ram::RamHandler;
use pulsefield_units::{BlockCount, BlockLength};

use super::*;

const A: Nexus = Nexus(1);
const B: Nexus = Nexus(2);

const fn second(seconds: u64) -> Instant {
    Instant::from_nanos(seconds * 1_000_000_000)
}

fn medium() -> Arc<dyn Backstore> {
    let (name, config): (_, Cfgstring) = ("test".to_owned(), "ram/".parse().unwrap());
    let geometry = Geometry { block_length: BlockLength::B512, blocks: BlockCount::new(64) };
    RamHandler.open(&OpenSpec { name, config, geometry, claim: None }).unwrap()
}

fn unit() -> EmbeddedUnit {
    EmbeddedUnit::new(medium(), LuConfig::default()).unwrap()
}

fn target() -> Target {
    Target::new(Options::default()).unwrap()
}

fn cdb_16(opcode: u8, lba: u8) -> Cdb {
    let mut cdb = [0; 16];
    (cdb[0], cdb[9], cdb[13]) = (opcode, lba, 1);
    Cdb::new(&cdb)
}

fn write_16(lba: u8) -> Cdb {
    cdb_16(0x8a, lba)
}

fn read_16(lba: u8) -> Cdb {
    cdb_16(0x88, lba)
}

fn block(fill: u8) -> Data {
    Data::Out(vec![fill; 512])
}

/// A plan under which WRITE is held up for ever.
fn drops_writes() -> Plan {
    let text = "seed = 1\n[[rule]]\nfault = \"drop\"\nwhere = { command = \"write\" }\n";
    Plan::parse("drop", text).unwrap()
}

/// What an initiator was answered.
fn answer(target: &mut Target) -> (Nexus, Tag, Status) {
    match target.event() {
        Some(Event::Answered { nexus, tag, status, .. }) => (nexus, tag, status),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_written_is_read() {
    let (mut target, mut unit) = (target(), unit());
    let mut daemon = unit.serve(target.take_over(second(0)).unwrap());
    let write = target.submit(second(0), A, &write_16(3), block(7));
    let read = target.submit(second(0), B, &read_16(3), Data::In(512));
    assert_eq!(target.event(), None, "nobody has served it");
    target.serve(second(0), &mut daemon).unwrap();
    assert_eq!(answer(&mut target), (A, write, Status::Good));
    let Some(Event::Answered { tag, data_in, .. }) = target.event() else { panic!() };
    assert_eq!((tag, data_in), (read, vec![7; 512]));
    assert_eq!((target.event(), target.wake_at(), daemon.wake_at()), (None, None, None));
}

#[test]
fn time_passes_as_it_is_told() {
    let (mut target, mut unit) = (target(), unit());
    let mut daemon = unit.serve(target.take_over(second(0)).unwrap());
    let text = "seed = 1\n[[rule]]\nfault = \"latency\"\ndelay = \"20s\"\n";
    daemon.arm(Plan::parse("late", text).unwrap());
    target.submit(second(100), A, &read_16(0), Data::In(512));
    let mut now = second(100);
    let event = loop {
        target.serve(now, &mut daemon).unwrap();
        if let Some(event) = target.event() {
            break event;
        }
        now = daemon.wake_at().unwrap().min(target.wake_at().unwrap());
    };
    assert!(matches!(event, Event::Answered { status: Status::Good, .. }), "{event:?}");
    assert_eq!(now, second(120));
    assert_eq!(daemon.faults(0).hits.len(), 1);
}

#[test]
fn what_is_aborted_is_answered_to_nobody() {
    let (mut target, mut unit) = (target(), unit());
    let mut daemon = unit.serve(target.take_over(second(0)).unwrap());
    daemon.arm(drops_writes());
    let write = target.submit(second(0), A, &write_16(0), block(1));
    target.serve(second(0), &mut daemon).unwrap();
    let abort = target.abort(A, write);
    assert_eq!(target.event(), None, "the unit still has it");
    target.serve(second(8), &mut daemon).unwrap();
    assert_eq!(target.event(), Some(Event::Managed { nexus: A, tag: abort }));
    assert_eq!(target.event(), None);
    let late = target.abort(A, write);
    target.serve(second(8), &mut daemon).unwrap();
    assert_eq!(target.event(), Some(Event::Managed { nexus: A, tag: late }));
}

#[test]
fn a_reset_ends_everything_and_everybody_hears_of_it() {
    let (mut target, mut unit) = (target(), unit());
    let mut daemon = unit.serve(target.take_over(second(0)).unwrap());
    daemon.arm(drops_writes());
    let reserve = target.submit(second(0), B, &Cdb::new(&[0x16, 0, 0, 0, 0, 0]), Data::None);
    assert_eq!(answer(&mut target), (B, reserve, Status::Good));
    let theirs = target.submit(second(0), B, &write_16(1), block(1));
    let refused = target.submit(second(0), A, &write_16(1), block(1));
    assert_eq!(answer(&mut target), (A, refused, Status::ReservationConflict));
    target.serve(second(0), &mut daemon).unwrap();
    let reset = target.reset(A);
    target.serve(second(1), &mut daemon).unwrap();
    assert_eq!(answer(&mut target), (B, theirs, Status::TaskAborted));
    assert_eq!(target.event(), Some(Event::Managed { nexus: A, tag: reset }));
    for nexus in [A, B] {
        for status in [Status::CheckCondition, Status::Good] {
            let tag = target.submit(second(1), nexus, &Cdb::new(&[0; 6]), Data::None);
            target.serve(second(1), &mut daemon).unwrap();
            assert_eq!(answer(&mut target), (nexus, tag, status));
        }
    }
}

#[test]
fn what_a_killed_daemon_had_is_answered_by_the_next() {
    let (mut target, medium) = (target(), medium());
    let new_unit = || EmbeddedUnit::new(medium.clone(), LuConfig::default()).unwrap();
    let mut unit = new_unit();
    let mut daemon = unit.serve(target.take_over(second(0)).unwrap());
    daemon.arm(drops_writes());
    let had = target.submit(second(0), A, &write_16(0), block(1));
    target.serve(second(0), &mut daemon).unwrap();
    drop(daemon);
    let came = target.submit(second(1), B, &read_16(0), Data::In(512));
    let mut unit = new_unit();
    let mut daemon = unit.serve(target.take_over(second(2)).unwrap());
    assert_eq!(answer(&mut target), (A, had, Status::Busy));
    assert_eq!(answer(&mut target), (B, came, Status::Busy));
    let again = target.submit(second(3), B, &read_16(0), Data::In(512));
    target.serve(second(3), &mut daemon).unwrap();
    assert_eq!(answer(&mut target), (B, again, Status::Good));
}

#[test]
fn without_a_daemon_commands_run_out_of_time() {
    let limit = Some(Duration::from_secs(30));
    let mut target =
        Target::new(Options { command_time_out: limit, ..Options::default() }).unwrap();
    let tag = target.submit(second(5), A, &read_16(0), Data::In(512));
    assert_eq!(target.wake_at(), Some(second(35)));
    target.tick(second(34));
    assert_eq!(target.event(), None);
    target.tick(second(35));
    assert_eq!(answer(&mut target), (A, tag, Status::CheckCondition));
}

#[test]
fn whoever_is_gone_hears_nothing() {
    let (mut target, mut unit) = (target(), unit());
    let mut daemon = unit.serve(target.take_over(second(0)).unwrap());
    target.submit(second(0), A, &write_16(0), block(1));
    target.lose(A);
    assert!(target.is_busy_for(A));
    target.serve(second(0), &mut daemon).unwrap();
    assert_eq!((target.event(), target.is_busy_for(A)), (None, false));
}
