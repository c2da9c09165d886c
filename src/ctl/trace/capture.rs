//! Happenings as Fibre Channel frames in a pcapng file, for Wireshark.
//!
//! A record does not say which initiator sent a command, nor what was read: every unit has ports of
//! its own, and there are frames only for the data that is kept.

use std::io::{self, Write};

use pulsefield_capture::{
    Answer, Command as Sent, Exchange, Function, Lun, Nexus, PortId, Residual,
    TaskManagement as SentFunction, Transfer, Writer,
};
use pulsefield_record::{Command, Event, ImageRole, Origin, Record, SenseCode, TaskManagement};
use pulsefield_scsi::{Asc, DataLength, SENSE_BUFFER_LENGTH, Sense, SenseFormat, SenseKey, opcode};
use pulsefield_units::{BlockLength, Instant};

use super::{Happening, text};

/// The exchange of a task management function that has one of its own: no command in flight has this
/// id in the kernel, which begins at 0.
const OWN_EXCHANGE: u16 = 0xfffe;

/// Task management functions whose ends are waited for. Of more at once the ends of the oldest are left out; a
/// record tells those of sixteen.
const WAITING_MAX: usize = 64;

/// A capture that is being written.
pub(super) struct Capture<'o> {
    writer: Writer<Box<dyn Write + 'o>>,
    /// The logical units; the number of each is its place.
    luns: Vec<String>,
    /// Task management functions of whose end nothing was told yet, the oldest first.
    waiting: Vec<Asked>,
}

impl<'o> Capture<'o> {
    /// Begins a capture of logical units, some of which may be named more than once.
    pub(super) fn begin(out: Box<dyn Write + 'o>, mut luns: Vec<String>) -> io::Result<Self> {
        luns.sort_unstable();
        luns.dedup();
        let named = luns.iter().enumerate().map(|(number, lun)| format!("LUN {number} is {lun}."));
        let comment = named.collect::<Vec<_>>().join(" ");
        Ok(Self { writer: Writer::begin(out, &comment)?, luns, waiting: Vec::new() })
    }

    /// Writes what has frames of `happenings`, and hands it on.
    pub(super) fn write(&mut self, happenings: &[Happening<'_>]) -> io::Result<()> {
        let kept: Vec<_> = happenings.iter().map(Kept::of).collect::<io::Result<_>>()?;
        // Of frames of one moment the answers to commands come before those to their aborts.
        let (mut exchanges, mut functions) = (Vec::new(), Vec::new());
        for asked in &self.waiting {
            let Some(nexus) = self.nexus(&asked.lun) else { continue };
            if let complete_ns @ Some(_) = asked.over(happenings) {
                let whole = task_management(asked, complete_ns, "", nexus);
                functions.extend(whole.into_iter().map(Exchange::TaskManagementAnswer));
            }
        }
        self.waiting.retain(|asked| asked.may_end_after(happenings));
        for (happening, kept) in happenings.iter().zip(&kept) {
            let Some(nexus) = self.nexus(happening.lun) else { continue };
            match &happening.record.event {
                Event::Command(it) => {
                    exchanges.extend(command(happening.record, it, kept, nexus));
                }
                Event::TaskManagement(it) => {
                    let asked = Asked::of(happening, it);
                    let complete_ns = asked.over(happenings);
                    let whole = task_management(&asked, complete_ns, &kept.comment, nexus);
                    functions.extend(whole.into_iter().map(Exchange::TaskManagement));
                    if complete_ns.is_none() {
                        self.wait_for(asked);
                    }
                }
                Event::Start(_)
                | Event::Stop(_)
                | Event::Anchor(_)
                | Event::Found(_)
                | Event::TaskManagementOver(_)
                | Event::FaultHit(_)
                | Event::AttentionRaised(_)
                | Event::Overdue(_) => {}
            }
        }
        exchanges.append(&mut functions);
        self.writer.write(&exchanges)?;
        self.writer.flush()
    }

    /// The ports of a logical unit.
    fn nexus(&self, lun: &str) -> Option<Nexus> {
        nexus(self.luns.iter().position(|known| known == lun)?)
    }

    fn wait_for(&mut self, asked: Asked) {
        if self.waiting.len() == WAITING_MAX {
            self.waiting.remove(0);
        }
        self.waiting.push(asked);
    }
}

/// A task management function that was asked for.
struct Asked {
    lun: String,
    epoch: u32,
    at: Instant,
    at_ns: u64,
    function: TaskManagement,
}

impl Asked {
    fn of(happening: &Happening<'_>, function: &TaskManagement) -> Self {
        let Happening { lun, record, .. } = happening;
        Self {
            lun: (*lun).to_owned(),
            epoch: record.epoch,
            at: record.at,
            at_ns: wall_ns(record, record.at),
            function: function.clone(),
        }
    }

    /// When it was over, if one of `happenings` says so.
    fn over(&self, happenings: &[Happening<'_>]) -> Option<u64> {
        let ends_it = |other: &&Happening<'_>| {
            let same_unit = other.lun == self.lun && other.record.epoch == self.epoch;
            let Event::TaskManagementOver(over) = &other.record.event else { return false };
            same_unit && over.asked == self.at
        };
        let over = happenings.iter().find(ends_it)?.record;
        Some(wall_ns(over, over.at))
    }

