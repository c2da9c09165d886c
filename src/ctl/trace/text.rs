//! Happenings as lines that people read.

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use pulsefield_hostlog::WallTime as LogTime;
use pulsefield_record::{
    AttentionRaised, Command, Event, FaultHit, Found, Image, ImageRole, Origin, Overdue, Record,
    SenseCode, Start, Stop, TaskManagement, TaskManagementOver, WallTime,
};
use pulsefield_scsi::{Asc, SenseKey, Status, opcode};
use pulsefield_units::{Cdb, Instant, LbaRange, Span};

use super::Happening;
use super::filter::object;

/// The line for `happening`; it names the logical unit if there are `several`.
pub(super) fn line(
    happening: &Happening<'_>,
    several: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let Happening { lun, record, found } = happening;
    match record.wall {
        Some(wall) => write!(out, "{}", Utc(wall))?,
        None => write!(out, "{:?} after boot", Duration::from_nanos(record.at.as_nanos()))?,
    }
    if several {
        write!(out, " {lun}")?;
    }
    event(record, *found, out)?;
    writeln!(out)
}

/// What happened, after a space.
pub(crate) fn event(record: &Record, found: Option<&Found>, out: &mut dyn Write) -> io::Result<()> {
    match &record.event {
        Event::Command(it) => command(it, found, out),
        Event::Start(it) => start(*it, record.epoch, out),
        Event::Stop(Stop::Told) => write!(out, " the unit stops"),
        Event::Stop(Stop::DeviceGone) => write!(out, " the unit's device is removed"),
        Event::Stop(Stop::Breakdown) => write!(out, " the unit has BROKEN DOWN"),
        Event::TaskManagement(it) => task_management(it, out),
        Event::TaskManagementOver(it) => task_management_over(*it, record.at, out),
        Event::FaultHit(it) => fault_hit(it, out),
        Event::AttentionRaised(it) => attention_raised(*it, out),
        Event::Overdue(it) => overdue(it, record.at, out),
        // Not shown by themselves.
        Event::Found(_) | Event::Anchor(_) => Ok(()),
    }
}

fn start(start: Start, epoch: u32, out: &mut dyn Write) -> io::Result<()> {
    let Start { blocks, block_bytes, process, after_breakdown, .. } = start;
    let again = if after_breakdown { " again after a breakdown" } else { "" };
    write!(out, " the unit serves{again}: {blocks} blocks of {block_bytes} bytes")?;
    write!(out, ", process {process}, epoch {epoch}")
}

fn task_management(tmf: &TaskManagement, out: &mut dyn Write) -> io::Result<()> {
    write!(out, " {}", function_name(tmf.function))?;
    match tmf.commands {
        0 => write!(out, ": no command"),
        _ => {
            let ids: Vec<String> = tmf.command_ids.iter().map(|id| format!("#{id}")).collect();
            let more = if tmf.command_ids.len() < tmf.commands as usize { ", …" } else { "" };
            write!(out, " of {}{more}", ids.join(", "))
        }
    }
}

fn task_management_over(
    over: TaskManagementOver,
    at: Instant,
    out: &mut dyn Write,
) -> io::Result<()> {
    let TaskManagementOver { function, commands, asked } = over;
    write!(out, " {} is over", function_name(function))?;
    match commands {
        0 => write!(out, " at once"),
        _ => write!(out, " after {}: whatever it names is answered", Span(at.since(asked))),
    }
}

fn attention_raised(raised: AttentionRaised, out: &mut dyn Write) -> io::Result<()> {
    write!(out, " unit attention raised: {}", AscText(raised.asc))
}

fn overdue(overdue: &Overdue, at: Instant, out: &mut dyn Write) -> io::Result<()> {
    let Overdue { command_id, cdb, arrived, stage, blocks } = overdue;
    write!(out, " #{command_id}")?;
    named(cdb, *blocks, out)?;
    write!(out, " is NOT ANSWERED after {}", Span(at.since(*arrived)))?;
    match stage {
        Some((stage, since)) => {
            write!(out, ": it waits for {}, for {} now", stage.name(), Span(at.since(*since)))
        }
        None => write!(out, ": a fault holds it"),
    }
}

/// A command's name and blocks, after a space.
fn named(cdb: &Cdb, blocks: Option<LbaRange>, out: &mut dyn Write) -> io::Result<()> {
    match (opcode::name_of(cdb), cdb.opcode()) {
        (Some(name), _) => write!(out, " {name}")?,
        (None, Some(code)) => write!(out, " {code:02X}h")?,
        (None, None) => write!(out, " (no CDB)")?,
    }
    match blocks {
        Some(blocks) => write!(out, " {}+{}", blocks.start(), blocks.blocks()),
        None => Ok(()),
    }
}

/// A task management function, as numbered by `linux/target_core_user.h`.
pub(super) const fn function_name(function: u8) -> &'static str {
    match function {
        1 => "ABORT TASK",
        2 => "ABORT TASK SET",
        3 => "CLEAR ACA",
        4 => "CLEAR TASK SET",
        5 => "LOGICAL UNIT RESET",
        6 => "TARGET WARM RESET",
        7 => "TARGET COLD RESET",
        128 => "LOGICAL UNIT RESET by PREEMPT AND ABORT",
        _ => "an unknown task management function",
    }
}

