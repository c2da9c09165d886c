//! Stories of a change, in which the test is the unit's conductor.

use std::fs::File;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use pulsefield_backstore::OpenError;
use tempfile::TempDir;

use super::*;
use crate::station::Station;
use crate::testing::{PATIENCE as ENOUGH, geometry, joined, service, station};

/// A unit on `a.img` in a folder of its own.
struct Unit {
    folder: TempDir,
    media: Arc<Media>,
    station: Station,
    service: Service,
    medium: Arc<dyn Backstore>,
}

impl Unit {
    fn new() -> Self {
        let (folder, media) = (tempfile::tempdir().unwrap(), Arc::new(Media::new()));
        let cfgstring = format!("file/{}/a.img", folder.path().display());
        let medium = media.open("ds1", &cfgstring, geometry(64), None).unwrap();
        let station = station();
        let service = service(&station, &medium);
        Self { folder, media, station, service, medium }
    }

    fn begin(&self, config: String) -> JoinHandle<Result<Weak<dyn Backstore>, ChangeError>> {
        let (media, service) = (self.media.clone(), self.service.clone());
        let name: UioName = "tcm-user/0/ds1/pulsefield/file//a.img".parse().unwrap();
        thread::spawn(move || change_medium(&media, &service, &name.with_config(config)))
    }

    /// Begins a change to `locator`, which lies in the folder.
    fn begin_file(&self, locator: &str) -> JoinHandle<Result<Weak<dyn Backstore>, ChangeError>> {
        self.begin(format!("pulsefield/file/{}/{locator}", self.folder.path().display()))
    }

    /// What the conductor is asked for.
    fn asked(&self) -> MediumChange {
        let deadline = Instant::now() + ENOUGH;
        loop {
            match self.station.message() {
                Some(Message::ChangeMedium(change)) => return change,
                Some(_) => panic!("another message"),
                None => assert!(Instant::now() < deadline, "nothing is asked for"),
            }
            thread::yield_now();
        }
    }

    fn refused(&self, locator: &str) -> ChangeError {
        let refused = joined(self.begin_file(locator)).unwrap_err();
        assert!(self.station.message().is_none(), "the conductor hears of nothing");
        refused
    }
}

#[test]
fn the_old_medium_is_closed_when_the_new_one_serves() {
    let mut unit = Unit::new();
    let changing = unit.begin_file("b.img");
    let MediumChange { medium, done } = unit.asked();
    let old = std::mem::replace(&mut unit.medium, medium);
    assert!(!changing.is_finished());
    done.send(Ok(old)).unwrap();
    let now = joined(changing).unwrap();
    assert!(Arc::ptr_eq(&now.upgrade().unwrap(), &unit.medium));
    let a = format!("file/{}/a.img", unit.folder.path().display());
    unit.media.open("ds2", &a, geometry(64), None).unwrap();
}

#[test]
fn the_same_file_with_another_option_is_not_in_its_own_way() {
    let mut unit = Unit::new();
    let changing = unit.begin_file("a.img;cache=write-through");
    let MediumChange { medium, done } = unit.asked();
    assert!(!medium.capabilities().write_cache);
    done.send(Ok(std::mem::replace(&mut unit.medium, medium))).unwrap();
    joined(changing).unwrap();
    let a = format!("file/{}/a.img", unit.folder.path().display());
    let second = unit.media.open("ds2", &a, geometry(64), None);
    assert!(matches!(second, Err(MediumError::Open(OpenError::InUse { .. }))));
}

#[test]
fn what_is_wrong_is_found_out_before_the_unit_hears_of_it() {
    let unit = Unit::new();
    let other = unit.folder.path().join("short.img");
    File::create(&other).unwrap().set_len(512).unwrap();
    assert_eq!(unit.refused("short.img").errno(), Errno::EINVAL);
    assert_eq!(unit.refused("no/such.img").errno(), Errno::ENOENT);
    assert_eq!(unit.refused("a.img;cash=none").errno(), Errno::EINVAL);
    let taken = format!("file/{}/taken.img", unit.folder.path().display());
    let _taken = unit.media.open("ds2", &taken, geometry(64), None).unwrap();
    assert_eq!(unit.refused("taken.img").errno(), Errno::EBUSY);
    let foreign = joined(unit.begin("glfs/volume".to_owned())).unwrap_err();
    assert!(matches!(&foreign, ChangeError::Foreign(config) if config == "glfs/volume"));
    assert_eq!(foreign.errno(), Errno::EINVAL);
}

#[test]
fn a_unit_that_refuses_or_breaks_down_keeps_its_medium_and_the_other_is_closed() {
    let unit = Unit::new();
    for (answer, errno) in [
        (Some(ChangeError::Busy), Errno::EBUSY),
        (Some(ChangeError::Late), Errno::ETIMEDOUT),
        (Some(ChangeError::Flush(BackstoreError::Medium)), Errno::EIO),
        (None, Errno::EIO),
    ] {
        let changing = unit.begin_file("b.img");
        let MediumChange { medium, done } = unit.asked();
        drop(medium);
        if let Some(error) = answer {
            done.send(Err(error)).unwrap();
        }
        drop(done);
        assert_eq!(joined(changing).unwrap_err().errno(), errno);
        let b = format!("file/{}/b.img", unit.folder.path().display());
        unit.media.open("ds2", &b, geometry(64), None).unwrap();
    }
    let gone = Unit::new();
    let service = gone.service.clone();
    let name: UioName = "tcm-user/0/ds1/pulsefield/ram/".parse().unwrap();
    drop(gone.medium);
    assert!(matches!(change_medium(&gone.media, &service, &name), Err(ChangeError::Ended)));
}
