use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread;

use pulsefield_backstore::Backstore;
use pulsefield_control::config::Config;
use pulsefield_engine::{Lane, Waited};
use pulsefield_metrics::catalogue::ALL;
use pulsefield_ring::TmrKind;
use pulsefield_scsi::{SenseKey, Status};
use pulsefield_units::{Cdb, Instant as Moment, LuId};
use pulsefield_vmfs::Heartbeat;

use super::*;
use crate::hosts::{Hosts, tests::sector};
use crate::latency::{Passage, Served};
use crate::plans::Plans;
use crate::station::Station;
use crate::testing::{PATIENCE as ENOUGH, held_medium, joined, serving_unit, station};

const GOLDEN: &str = include_str!("golden.prom");

const fn millis(millis: u64) -> Moment {
    Moment::from_nanos(millis * 1_000_000)
}

fn view(lun: &str, state: LunState, inside: Inside) -> UnitView {
    UnitView {
        lun: lun.to_owned(),
        handler: "file".to_owned(),
        size_bytes: 64 << 30,
        state,
        counters: Arc::default(),
        deadlines: Deadlines::default(),
        inside,
    }
}

/// A book with so many commands of this operation code, which took so long.
fn count(book: &mut Book, opcode: u8, lane: Option<Lane>, times: u64, took_ms: u64) {
    let served = Served {
        arrived: millis(1000),
        started: lane.map(|_| millis(1000)),
        ended: millis(1000 + took_ms),
        waited: Waited::default(),
        blocks: None,
    };
    let passage = Passage {
        lane,
        served: Some(served),
        answered: millis(1000 + took_ms),
        ..Passage::new(Cdb::new(&[opcode]), millis(1000))
    };
    book.count(&passage, times, times * 1024, millis(1000 + took_ms));
}

/// A unit that has done a little of everything, one that does not answer, and one that has failed.
fn snapshot() -> Snapshot {
    let mut book = Book::new(Moment::default());
    count(&mut book, 0x89, Some(Lane::Heartbeat), 7, 3);
    count(&mut book, 0x89, Some(Lane::Heartbeat), 1, 9000);
    count(&mut book, 0x28, Some(Lane::Bulk), 5, 20);
    count(&mut book, 0x12, None, 2, 0);
    let mut hosts = Hosts::default();
    for (at, slot, host) in [(1, 3, 7), (2, 4, 8), (4, 3, 7), (24, 3, 7)] {
        hosts.note(millis(at * 1000), &Heartbeat::decode(&sector(slot, host)).unwrap());
    }
    let hosts = hosts.report(millis(25_500));
    let ds1 = view(
        "ds\"1",
        LunState::Serving,
        Inside::Told { book: Box::new(book), hosts, fault_hits: 4 },
    );
    let counters = &ds1.counters;
    (0..15).for_each(|_| counters.count_command());
    (0..14).for_each(|_| counters.answers.count(Status::Good, None));
    counters.answers.count(Status::CheckCondition, Some(SenseKey::Miscompare));
    counters.task_management.count(TmrKind::AbortTask);
    counters.count_late(crate::latency::Lateness::Error);
    counters.count_shortage();
    counters.set_faults_armed(2);
    counters.set_data_area(256 << 20);
    counters.note_room(91, 3);
    let failed = LunState::Failed { reason: "no such file".to_owned() };
    let process = Process {
        started: Duration::from_millis(1_700_000_000_250),
        cpu: Duration::from_millis(1500),
        resident_bytes: 12 << 20,
        threads: 12,
        open_fds: 34,
    };
    Snapshot {
        version: "1.2.3",
        process,
        units: vec![
            ds1,
            view("ds2", LunState::Serving, Inside::Silent),
            view("ds3", failed, Inside::Closed),
        ],
        pools: BTreeMap::from([(
            "gold".to_owned(),
            PoolView { limit_bytes: 200 << 30, used_bytes: 5 << 30 },
        )]),
        now: millis(25_500),
    }
}

#[test]
fn the_page_is_as_it_was() {
    let page = families::write(&snapshot());
    for (line, (now, before)) in (1..).zip(page.lines().zip(GOLDEN.lines())) {
        assert_eq!(now, before, "line {line}");
    }
    assert_eq!(page, GOLDEN);
}