fn fault_hit(hit: &FaultHit, out: &mut dyn Write) -> io::Result<()> {
    let FaultHit { number, rule, command_id, opcode, delay } = hit;
    write!(out, " FAULT: rule \"{rule}\" hits #{command_id} ({opcode:02X}h), hit {number}")?;
    if !delay.is_zero() {
        write!(out, ", held up for {}", Span(*delay))?;
    }
    Ok(())
}

fn command(command: &Command, found: Option<&Found>, out: &mut dyn Write) -> io::Result<()> {
    match command.origin {
        Origin::Initiator { command_id } => write!(out, " #{command_id}")?,
        Origin::Copy => write!(out, " copy")?,
        Origin::Fault => write!(out, " fault")?,
    }
    named(&command.cdb, command.blocks, out)?;
    if let Some(lane) = command.lane {
        write!(out, " {}", lane.name())?;
    }
    write!(out, " {}", Span(command.took()))?;
    let waits = [
        ("blocks", command.waited.blocks),
        ("a slot", command.waited.slot),
        ("the pool", command.waited.pool),
    ];
    for (what, time) in waits.iter().filter(|(_, time)| !time.is_zero()) {
        write!(out, ", {} for {what}", Span(*time))?;
    }
    match Status::from_u8(command.status) {
        Some(status) => write!(out, " {status}")?,
        None => write!(out, " status {:02X}h", command.status)?,
    }
    if let Some(sense) = command.sense {
        write!(out, ", {}", SenseText(sense))?;
    }
    if let Some(aborted) = command.aborted {
        let after = aborted.since(command.arrived);
        write!(out, ", abort asked for after {}", Span(after))?;
    }
    if let Some(hit) = command.hit {
        write!(out, ", FAULT hit {hit}")?;
    }
    for (role, image) in command.images.iter().map(|image| (image.role, image)) {
        if let Some(object) = object(image) {
            write!(out, "; {} {}", verb(role), object)?;
        }
    }
    match found.map(|found| object(&found.image)) {
        Some(Some(object)) => write!(out, "; found {}", object),
        Some(None) => write!(out, "; found bytes that are nothing of VMFS's"),
        None => Ok(()),
    }
}

const fn verb(role: ImageRole) -> &'static str {
    match role {
        ImageRole::Expected => "expects",
        ImageRole::Written => "writes",
        ImageRole::Repeated => "repeats",
        ImageRole::UnmapList => "unmaps",
        ImageRole::Found => "found",
    }
}

/// The images of a command, as bytes.
pub(super) fn images(happening: &Happening<'_>, out: &mut dyn Write) -> io::Result<()> {
    let Event::Command(command) = &happening.record.event else { return Ok(()) };
    let found = happening.found.map(|found| &found.image);
    for image in command.images.iter().chain(found) {
        writeln!(out, "    {}:", verb(image.role))?;
        dump(image, out)?;
    }
    Ok(())
}

/// Sixteen bytes a line; lines of zeros at the end are left out.
fn dump(image: &Image, out: &mut dyn Write) -> io::Result<()> {
    let used = image.bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    for (nth, line) in image.bytes[..used].chunks(16).enumerate() {
        write!(out, "    {:06x} ", image.offset + 16 * nth as u64)?;
        line.iter().try_for_each(|byte| write!(out, " {byte:02x}"))?;
        writeln!(out)?;
    }
    let zeros = image.bytes.len() - used;
    if zeros > 0 { writeln!(out, "    {zeros} bytes of zeros") } else { Ok(()) }
}

/// Sense data in T10's words.
pub(crate) struct SenseText(pub(crate) SenseCode);

impl fmt::Display for SenseText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SenseCode { key, asc, ascq, information } = self.0;
        match SenseKey::from_u8(key) {
            Some(key) => write!(f, "{key}")?,
            None => write!(f, "sense key {key:X}h")?,
        }
        write!(f, ", {}", AscText(Asc::new(asc, ascq)))?;
        information.map_or(Ok(()), |information| write!(f, ", INFORMATION {information}"))
    }
}

/// An additional sense code in T10's words.
pub(super) struct AscText(pub(super) Asc);

impl fmt::Display for AscText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:02X}h/{:02X}h", self.0.asc(), self.0.ascq()),
        }
    }
}

/// A moment as ISO 8601 has it, in UTC and microseconds.
#[derive(Clone, Copy)]
pub(crate) struct Utc(pub(crate) WallTime);

impl Utc {
    /// The same moment as logs of hosts have theirs.
    pub(crate) fn log_time(self) -> LogTime {
        LogTime::from_micros(i64::try_from(self.0.as_nanos() / 1000).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}", self.log_time())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_utc() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399, "2000-02-28T23:59:59.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (1_709_164_800, "2024-02-29T00:00:00.000000Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
        ] {
            assert_eq!(Utc(WallTime::from_nanos(seconds * 1_000_000_000)).to_string(), text);
        }
        let micros = WallTime::from_nanos(1_700_000_000_123_456_789);
        assert_eq!(Utc(micros).to_string(), "2023-11-14T22:13:20.123456Z");
    }
}
