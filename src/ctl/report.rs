//! `pulsefield report`: what a soak found, shown again.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use pulsefield_report::{html, json, junit, text};
use thiserror::Error;

use crate::cli::ReportArgs;
use crate::commands::{CommandError, read};

/// Why a report cannot be shown.
#[derive(Debug, Error)]
pub(crate) enum ReportError {
    /// What is there is not a report.
    #[error("{}", path.display())]
    Read { path: PathBuf, source: json::ReadError },
    /// The operating system refused it.
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

pub(crate) fn report(args: &ReportArgs, out: &mut dyn Write) -> Result<(), CommandError> {
    let run = json::read(&read(&args.file)?)
        .map_err(|source| ReportError::Read { path: args.file.clone(), source })?;
    if let Some(path) = &args.html {
        write(path, &html::page(&run))?;
    }
    if let Some(path) = &args.junit {
        write(path, &junit::write(&run))?;
    }
    if args.html.is_none() && args.junit.is_none() {
        out.write_all(text::summary(&run).as_bytes())?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), ReportError> {
    fs::write(path, text).map_err(|source| ReportError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use pulsefield_report::{Conclusion, End, Judgement, Recorder, Setup};
    use pulsefield_units::Instant;

    use super::*;

    /// Of a soak that could not begin.
    fn nothing() -> String {
        let why = "the device is gone".to_owned();
        let conclusion = Conclusion {
            end: End::Broken { why },
            judgement: Judgement { passed: false, reasons: Vec::new() },
            verdicts: Vec::new(),
            notes: Vec::new(),
            expectations: Vec::new(),
            faults: Vec::new(),
        };
        let setup = Setup { mix: "mixed".to_owned(), ..Setup::default() };
        json::write(
            &Recorder::new(setup, Instant::default()).finish(Instant::default(), conclusion),
        )
    }

    #[test]
    fn a_report_is_shown_again() {
        let folder = tempfile::tempdir().unwrap();
        let [file, html, junit] =
            ["run.json", "run.html", "run.xml"].map(|name| folder.path().join(name));
        fs::write(&file, nothing()).unwrap();
        let args = |html, junit| ReportArgs { file: file.clone(), html, junit };
        let mut told = Vec::new();
        report(&args(None, None), &mut told).unwrap();
        assert!(told.starts_with(b"FAIL: 0 hosts, mix mixed, 0 s\n"));
        told.clear();
        report(&args(Some(html.clone()), Some(junit.clone())), &mut told).unwrap();
        assert!(told.is_empty());
        assert!(fs::read_to_string(html).unwrap().contains("<strong>FAIL</strong>"));
        assert!(fs::read_to_string(junit).unwrap().contains("failures=\"1\""));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run.json");
        fs::write(&file, "{\"format\": 7}").unwrap();
        let args = ReportArgs { file: file.clone(), html: None, junit: None };
        let error = report(&args, &mut Vec::new()).unwrap_err();
        assert!(matches!(error, CommandError::Report(ReportError::Read { .. })), "{error:?}");
        fs::write(&file, nothing()).unwrap();
        let html = Some(folder.path().join("missing/run.html"));
        let error = report(&ReportArgs { file, html, junit: None }, &mut Vec::new()).unwrap_err();
        assert!(matches!(error, CommandError::Report(ReportError::Write { .. })), "{error:?}");
    }
}
