//! Where what is watched comes from: the record of a unit that a daemon serves, followed from now on, or a file.

use std::io;
use std::path::{Path, PathBuf};

use pulsefield_control::{Client, ClientError};
use pulsefield_record::{Event, Place, ReadError, Reader, Record, Source, Start};
use thiserror::Error;

/// Why there is nothing to watch.
#[derive(Debug, Error)]
pub enum WatchError {
    /// The daemon does not answer, or has no unit of that name.
    #[error("{lun} cannot be watched")]
    Daemon {
        /// What was to be watched.
        lun: String,
        /// What the daemon said, if anything.
        source: ClientError,
    },
    /// The unit is served, and not recorded.
    #[error(
        "{lun} is not recorded: {path} {why}; a unit is with `record = \"whole\"` in pulsefield.toml",
        path = path.display()
    )]
    NotRecorded {
        /// The unit.
        lun: String,
        /// Where its record would be.
        path: PathBuf,
        /// How that shows.
        why: &'static str,
    },
    /// The record cannot be read.
    #[error(transparent)]
    Record(#[from] ReadError),
    /// A file has nothing in it.
    #[error("{path} has no records", path = path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Files are over, units go on.
    #[error("files and units in use are not watched together: {file} is a file, {lun} a unit")]
    Mixed {
        /// The first file.
        file: String,
        /// The first unit.
        lun: String,
    },
    /// One is named twice.
    #[error("{0} is named twice")]
    Twice(String),
}

/// A record that is watched.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) source: Source,
    /// What a file holds, from where on nothing of it was overwritten; nothing of a unit that is followed.
    pub(super) records: Vec<Record>,
    /// The sequence number and the epoch of the last record before.
    pub(super) last: Option<(u64, u32)>,
    /// What its record says of the unit.
    pub(super) start: Option<Start>,
}

/// Whether these are files, which have a slash in their names; else they are units in use.
///
/// # Errors
/// If they are both, or one is named twice.
pub(super) fn are_files(names: &[String]) -> Result<bool, WatchError> {
    let (files, luns): (Vec<_>, Vec<_>) = names.iter().partition(|name| name.contains('/'));
    if let (Some(file), Some(lun)) = (files.first(), luns.first()) {
        return Err(WatchError::Mixed { file: (*file).clone(), lun: (*lun).clone() });
    }
    let twice = names.iter().enumerate().find(|(nth, name)| names[..*nth].contains(name));
    match twice {
        Some((_, name)) => Err(WatchError::Twice(name.clone())),
        None => Ok(!files.is_empty()),
    }
}

/// Follows the record of the unit `lun`, which the daemon that `client` asks serves and records in `folder`.
///
/// # Errors
/// If it does not, or the record cannot be read.
pub(super) fn follow(lun: &str, folder: &Path, client: &Client) -> Result<Watched, WatchError> {
    client.lun(lun).map_err(|source| WatchError::Daemon { lun: lun.to_owned(), source })?;
    followed(lun, folder)
}

/// Follows the record of the unit `lun` in `folder`.
pub(super) fn followed(lun: &str, folder: &Path) -> Result<Watched, WatchError> {
    let place = Place::named(lun, folder);
    let not_recorded =
        |why| WatchError::NotRecorded { lun: lun.to_owned(), path: place.path.clone(), why };
    let (source, reader) = match Source::open(&place, true) {
        Err(ReadError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Err(not_recorded("is not there"));
        }
        opened => opened?,
    };
    let Facts { last, start, is_open } = Facts::of(&reader);
    if !is_open {
        return Err(not_recorded("has come to its end"));
    }
    Ok(Watched { source, records: Vec::new(), last, start })
}

/// Reads a file.
///
/// # Errors
/// If it cannot be read, or is empty.
pub(super) fn read(path: &Path) -> Result<Watched, WatchError> {
    let place = Place { path: path.to_owned(), lun: None };
    let (source, reader) = Source::open(&place, false)?;
    let start = Facts::of(&reader).start;
    let from = reader.complete_from();
    let records: Vec<_> = reader.records().filter(|record| record.sequence >= from).collect();
    if records.is_empty() {
        return Err(WatchError::Empty { path: path.to_owned() });
    }
    Ok(Watched { source, records, last: None, start })
}

/// What a record says when it is opened.
struct Facts {
    last: Option<(u64, u32)>,
    start: Option<Start>,
    /// Whether whoever writes it has not said that it is over.
    is_open: bool,
}

impl Facts {
    fn of(reader: &Reader) -> Self {
        let mut facts = Self { last: None, start: None, is_open: true };
        for record in reader.records() {
            facts.last = Some((record.sequence, record.epoch));
            if let Event::Start(start) = record.event {
                (facts.start, facts.is_open) = (Some(start), true);
            } else if let Event::Stop(_) = record.event {
                facts.is_open = false;
            }
        }
        facts
    }
}
