//! `[record]`: where it is kept what goes through logical units.

use std::path::PathBuf;

use pulsefield_settings::value::{integer, string};
use pulsefield_settings::{ByteSize, DeValue, Diagnostic, Problem, Section};
use serde::Serialize;

use super::value::word;

/// The least and the largest record of a logical unit, in bytes.
const SIZES: std::ops::RangeInclusive<u64> = 1 << 20..=1 << 30;

/// The most copies that are kept of one logical unit's record.
const DUMPS_MAX: i64 = 1000;

/// Where records are, and their copies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecordConfig {
    /// The folder in which logical units are recorded, a file each.
    pub directory: PathBuf,
    /// The folder for copies that are taken when something goes wrong.
    pub dumps: PathBuf,
    /// How many of them are kept of each logical unit.
    pub dumps_kept: u32,
}

impl Default for RecordConfig {
    fn default() -> Self {
        Self {
            directory: crate::RECORD_FOLDER.into(),
            dumps: crate::RECORD_DUMPS_FOLDER.into(),
            dumps_kept: 8,
        }
    }
}

impl RecordConfig {
    pub(super) fn read(mut section: Section<'_>) -> Result<Self, Box<Diagnostic>> {
        let default = Self::default();
        let directory = section.value("directory", folder)?.unwrap_or(default.directory);
        let dumps = section.value("dumps", folder)?.unwrap_or(default.dumps);
        let dumps_kept = section.value("dumps_kept", kept)?.unwrap_or(default.dumps_kept);
        section.finish()?;
        Ok(Self { directory, dumps, dumps_kept })
    }
}

/// How much of what goes through a logical unit is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordDetail {
    /// Nothing.
    Off,
    /// Every command, and the data of those that write metadata, but not what a COMPARE AND WRITE compares
    /// and writes.
    Brief,
    /// That too.
    Whole,
}

impl RecordDetail {
    const ALL: [Self; 3] = [Self::Off, Self::Brief, Self::Whole];
    const NAMES: &[&str] = &["off", "brief", "whole"];

    pub(super) fn read(key: &'static str, value: &DeValue<'_>) -> Result<Self, Problem> {
        word(key, value, Self::NAMES, Self::ALL)
    }
}

/// The length of a record.
pub(super) fn size(key: &'static str, value: &DeValue<'_>) -> Result<ByteSize, Problem> {
    let size = ByteSize::read(key, value)?;
    // Whole pages: the file is mapped.
    match SIZES.contains(&size.bytes()) && size.bytes().is_multiple_of(4096) {
        true => Ok(size),
        false => Err(Problem::Value {
            key,
            expected: "\"1MiB\" to \"1GiB\", in multiples of 4096 bytes",
            found: size.to_string(),
        }),
    }
}

fn folder(key: &'static str, value: &DeValue<'_>) -> Result<PathBuf, Problem> {
    let text = string(key, value)?;
    let path = PathBuf::from(text);
    match path.is_absolute() {
        true => Ok(path),
        false => Err(Problem::Value {
            key,
            expected: "the absolute path of a folder",
            found: format!("\"{text}\""),
        }),
    }
}

fn kept(key: &'static str, value: &DeValue<'_>) -> Result<u32, Problem> {
    let copies = integer(key, value)?;
    let few = Some(copies).filter(|copies| *copies <= DUMPS_MAX);
    few.and_then(|copies| u32::try_from(copies).ok()).ok_or_else(|| Problem::Value {
        key,
        expected: "0 to 1000 copies",
        found: copies.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn problem(text: &str) -> String {
        let error = Config::parse("p", text).unwrap_err();
        format!("{}:{} {}", error.line(), error.column(), error.problem())
    }

    #[test]
    fn a_unit_may_be_recorded_otherwise_than_others() {
        let text = "[record]\ndirectory = \"/mnt/record\"\ndumps_kept = 0\n[defaults]\n\
                    record = \"brief\"\n[lun.ds1]\nrecord = \"off\"\nrecord_size = \"4MiB\"\n";
        let config = Config::parse("p", text).unwrap();
        assert_eq!(config.record.directory, PathBuf::from("/mnt/record"));
        assert_eq!(config.record.dumps, PathBuf::from("/var/lib/pulsefield/record"));
        assert_eq!(config.record.dumps_kept, 0);
        let of = |lun| (config.for_lun(lun).record, config.for_lun(lun).record_size.bytes());
        assert_eq!(of("ds1"), (RecordDetail::Off, 4 << 20));
        assert_eq!(of("ds2"), (RecordDetail::Brief, 64 << 20));
        assert_eq!(Config::parse("p", &config.to_toml_effective()).unwrap(), config);
    }

    #[test]
    fn what_makes_no_sense_is_refused_where_it_stands() {
        for (text, expected) in [
            (
                "[record]\ndirectory = \"record\"",
                "2:13 directory must be the absolute path of a folder, not \"record\"",
            ),
            ("[record]\ndumps_kept = -1", "2:14 dumps_kept must be 0 to 1000 copies, not -1"),
            (
                "[defaults]\nrecord_size = \"512KiB\"",
                "2:15 record_size must be \"1MiB\" to \"1GiB\", in multiples of 4096 bytes, not 512KiB",
            ),
        ] {
            assert_eq!(problem(text), expected);
        }
        assert!(problem("[lun.a]\nrecord = \"all\"").contains("off, brief, whole"));
    }
}
