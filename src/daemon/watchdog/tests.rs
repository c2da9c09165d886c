use std::sync::Arc;

use pulsefield_backstore::Backstore;
use pulsefield_control::config::Config;
use pulsefield_units::LuId;

use super::*;
use crate::plans::Plans;
use crate::testing::{held_medium, serving_unit, station};

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
