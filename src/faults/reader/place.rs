//! `where = { … }`.

use pulsefield_engine::Lane;
use pulsefield_scsi::{Command, opcode};
use pulsefield_settings::{DeValue, Diagnostic, Item, Problem, Section, value};
use pulsefield_units::{BlockCount, Lba, LbaRange};
use pulsefield_vmfs::{HostUuid, LockMode};

use super::{Contradiction, KnownLun, natural};
use crate::reach::{Served, brings_blocks, served, touches_blocks};
use crate::{CommandSelector, Family, Fault, LunPattern, VmfsSelector, Where};

type Result<T, E = Box<Diagnostic>> = std::result::Result<T, E>;

/// Reads it, for a rule with this fault, which may be for some of `luns`.
pub(super) fn read(
    mut section: Section<'_>,
    fault: &Fault,
    luns: Option<&[KnownLun]>,
) -> Result<Where> {
    let mut possible = Possible::of(fault);
    let commands = match section.item("command") {
        Some(item) => read_commands(&item, fault, &mut possible)?,
        None => Vec::new(),
    };
    let patterns = section.item("lun");
    let names = match &patterns {
        Some(item) => {
            item.read_each(|key, value| value::string(key, value).map(LunPattern::new))?
        }
        None => Vec::new(),
    };
    let mut place = Where { luns: names, commands, ..Where::default() };
    if let Some(item) = section.item("lane") {
        let lane = item.read(lane)?;
        possible.keep(|command| can_be_of(lane, command));
        possible.check(&item, &Contradiction::NotInLane { lane: lane.name() })?;
        place.lane = Some(lane);
    }
    let meant = luns.map(|luns| meant(&place, luns));
    if let (Some(item), Some([])) = (&patterns, meant.as_deref()) {
        let names = luns.into_iter().flatten().map(|lun| lun.name.as_str()).collect::<Vec<_>>();
        return Err(Contradiction::NoSuchLun { known: names.join(", ") }.at(item));
    }
    if let Some(item) = section.item("lba") {
        place.blocks = item.read_each(blocks)?;
        possible.keep(touches_blocks);
        possible.check(&item, &Contradiction::NoBlocks)?;
        let largest = meant.iter().flatten().map(|lun| lun.blocks).max();
        let outside = |largest: &BlockCount| {
            place.blocks.iter().all(|range| range.start().as_u64() >= largest.as_u64())
        };
        if let Some(blocks) = largest.filter(outside) {
            return Err(Contradiction::OutsideEveryLun { blocks }.at(&item));
        }
    }
    place.vmfs = read_vmfs(&mut section, &mut possible)?;
    section.finish()?;
    Ok(place)
}

/// Those of `luns` that are meant.
fn meant<'l>(place: &Where, luns: &'l [KnownLun]) -> Vec<&'l KnownLun> {
    luns.iter().filter(|lun| place.is_for_lun(&lun.name)).collect()
}

