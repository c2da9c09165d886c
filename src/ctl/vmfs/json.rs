//! A volume as JSON.

use pulsefield_vmfs::{
    DiskLock, FileSystem, Heartbeat, HostUuid, JournalAddress, LockHolder, Lvm, Partition, Scheme,
    Volume,
};
use serde::Serialize;

use super::findings::{Findings, Slot, heartbeats};
use super::watch::Event;

#[derive(Serialize)]
pub(crate) struct Report {
    source: String,
    partition: Option<PartitionReport>,
    lvm: Option<LvmReport>,
    file_system: Option<FileSystemReport>,
    heartbeat_region: Option<RegionReport>,
    heartbeats: Vec<HeartbeatReport>,
    locks_found: u64,
    searched_bytes: u64,
    part_bytes: u64,
    held_locks: Vec<LockReport>,
}

#[derive(Serialize)]
struct PartitionReport {
    scheme: &'static str,
    number: u32,
    start_bytes: u64,
    length_bytes: u64,
}

#[derive(Serialize)]
struct LvmReport {
    version: String,
    device: String,
    volume: String,
    name: String,
    volume_bytes: u64,
    devices: u32,
    head: bool,
    part_start_bytes: u64,
    part_bytes: u64,
    local: bool,
}

#[derive(Serialize)]
struct FileSystemReport {
    major_version: u32,
    minor_version: u8,
    uuid: String,
    label: String,
    local: bool,
    maintenance: bool,
    created_s: u32,
    creator: Option<String>,
    file_block_bytes: u64,
    lease_ms: Option<u128>,
    reclaim_window_ms: Option<u128>,
}

#[derive(Serialize)]
struct RegionReport {
    offset: u64,
    device_offset: u64,
    slots: u64,
    stride_bytes: u64,
}

/// A slot; without a heartbeat, if it is damaged.
#[derive(Serialize)]
struct HeartbeatReport {
    slot: u64,
    offset: u64,
    #[serde(flatten)]
    heartbeat: Option<HeartbeatFields>,
}

#[derive(Serialize)]
struct HeartbeatFields {
    state: &'static str,
    generation: u64,
    stamp_us: u128,
    owner: Option<String>,
    management_address: Option<String>,
    journal: Option<u32>,
    journal_offset: u64,
    major_version: u32,
    minor_version: u8,
    lock_implementation: u8,
    replaying_host: Option<String>,
    replaying_heartbeat_offset: u64,
    replaying_generation: u64,
}

#[derive(Serialize)]
struct LockReport {
    kind: &'static str,
    #[serde(rename = "type")]
    magic: u32,
    offset: u64,
    mode: &'static str,
    token: u64,
    owner: Option<String>,
    heartbeat_offset: u64,
    heartbeat_generation: u64,
    modification_time: u64,
    /// The owner, and those who share it.
    claims: Vec<ClaimReport>,
}

#[derive(Serialize)]
struct ClaimReport {
    host: String,
    heartbeat_offset: u64,
    heartbeat_generation: u64,
    standing: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct EventReport {
    after_ms: u128,
    slot: u64,
    what: String,
}

/// What was found; of the heartbeats those in use, or `all` that ever were.
pub(crate) fn report(findings: &Findings, all: bool) -> Report {
    let Findings { source, volume, slots, locks, region: _ } = findings;
    let shown = slots.iter().filter(|slot| if all { slot.was_used() } else { slot.is_used() });
    Report {
        source: source.clone(),
        partition: volume.partition.map(partition),
        lvm: volume.lvm.as_ref().map(lvm),
        file_system: volume.file_system.as_ref().map(file_system),
        heartbeat_region: region(volume),
        heartbeats: shown.map(slot).collect(),
        locks_found: locks.found,
        searched_bytes: locks.searched_bytes,
        part_bytes: locks.part_bytes,
        held_locks: locks.held.iter().map(|held| lock(findings, held)).collect(),
    }
}

/// What was seen while watching.
pub(crate) fn event(event: &Event) -> EventReport {
    EventReport {
        after_ms: event.after.as_millis(),
        slot: event.slot,
        what: event.what.to_string(),
    }
}

fn partition(partition: Partition) -> PartitionReport {
    let scheme = match partition.scheme {
        Scheme::Mbr => "mbr",
        Scheme::Gpt => "gpt",
    };
    let Partition { number, start, length, .. } = partition;
    PartitionReport { scheme, number, start_bytes: start, length_bytes: length }
}

fn lvm(Lvm { header, extent }: &Lvm) -> LvmReport {
    LvmReport {
        version: format!("{}.{}", header.major_version, header.minor_version),
        device: header.device.to_string(),
        volume: extent.volume.to_string(),
        name: extent.name.clone(),
        volume_bytes: extent.volume_bytes,
        devices: extent.devices,
        head: extent.is_head(),
        part_start_bytes: extent.start,
        part_bytes: extent.length,
        local: header.local,
    }
}

fn file_system(it: &FileSystem) -> FileSystemReport {
    FileSystemReport {
        major_version: it.version.major,
        minor_version: it.version.minor,
        uuid: it.uuid.to_string(),
        label: it.label.clone(),
        local: it.local,
        maintenance: it.maintenance,
        created_s: it.created_s,
        creator: name(it.creator),
        file_block_bytes: it.file_block_length,
        lease_ms: it.lease.map(|lease| lease.as_millis()),
        reclaim_window_ms: it.reclaim_window.map(|window| window.as_millis()),
    }
}

fn region(volume: &Volume) -> Option<RegionReport> {
    let region = heartbeats(volume)?;
    let offset = region.range().start;
    Some(RegionReport {
        offset,
        device_offset: volume.data_start() + offset,
        slots: region.slots,
        stride_bytes: region.stride,
    })
}

fn slot(slot: &Slot) -> HeartbeatReport {
    HeartbeatReport {
        slot: slot.number,
        offset: slot.address,
        heartbeat: slot.heartbeat.as_ref().map(heartbeat),
    }
}

fn heartbeat(it: &Heartbeat) -> HeartbeatFields {
    HeartbeatFields {
        state: it.state.name(),
        generation: it.generation,
        stamp_us: it.stamp.as_micros(),
        owner: name(it.owner),
        management_address: it.management_address.map(|address| address.to_string()),
        journal: it.journal.map(JournalAddress::raw),
        journal_offset: it.journal_offset,
        major_version: it.major_version,
        minor_version: it.minor_version,
        lock_implementation: it.lock_implementation,
        replaying_host: name(it.replaying_host),
        replaying_heartbeat_offset: it.replaying_heartbeat,
        replaying_generation: it.replaying_generation,
    }
}

fn lock(findings: &Findings, it: &DiskLock) -> LockReport {
    let claim = |claim: LockHolder| ClaimReport {
        host: claim.host.to_string(),
        heartbeat_offset: claim.heartbeat_address,
        heartbeat_generation: claim.heartbeat_generation,
        standing: findings.standing(&claim).map(|standing| standing.to_string()),
    };
    LockReport {
        kind: it.kind.name(),
        magic: it.kind.magic(),
        offset: it.address,
        mode: it.mode.name(),
        token: it.token,
        owner: name(it.owner),
        heartbeat_offset: it.heartbeat_address,
        heartbeat_generation: it.heartbeat_generation,
        modification_time: it.modification_time,
        claims: it.claims().map(claim).collect(),
    }
}

fn name(host: Option<HostUuid>) -> Option<String> {
    host.map(|host| host.to_string())
}
