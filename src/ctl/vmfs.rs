//! `pulsefield vmfs`: the heartbeats and locks of a volume, from its medium or an image.
//!
//! Nothing is written, and nothing of the volume is locked: what is shown of a volume in use was read sector
//! by sector while hosts went on.

mod findings;
mod human;
mod json;
mod source;
mod watch;

use std::io::{self, IsTerminal as _, Write};
use std::thread;
use std::time::Instant;

use pulsefield_backstore::ConfigError;
use pulsefield_control::ClientError;
use pulsefield_vmfs::{LocateError, PULSE_PERIOD};
use thiserror::Error;

use crate::cli::VmfsArgs;
use crate::commands::CommandError;
use findings::Findings;
use source::Source;
use watch::Watch;

/// Why a volume cannot be shown.
#[derive(Debug, Error)]
pub(crate) enum VmfsError {
    #[error("there is no file {name}, and it cannot be shown as a logical unit")]
    NoSuchVolume { name: String, source: ClientError },
    #[error(
        "logical unit {name} has its blocks in the memory of the daemon ({handler}), where they cannot be \
         read; give a device of an initiator that sees it"
    )]
    InMemory { name: String, handler: String },
    #[error("logical unit {name} has a configuration that cannot be read")]
    Cfgstring { name: String, source: Box<ConfigError> },
    #[error("cannot open {name}")]
    Open { name: String, source: io::Error },
    #[error("{name} is neither a file nor a block device")]
    NoMedium { name: String },
    #[error("{name} holds no volume that can be shown")]
    Locate { name: String, source: LocateError<io::Error> },
    #[error("{name} is cut off: it ends at byte {length}, before the heartbeats do at byte {end}")]
    Truncated { name: String, length: u64, end: u64 },
    #[error("cannot read {name} at byte {offset}")]
    Read { name: String, offset: u64, source: io::Error },
}

pub(crate) fn execute(args: &VmfsArgs, out: &mut dyn Write) -> Result<(), CommandError> {
    let mut source = Source::open(&args.volume, &args.ask.socket)?;
    let progress = io::stderr().is_terminal().then_some(progress as fn(u64));
    let findings = Findings::gather(&mut source, args.search, progress)?;
    match (args.ask.json, args.watch) {
        (true, false) => {
            serde_json::to_writer_pretty(&mut *out, &json::report(&findings, args.all))
                .map_err(io::Error::from)?
        }
        (true, true) => serde_json::to_writer(&mut *out, &json::report(&findings, args.all))
            .map_err(io::Error::from)?,
        (false, _) if args.esxi => human::as_esxi(&findings, args.all, out)?,
        (false, _) => human::report(&findings, args.all, out)?,
    }
    if args.ask.json {
        writeln!(out)?;
    }
    match args.watch {
        true => watch(&mut source, &findings, args.ask.json, out),
        false => Ok(()),
    }
}

/// Shows what changes, until nobody reads it any more or somebody ends it.
fn watch(
    source: &mut Source,
    findings: &Findings,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let Some(mut watch) = Watch::new(findings) else {
        return Ok(());
    };
    let begin = Instant::now();
    loop {
        out.flush()?;
        thread::sleep(PULSE_PERIOD);
        let region = findings::read_region(source, &findings.volume)?;
        for event in watch.look(begin.elapsed(), region) {
            match json {
                true => {
                    serde_json::to_writer(&mut *out, &json::event(&event))
                        .map_err(io::Error::from)?;
                    writeln!(out)?;
                }
                false => writeln!(out, "{event}")?,
            }
        }
    }
}

/// How far the search for locks is, on one line of the terminal.
fn progress(percent: u64) {
    match percent {
        100 => eprint!("\r\x1b[K"),
        percent => eprint!("\rsearching for locks: {percent} %"),
    }
}

#[cfg(test)]
mod tests;
