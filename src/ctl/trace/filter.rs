//! Which happenings are shown.

use std::time::Duration;

use pulsefield_engine::Lane;
use pulsefield_record::{Command, Event, Found, Image};
use pulsefield_scsi::{SenseKey, Status, opcode};
use pulsefield_units::Lba;
use pulsefield_vmfs::{HostUuid, Object};

use super::Happening;
use crate::cli::{LaneArg, ObjectArg, TraceArgs};

/// What a command must be to be shown. Once there is a condition, only commands are.
#[derive(Debug, Default)]
pub(super) struct Filter {
    lane: Option<Lane>,
    commands: Vec<String>,
    hosts: Vec<HostUuid>,
    object: Option<ObjectArg>,
    outcomes: Vec<String>,
    block: Option<Lba>,
    slower_than: Option<Duration>,
}

impl Filter {
    pub(super) fn new(args: &TraceArgs) -> Self {
        Self {
            lane: args.lane.map(|lane| match lane {
                LaneArg::Heartbeat => Lane::Heartbeat,
                LaneArg::Bulk => Lane::Bulk,
            }),
            commands: args.command.iter().map(|name| plain(name)).collect(),
            hosts: args.host.clone(),
            object: args.object,
            outcomes: args.status.iter().map(|name| plain(name)).collect(),
            block: args.lba.map(Lba::new),
            slower_than: args.slower_than,
        }
    }

    pub(super) fn wants(&self, happening: &Happening<'_>) -> bool {
        let Event::Command(command) = &happening.record.event else { return self.is_open() };
        let any = |wanted: &[String], has: &dyn Fn(&str) -> bool| {
            wanted.is_empty() || wanted.iter().any(|wanted| has(wanted))
        };
        let objects = || objects(command, happening.found);
        self.lane.is_none_or(|lane| command.lane == Some(lane))
            && any(&self.commands, &|wanted| is_command(command, wanted))
            && any(&self.outcomes, &|wanted| has_outcome(command, wanted))
            && self.slower_than.is_none_or(|least| command.took() >= least)
            && self.block.is_none_or(|lba| touches(command, lba))
            && (self.hosts.is_empty()
                || objects()
                    .any(|object| object.owner().is_some_and(|it| self.hosts.contains(&it))))
            && self.object.is_none_or(|wanted| objects().any(|object| is_object(&object, wanted)))
    }

    /// Whether everything is wanted.
    const fn is_open(&self) -> bool {
        let Self { lane, commands, hosts, object, outcomes, block, slower_than } = self;
        lane.is_none()
            && commands.is_empty()
            && hosts.is_empty()
            && object.is_none()
            && outcomes.is_empty()
            && block.is_none()
            && slower_than.is_none()
    }
}

/// What the images of a command are to VMFS.
fn objects<'a>(
    command: &'a Command,
    found: Option<&'a Found>,
) -> impl Iterator<Item = Object> + 'a {
    let found = found.map(|found| &found.image);
    command.images.iter().chain(found).filter_map(object)
}

/// What an image is to VMFS, if it begins where a block does.
pub(super) fn object(image: &Image) -> Option<Object> {
    image.offset.is_multiple_of(512).then(|| Object::decode(&image.bytes))?
}

const fn is_object(object: &Object, wanted: ObjectArg) -> bool {
    match object {
        Object::Heartbeat(_) => matches!(wanted, ObjectArg::Heartbeat),
        Object::Lock(_) => matches!(wanted, ObjectArg::Lock),
    }
}

/// Whether `wanted` is the command's name, with or without the length of its CDB, or its operation code.
fn is_command(command: &Command, wanted: &str) -> bool {
    let code = wanted.strip_prefix("0x").unwrap_or(wanted).trim_end_matches('h');
    let code = u8::from_str_radix(code, 16).ok().filter(|_| code.len() == 2);
    if code.is_some() {
        return code == command.cdb.opcode();
    }
    let name = plain(opcode::name_of(&command.cdb).unwrap_or_default());
    name == wanted || name.trim_end_matches(|end: char| end.is_ascii_digit()) == wanted
}

/// Whether `wanted` is the status of the command, or the sense key that went with it.
fn has_outcome(command: &Command, wanted: &str) -> bool {
    let status = Status::from_u8(command.status).map(|status| plain(&status.to_string()));
    let key = command.sense.and_then(|sense| SenseKey::from_u8(sense.key));
    let key = key.map(|key| plain(&key.to_string()));
    [status, key].into_iter().flatten().any(|name| name == wanted)
}

fn touches(command: &Command, lba: Lba) -> bool {
    let claimed = |blocks: pulsefield_units::LbaRange| {
        (blocks.start().as_u64()..=blocks.last().as_u64()).contains(&lba.as_u64())
    };
    command.blocks.is_some_and(claimed) || command.may_have_changed(lba)
}

/// A name as it is compared: `Check-Condition` and `CHECK CONDITION` are the same.
pub(super) fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect()
}
