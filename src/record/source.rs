//! Where records come from: files, and the logical units whose files they are.

use std::path::{Path, PathBuf};

use crate::error::ReadError;
use crate::event::Record;
use crate::follow::Follower;
use crate::format::file_name;
use crate::reader::Reader;

/// Where a record is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// The logical unit that it must be about, if one was named.
    pub lun: Option<String>,
}

impl Place {
    /// What `name` stands for: a path if it has a slash in it, else a logical unit whose file is in `folder`.
    pub fn named(name: &str, folder: &Path) -> Self {
        match name.contains('/') {
            true => Self { path: name.into(), lun: None },
            false => Self { path: folder.join(file_name(name)), lun: Some(name.to_owned()) },
        }
    }
}

/// A file that is read, and followed if that is wanted.
#[derive(Debug)]
pub struct Source {
    lun: String,
    missing: u64,
    follower: Option<Follower>,
}

impl Source {
    /// Opens the file at `place`, and says what it holds.
    ///
    /// # Errors
    /// As [`Reader::open`] and [`Reader::of_unit`].
    pub fn open(place: &Place, follow: bool) -> Result<(Self, Reader), ReadError> {
        let Place { path, lun } = place;
        let (follower, mut reader) = match follow {
            true => Follower::open(path).map(|(follower, reader)| (Some(follower), reader))?,
            false => (None, Reader::open(path)?),
        };
        if let Some(lun) = lun {
            reader = reader.of_unit(lun)?;
        }
        let (lun, missing) = (reader.lun().to_owned(), reader.missing());
        Ok((Self { lun, missing, follower }, reader))
    }

    /// The name of the logical unit.
    pub fn lun(&self) -> &str {
        &self.lun
    }

    /// As of [`Reader::missing`], when it was opened.
    pub const fn missing(&self) -> u64 {
        self.missing
    }

    /// What has come since the last time, if it is followed.
    ///
    /// # Errors
    /// As [`Follower::poll`].
    pub fn poll(&mut self) -> Result<Vec<Record>, ReadError> {
        self.follower.as_mut().map_or_else(|| Ok(Vec::new()), Follower::poll)
    }
}
