//! Which records are shown.

use std::fs;
use std::path::Path;

use pulsefield_record::{Place, is_record};

use super::TraceError;

/// The files that `named` stand for, each as [`Place::named`] has it; all of `folder` if nothing is named.
pub(crate) fn places(named: &[String], folder: &Path) -> Result<Vec<Place>, TraceError> {
    if !named.is_empty() {
        return Ok(named.iter().map(|name| Place::named(name, folder)).collect());
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
