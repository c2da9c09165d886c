//! One table of the file, emptied key by key.
//!
//! The valid names of a table are the names that were asked for, so the list in an error message
//! cannot drift from what is consumed.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Diagnostic, Problem};

/// A table being read.
pub struct Section<'a> {
    source: Source<'a>,
    /// The table's name as in its header; empty for the file itself.
    name: String,
    table: DeTable<'a>,
    /// Where it stands.
    span: Range<usize>,
    known: Vec<&'static str>,
}

/// The text that positions are counted in.
#[derive(Clone, Copy)]
struct Source<'a> {
    file: &'a str,
    text: &'a str,
}

impl Source<'_> {
    fn diagnostic(self, span: Range<usize>, problem: Problem) -> Box<Diagnostic> {
        Box::new(Diagnostic::new(self.file, self.text, span, problem))
    }
}

impl<'a> Section<'a> {
    /// The whole file as a table.
    pub fn parse(file: &'a str, text: &'a str) -> Result<Self, Box<Diagnostic>> {
        let source = Source { file, text };
        let table = DeTable::parse(text).map_err(|error| {
            // An error without a place is about the text as a whole: point at its end.
            let span = error.span().unwrap_or(text.len()..text.len());
            source.diagnostic(span, Problem::Syntax(error.message().to_owned()))
        })?;
        let span = 0..0;
        let (name, table) = (String::new(), table.into_inner());
        Ok(Self { source, name, table, span, known: Vec::new() })
    }

    fn take(&mut self, key: &'static str) -> Option<Spanned<DeValue<'a>>> {
        self.known.push(key);
        self.table.remove(key)
    }

    /// The value of `key`, to be read as whatever it turns out to be.
    pub fn item(&mut self, key: &'static str) -> Option<Item<'a>> {
        let source = self.source;
        self.take(key).map(|value| Item { source, key, value })
    }

    /// The tables of the array at `key`, as of `[[key]]`; none if it is not there.
    ///
    /// # Errors
    /// If it is no array, or something in it is no table.
    pub fn sections(&mut self, key: &'static str) -> Result<Vec<Self>, Box<Diagnostic>> {
        let Some(value) = self.take(key) else {
            return Ok(Vec::new());
        };
        let (span, found) = (value.span(), value.get_ref().type_str());
        let DeValue::Array(elements) = value.into_inner() else {
            let problem = Problem::Type { key: key.to_owned(), expected: "an array", found };
            return Err(self.source.diagnostic(span, problem));
        };
        elements.into_iter().map(|element| self.enter(key, element)).collect()
    }

    /// Something that is wrong with the table as a whole.
    pub fn diagnostic(&self, problem: Problem) -> Box<Diagnostic> {
        self.source.diagnostic(self.span.clone(), problem)
    }

    /// The table `key` in this one; an empty one if it is not there.
    pub fn section(&mut self, key: &'static str) -> Result<Self, Box<Diagnostic>> {
        match self.take(key) {
            Some(value) => self.enter(key, value),
            None => Ok(Self {
                source: self.source,
                name: key.to_owned(),
                table: DeTable::new(),
                span: 0..0,
                known: Vec::new(),
            }),
        }
    }

    /// All of this table, whose keys are names of the user's and whose values must be tables.
    pub fn into_sections(mut self) -> Result<Vec<(String, Self)>, Box<Diagnostic>> {
        std::mem::take(&mut self.table)
            .into_iter()
            .map(|(key, value)| {
                let key = key.into_inner().into_owned();
                let section = self.enter(&key, value)?;
                Ok((key, section))
            })
            .collect()
    }

    fn enter(&self, key: &str, value: Spanned<DeValue<'a>>) -> Result<Self, Box<Diagnostic>> {
        let name =
            if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) };
        let span = value.span();
        let found = value.get_ref().type_str();
        if let DeValue::Table(table) = value.into_inner() {
            Ok(Self { source: self.source, name, table, span, known: Vec::new() })
        } else {
            let problem = Problem::Type { key: name, expected: "a table", found };
            Err(self.source.diagnostic(span, problem))
        }
    }

