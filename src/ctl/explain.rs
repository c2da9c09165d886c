//! `pulsefield explain`: why an ATS miscompared, where the time of a late heartbeat went, and what hosts
//! wrote about it meanwhile.
//!
//! Like `trace` it reads files and asks no daemon.

mod json;
mod logs;
mod since;
mod summary;
mod text;

use std::io::{self, Write};
use std::path::PathBuf;

use pulsefield_explain::{Account, Deadlines};
use pulsefield_record::{Record, Source, WallTime};
use thiserror::Error;

use crate::cli::ExplainArgs;
use crate::trace::{TraceError, places, tell_damage};

pub(crate) use logs::LogFile;
pub(crate) use since::Since;

/// Why there is nothing to explain.
#[derive(Debug, Error)]
pub(crate) enum ExplainError {
    #[error(transparent)]
    Record(#[from] TraceError),
    #[error("cannot read {path}")]
    Log {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot print")]
    Print(#[from] io::Error),
}

/// The record of a logical unit, and what it tells.
struct Explained<'r> {
    lun: &'r str,
    records: &'r [Record],
    account: Account<'r>,
}

/// Explains records as `args` say; it is `now`.
pub(crate) fn explain(
    args: &ExplainArgs,
    now: WallTime,
    out: &mut dyn Write,
) -> Result<(), ExplainError> {
    let deadlines = Deadlines { warning: args.warning, error: args.error };
    let since = args.since.map(|since| since.moment(now));
    let mut sources = Vec::new();
    for place in places(&args.of, &args.directory)? {
        let (source, reader) = Source::open(&place, false).map_err(TraceError::from)?;
        sources.push((source, reader.records().collect::<Vec<_>>()));
    }
    let explained: Vec<Explained<'_>> = sources
        .iter()
        .map(|(source, records)| {
            let is_told = |record: &Record| since.is_none_or(|since| record.wall >= Some(since));
            let first = records.iter().position(is_told).unwrap_or(records.len());
            let account = Account::of(records, first, deadlines);
            Explained { lun: source.lun(), records: &records[first..], account }
        })
        .collect();
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &json::document(&explained))
            .map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        for (nth, one) in explained.iter().enumerate() {
            if nth > 0 {
                writeln!(out)?;
            }
            if !args.summary {
                text::findings(one, args.all, out)?;
            }
            summary::print(one, out)?;
        }
    }
    if !args.vmkernel_log.is_empty() {
        writeln!(out)?;
        logs::timeline(&explained, args, now, out)?;
    }
    tell_damage(sources.iter().map(|(source, _)| source));
    Ok(())
}

#[cfg(test)]
mod tests;
