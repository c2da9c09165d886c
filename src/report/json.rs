//! A run as JSON: one document, which says its format.
//!
//! Fields may be added to a format; whatever else changes makes a new one. A reader skips fields that it does
//! not know.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::run::Run;

/// The format that is written, and the only one that is read.
pub const FORMAT: u32 = 1;

/// Why a text cannot be read as a run.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The text ends before the document does: whoever wrote it was stopped.
    #[error("it is cut off in line {line}")]
    Truncated {
        /// The last line, counted from 1.
        line: usize,
    },
    /// It is JSON, but says no format: something else wrote it.
    #[error("it is no report of a soak: it says no \"format\"")]
    NotAReport,
    /// A newer version of the program wrote it.
    #[error("it is of format {found}; this version of pulsefield reads format {FORMAT}")]
    OtherFormat {
        /// The format that it says.
        found: u64,
    },
    /// It is not JSON, or not as this format is.
    #[error("it is not as a report of format {FORMAT} is")]
    Malformed(#[source] serde_json::Error),
}

#[derive(Serialize)]
struct Document<'r> {
    format: u32,
    #[serde(flatten)]
    run: &'r Run,
}

/// What any format says of itself.
#[derive(Deserialize)]
struct Head {
    format: Option<u64>,
}

/// Writes `run`, on many lines.
pub fn write(run: &Run) -> String {
    let document = Document { format: FORMAT, run };
    let mut text = serde_json::to_string_pretty(&document).expect("strings, numbers and lists");
    text.push('\n');
    text
}

/// Reads what [`write()`] wrote.
///
/// # Errors
/// If it is cut off, of another format, or none at all.
pub fn read(text: &str) -> Result<Run, ReadError> {
    let head: Head = serde_json::from_str(text).map_err(malformed)?;
    match head.format {
        Some(format) if format == u64::from(FORMAT) => {
            serde_json::from_str(text).map_err(malformed)
        }
        Some(found) => Err(ReadError::OtherFormat { found }),
        None => Err(ReadError::NotAReport),
    }
}

fn malformed(error: serde_json::Error) -> ReadError {
    if error.is_eof() {
        ReadError::Truncated { line: error.line() }
    } else {
        ReadError::Malformed(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{Evidence, View};
    use crate::testing;

    #[test]
    fn what_is_written_is_read_again() {
        let run = testing::with_faults();
        let text = write(&run);
        assert!(text.starts_with("{\n  \"format\": 1,\n"), "{}", &text[..80]);
        assert_eq!(read(&text).unwrap(), run);
    }

    #[test]
    fn what_is_cut_off_says_so_wherever() {
        let text = write(&testing::empty());
        for end in (0..text.trim_end().len()).filter(|end| text.is_char_boundary(*end)) {
            let error = read(&text[..end]).unwrap_err();
            assert!(matches!(error, ReadError::Truncated { .. }), "{end}: {error:?}");
        }
    }

    #[test]
    fn what_is_no_report_says_what_it_is() {
        let text = write(&testing::empty());
        for (text, words) in [
            (
                text.replacen("\"format\": 1", "\"format\": 2", 1),
                "it is of format 2; this version of pulsefield reads format 1",
            ),
            ("{\"hosts\": []}".to_owned(), "it is no report of a soak: it says no \"format\""),
            ("<html>".to_owned(), "it is not as a report of format 1 is"),
            ("{\"format\": 1}".to_owned(), "it is not as a report of format 1 is"),
        ] {
            assert_eq!(read(&text).unwrap_err().to_string(), words);
        }
    }

    #[test]
    fn fields_that_came_later_may_be_missing() {
        let run = testing::with_faults();
        let mut document: serde_json::Value = serde_json::from_str(&write(&run)).unwrap();
        document["setup"].as_object_mut().unwrap().remove("evidence");
        for cause in document["causes"].as_array_mut().unwrap() {
            cause.as_object_mut().unwrap().remove("view");
        }
        let read = read(&document.to_string()).unwrap();
        assert_eq!(read.setup.evidence, Evidence::Hosts { why: String::new() });
        assert!(read.causes.iter().all(|cause| cause.view == View::Host));
    }

    #[test]
    fn fields_of_later_versions_are_skipped() {
        let text = write(&testing::empty()).replacen('{', "{ \"weather\": \"fine\",", 1);
        assert_eq!(read(&text).unwrap(), testing::empty());
    }
}
