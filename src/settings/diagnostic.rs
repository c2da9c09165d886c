//! What is wrong with a file, where, and what was probably meant.

use std::fmt;
use std::ops::Range;

use thiserror::Error;

use crate::suggest::nearest;

/// One thing that is wrong in a file, with its place. Displayed as compilers do: the place, the
/// problem, then the line with the piece underlined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    file: String,
    line: usize,
    column: usize,
    problem: Problem,
    snippet: String,
    underlined: usize,
}

/// What can be wrong with a piece of the file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// Not TOML.
    #[error("{0}")]
    Syntax(String),
    /// A key that means nothing here.
    #[error("{}", unknown(key, section, *nearest, known))]
    UnknownKey {
        /// The key as written.
        key: String,
        /// The table it stands in; empty for the top of the file.
        section: String,
        /// The valid key most like it.
        nearest: Option<&'static str>,
        /// All keys valid there.
        known: Vec<&'static str>,
    },
    /// A value of the wrong TOML type.
    #[error("{key} must be {expected}, not {article} {found}", article = article(found))]
    Type {
        /// The key.
        key: String,
        /// What it must be, with its article.
        expected: &'static str,
        /// What it is, in TOML's words.
        found: &'static str,
    },
    /// A key that is not there and has no default.
    #[error("[{section}] has no {key}, which must be {expected}")]
    Missing {
        /// The key.
        key: &'static str,
        /// The table it is missing in.
        section: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A value of the right type that cannot be meant.
    #[error("{key} must be {expected}, not {found}")]
    Value {
        /// The key.
        key: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// A word that is not one of those allowed.
    #[error("{}", unknown_word(key, found, *nearest, known))]
    Word {
        /// The key.
        key: &'static str,
        /// The word as written.
        found: String,
        /// The allowed word most like it.
        nearest: Option<&'static str>,
        /// All allowed words.
        known: Vec<&'static str>,
    },
    /// A value that is possible by itself and makes no sense with the rest of the file.
    #[error("{reason}")]
    Senseless {
        /// Why not: the words of an error of whoever reads the file.
        reason: String,
    },
}

impl Problem {
    /// `key` is none of those `known` in `section`.
    pub(crate) fn unknown_key(key: &str, section: &str, known: Vec<&'static str>) -> Self {
        Self::UnknownKey {
            key: key.to_owned(),
            section: section.to_owned(),
            nearest: nearest(key, known.iter().copied()),
            known,
        }
    }

    /// `found` is none of the words that `key` may be.
    pub fn word(key: &'static str, found: &str, known: Vec<&'static str>) -> Self {
        let nearest = nearest(found, known.iter().copied());
        Self::Word { key, found: found.to_owned(), nearest, known }
    }

    /// A value that `error` says makes no sense with the rest of the file.
    pub fn senseless(error: &dyn std::error::Error) -> Self {
        Self::Senseless { reason: error.to_string() }
    }
}

fn unknown(key: &str, section: &str, nearest: Option<&str>, known: &[&str]) -> String {
    let place =
        if section.is_empty() { "at the top level".to_owned() } else { format!("in [{section}]") };
    format!("unknown key \"{key}\" {place}; {}", meant(nearest, known))
}

fn unknown_word(key: &str, found: &str, nearest: Option<&str>, known: &[&str]) -> String {
    format!("{key} cannot be \"{found}\"; {}", meant(nearest, known))
}

fn meant(nearest: Option<&str>, known: &[&str]) -> String {
    match nearest {
        Some(name) => format!("did you mean \"{name}\"?"),
        None => format!("valid are {}", known.join(", ")),
    }
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

impl Diagnostic {
    /// A problem with the bytes `span` of `text`.
    pub(crate) fn new(file: &str, text: &str, span: Range<usize>, problem: Problem) -> Self {
        let start = text.floor_char_boundary(span.start);
        let end = text.floor_char_boundary(span.end).max(start);
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |length| start + length);
        Self {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            problem,
            // One column a character, also for the underline: a tab would be several.
            snippet: text[line_start..line_end].trim_end().replace('\t', " "),
            underlined: text[start..end.min(line_end)].chars().count().max(1),
        }
    }
}

impl Diagnostic {
    /// The line it is on, counted from 1.
    pub const fn line(&self) -> usize {
        self.line
    }

    /// The character of the line it begins with, counted from 1.
    pub const fn column(&self) -> usize {
        self.column
    }

    /// What is wrong.
    pub const fn problem(&self) -> &Problem {
        &self.problem
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, problem, snippet, underlined } = self;
        let margin = " ".repeat(line.to_string().len());
        writeln!(f, "{file}:{line}:{column}: {problem}")?;
        writeln!(f, "{margin} |")?;
        writeln!(f, "{line} | {snippet}")?;
        write!(f, "{margin} | {}{}", " ".repeat(column - 1), "^".repeat(*underlined))
    }
}

impl std::error::Error for Diagnostic {}
