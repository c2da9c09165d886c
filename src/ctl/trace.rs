//! `pulsefield trace`: what went through logical units, from their records.
//!
//! No daemon is asked: the records are files, and tell as much after its death.

mod capture;
mod filter;
mod json;
mod source;
mod text;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use pulsefield_record::{DumpError, Event, Found, Joiner, ReadError, Record, Source};
use thiserror::Error;

use crate::cli::TraceArgs;
use capture::Capture;
use filter::Filter;
pub(crate) use json::{hex, micros};
pub(crate) use source::places;
pub(crate) use text::{SenseText, Utc, event};

/// How often whoever follows looks for more: as often as somebody who watches can tell.
const LOOK_PERIOD: Duration = Duration::from_millis(100);

/// Why there is nothing to show.
#[derive(Debug, Error)]
pub(crate) enum TraceError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("there is no record in {0}")]
    NoRecord(String),
    #[error("one record is saved at a time")]
    SeveralToSave,
    #[error("cannot save the record")]
    Save(#[from] DumpError),
    #[error("cannot look into {0}")]
    Folder(String, #[source] io::Error),
    #[error("cannot write {0}")]
    Capture(String, #[source] io::Error),
    #[error("cannot print")]
    Print(#[from] io::Error),
}

/// Something that is shown: a record, and what a command of it found.
struct Happening<'a> {
    lun: &'a str,
    record: &'a Record,
    found: Option<&'a Found>,
}

/// Shows records as `args` say.
pub(crate) fn trace(args: &TraceArgs, out: &mut dyn Write) -> Result<(), TraceError> {
    let places = places(&args.of, &args.directory)?;
    if let Some(to) = &args.save {
        let [place] = &places[..] else { return Err(TraceError::SeveralToSave) };
        return Ok(pulsefield_record::save(&place.path, to)?);
    }
    let filter = Filter::new(args);
    let mut sources = Vec::new();
    let mut first = Vec::new();
    for place in &places {
        let (source, reader) = Source::open(place, args.follow)?;
        first.push(reader.records().collect());
        sources.push(source);
    }
    let mut joiners = vec![Joiner::default(); sources.len()];
    let mut shown = Shown::of(args, &sources, out)?;
    let mut batch = first;
    loop {
        show(&sources, &mut joiners, batch, &filter, &mut shown)?;
        if !args.follow {
            tell_damage(sources.iter());
            return Ok(());
        }
        thread::sleep(LOOK_PERIOD);
        batch = sources.iter_mut().map(Source::poll).collect::<Result<_, _>>()?;
    }
}

/// Shows what has come from each source, in the order in which it happened.
fn show(
    sources: &[Source],
    joiners: &mut [Joiner],
    batch: Vec<Vec<Record>>,
    filter: &Filter,
    shown: &mut Shown<'_>,
) -> Result<(), TraceError> {
    let mut all = Vec::new();
    for (nth, records) in batch.into_iter().enumerate() {
        for record in records {
            let found = joiners[nth].take(&record);
            // What was found is shown with its command; looks at the clock are nobody's business.
            if !matches!(record.event, Event::Found(_) | Event::Anchor(_)) {
                all.push((nth, record, found));
            }
        }
    }
    all.sort_by_key(|(_, record, _)| (record.wall, record.at));
    let happenings = all.iter().map(|(nth, record, found)| Happening {
        lun: sources[*nth].lun(),
        record,
        found: found.as_ref(),
    });
    let wanted: Vec<_> = happenings.filter(|happening| filter.wants(happening)).collect();
    shown.show(&wanted)
}

/// Where happenings go.
enum Shown<'o> {
    Lines(Printer, &'o mut dyn Write),
    /// And the name of the file; standard output has none.
    Frames(Capture<'o>, Option<String>),
}

impl<'o> Shown<'o> {
    fn of(
        args: &TraceArgs,
        sources: &[Source],
        out: &'o mut dyn Write,
    ) -> Result<Self, TraceError> {
        let Some(path) = &args.pcapng else {
            let several = sources.len() > 1;
            return Ok(Self::Lines(Printer { json: args.json, several, bytes: args.bytes }, out));
        };
        let luns = sources.iter().map(|source| source.lun().to_owned()).collect();
        if path == Path::new("-") {
            return Ok(Self::Frames(Capture::begin(Box::new(out), luns)?, None));
        }
        let name = path.display().to_string();
        let file = File::create(path).map(BufWriter::new);
        match file.and_then(|file| Capture::begin(Box::new(file), luns)) {
            Ok(capture) => Ok(Self::Frames(capture, Some(name))),
            Err(error) => Err(TraceError::Capture(name, error)),
        }
    }

    fn show(&mut self, happenings: &[Happening<'_>]) -> Result<(), TraceError> {
        match self {
            Self::Lines(printer, out) => {
                happenings.iter().try_for_each(|happening| printer.print(happening, out))?;
                Ok(out.flush()?)
            }
            Self::Frames(capture, name) => capture.write(happenings).map_err(|error| match name {
                Some(name) => TraceError::Capture(name.clone(), error),
                None => TraceError::Print(error),
            }),
        }
    }
}

/// How things are shown.
struct Printer {
    json: bool,
    /// Whether each line says of which unit it is.
    several: bool,
    bytes: bool,
}

impl Printer {
    fn print(&mut self, happening: &Happening<'_>, out: &mut dyn Write) -> io::Result<()> {
        if self.json {
            serde_json::to_writer(&mut *out, &json::line(happening))?;
            return writeln!(out);
        }
        text::line(happening, self.several, out)?;
        if self.bytes { text::images(happening, out) } else { Ok(()) }
    }
}

/// Says on standard error where records are missing that ought to be there.
pub(crate) fn tell_damage<'s>(sources: impl Iterator<Item = &'s Source>) {
    for source in sources.filter(|source| source.missing() > 0) {
        let (lun, places) = (source.lun(), source.missing());
        eprintln!("pulsefield: the record of {lun} is damaged: at {places} places some is missing");
    }
}

#[cfg(test)]
mod tests;