/// The commands that a rule can still hit.
struct Possible(Vec<&'static Served>);

impl Possible {
    fn of(fault: &Fault) -> Self {
        let possible = served().iter().filter(|(_, command)| fault.can_happen_to(command));
        Self(possible.collect())
    }

    /// Leaves only commands that are `wanted`.
    fn keep(&mut self, wanted: impl Fn(&Command) -> bool) {
        self.0.retain(|(_, command)| wanted(command));
    }

    fn check(&self, item: &Item<'_>, contradiction: &Contradiction) -> Result<()> {
        match self.0.is_empty() {
            true => Err(contradiction.at(item)),
            false => Ok(()),
        }
    }
}

/// Whether a command can be of this lane.
const fn can_be_of(lane: Lane, command: &Command) -> bool {
    match lane {
        Lane::Heartbeat => {
            matches!(command, Command::CompareAndWrite(_) | Command::Read(_) | Command::Write(_))
        }
        Lane::Bulk => !matches!(command, Command::CompareAndWrite(_)),
    }
}

/// Each must be one that the fault can happen to.
fn read_commands(
    item: &Item<'_>,
    fault: &Fault,
    possible: &mut Possible,
) -> Result<Vec<CommandSelector>> {
    let selectors = item.read_each(command)?;
    for selector in &selectors {
        if !possible.0.iter().any(|(opcode, command)| selector.matches(command, *opcode)) {
            let possible = match fault.families() {
                Some(families) => families.iter().map(|f| f.name()).collect::<Vec<_>>().join(", "),
                None => {
                    "every command but inquiry and others that find out what is wrong".to_owned()
                }
            };
            let selector = selector.words();
            let contradiction =
                Contradiction::NotForCommands { fault: fault.name(), possible, selector };
            return Err(contradiction.at(item));
        }
    }
    let is_meant = |(opcode, command): &&Served| {
        selectors.iter().any(|selector| selector.matches(command, *opcode))
    };
    possible.0.retain(is_meant);
    Ok(selectors)
}

fn command(key: &'static str, value: &DeValue<'_>) -> Result<CommandSelector, Problem> {
    if value.as_integer().is_some() {
        let code = natural(key, value)?;
        let known = u8::try_from(code).ok().filter(|code| opcode::cdb_length(*code).is_some());
        return known.map(CommandSelector::Opcode).ok_or_else(|| Problem::Value {
            key,
            expected: "an operation code that is served, as 0x89, or a word as \"caw\"",
            found: format!("{code:#04x}"),
        });
    }
    let word = value::string(key, value)?;
    Family::ALL
        .into_iter()
        .find(|family| family.name() == word)
        .map(CommandSelector::Family)
        .ok_or_else(|| Problem::word(key, word, Family::ALL.map(Family::name).to_vec()))
}

fn lane(key: &'static str, value: &DeValue<'_>) -> Result<Lane, Problem> {
    let word = value::string(key, value)?;
    Lane::ALL
        .into_iter()
        .find(|lane| lane.name() == word)
        .ok_or_else(|| Problem::word(key, word, Lane::ALL.map(Lane::name).to_vec()))
}

/// A range `"first..end"`, or the number of one block.
fn blocks(key: &'static str, value: &DeValue<'_>) -> Result<LbaRange, Problem> {
    if value.as_integer().is_none() {
        return value::range(key, value);
    }
    let lba = natural(key, value)?;
    LbaRange::new(Lba::new(lba), BlockCount::new(1)).ok_or_else(|| Problem::Value {
        key,
        expected: "the address of a block",
        found: lba.to_string(),
    })
}

const OBJECTS: [&str; 3] = ["any", "heartbeat", "lock"];

fn read_vmfs(section: &mut Section<'_>, possible: &mut Possible) -> Result<Option<VmfsSelector>> {
    let object = section.item("vmfs");
    let slot = section.item("slot");
    let address = section.item("lock");
    let mode = section.item("mode");
    let host = section.item("host");
    let Some(first) = [&object, &slot, &address, &mode, &host].into_iter().flatten().next() else {
        return Ok(None);
    };
    possible.keep(brings_blocks);
    possible.check(first, &Contradiction::BringsNothing)?;
    let of_lock = address.as_ref().or(mode.as_ref());
    let object = match &object {
        Some(item) => item.read(|key, value| word(key, value, &OBJECTS))?,
        None if slot.is_some() => "heartbeat",
        None if of_lock.is_some() => "lock",
        None => "any",
    };
    for (item, key, own) in
        [(&slot, "slot", "heartbeat"), (&address, "lock", "lock"), (&mode, "mode", "lock")]
    {
        if let Some(item) = item
            && own != object
        {
            return Err(Contradiction::OtherObject { key, object: own, wanted: object }.at(item));
        }
    }
    let host = host.map(|item| item.read(host_uuid)).transpose()?;
    Ok(Some(match object {
        "heartbeat" => {
            VmfsSelector::Heartbeat { slot: slot.map(|item| item.read(natural)).transpose()?, host }
        }
        "lock" => VmfsSelector::Lock {
            address: address.map(|item| item.read(natural)).transpose()?,
            mode: mode.map(|item| item.read(lock_mode)).transpose()?,
            host,
        },
        _ => VmfsSelector::Any { host },
    }))
}

/// The one of `known` that is written.
fn word(
    key: &'static str,
    value: &DeValue<'_>,
    known: &[&'static str],
) -> Result<&'static str, Problem> {
    let word = value::string(key, value)?;
    let found = known.iter().find(|known| **known == word);
    found.copied().ok_or_else(|| Problem::word(key, word, known.to_vec()))
}

fn lock_mode(key: &'static str, value: &DeValue<'_>) -> Result<LockMode, Problem> {
    let word = value::string(key, value)?;
    LockMode::ALL
        .into_iter()
        .find(|mode| mode.name() == word)
        .ok_or_else(|| Problem::word(key, word, LockMode::ALL.map(LockMode::name).to_vec()))
}

fn host_uuid(key: &'static str, value: &DeValue<'_>) -> Result<HostUuid, Problem> {
    let text = value::string(key, value)?;
    text.parse().map_err(|_| Problem::Value {
        key,
        expected: "the UUID of a host, as 685eb8eb-7f3e3890-4544-bc2411b17e28",
        found: format!("\"{text}\""),
    })
}