    /// Whether its end may still come: it has not, and its unit has not begun again.
    fn may_end_after(&self, happenings: &[Happening<'_>]) -> bool {
        let is_later =
            |other: &Happening<'_>| other.lun == self.lun && other.record.epoch > self.epoch;
        self.over(happenings).is_none() && !happenings.iter().any(is_later)
    }
}

/// What the frames of a happening borrow.
struct Kept {
    data: Vec<u8>,
    sense: Vec<u8>,
    /// The line that is shown of it otherwise.
    comment: String,
}

impl Kept {
    fn of(happening: &Happening<'_>) -> io::Result<Self> {
        let mut line = Vec::new();
        text::line(happening, false, &mut line)?;
        let comment = String::from_utf8_lossy(&line).trim_end().to_owned();
        let mut kept = Self { data: Vec::new(), sense: Vec::new(), comment };
        if let Event::Command(it) = &happening.record.event {
            kept.data = data(it);
            kept.sense = it.sense.map(sense_data).unwrap_or_default();
        }
        Ok(kept)
    }
}

/// The ports of the logical unit with this number; `None` if it is too great for one.
fn nexus(number: usize) -> Option<Nexus> {
    let number = u16::try_from(number).ok()?;
    let [area, port] = number.to_be_bytes();
    let lun = Lun::new(number)?;
    Some(Nexus { initiator: PortId::new(1, area, port), target: PortId::new(2, area, port), lun })
}

/// The exchange of an initiator's command; others went over no fabric.
fn command<'k>(
    record: &Record,
    command: &'k Command,
    kept: &'k Kept,
    nexus: Nexus,
) -> Option<Exchange<'k>> {
    let Origin::Initiator { command_id } = command.origin else { return None };
    let (bytes, length) = (&kept.data[..], command.data_bytes);
    // Only which way it goes is asked, so any block length will do.
    let transfer = match opcode::parse(&command.cdb).map(|it| it.data_length(BlockLength::B512)) {
        Ok(DataLength::In(_) | DataLength::InUpTo(_)) => Transfer::In { bytes, length },
        Ok(DataLength::Out(_) | DataLength::ParameterList(_)) => Transfer::Out { bytes, length },
        Ok(DataLength::None) | Err(_) => Transfer::None,
    };
    let answer = Answer {
        at_ns: wall_ns(record, command.answered),
        status: command.status,
        sense: &kept.sense,
        residual: Residual::None,
    };
    Some(Exchange::Command(Sent {
        nexus,
        ox_id: command_id,
        rx_id: command_id,
        at_ns: wall_ns(record, command.arrived),
        cdb: command.cdb.as_bytes(),
        transfer,
        answer: Some(answer),
        comment: &kept.comment,
    }))
}

/// The exchanges of a task management function: those of the tasks that it aborts, or its own.
fn task_management<'k>(
    asked: &Asked,
    complete_ns: Option<u64>,
    comment: &'k str,
    nexus: Nexus,
) -> Vec<SentFunction<'k>> {
    // TCMU_TMR_… of linux/target_core_user.h.
    let function = match asked.function.function {
        1 => Function::AbortTask,
        2 => Function::AbortTaskSet,
        3 => Function::ClearAca,
        4 => Function::ClearTaskSet,
        5 | 128 => Function::LogicalUnitReset,
        6 | 7 => Function::TargetReset,
        _ => return Vec::new(),
    };
    let exchange = |id| SentFunction {
        nexus,
        function,
        ox_id: id,
        rx_id: id,
        at_ns: asked.at_ns,
        complete_ns,
        comment,
    };
    match function {
        Function::AbortTask => asked.function.command_ids.iter().copied().map(exchange).collect(),
        Function::AbortTaskSet
        | Function::ClearTaskSet
        | Function::LogicalUnitReset
        | Function::TargetReset
        | Function::ClearAca => vec![exchange(OWN_EXCHANGE)],
    }
}

/// What is kept of a command's data, from its beginning on.
fn data(command: &Command) -> Vec<u8> {
    let kept = |role| {
        let image = command.image(role).filter(|image| image.offset == 0);
        image.map_or(&[][..], |image| &image.bytes)
    };
    let expected = kept(ImageRole::Expected);
    let half = usize::try_from(command.data_bytes / 2).unwrap_or(usize::MAX);
    if expected.is_empty() || expected.len() == half {
        [expected, kept(ImageRole::Written), kept(ImageRole::Repeated), kept(ImageRole::UnmapList)]
            .concat()
    } else {
        // The second half of the data does not begin where what is kept of the first ends.
        expected.to_vec()
    }
}

/// Sense data that says what is kept of it, in fixed form unless INFORMATION is too large for that.
fn sense_data(code: SenseCode) -> Vec<u8> {
    let Some(key) = SenseKey::from_u8(code.key) else { return Vec::new() };
    let sense = Sense::new(key, Asc::new(code.asc, code.ascq));
    let sense = code.information.map_or(sense, |information| sense.with_information(information));
    let is_large = code.information.is_some_and(|information| u32::try_from(information).is_err());
    let format = if is_large { SenseFormat::Descriptor } else { SenseFormat::Fixed };
    let mut bytes = [0; SENSE_BUFFER_LENGTH];
    let length = sense.encode(format, &mut bytes);
    bytes[..length].to_vec()
}

/// Nanoseconds since 1970 at `moment`, which was no later than `record`; since the machine's boot, if
/// the wall clock is not known.
fn wall_ns(record: &Record, moment: Instant) -> u64 {
    let earlier = record.at.as_nanos().saturating_sub(moment.as_nanos());
    record.wall.map_or(record.at.as_nanos(), |wall| wall.as_nanos()).saturating_sub(earlier)
}