    /// What `read` makes of the value of `key`; `None` if the key is not there.
    pub fn value<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&'static str, &DeValue<'_>) -> Result<T, Problem>,
    ) -> Result<Option<T>, Box<Diagnostic>> {
        let source = self.source;
        self.take(key).map(|value| read_at(source, key, &value, read)).transpose()
    }

    /// What `read` makes of the value of `key`, which must be there and be what `expected` says.
    pub fn required<T>(
        &mut self,
        key: &'static str,
        expected: &'static str,
        read: impl FnOnce(&'static str, &DeValue<'_>) -> Result<T, Problem>,
    ) -> Result<T, Box<Diagnostic>> {
        let value = self.value(key, read)?;
        value.ok_or_else(|| {
            let problem = Problem::Missing { key, section: self.name.clone(), expected };
            self.source.diagnostic(self.span.clone(), problem)
        })
    }

    /// What `read` makes of each element of the array at `key`; `None` if the key is not there.
    pub fn values<T>(
        &mut self,
        key: &'static str,
        read: fn(&'static str, &DeValue<'_>) -> Result<T, Problem>,
    ) -> Result<Option<Vec<T>>, Box<Diagnostic>> {
        let source = self.source;
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        let Some(elements) = value.get_ref().as_array() else {
            let found = value.get_ref().type_str();
            let problem = Problem::Type { key: key.to_owned(), expected: "an array", found };
            return Err(source.diagnostic(value.span(), problem));
        };
        elements
            .iter()
            .map(|element| read_at(source, key, element, read))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// Checks that nothing is left that nobody asked for.
    pub fn finish(self) -> Result<(), Box<Diagnostic>> {
        // The table is sorted by name; the user reads from the top.
        match self.table.into_iter().min_by_key(|(key, _)| key.span().start) {
            None => Ok(()),
            Some((key, _)) => {
                let span = key.span();
                let problem = Problem::unknown_key(key.get_ref(), &self.name, self.known);
                Err(self.source.diagnostic(span, problem))
            }
        }
    }
}

/// The value of a key, wherever it stands.
pub struct Item<'a> {
    source: Source<'a>,
    key: &'static str,
    value: Spanned<DeValue<'a>>,
}

impl<'a> Item<'a> {
    /// The value.
    pub fn value(&self) -> &DeValue<'a> {
        self.value.get_ref()
    }

    /// What `read` makes of it.
    ///
    /// # Errors
    /// What `read` says.
    pub fn read<T>(
        &self,
        read: impl FnOnce(&'static str, &DeValue<'_>) -> Result<T, Problem>,
    ) -> Result<T, Box<Diagnostic>> {
        read_at(self.source, self.key, &self.value, read)
    }

    /// What `read` makes of it, or of each element if it is an array.
    ///
    /// # Errors
    /// What `read` says of the first that is wrong.
    pub fn read_each<T>(
        &self,
        read: impl Fn(&'static str, &DeValue<'_>) -> Result<T, Problem>,
    ) -> Result<Vec<T>, Box<Diagnostic>> {
        match self.value.get_ref().as_array() {
            Some(elements) => elements
                .iter()
                .map(|element| read_at(self.source, self.key, element, &read))
                .collect(),
            None => Ok(vec![self.read(read)?]),
        }
    }

    /// Something that is wrong with the value.
    pub fn diagnostic(&self, problem: Problem) -> Box<Diagnostic> {
        self.source.diagnostic(self.value.span(), problem)
    }

    /// The value as a table.
    ///
    /// # Errors
    /// If it is none.
    pub fn into_section(self) -> Result<Section<'a>, Box<Diagnostic>> {
        let found = self.value.get_ref().type_str();
        let problem = Problem::Type { key: self.key.to_owned(), expected: "a table", found };
        let span = self.value.span();
        let DeValue::Table(table) = self.value.into_inner() else {
            return Err(self.source.diagnostic(span, problem));
        };
        let name = self.key.to_owned();
        Ok(Section { source: self.source, name, table, span, known: Vec::new() })
    }
}

fn read_at<T>(
    source: Source<'_>,
    key: &'static str,
    value: &Spanned<DeValue<'_>>,
    read: impl FnOnce(&'static str, &DeValue<'_>) -> Result<T, Problem>,
) -> Result<T, Box<Diagnostic>> {
    read(key, value.get_ref()).map_err(|problem| source.diagnostic(value.span(), problem))
}