#[test]
fn every_metric_of_the_catalogue_is_told_once_and_no_other() {
    let told: Vec<&str> =
        GOLDEN.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert_eq!(told, ALL.iter().map(|metric| metric.name).collect::<Vec<_>>());
    let samples = GOLDEN.lines().filter(|line| !line.starts_with('#'));
    let with_values: BTreeSet<&str> =
        samples.filter_map(|line| line.split(['{', ' ']).next()).collect();
    for metric in ALL {
        assert!(with_values.iter().any(|name| name.starts_with(metric.name)), "{}", metric.name);
    }
}

/// Serves a unit until it is asked for its hosts; tells that it has seen the host 7.
fn tell_as_unit(mut station: Station) {
    station.hosts.note(clock::now(), &Heartbeat::decode(&sector(3, 7)).unwrap());
    loop {
        match station.message() {
            Some(Message::ReportLatency { clear: false, reply }) => {
                reply.send(station.latency.book().clone()).unwrap();
            }
            Some(Message::ReportHosts { reply }) => {
                reply.send(station.hosts.report(clock::now())).unwrap();
            }
            Some(Message::ReportFaults { reply, .. }) => {
                return reply.send(FaultReport { next_hit: 9, ..FaultReport::default() }).unwrap();
            }
            Some(_) => panic!("it is asked for nothing else"),
            None => thread::yield_now(),
        }
    }
}

#[test]
fn units_are_asked() {
    let config = Config::parse("p", "[pool.gold]\nlimit = \"1GiB\"\n").unwrap();
    let table = SharedTable::new(config, Plans::default());
    let medium = held_medium(64).0 as Arc<dyn Backstore>;
    let station = station();
    table.lock().units.insert(LuId::new(0), serving_unit("ds1", &station, &medium));
    let pools = Pools::default();
    let mut share = pools.join("gold");
    share.publish(4096);
    let unit = thread::spawn(move || tell_as_unit(station));
    // However busy this machine is.
    let page = Exposition { patience: ENOUGH, ..Exposition::new(table, pools) }.page();
    joined(unit);
    for line in [
        "pulsefield_lun_responsive{lun=\"ds1\"} 1",
        "pulsefield_fault_hits_total{lun=\"ds1\"} 9",
        "pulsefield_pool_limit_bytes{pool=\"gold\"} 1073741824",
        "pulsefield_pool_used_bytes{pool=\"gold\"} 4096",
    ] {
        assert!(page.lines().any(|told| told == line), "no {line} in\n{page}");
    }
    let host = "pulsefield_host_pulse_age_seconds{lun=\"ds1\",host=\"07070707-";
    assert!(page.lines().any(|line| line.starts_with(host)), "{page}");
}

#[test]
fn a_unit_that_hangs_is_named() {
    let table = SharedTable::new(Config::default(), Plans::default());
    let medium = held_medium(64).0 as Arc<dyn Backstore>;
    let hanging = station();
    for id in [1, 2] {
        table.lock().units.insert(LuId::new(id), serving_unit("ds2", &hanging, &medium));
    }
    let patience = Duration::ZERO;
    let page = Exposition { patience, ..Exposition::new(table, Pools::default()) }.page();
    for line in [
        "pulsefield_lun_responsive{lun=\"ds2\"} 0",
        "pulsefield_lun_responsive{lun=\"ds2#uio2\"} 0",
        "pulsefield_lun_size_bytes{lun=\"ds2\"} 32768",
    ] {
        assert!(page.lines().any(|told| told == line), "no {line} in\n{page}");
    }
}

/// However many kinds of commands and hosts there are, a unit has so many lines.
#[test]
fn a_unit_has_a_bounded_number_of_series() {
    let mut book = Book::new(Moment::default());
    for opcode in 0..=u8::MAX {
        for lane in [None, Some(Lane::Heartbeat), Some(Lane::Bulk)] {
            count(&mut book, opcode, lane, 1, 1);
        }
    }
    let mut hosts = Hosts::default();
    for host in 1..=u8::MAX {
        hosts.note(millis(host.into()), &Heartbeat::decode(&sector(host, host)).unwrap());
    }
    let hosts = hosts.report(millis(1000));
    let told = Inside::Told { book: Box::new(book), hosts, fault_hits: 0 };
    let unit = view("ds1", LunState::Serving, told);
    for code in 0..=u8::MAX {
        unit.counters.task_management.count(TmrKind::from_code(code));
    }
    for key in 0..16 {
        unit.counters.answers.count(Status::CheckCondition, SenseKey::from_u8(key));
    }
    let page = families::write(&Snapshot { units: vec![unit], ..snapshot() });
    let series = page.lines().filter(|line| line.contains("lun=\"ds1\"")).count();
    assert!(series < 1000, "{series} series");
}
