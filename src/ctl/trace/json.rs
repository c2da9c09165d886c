//! Happenings as JSON, one object a line.
//!
//! `time` is the wall clock, `at_ns` the monotonic one of the machine; times of a command are moments on
//! the latter. A reader skips fields it does not know.

use pulsefield_record::{Command, Event, Found, Image, ImageRole, Origin, Stop};
use pulsefield_scsi::{SenseKey, Status, opcode};
use pulsefield_units::Instant;
use pulsefield_vmfs::Object;
use serde_json::{Value, json};

use super::Happening;
use super::filter::object;
use super::text::{Utc, function_name};

/// The object for `happening`.
pub(super) fn line(happening: &Happening<'_>) -> Value {
    let Happening { lun, record, found } = happening;
    let mut line = match &record.event {
        Event::Command(it) => command(it, *found),
        Event::Start(start) => json!({
            "event": "start",
            "blocks": start.blocks.as_u64(),
            "block_bytes": start.block_bytes,
            "pid": start.process,
            "after_breakdown": start.after_breakdown,
        }),
        Event::Stop(stop) => json!({
            "event": "stop",
            "reason": match stop {
                Stop::Told => "told",
                Stop::DeviceGone => "device-gone",
                Stop::Breakdown => "breakdown",
            },
        }),
        Event::TaskManagement(tmf) => json!({
            "event": "task-management",
            "function": function_name(tmf.function),
            "commands": tmf.commands,
            "cmd_ids": tmf.command_ids,
        }),
        Event::FaultHit(hit) => json!({
            "event": "fault-hit",
            "hit": hit.number,
            "rule": hit.rule,
            "cmd_id": hit.command_id,
            "opcode": hit.opcode,
            "delay_us": micros(hit.delay),
        }),
        Event::TaskManagementOver(over) => json!({
            "event": "task-management-over",
            "function": function_name(over.function),
            "commands": over.commands,
            "asked_ns": over.asked.as_nanos(),
        }),
        Event::AttentionRaised(raised) => json!({
            "event": "attention-raised",
            "asc": raised.asc.asc(),
            "ascq": raised.asc.ascq(),
            "asc_name": raised.asc.name(),
        }),
        Event::Overdue(overdue) => json!({
            "event": "overdue",
            "cmd_id": overdue.command_id,
            "opcode": overdue.cdb.opcode(),
            "command": opcode::name_of(&overdue.cdb),
            "cdb": hex(overdue.cdb.as_bytes()),
            "lba": overdue.blocks.map(|blocks| blocks.start().as_u64()),
            "blocks": overdue.blocks.map(|blocks| blocks.blocks().as_u64()),
            "arrived_ns": overdue.arrived.as_nanos(),
            "waits_for": overdue.stage.map(|(stage, _)| stage.name()),
            "since_ns": overdue.stage.map(|(_, since)| since.as_nanos()),
        }),
        // Not shown by themselves.
        Event::Found(_) | Event::Anchor(_) => json!({}),
    };
    line["lun"] = json!(lun);
    line["time"] = json!(record.wall.map(|wall| Utc(wall).to_string()));
    line["at_ns"] = json!(record.at.as_nanos());
    line["sequence"] = json!(record.sequence);
    line["epoch"] = json!(record.epoch);
    line
}

fn command(command: &Command, found: Option<&Found>) -> Value {
    let (origin, command_id) = match command.origin {
        Origin::Initiator { command_id } => ("initiator", Some(command_id)),
        Origin::Copy => ("copy", None),
        Origin::Fault => ("fault", None),
    };
    let moment = |instant: Option<Instant>| instant.map(Instant::as_nanos);
    let found = found.map(|found| &found.image);
    json!({
        "event": "command",
        "origin": origin,
        "cmd_id": command_id,
        "opcode": command.cdb.opcode(),
        "command": opcode::name_of(&command.cdb),
        "cdb": hex(command.cdb.as_bytes()),
        "lba": command.blocks.map(|blocks| blocks.start().as_u64()),
        "blocks": command.blocks.map(|blocks| blocks.blocks().as_u64()),
        "data_bytes": command.data_bytes,
        "lane": command.lane.map(|lane| lane.name()),
        "status": command.status,
        "status_name": Status::from_u8(command.status).map(|status| status.to_string()),
        "sense": command.sense.map(|sense| json!({
            "key": sense.key,
            "key_name": SenseKey::from_u8(sense.key).map(|key| key.to_string()),
            "asc": sense.asc,
            "ascq": sense.ascq,
            "information": sense.information,
        })),
        "arrived_ns": command.arrived.as_nanos(),
        "started_ns": moment(command.started),
        "ended_ns": moment(command.ended),
        "answered_ns": command.answered.as_nanos(),
        "took_us": micros(command.took()),
        "waited_blocks_us": micros(command.waited.blocks),
        "waited_slot_us": micros(command.waited.slot),
        "waited_pool_us": micros(command.waited.pool),
        "hit": command.hit,
        "aborted_ns": moment(command.aborted),
        "images": command.images.iter().chain(found).map(image).collect::<Vec<_>>(),
    })
}

fn image(image: &Image) -> Value {
    json!({
        "role": match image.role {
            ImageRole::Expected => "expected",
            ImageRole::Written => "written",
            ImageRole::Repeated => "repeated",
            ImageRole::UnmapList => "unmap-list",
            ImageRole::Found => "found",
        },
        "offset_bytes": image.offset,
        "bytes": hex(&image.bytes),
        "vmfs": object(image).map(|object| vmfs(&object)),
    })
}

fn vmfs(object: &Object) -> Value {
    let host = object.owner().map(|host| host.to_string());
    match object {
        Object::Heartbeat(it) => json!({
            "object": "heartbeat",
            "slot": it.slot(),
            "address": it.address,
            "generation": it.generation,
            "stamp_us": micros(it.stamp),
            "host": host,
        }),
        Object::Lock(lock) => json!({
            "object": "lock",
            "address": lock.address,
            "token": lock.token,
            "mode": lock.mode.name(),
            "host": host,
        }),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing into a string never fails.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Rounded up: what took some time never shows as none.
pub(crate) fn micros(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX)
}
