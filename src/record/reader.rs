//! Reading a record: all of it, in the order in which things happened.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use pulsefield_units::Instant;

use crate::checksum::Seed;
use crate::error::ReadError;
use crate::event::{Event, Record, decode};
use crate::format::{TRACKS, Whole, whole};
use crate::recorder::WallTime;
use crate::written::{Place, Written};

/// A record as it was when it was opened.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    name: String,
    seed: Seed,
    tracks: [Track; TRACKS],
    /// What there is, oldest first: the track, and the place.
    places: Vec<(usize, Place)>,
    missing: u64,
    clock: Clock,
}

#[derive(Debug)]
struct Track {
    start: u64,
    bytes: Vec<u8>,
}

impl Reader {
    /// Reads the file at `path`, which may be written meanwhile: what is being written just then is left
    /// out.
    ///
    /// # Errors
    /// If it cannot be read, or is no record that this program can read.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let io_error = |source| ReadError::Io { path: path.to_owned(), source };
        let written = Written::open(File::open(path).map_err(io_error)?, path)?;
        Self::of(&written, path).map_err(io_error)
    }

    /// The same, if it is a record of the logical unit `lun`.
    ///
    /// # Errors
    /// If it is about another unit.
    pub fn of_unit(self, lun: &str) -> Result<Self, ReadError> {
        if self.name == lun {
            return Ok(self);
        }
        let (expected, found) = (lun.to_owned(), self.name);
        Err(ReadError::OtherUnit { path: self.path, expected, found })
    }

    pub(crate) fn of(written: &Written, path: &Path) -> io::Result<Self> {
        let [first, second] = written.extents();
        let tracks = [
            Track { start: first.offset.get(), bytes: written.track(0)? },
            Track { start: second.offset.get(), bytes: written.track(1)? },
        ];
        let (mut places, mut missing) = (Vec::new(), 0);
        for (nth, track) in tracks.iter().enumerate() {
            let mut found = written.scan(nth, &track.bytes);
            found.sort_by_key(|place| (place.sequence, place.epoch));
            missing += found.windows(2).filter(|pair| pair[1].previous != pair[0].sequence).count();
            places.extend(found.into_iter().map(|place| (nth, place)));
        }
        places.sort_by_key(|(_, place)| (place.sequence, place.epoch));
        let name = written.name().to_owned();
        let (seed, clock, missing) = (written.seed(), Clock::default(), missing as u64);
        let path = path.to_owned();
        let mut reader = Self { path, name, seed, tracks, places, missing, clock };
        reader.clock = Clock::of(reader.records());
        Ok(reader)
    }

    /// The name of the logical unit.
    pub fn lun(&self) -> &str {
        &self.name
    }

    /// At how many places records are missing between others of their track: the file is damaged there, or
    /// was written while it was copied. That the oldest are overwritten does not count.
    pub const fn missing(&self) -> u64 {
        self.missing
    }

    /// The sequence number from which on nothing was overwritten: before it there are only those that are kept for
    /// longer.
    pub fn complete_from(&self) -> u64 {
        let firsts = (0..TRACKS).filter_map(|nth| {
            let mut of_track = self.places.iter().filter(|(track, _)| *track == nth);
            of_track.next().map(|(_, place)| place)
        });
        // A track whose first record is the first that it ever had is there from its beginning.
        let overwritten = firsts.filter(|first| first.previous != 0);
        overwritten.map(|first| first.sequence).max().unwrap_or(0)
    }

    /// All records, oldest first. Those of bulk reach back less far than the others.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        self.places.iter().filter_map(|(track, place)| {
            let Track { start, bytes } = &self.tracks[*track];
            let at = usize::try_from(place.offset - start).ok()?;
            record(&whole(bytes.get(at..)?, self.seed, place.offset)?, &self.clock)
        })
    }

    /// Where the last record of each track is.
    pub(crate) fn ends(&self) -> [Option<Place>; TRACKS] {
        let last =
            |nth| self.places.iter().rfind(|(track, _)| *track == nth).map(|(_, place)| *place);
        [last(0), last(1)]
    }

    /// The clock as of the last record.
    pub(crate) const fn clock(&self) -> &Clock {
        &self.clock
    }
}

/// What `whole` says; `None` if this version does not know.
pub(crate) fn record(whole: &Whole<'_>, clock: &Clock) -> Option<Record> {
    let (epoch, at) = (whole.header.epoch.get(), whole.at());
    Some(Record {
        sequence: whole.header.sequence.get(),
        epoch,
        at,
        wall: clock.wall(epoch, at),
        event: decode(whole)?,
    })
}

/// The wall clock beside the monotonic one, as it was looked at now and then.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock {
    /// In the order in which they were written.
    anchors: Vec<Anchor>,
}

#[derive(Clone, Copy, Debug)]
struct Anchor {
    epoch: u32,
    at: Instant,
    wall: WallTime,
}

impl Clock {
    fn of(records: impl Iterator<Item = Record>) -> Self {
        let mut clock = Self::default();
        records.for_each(|record| clock.look(&record));
        clock
    }

    /// Learns from a record that is later than all before.
    pub(crate) fn look(&mut self, record: &Record) {
        let wall = match &record.event {
            Event::Start(start) => start.wall,
            Event::Anchor(wall) => *wall,
            Event::Stop(_)
            | Event::Command(_)
            | Event::Found(_)
            | Event::TaskManagement(_)
            | Event::TaskManagementOver(_)
            | Event::FaultHit(_)
            | Event::AttentionRaised(_)
            | Event::Overdue(_) => return,
        };
        self.anchors.push(Anchor { epoch: record.epoch, at: record.at, wall });
    }

    /// What the wall clock showed: reckoned from the last anchor before, or from the first of its epoch if
    /// that one is overwritten.
    pub(crate) fn wall(&self, epoch: u32, at: Instant) -> Option<WallTime> {
        let of_epoch = |anchor: &&Anchor| anchor.epoch == epoch;
        let before =
            self.anchors.partition_point(|anchor| (anchor.epoch, anchor.at) <= (epoch, at));
        let last = self.anchors[..before].last().filter(of_epoch);
        let anchor = last.or_else(|| self.anchors[before..].first().filter(of_epoch))?;
        Some(anchor.wall.moved(anchor.at, at))
    }
}
