use std::num::NonZeroU8;
use std::thread::{self, JoinHandle};

use pulsefield_backstore::Backstore;
use pulsefield_control::config::Config;
use pulsefield_control::protocol::LunState;
use pulsefield_data::Buffer;
use pulsefield_engine::Incoming;
use pulsefield_faults::{Saboteur, Unit};
use pulsefield_units::{Cdb, LuId};

use super::*;
use crate::conductor::Origin;
use crate::plans::Plans;
use crate::station::{Mailbox, Station};
use crate::testing::{PATIENCE, held_medium, serving_unit, station};

/// A unit's thread that does what it is told about faults, and before every report takes in one READ.
struct Obedient {
    mailbox: Mailbox,
    thread: Option<JoinHandle<()>>,
}

impl Obedient {
    fn start(station: Station, medium: &Arc<dyn Backstore>) -> Self {
        let mailbox = station.mailbox();
        let unit = Unit {
            geometry: medium.geometry(),
            metadata: Vec::new(),
            compare_and_write_blocks_max: NonZeroU8::MIN,
            command_time_out: PATIENCE,
        };
        let mut saboteur: Saboteur<Origin> = Saboteur::new(unit);
        let mut tag = 0;
        let thread = thread::spawn(move || {
            loop {
                match station.message() {
                    Some(Message::Arm { plan, lun, done }) => {
                        done.send(saboteur.arm(clock::now(), plan, &lun)).unwrap();
                    }
                    Some(Message::Disarm { which, done }) => {
                        done.send(saboteur.disarm(clock::now(), &which)).unwrap();
                    }
                    Some(Message::ReportFaults { since, reply }) => {
                        tag += 1;
                        saboteur.on_command(clock::now(), read_of_block(tag), 1);
                        reply.send(saboteur.report(since)).unwrap();
                    }
                    Some(Message::Stop) => return,
                    Some(_) | None => thread::yield_now(),
                }
            }
        });
        Self { mailbox, thread: Some(thread) }
    }
}

impl Drop for Obedient {
    fn drop(&mut self) {
        self.mailbox.send(Message::Stop);
        self.thread.take().map(JoinHandle::join);
    }
}

fn read_of_block(tag: u16) -> Incoming<Origin> {
    let cdb = Cdb::new(&[0x28, 0, 0, 0, 0, 7, 0, 0, 1, 0]);
    Incoming { token: Origin::Probe(0), tag: Some(tag), cdb, data: Buffer::heap(512) }
}

struct World {
    table: SharedTable,
    _threads: Vec<Obedient>,
    _medium: Arc<dyn Backstore>,
}

impl World {
    fn of(names: &[&str]) -> Self {
        let table = SharedTable::new(Config::default(), Plans::default());
        let (medium, _) = held_medium(64);
        let medium: Arc<dyn Backstore> = medium;
        let start = |(id, name): (u32, &&str)| {
            let station = station();
            let unit = serving_unit(name, &station, &medium);
            table.lock().units.insert(LuId::new(id), unit);
            Obedient::start(station, &medium)
        };
        let threads = (0..).zip(names).map(start).collect();
        Self { table, _threads: threads, _medium: medium }
    }

    fn arm(&self, lun: Option<&str>, plan: &str) -> Result<Vec<LunFaults>, FaultError> {
        let request = ArmRequest {
            lun: lun.map(str::to_owned),
            file: "p.toml".to_owned(),
            plan: plan.to_owned(),
            lasting_ms: None,
            hits: None,
        };
        arm(&self.table, &request)
    }
}

const SLOW: &str = "[[rule]]\nname = \"slow\"\nfault = \"latency\"\nwhere = { lun = \"ds1\" }\n\
    [[rule]]\nname = \"full\"\nfault = \"thin.full\"\n";

#[test]
fn a_plan_is_armed_where_it_has_rules_and_disarmed_by_name() {
    let world = World::of(&["ds1", "ds2"]);
    let armed = world.arm(None, SLOW).unwrap();
    let rules = |lun: &LunFaults| lun.plans[0].rules.iter().map(|rule| rule.rule.clone()).collect();
    let names: Vec<Vec<String>> = armed.iter().map(rules).collect();
    assert_eq!(names, [vec!["slow", "full"], vec!["full"]]);
    assert_eq!(disarm(&world.table, None, Some("full")).unwrap(), 2);
    let left = list(&world.table, None).unwrap();
    assert_eq!(left.iter().map(|lun| lun.lun.as_str()).collect::<Vec<_>>(), ["ds1"]);
    assert!(matches!(
        disarm(&world.table, None, Some("full")),
        Err(FaultError::NoSuchRule(rule)) if rule == "full"
    ));
    assert_eq!(disarm(&world.table, Some("ds1"), None).unwrap(), 1);
    assert_eq!(list(&world.table, None).unwrap(), []);
}

#[test]
fn a_plan_for_nobody_or_with_a_slip_changes_nothing() {
    let world = World::of(&["ds1"]);
    assert!(matches!(world.arm(Some("ds2"), SLOW), Err(FaultError::Unit(UnitError::NoSuchLun(_)))));
    assert!(matches!(world.arm(None, "seed = 3"), Err(FaultError::ForNobody)));
    assert!(matches!(world.arm(None, "[[rule]]\nfault = \"latnecy\""), Err(FaultError::Plan(_))));
    let outside = "[[rule]]\nfault = \"latency\"\nwhere = { lba = 9223372036854775807 }";
    let error = world.arm(None, outside).unwrap_err().to_string();
    assert!(error.starts_with("p.toml:3:17: it lies outside every logical unit"), "{error}");
    assert_eq!(list(&world.table, None).unwrap(), []);
    world.table.lock().units.get_mut(&LuId::new(0)).unwrap().state = LunState::Stopped;
    assert!(matches!(
        world.arm(Some("ds1"), SLOW),
        Err(FaultError::Unit(UnitError::NotServing(_)))
    ));
}

#[test]
fn the_log_says_what_was_hit_and_becomes_a_plan_even_after_it_is_disarmed() {
    let world = World::of(&["ds1"]);
    assert!(matches!(export(&world.table, "ds1"), Err(FaultError::NeverArmed)));
    world
        .arm(Some("ds1"), "[[rule]]\nname = \"slow\"\nfault = \"latency\"\nwhen.nth = 2\n")
        .unwrap();
    // Arming has asked for a report, and with it came a READ; here come two more.
    let hits = log(&world.table, Some("ds1")).unwrap();
    let [hit] = &hits[..] else { panic!("{hits:?}") };
    assert_eq!((hit.rule.as_str(), hit.command, hit.opcode), ("slow", 2, 0x28));
    assert_eq!((hit.lba, hit.blocks, hit.delay_us), (Some(7), Some(1), 20_000));
    assert_eq!(disarm(&world.table, None, None).unwrap(), 1);
    let replay = Plan::parse("replay", &export(&world.table, "ds1").unwrap()).unwrap();
    assert_eq!(replay.rules[0].when.select, pulsefield_faults::Select::Commands(vec![2]));
}
