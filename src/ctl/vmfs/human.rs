//! A volume as people read it, and as ESXi's own tools print it.

use std::io::{self, Write};

use pulsefield_units::Size;
use pulsefield_vmfs::esxi::{ActiveHostLine, HeartbeatLine, LockLines};
use pulsefield_vmfs::{
    DiskLock, FileSystem, Heartbeat, HeartbeatState, LockHolder, Lvm, Partition, Scheme, Volume,
};

use super::findings::{Findings, Locks, Slot, heartbeats};
use crate::print::{fields, table};

/// Of the heartbeats those in use, or `all` that ever were.
pub(crate) fn report(findings: &Findings, all: bool, out: &mut dyn Write) -> io::Result<()> {
    let Findings { source, volume, slots, .. } = findings;
    let mut lines = vec![("source", source.clone())];
    if let Some(file_system) = &volume.file_system {
        lines.push(("volume", name(file_system)));
    }
    lines.push(("lies", place(volume)));
    if let Some(lvm) = &volume.lvm {
        lines.push(("spans", span(lvm)));
    }
    if let Some(file_system) = &volume.file_system {
        lines.push(("lease", lease(file_system)));
    }
    if let Some(region) = heartbeats(volume) {
        let begin = region.range().start;
        let block = (volume.data_start() + begin) / 512;
        let (slots, stride) = (region.slots, region.stride);
        lines.push((
            "heartbeats",
            format!(
                "{slots} slots, {stride} bytes apart, from byte {begin} of the volume on, which is \
                 block {block} of 512 bytes"
            ),
        ));
    }
    fields(out, &lines)?;
    if volume.file_system.is_some() {
        writeln!(out)?;
        heartbeat_table(slots, all, out)?;
    }
    writeln!(out)?;
    lock_table(findings, out)
}

fn name(file_system: &FileSystem) -> String {
    let FileSystem { label, uuid, version, local, maintenance, .. } = file_system;
    let local = if *local { ", local" } else { "" };
    let maintenance = if *maintenance { ", in maintenance" } else { "" };
    format!("\"{}\", {uuid}, {version}{local}{maintenance}", label.escape_debug())
}

fn place(volume: &Volume) -> String {
    let lvm = if volume.lvm.is_some() { "" } else { ", without a volume manager" };
    match volume.partition {
        None => format!("from the first byte on, as in a partition of its own{lvm}"),
        Some(Partition { scheme, number, start, length }) => {
            let scheme = match scheme {
                Scheme::Mbr => "MBR",
                Scheme::Gpt => "GPT",
            };
            let length = Size(length);
            format!("in partition {number} ({scheme}), {length} from byte {start} on{lvm}")
        }
    }
}

fn span(Lvm { extent, .. }: &Lvm) -> String {
    match (extent.devices, extent.is_head()) {
        (..=1, _) => "this device alone".to_owned(),
        (devices, true) => format!(
            "{devices} devices, of which this is the head with the first {}: locks on others are not \
             shown",
            Size(extent.length)
        ),
        (devices, false) => format!(
            "{devices} devices, of which this is not the head: it has {} from byte {} of the volume \
             on; the heartbeats of \"{}\" are on another",
            Size(extent.length),
            extent.start,
            extent.name.escape_debug()
        ),
    }
}

fn lease(file_system: &FileSystem) -> String {
    match (file_system.lease, file_system.reclaim_window) {
        (Some(lease), Some(window)) => {
            format!("{} s, reclaim window {} s", lease.as_secs_f64(), window.as_secs_f64())
        }
        (Some(lease), None) => format!("{} s", lease.as_secs_f64()),
        (None, _) => {
            let lease = pulsefield_vmfs::LEASE.as_secs();
            format!("{lease} s, which is in the driver and not on the volume")
        }
    }
}

fn heartbeat_table(slots: &[Slot], all: bool, out: &mut dyn Write) -> io::Result<()> {
    let header = [
        "SLOT",
        "OFFSET",
        "STATE",
        "HOST",
        "ADDRESS",
        "GENERATION",
        "STAMP",
        "JOURNAL",
        "DRIVER",
        "LOCKING",
    ];
    let mut rows = vec![header.map(str::to_owned)];
    let shown = slots.iter().filter(|slot| if all { slot.was_used() } else { slot.is_used() });
    rows.extend(shown.map(heartbeat_row));
    match (rows.len(), all) {
        (1, false) => writeln!(out, "no heartbeat is in use"),
        (1, true) => writeln!(out, "no heartbeat was ever used"),
        _ => table(out, &rows),
    }
}

