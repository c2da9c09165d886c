//! A log: its lines, each of them accounted for.

use std::fmt;
use std::io::{self, Read};

use thiserror::Error;

use crate::event::Reading;
use crate::lines::{RawLine, RawLines};
use crate::{Event, Head, LINE_MAX_BYTES, WallTime};

/// So many unreadable lines of a file are kept to be shown; all are counted.
pub const UNREADABLE_MAX: usize = 100;

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number in the file, from 1.
    pub number: u64,
    /// When it was written.
    pub head: Head,
    /// All of it, up to [`LINE_MAX_BYTES`]. What is not UTF-8 is replaced; there may be control
    /// characters.
    pub text: String,
    /// What it says.
    pub content: Content,
}

/// What a line says.
// Of the lines that are kept, nearly all are events.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// This.
    Event(Event),
    /// Nothing about VMFS or its devices that is known here; most lines do not.
    Unknown,
    /// It cannot be read, and may have said something.
    Unreadable(Unreadable),
}

/// Why a line cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It is no text.
    Binary,
    /// It is longer than [`LINE_MAX_BYTES`], and what is known of it says nothing.
    TooLong,
    /// It begins to report something, and breaks off or goes on in an unknown way.
    Broken,
}

/// What went wrong with a file; what had been read of it stands.
#[derive(Debug, Error)]
#[error("cannot read on after line {after_line}")]
pub struct LogError {
    /// The last line that was read; 0 if none was.
    pub after_line: u64,
    /// What the file, or the decompression of it, reports.
    #[source]
    pub source: io::Error,
}

impl Line {
    fn read(number: u64, raw: &RawLine, near: WallTime) -> Self {
        let text = String::from_utf8_lossy(&raw.bytes);
        // What a host had not yet written when it lost power is zeros, before the first line after
        // that.
        let words = text.trim_start_matches('\0');
        let (head, message) = Head::read(words, near);
        let content = match Reading::of(message) {
            Reading::Event(event) => Content::Event(event),
            _ if is_binary(&raw.bytes) => Content::Unreadable(Unreadable::Binary),
            Reading::Broken => Content::Unreadable(Unreadable::Broken),
            Reading::Unknown if raw.is_cut => Content::Unreadable(Unreadable::TooLong),
            Reading::Unknown => Content::Unknown,
        };
        Self { number, head, text: text.into_owned(), content }
    }

    /// What it reports, if that is known.
    pub const fn event(&self) -> Option<&Event> {
        match &self.content {
            Content::Event(event) => Some(event),
            Content::Unknown | Content::Unreadable(_) => None,
        }
    }
}

/// Whether no text has these bytes: control characters other than tab and escape, or no UTF-8.
fn is_binary(bytes: &[u8]) -> bool {
    let is_control = |byte: &u8| byte.is_ascii_control() && !matches!(byte, b'\t' | 0x1b);
    bytes.iter().any(is_control) || std::str::from_utf8(bytes).is_err()
}

/// The lines of `source`, a file of a host's, plain or compressed by gzip; `near` is about when
/// they were written, and tells the year of lines that do not. After an error there are no more.
///
/// # Errors
/// When not even the first bytes can be read; later errors come in place of a line.
pub fn read_lines<'r>(
    source: impl Read + 'r,
    near: WallTime,
) -> Result<impl Iterator<Item = Result<Line, LogError>> + 'r, LogError> {
    let raw = RawLines::of(source).map_err(|source| LogError { after_line: 0, source })?;
    Ok((0_u64..).zip(raw).map(move |(before, raw)| match raw {
        Ok(raw) => Ok(Line::read(before + 1, &raw, near)),
        Err(source) => Err(LogError { after_line: before, source }),
    }))
}

/// One file of a host's, with what matters of it.
#[derive(Debug)]
pub struct Log {
    /// What to call it; a file's name.
    pub name: String,
    /// The lines that report something, in their order.
    pub events: Vec<Line>,
    /// The first [`UNREADABLE_MAX`] lines that cannot be read.
    pub unreadable: Vec<Line>,
    /// How many lines cannot be read.
    pub unreadable_count: u64,
    /// How many lines say nothing that is known here.
    pub unknown_count: u64,
    /// Why it ends where it does, if it does too early.
    pub error: Option<LogError>,
}

impl Log {
    /// Reads all of `source` (see [`read_lines`]), and calls it `name`.
    pub fn read(name: &str, source: impl Read, near: WallTime) -> Self {
        let mut log = Self {
            name: name.to_owned(),
            events: Vec::new(),
            unreadable: Vec::new(),
            unreadable_count: 0,
            unknown_count: 0,
            error: None,
        };
        match read_lines(source, near) {
            Ok(lines) => lines.for_each(|line| log.take(line)),
            Err(error) => log.error = Some(error),
        }
        log
    }

    /// How many lines it has.
    pub fn line_count(&self) -> u64 {
        self.events.len() as u64 + self.unreadable_count + self.unknown_count
    }

    fn take(&mut self, line: Result<Line, LogError>) {
        match line {
            Err(error) => self.error = Some(error),
            Ok(line) => match line.content {
                Content::Event(_) => self.events.push(line),
                Content::Unknown => self.unknown_count += 1,
                Content::Unreadable(_) => {
                    self.unreadable_count += 1;
                    if self.unreadable.len() < UNREADABLE_MAX {
                        self.unreadable.push(line);
                    }
                }
            },
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Binary => f.write_str("no text"),
            Self::TooLong => write!(f, "longer than {LINE_MAX_BYTES} bytes"),
            Self::Broken => f.write_str("breaks off, or is of an unknown form"),
        }
    }
}

#[cfg(test)]
mod tests;
