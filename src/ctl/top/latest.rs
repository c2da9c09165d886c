//! The latest MISCOMPAREs of logical units and why they happened, from their records.
//!
//! What that costs is bounded: only units that have miscompared are looked at, [`UNITS_MAX`] of them; of each record
//! what is new once a second, and of what went before at most [`WINDOW`] records as evidence. What a finding rests
//! on may lie further back; then it is unknown here, and `pulsefield explain` tells.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use pulsefield_explain::{Account, Deadlines};
use pulsefield_record::{Event, Follower, ReadError, Record, file_name};
use pulsefield_scsi::SenseKey;
use pulsefield_top::{Miscompare, Sample};

use crate::trace::Utc;

/// Units whose records are followed at once.
const UNITS_MAX: usize = 8;

/// Records of a unit that are kept as evidence, some megabytes of them: ten hosts' pulses of twenty minutes.
const WINDOW: usize = 4096;

/// MISCOMPAREs that are kept of each unit: more than a screen shows.
const SHOWN: usize = 16;

/// What is known of all units.
#[derive(Debug)]
pub(super) struct Latest {
    directory: PathBuf,
    units: BTreeMap<String, Followed>,
}

/// The record of a unit, as far as it was read.
#[derive(Debug)]
struct Followed {
    follower: Follower,
    window: Vec<Record>,
    /// The last one first.
    miscompares: VecDeque<Miscompare>,
}

impl Latest {
    /// Of units that are recorded in this folder.
    pub(super) const fn of(directory: PathBuf) -> Self {
        Self { directory, units: BTreeMap::new() }
    }

    /// Adds to `sample` what the records say of its units.
    pub(super) fn look(&mut self, sample: &mut Sample) {
        let exists = |name: &String| sample.luns.iter().any(|lun| lun.name == *name);
        self.units.retain(|name, _| exists(name));
        let miscompared = sample.luns.iter().filter(|lun| lun.miscompares > 0);
        for name in miscompared.map(|lun| lun.name.clone()).take(UNITS_MAX) {
            match self.look_at(&name) {
                Ok(miscompares) => sample.miscompares.extend(miscompares.iter().cloned()),
                Err(error) => {
                    self.units.remove(&name);
                    sample.unread_records.insert(name, in_a_line(&error));
                }
            }
        }
        sample.miscompares.sort_by(|a, b| b.time.cmp(&a.time));
    }

    fn look_at(&mut self, name: &str) -> Result<&VecDeque<Miscompare>, ReadError> {
        let followed = match self.units.entry(name.to_owned()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Followed::open(&self.directory, name)?),
        };
        let news = followed.follower.poll()?;
        followed.take(name, news);
        Ok(&followed.miscompares)
    }
}

impl Followed {
    fn open(directory: &Path, name: &str) -> Result<Self, ReadError> {
        let (follower, reader) = Follower::open(&directory.join(file_name(name)))?;
        let reader = reader.of_unit(name)?;
        let mut last = VecDeque::new();
        for record in reader.records() {
            if last.len() == WINDOW {
                last.pop_front();
            }
            last.push_back(record);
        }
        let mut followed = Self { follower, window: Vec::new(), miscompares: VecDeque::new() };
        followed.take(name, last.into());
        Ok(followed)
    }

    /// Takes records that are newer than all before.
    fn take(&mut self, name: &str, mut news: Vec<Record>) {
        let first = self.window.len();
        let any = news.iter().any(miscompares);
        self.window.append(&mut news);
        if any {
            let account = Account::of(&self.window, first, Deadlines::default());
            for miscompare in &account.miscompares {
                self.miscompares.push_front(shown(name, miscompare));
            }
            self.miscompares.truncate(SHOWN);
        }
        // Not each time, since all that stay are moved.
        if self.window.len() >= 2 * WINDOW {
            self.window.drain(..self.window.len() - WINDOW);
        }
    }
}

fn miscompares(record: &Record) -> bool {
    let Event::Command(command) = &record.event else { return false };
    command.sense.is_some_and(|sense| sense.key == SenseKey::Miscompare.as_u8())
}

fn shown(lun: &str, miscompare: &pulsefield_explain::Miscompare<'_>) -> Miscompare {
    Miscompare {
        lun: lun.to_owned(),
        time: miscompare.told().record.wall.map(|wall| Utc(wall).to_string()),
        object: miscompare.object().map(|object| object.to_string()),
        host: miscompare.host().map(|host| host.to_string()),
        finding: miscompare.finding.kind().to_string(),
        words: miscompare.finding.to_string(),
    }
}

/// What is wrong, and what the operating system said of it.
fn in_a_line(error: &ReadError) -> String {
    use std::error::Error as _;
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use pulsefield_engine::{Lane, Waited};
    use pulsefield_record::{Finished, Origin, Recorder};
    use pulsefield_scsi::{Sense, Status};
    use pulsefield_units::Cdb;

    use super::*;
    use crate::testing::{at, buffer, range, recorder};

    /// An ATS of block 7 in this second, which finds something else than it expects if that is said.
    fn ats(recorder: &mut Recorder, second: u64, halves: [u8; 2], found: Option<u8>) {
        let at = at(second * 1000);
        let block = |byte: u8| [byte; 512];
        let blocks = range(7, 1);
        let sense = found.map(|found| {
            recorder.found(at, Some(1), blocks, 0, &buffer(&block(found)));
            Sense::miscompare(0)
        });
        let finished = Finished {
            origin: Origin::Initiator { command_id: 1 },
            cdb: &Cdb::new(&[0x89, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0]),
            arrived: at,
            started: Some(at),
            ended: Some(at),
            waited: Waited::default(),
            lane: Some(Lane::Heartbeat),
            blocks: Some(blocks),
            status: if found.is_some() { Status::CheckCondition } else { Status::Good },
            sense: sense.as_ref(),
            data: &buffer(&halves.map(block).concat()),
        };
        recorder.command(at, &finished);
    }

    #[test]
    fn what_is_new_is_explained_by_what_was_before() {
        let folder = tempfile::tempdir().unwrap();
        let mut recorder = recorder(folder.path(), "ds1", 0);
        let mut latest = Latest::of(folder.path().to_owned());
        ats(&mut recorder, 1, [1, 2], None);
        assert!(latest.look_at("ds1").unwrap().is_empty());
        ats(&mut recorder, 2, [1, 3], Some(2));
        let seen = |latest: &mut Latest| {
            let all = latest.look_at("ds1").unwrap().iter();
            all.map(|it| (it.time.clone().unwrap(), it.finding.clone())).collect::<Vec<_>>()
        };
        let first = ("2023-11-14T22:13:22.000000Z".to_owned(), "contention".to_owned());
        assert_eq!(seen(&mut latest), std::slice::from_ref(&first));
        ats(&mut recorder, 3, [2, 4], Some(9));
        let second = ("2023-11-14T22:13:23.000000Z".to_owned(), "corruption".to_owned());
        assert_eq!(seen(&mut latest), [second.clone(), first.clone()]);
        // Whoever comes later sees the same.
        let mut other = Latest::of(folder.path().to_owned());
        assert_eq!(seen(&mut other), [second, first]);
    }

    #[test]
    fn a_record_that_is_not_there_is_told_of() {
        let folder = tempfile::tempdir().unwrap();
        let error = Latest::of(folder.path().to_owned()).look_at("ds1").unwrap_err();
        assert!(in_a_line(&error).contains("No such file"), "{error}");
    }
}
