//! Where what was found goes: looked at before a run begins, so that hours of work do not end with a folder
//! that cannot be written.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use pulsefield_report::{Run, html, json, junit};
use thiserror::Error;

/// What the files of a report are called.
const HTML: &str = "soak.html";
const JSON: &str = "soak.json";

/// A file cannot be written.
#[derive(Debug, Error)]
#[error("{path} cannot be written", path = path.display())]
pub struct OutletError {
    path: PathBuf,
    source: io::Error,
}

impl OutletError {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |source| Self { path, source }
    }
}

/// Files that can be written, as far as that can be known.
#[derive(Debug)]
pub(crate) struct Outlets {
    folder: Option<PathBuf>,
    junit: Option<PathBuf>,
}

impl Outlets {
    /// Makes the folder if it is not there, and opens all files for writing; what stands in one of before stays
    /// until there is something else to write.
    ///
    /// # Errors
    /// If one of them cannot be written.
    pub(crate) fn open(folder: Option<&Path>, junit: Option<&Path>) -> Result<Self, OutletError> {
        if let Some(folder) = folder {
            fs::create_dir_all(folder).map_err(OutletError::at(folder))?;
            for name in [HTML, JSON] {
                touch(&folder.join(name))?;
            }
        }
        if let Some(junit) = junit {
            touch(junit)?;
        }
        Ok(Self { folder: folder.map(Path::to_owned), junit: junit.map(Path::to_owned) })
    }

    /// Writes a run, and says which files that are.
    ///
    /// # Errors
    /// If one of them cannot be written. Those before it are.
    pub(crate) fn write(&self, run: &Run) -> Result<Vec<PathBuf>, OutletError> {
        let mut written = Vec::new();
        let mut write = |path: PathBuf, text: String| {
            fs::write(&path, text).map_err(OutletError::at(&path))?;
            written.push(path);
            Ok(())
        };
        if let Some(folder) = &self.folder {
            // First what everything else can be made of again.
            write(folder.join(JSON), json::write(run))?;
            write(folder.join(HTML), html::page(run))?;
        }
        if let Some(path) = &self.junit {
            write(path.clone(), junit::write(run))?;
        }
        Ok(written)
    }
}

fn touch(path: &Path) -> Result<(), OutletError> {
    let opened = OpenOptions::new().append(true).create(true).open(path);
    opened.map(drop).map_err(OutletError::at(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_made_and_what_stands_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let report = folder.path().join("deep").join("report");
        Outlets::open(Some(&report), None).unwrap();
        fs::write(report.join(JSON), "old").unwrap();
        Outlets::open(Some(&report), None).unwrap();
        assert_eq!(fs::read_to_string(report.join(JSON)).unwrap(), "old");
    }

    #[test]
    fn what_cannot_be_written_is_said_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = Outlets::open(Some(&file), None).unwrap_err();
        assert!(error.to_string().ends_with("file cannot be written"), "{error}");
        let error = Outlets::open(None, Some(&file.join("junit.xml"))).unwrap_err();
        assert!(error.to_string().ends_with("junit.xml cannot be written"), "{error}");
    }
}
