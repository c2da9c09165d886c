//! Where records come from: files, and the logical units whose files they are.

use std::fs;
use std::path::{Path, PathBuf};

use pulsefield_record::{Follower, ReadError, Reader, Record, file_name, is_record};

use super::TraceError;

/// A file that is shown.
pub(crate) struct Source {
    lun: String,
    missing: u64,
    follower: Option<Follower>,
}

impl Source {
    /// Opens a file, and says what it holds.
    pub(crate) fn open(place: &Place, follow: bool) -> Result<(Self, Vec<Record>), ReadError> {
        let Place { path, lun } = place;
        let (follower, mut reader) = match follow {
            true => Follower::open(path).map(|(follower, reader)| (Some(follower), reader))?,
            false => (None, Reader::open(path)?),
        };
        if let Some(lun) = lun {
            reader = reader.of_unit(lun)?;
        }
        let (lun, missing) = (reader.lun().to_owned(), reader.missing());
        Ok((Self { lun, missing, follower }, reader.records().collect()))
    }

    pub(crate) fn lun(&self) -> &str {
        &self.lun
    }

    pub(super) const fn missing(&self) -> u64 {
        self.missing
    }

    /// What has come since the last time.
    pub(super) fn poll(&mut self) -> Result<Vec<Record>, ReadError> {
        self.follower.as_mut().map_or_else(|| Ok(Vec::new()), Follower::poll)
    }
}

/// Where a record is.
pub(crate) struct Place {
    pub(super) path: PathBuf,
    /// The logical unit that it must be about, if one was named.
    lun: Option<String>,
}

/// The files that `named` stand for, each a path if it has a slash in it, else a logical unit whose file is
/// in `folder`; all of that folder if nothing is named.
pub(crate) fn places(named: &[String], folder: &Path) -> Result<Vec<Place>, TraceError> {
    if !named.is_empty() {
        let place = |name: &String| match name.contains('/') {
            true => Place { path: name.into(), lun: None },
            false => Place { path: folder.join(file_name(name)), lun: Some(name.clone()) },
        };
        return Ok(named.iter().map(place).collect());
    }
    let shown = folder.display().to_string();
    let unreadable = |source| TraceError::Folder(shown.clone(), source);
    let mut paths = Vec::new();
    for file in fs::read_dir(folder).map_err(unreadable)? {
        let path = file.map_err(unreadable)?.path();
        paths.extend(is_record(&path).then_some(path));
    }
    paths.sort();
    match paths.is_empty() {
        true => Err(TraceError::NoRecord(shown)),
        false => Ok(paths.into_iter().map(|path| Place { path, lun: None }).collect()),
    }
}
