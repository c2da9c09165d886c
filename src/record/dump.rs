//! Copies of records, taken when something has gone wrong: what happened before it is then kept, however
//! long nobody looks.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::DumpError;
use crate::format::{ENDING, escaped, file_name};
use crate::recorder::WallTime;

/// Why a copy is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The unit has broken down.
    Breakdown,
    /// A heartbeat took longer than `deadline_error`.
    LateHeartbeat,
    /// A heartbeat is not answered yet after `deadline_error`.
    UnansweredHeartbeat,
}

impl Reason {
    /// As it stands in the names of copies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Breakdown => "breakdown",
            Self::LateHeartbeat => "late-heartbeat",
            Self::UnansweredHeartbeat => "unanswered-heartbeat",
        }
    }
}

/// Where copies are kept, and how many of each logical unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dumps {
    folder: PathBuf,
    kept: usize,
}

impl Dumps {
    /// Copies go to `folder`, which is made if it is missing; of each unit the last `kept` stay there.
    pub fn new(folder: impl Into<PathBuf>, kept: usize) -> Self {
        Self { folder: folder.into(), kept }
    }

    /// Copies the record of the logical unit `lun`, which is in the folder `from`, under a name that says
    /// of what unit it is, from when and why; says where. Removes the oldest if there are too many. None
    /// is taken if none is to be kept.
    ///
    /// # Errors
    /// If the record cannot be read, or the copy cannot be written.
    pub fn take(
        &self,
        from: &Path,
        lun: &str,
        reason: Reason,
        wall: WallTime,
    ) -> Result<Option<PathBuf>, DumpError> {
        if self.kept == 0 {
            return Ok(None);
        }
        let seconds = wall.as_nanos() / 1_000_000_000;
        // Twelve digits: names sort as their times do, for thirty thousand years.
        let name = format!("{}.{seconds:012}.{}.{ENDING}", escaped(lun), reason.name());
        let path = self.folder.join(name);
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| DumpError { path, source }
        };
        fs::create_dir_all(&self.folder).map_err(failed(&self.folder))?;
        let source = from.join(file_name(lun));
        copy(&source, &path).map_err(failed(&path))?;
        self.forget_oldest(lun).map_err(failed(&self.folder))?;
        Ok(Some(path))
    }

    fn forget_oldest(&self, lun: &str) -> io::Result<()> {
        let prefix = format!("{}.", escaped(lun));
        let mut names = Vec::new();
        for file in fs::read_dir(&self.folder)? {
            let name = file?.file_name();
            let ours = name.to_str().is_some_and(|name| {
                name.strip_prefix(&prefix).is_some_and(|rest| rest.matches('.').count() == 2)
            });
            names.extend(ours.then_some(name));
        }
        names.sort();
        let surplus = names.len().saturating_sub(self.kept);
        names[..surplus].iter().try_for_each(|name| fs::remove_file(self.folder.join(name)))
    }
}

/// Copies the record at `from`, which may be written meanwhile, to `to`.
///
/// # Errors
/// If it cannot be read, or the copy cannot be written; then there is none.
pub fn save(from: &Path, to: &Path) -> Result<(), DumpError> {
    let failed = |path: &Path, source| DumpError { path: path.to_owned(), source };
    // Else whatever is wrong with the first would be told of the second.
    fs::File::open(from).map_err(|source| failed(from, source))?;
    copy(from, to).map_err(|source| failed(to, source))
}

/// Whether the file at `path` is called as records are.
pub fn is_record(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == ENDING)
}

/// A copy that is there under its name when it is whole.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let partial = to.with_extension("partial");
    let copied = fs::copy(from, &partial).and_then(|_| fs::rename(&partial, to));
    if copied.is_err() {
        // What is left of it is of no use, and may not even be there.
        let _ = fs::remove_file(&partial);
    }
    copied
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_copies_of_each_unit_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (live, dumps) = (folder.path().join("live"), folder.path().join("dumps"));
        fs::create_dir(&live).unwrap();
        for lun in ["ds1", "ds1.a", "ds10"] {
            fs::write(live.join(file_name(lun)), lun).unwrap();
        }
        let keeping = Dumps::new(&dumps, 2);
        let second = |second: u64| WallTime::from_nanos(second * 1_000_000_000);
        for (lun, at) in [("ds1", 9), ("ds1", 10), ("ds1.a", 1), ("ds10", 1), ("ds1", 11)] {
            let taken =
                keeping.take(&live, lun, Reason::LateHeartbeat, second(at)).unwrap().unwrap();
            assert_eq!(fs::read_to_string(taken).unwrap(), lun);
        }
        let mut names: Vec<_> =
            fs::read_dir(&dumps).unwrap().map(|file| file.unwrap().file_name()).collect();
        names.sort();
        let expected = [
            "ds1%2Ea.000000000001.late-heartbeat.pulserec",
            "ds1.000000000010.late-heartbeat.pulserec",
            "ds1.000000000011.late-heartbeat.pulserec",
            "ds10.000000000001.late-heartbeat.pulserec",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn none_is_taken_if_none_is_kept_and_none_is_left_half_done() {
        let folder = tempfile::tempdir().unwrap();
        let wall = WallTime::from_nanos(0);
        let none = Dumps::new(folder.path().join("none"), 0);
        assert_eq!(none.take(folder.path(), "ds1", Reason::Breakdown, wall).unwrap(), None);
        let dumps = Dumps::new(folder.path().join("dumps"), 1);
        let error = dumps.take(folder.path(), "ds1", Reason::Breakdown, wall).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::NotFound);
        assert_eq!(fs::read_dir(folder.path().join("dumps")).unwrap().count(), 0);
    }
}
