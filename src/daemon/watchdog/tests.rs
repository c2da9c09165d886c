use std::sync::Arc;
use std::thread;

use crossbeam_channel::unbounded;
use pulsefield_backstore::{Backstore, OpOutput, Request};
use pulsefield_control::config::Config;
use pulsefield_engine::LuConfig;
use pulsefield_ring::simulated_kernel::{Data, Options};
use pulsefield_units::LuId;

use super::*;
use crate::conductor::{Conductor, End};
use crate::plans::Plans;
use crate::station::Station;
use crate::testing::{
    FnMedium, Listening, SimulatedUio, block, held_medium, joined, serving_unit, station,
    wait_until,
};

#[test]
fn a_unit_at_work_must_pass_its_probe_and_any_other_need_not() {
    let (medium, _) = held_medium(64);
    let medium: Arc<dyn Backstore> = medium;
    let station = station();
    let unit = serving_unit("ds1", &station, &medium);
    let table = SharedTable::new(Config::default(), Plans::default());
    table.lock().units.insert(LuId::new(0), unit);
    let mut watchdog = Watchdog::new();
    let last_probe = || {
        let mut last = None;
        while let Some(message) = station.message() {
            let Message::Probe(number) = message else { panic!("no probe") };
            last = Some(number);
        }
        last
    };

    // It recovers, or closes its medium: that may take as long as the medium needs.
    assert!(watchdog.end_round(&table));
    assert!(watchdog.end_round(&table));
    // It is at work and does not answer; a conductor may have broken down with the probe in hand.
    station.set_conducting(true);
    assert!(!watchdog.end_round(&table));
    assert!(last_probe().is_some());
    assert!(!watchdog.end_round(&table));
    // So it is asked anew.
    station.pass_probe(last_probe().unwrap());
    assert!(watchdog.end_round(&table));
}

#[test]
fn a_unit_that_sleeps_is_asked_seldom_and_one_at_work_each_round() {
    let (medium, _) = held_medium(64);
    let medium: Arc<dyn Backstore> = medium;
    let station = station();
    let unit = serving_unit("ds1", &station, &medium);
    let counters = unit.counters.clone();
    let table = SharedTable::new(Config::default(), Plans::default());
    table.lock().units.insert(LuId::new(0), unit);
    station.set_conducting(true);
    let mut watchdog = Watchdog::new();
    // Each probe is passed at once, after which a thread that has nothing else to do sleeps again.
    let mut asked = |rounds: u64, busy: bool, sleeps: bool| {
        let mut probes = 0;
        for _ in 0..rounds {
            if busy {
                counters.count_command();
            }
            if sleeps {
                station.completions().announce_sleep();
            }
            assert!(watchdog.end_round(&table));
            while let Some(message) = station.message() {
                let Message::Probe(number) = message else { panic!("no probe") };
                station.pass_probe(number);
                probes += 1;
            }
        }
        probes
    };
    assert_eq!(asked(1, false, true), 1, "the first time");
    assert_eq!(asked(10 * IDLE_ROUNDS, false, true), 10);
    assert_eq!(asked(10 * IDLE_ROUNDS, true, true), 10 * IDLE_ROUNDS);
    assert_eq!(asked(10 * IDLE_ROUNDS, false, true), 10);
    // It may have woken for a command that it does not come to the end of.
    station.completions().announce_awake();
    assert_eq!(asked(10, false, false), 10);
}

const WRITE: [u8; 10] = [0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0];

#[test]
fn a_unit_inside_a_medium_that_hangs_is_excused() {
    let (thaw, thawed) = unbounded::<()>();
    let frozen = move |request: Request| {
        thawed.recv().unwrap();
        request.complete(Ok(OpOutput::Done));
    };
    let mut medium: Arc<dyn Backstore> = Arc::new(FnMedium(frozen));
    let uio = SimulatedUio::new(Options::default());
    let ring = uio.attach();
    let mut station = Station::new(uio.events(), LuConfig::default()).unwrap();
    let mailbox = station.mailbox();
    let table = SharedTable::new(Config::default(), Plans::default());
    table.lock().units.insert(LuId::new(0), serving_unit("ds1", &station, &medium));
    station.set_conducting(true);
    let thread = thread::spawn({
        let (uio, mailbox) = (uio.clone(), mailbox.clone());
        move || {
            let surroundings = Listening::new(unbounded().0, mailbox);
            let (medium, counters) = (&mut medium, Arc::default());
            Conductor::new(&mut station, &uio, &surroundings, ring, medium, counters).run()
        }
    });

    let write = uio.submit(&WRITE, Data::Out(block(b'A')));
    wait_until(|| mailbox.in_medium_since().is_some());
    let mut watchdog = Watchdog::new();
    for _ in 0..3 {
        assert!(watchdog.end_round(&table), "to start the daemon again would not cure it");
    }
    assert_eq!(mailbox.probe_passed(), 0, "nothing gets through");
    thaw.send(()).unwrap();
    assert_eq!(uio.answer(write).status, 0);
    wait_until(|| mailbox.probe_passed() == watchdog.round);
    assert_eq!(mailbox.in_medium_since(), None);
    assert!(watchdog.end_round(&table));

    mailbox.remove();
    assert!(matches!(joined(thread), End::Gone));
}
