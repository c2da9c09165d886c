//! Following a record while it is written.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::entry::RECORD_BYTES_MAX;
use crate::error::ReadError;
use crate::event::Record;
use crate::format::TRACKS;
use crate::reader::{Clock, Reader, record};
use crate::written::{Place, Written};

/// A reader that comes back for what is new.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    written: Written,
    /// The file's device and inode.
    file: (u64, u64),
    ends: [Option<Place>; TRACKS],
    clock: Clock,
    /// The sequence number of the last record that was handed out.
    told: u64,
}

impl Follower {
    /// Follows the file at `path`, and says what it holds by now.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn open(path: &Path) -> Result<(Self, Reader), ReadError> {
        let io_error = |source| ReadError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(io_error)?;
        let identity = identity(&file.metadata().map_err(io_error)?);
        let written = Written::open(file, path)?;
        let reader = Reader::of(&written, path).map_err(io_error)?;
        let mut follower = Self {
            path: path.to_owned(),
            written,
            file: identity,
            ends: [None; TRACKS],
            clock: Clock::default(),
            told: 0,
        };
        follower.take_up(&reader);
        Ok((follower, reader))
    }

    /// What was written since the last time, oldest first. Should so much have been written that some of
    /// it is overwritten again, that is missing; its sequence numbers show it.
    ///
    /// # Errors
    /// If the file cannot be read any more.
    pub fn poll(&mut self) -> Result<Vec<Record>, ReadError> {
        let records =
            self.news().map_err(|source| ReadError::Io { path: self.path.clone(), source })?;
        if !records.is_empty() || !self.is_replaced() {
            return Ok(records);
        }
        let (follower, reader) = Self::open(&self.path)?;
        *self = follower;
        Ok(reader.records().collect())
    }

    fn news(&mut self) -> io::Result<Vec<Record>> {
        // What is written before a hint is there when the hint is: up to the later of the two, nothing is
        // missing that could still come.
        let hints = [self.written.hint(0)?, self.written.hint(1)?];
        let newest = hints.iter().map(|hint| hint.sequence.get()).max().unwrap_or(0);
        if newest <= self.told {
            return Ok(Vec::new());
        }
        let mut records = Vec::new();
        let mut room = [0; RECORD_BYTES_MAX];
        for (track, hint) in hints.iter().enumerate() {
            while let Some(end) = self.ends[track]
                && let Some((place, whole)) = self.written.next(track, &end, &mut room)?
                && place.sequence <= newest
            {
                records.extend(record(&whole, &self.clock));
                self.ends[track] = Some(place);
            }
            let reached = self.ends[track].map_or(0, |end| end.sequence);
            if reached < hint.sequence.get() {
                // The writer has come round, or the track has just begun.
                return self.news_from_the_start();
            }
        }
        records.sort_by_key(|record| record.sequence);
        for record in &mut records {
            self.clock.look(record);
            record.wall = self.clock.wall(record.epoch, record.at);
        }
        self.told = newest;
        Ok(records)
    }

    fn news_from_the_start(&mut self) -> io::Result<Vec<Record>> {
        let reader = Reader::of(&self.written, &self.path)?;
        let told = self.told;
        let records = reader.records().filter(|record| record.sequence > told).collect();
        self.take_up(&reader);
        Ok(records)
    }

    fn take_up(&mut self, reader: &Reader) {
        self.ends = reader.ends();
        let newest = self.ends.iter().flatten().map(|end| end.sequence).max();
        self.told = newest.unwrap_or(self.told);
        self.clock = reader.clock().clone();
    }

    /// Whether there is another file in its place.
    fn is_replaced(&self) -> bool {
        self.path.metadata().is_ok_and(|metadata| identity(&metadata) != self.file)
    }
}

fn identity(metadata: &std::fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}
