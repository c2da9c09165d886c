use std::sync::Arc;
use std::thread;

use pulsefield_backstore::{Backstore, OpenError, Request};

use super::*;
use crate::station::Station;
use crate::testing::{
    FnMedium, HeldMedium, PATIENCE as ENOUGH, geometry, held_medium, joined, service, station,
};

/// A unit whose conductor is the test.
struct Unit {
    station: Station,
    service: Service,
}

impl Unit {
    fn new(medium: &Arc<dyn Backstore>) -> Self {
        let station = station();
        let service = service(&station, medium);
        Self { station, service }
    }

    fn begin(&self, size_bytes: u64) -> thread::JoinHandle<Result<Geometry, Errno>> {
        let service = self.service.clone();
        thread::spawn(move || resize(&service, size_bytes))
    }

    /// What the conductor is told next.
    fn told(&self) -> (u64, crossbeam_channel::Sender<()>) {
        let deadline = std::time::Instant::now() + ENOUGH;
        loop {
            match self.station.message() {
                Some(Message::Resize { blocks, done }) => return (blocks.as_u64(), done),
                Some(_) => panic!("another message"),
                None => assert!(std::time::Instant::now() < deadline, "nothing is announced"),
            }
            thread::yield_now();
        }
    }
}

fn medium(blocks: u64) -> (Arc<HeldMedium>, Arc<dyn Backstore>) {
    let (medium, _) = held_medium(blocks);
    (medium.clone(), medium)
}

#[test]
fn a_medium_grows_before_initiators_hear_of_it() {
    let (medium, unit) = medium(64);
    let unit = Unit::new(&unit);
    let growing = unit.begin(128 * 512);
    let (blocks, done) = unit.told();
    assert_eq!((blocks, medium.geometry()), (128, geometry(128)));
    done.send(()).unwrap();
    assert_eq!(joined(growing), Ok(geometry(128)));
}

#[test]
fn a_medium_shrinks_once_nothing_is_in_flight_beyond() {
    let (medium, unit) = medium(64);
    let unit = Unit::new(&unit);
    let shrinking = unit.begin(32 * 512);
    let (blocks, done) = unit.told();
    assert_eq!((blocks, medium.geometry()), (32, geometry(64)));
    done.send(()).unwrap();
    assert_eq!(joined(shrinking), Ok(geometry(32)));
    assert_eq!(medium.geometry(), geometry(32));
}

#[test]
fn a_medium_that_does_not_shrink_keeps_its_size_for_initiators_too() {
    let medium: Arc<dyn Backstore> = Arc::new(FnMedium(drop::<Request>));
    let unit = Unit::new(&medium);
    let shrinking = unit.begin(32 * 512);
    for expected in [32, 64] {
        let (blocks, done) = unit.told();
        assert_eq!(blocks, expected);
        done.send(()).unwrap();
    }
    assert_eq!(joined(shrinking), Err(MediumError::from(refusal()).errno()));
    // It does not grow either, and then nobody hears of anything.
    assert!(resize(&unit.service, 128 * 512).is_err());
    assert!(unit.station.message().is_none());
}

fn refusal() -> OpenError {
    OpenError::ReadOnly { path: String::new() }
}

#[test]
fn a_unit_that_breaks_down_meanwhile_keeps_its_size() {
    let (medium, unit) = medium(64);
    let unit = Unit::new(&unit);
    let shrinking = unit.begin(32 * 512);
    drop(unit.told());
    let (blocks, done) = unit.told();
    assert_eq!(blocks, 64);
    done.send(()).unwrap();
    assert_eq!(joined(shrinking), Err(Errno::EIO));
    assert_eq!(medium.geometry(), geometry(64));
}

#[test]
fn nothing_happens_for_the_same_size_or_for_none() {
    let (_, medium) = medium(64);
    let unit = Unit::new(&medium);
    assert_eq!(resize(&unit.service, 64 * 512), Ok(geometry(64)));
    for wrong in [0, 511, 513] {
        assert_eq!(resize(&unit.service, wrong), Err(Errno::EINVAL));
    }
    drop(medium);
    assert_eq!(resize(&unit.service, 64 * 512), Err(Errno::ENODEV));
    assert!(unit.station.message().is_none());
}