fn heartbeat_row(slot: &Slot) -> [String; 10] {
    let none = || "-".to_owned();
    let (number, address) = (slot.number.to_string(), slot.address.to_string());
    let Some(heartbeat) = &slot.heartbeat else {
        let damaged = "DAMAGED".to_owned();
        return [number, address, damaged, none(), none(), none(), none(), none(), none(), none()];
    };
    let Heartbeat { stamp, major_version, minor_version, .. } = heartbeat;
    [
        number,
        address,
        state(heartbeat),
        heartbeat.owner.map_or_else(none, |owner| owner.to_string()),
        heartbeat.management_address.map_or_else(none, |address| address.to_string()),
        heartbeat.generation.to_string(),
        format!("{}.{:06}", stamp.as_secs(), stamp.subsec_micros()),
        heartbeat.journal.map_or_else(none, |journal| journal.to_string()),
        format!("{major_version}.{minor_version}"),
        heartbeat.lock_implementation.to_string(),
    ]
}

fn state(heartbeat: &Heartbeat) -> String {
    match (heartbeat.state, heartbeat.replaying_host) {
        (HeartbeatState::Replaying, Some(host)) => format!("replaying (inferred), by {host}"),
        (HeartbeatState::Replaying, None) => "replaying (inferred)".to_owned(),
        (state @ (HeartbeatState::Clear | HeartbeatState::InUse), _) => state.name().to_owned(),
    }
}

fn lock_table(findings: &Findings, out: &mut dyn Write) -> io::Result<()> {
    let Locks { held, found, searched_bytes, part_bytes } = &findings.locks;
    if *searched_bytes == 0 {
        return writeln!(out, "locks were not searched for");
    }
    let all = if searched_bytes == part_bytes { "all " } else { "the first " };
    let rest = match searched_bytes == part_bytes {
        true => String::new(),
        false => format!(" of {}; --search looks further", Size(*part_bytes)),
    };
    let searched = Size(*searched_bytes);
    writeln!(out, "{} of {found} locks held, in {all}{searched}{rest}", held.len())?;
    if held.is_empty() {
        return Ok(());
    }
    let header = ["LOCK", "OFFSET", "MODE", "TOKEN", "HOST", "HEARTBEAT", "GENERATION", "STANDING"];
    let mut rows = vec![header.map(str::to_owned)];
    rows.extend(held.iter().flat_map(|lock| lock_rows(findings, lock)));
    table(out, &rows)
}

/// A row for each host that has the lock; one without a host if nobody is named.
fn lock_rows(findings: &Findings, lock: &DiskLock) -> Vec<[String; 8]> {
    let row = |claim: Option<LockHolder>| {
        let of_claim =
            |words: fn(&LockHolder) -> String| claim.as_ref().map_or_else(|| "-".to_owned(), words);
        let standing = claim.map(|claim| {
            let on_another = || "unknown: its heartbeat is on another device".to_owned();
            findings.standing(&claim).map_or_else(on_another, |standing| standing.to_string())
        });
        [
            lock.kind.name().to_owned(),
            lock.address.to_string(),
            lock.mode.name().to_owned(),
            lock.token.to_string(),
            of_claim(|claim| claim.host.to_string()),
            of_claim(|claim| claim.heartbeat_address.to_string()),
            of_claim(|claim| claim.heartbeat_generation.to_string()),
            standing.unwrap_or_else(|| "-".to_owned()),
        ]
    };
    let mut rows: Vec<_> = lock.claims().map(|claim| row(Some(claim))).collect();
    if rows.is_empty() {
        rows.push(row(None));
    }
    rows
}

/// As `vmkfstools --activehosts` lists hosts, as vmkernel.log has heartbeats, and as `vmkfstools -D` prints
/// locks.
pub(crate) fn as_esxi(findings: &Findings, all: bool, out: &mut dyn Write) -> io::Result<()> {
    let in_use = |slot: &Slot| slot.heartbeat.as_ref().filter(|_| slot.is_used())?.owner;
    for (nth, host) in (1..).zip(findings.slots.iter().filter_map(in_use)) {
        writeln!(out, "{}", ActiveHostLine { nth, host })?;
    }
    let shown =
        findings.slots.iter().filter(|slot| if all { slot.was_used() } else { slot.is_used() });
    for heartbeat in shown.filter_map(|slot| slot.heartbeat.as_ref()) {
        writeln!(out, "{}", HeartbeatLine(heartbeat))?;
    }
    findings.locks.held.iter().try_for_each(|lock| writeln!(out, "{}", LockLines(lock)))
}
