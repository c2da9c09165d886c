//! The logical unit of a run: a medium in memory with a scratch volume on it, and the hosts that mount it.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use pulsefield_backstore::{Backstore, Cfgstring, Geometry, Handler as _, OpenSpec};
use pulsefield_cluster::{Cluster, ClusterConfig, Mix, Scratch};
use pulsefield_embedded::{EmbeddedUnit, Event, Nexus, Options, Target};
use pulsefield_engine::LuConfig;
use pulsefield_hosts::{self as hosts, HostConfig, Io, MountedVolume};
use pulsefield_initiator::Request;
use pulsefield_ram::RamHandler;
use pulsefield_scsi::Status;
use pulsefield_units::{BlockLength, Instant, Lba, LbaRange, Random};
use pulsefield_vmfs::format::{Format, LockArea};
use pulsefield_vmfs::{HeartbeatRegion, HostUuid, LockKind, Version, VolumeUuid};

use crate::fabric::submit;
use crate::swarm::Swarm;

/// Of a file system as long as this; what lies beyond the metadata takes no memory.
const DEVICE_BYTES: u64 = 768 << 20;

/// Where bulk goes, in bytes from the start of the device, and how much room it has there.
const BULK: (u64, u64) = (64 << 20, 16 << 20);

/// How many virtual machines there are in all, and how many locks of what their files are made of.
const MACHINES: usize = 64;
const RESOURCES: usize = 16;

/// Whoever formats.
const FORMATTER: Nexus = Nexus(u32::MAX);

/// A medium with a volume on it that no host has used.
///
/// # Errors
/// If there is no memory.
pub(crate) fn formatted(swarm: &Swarm, options: Options) -> Result<Arc<dyn Backstore>> {
    let block_length = swarm.block_length;
    let (name, config): (_, Cfgstring) = ("simulation".to_owned(), "ram/".parse()?);
    let geometry = Geometry { block_length, blocks: block_length.blocks_in(DEVICE_BYTES) };
    let medium = RamHandler.open(&OpenSpec { name, config, geometry, claim: None })?;
    let now = Instant::default();
    let mut target = Target::new(options).context("map a ring")?;
    let mut unit = EmbeddedUnit::new(medium.clone(), LuConfig::default())?;
    let mut daemon = unit.serve(target.take_over(now)?);
    // The medium is all zeros.
    let pieces = format(block_length).pieces()?;
    for piece in pieces.filter(|piece| piece.bytes.iter().any(|byte| *byte != 0)) {
        let lba = Lba::new(block_length.blocks_in(piece.offset).as_u64());
        let mut write = Request::new(Io::Write { lba, data: piece.bytes }, block_length, None)?;
        submit(now, FORMATTER, &mut write, &mut target);
        target.serve(now, &mut daemon)?;
        let answer = target.event();
        let good = matches!(answer, Some(Event::Answered { status: Status::Good, .. }));
        ensure!(good, "formatting is answered {answer:?}");
    }
    drop(daemon);
    Ok(medium)
}

/// A volume without partition and volume manager: nothing that hosts do depends on either.
fn format(block_length: BlockLength) -> Format {
    let (version, bytes) = (version(block_length), block_length.bytes().into());
    let format = Format::new(version, DEVICE_BYTES, bytes, VolumeUuid::scratch(1));
    Format { scheme: None, lvm: false, ..format }
}

/// Both strides of heartbeats and locks: a sector, and a page.
const fn version(block_length: BlockLength) -> Version {
    match block_length {
        BlockLength::B512 => Version::VMFS_5,
        BlockLength::B4096 => Version::VMFS_6,
    }
}

/// The heartbeat region that goes with that version.
const fn heartbeats(block_length: BlockLength) -> HeartbeatRegion {
    match block_length {
        BlockLength::B512 => HeartbeatRegion { slots: 2048, stride: 512 },
        BlockLength::B4096 => HeartbeatRegion { slots: 1024, stride: 4096 },
    }
}

/// The hosts of a run, which start now.
///
/// # Errors
/// If the mix is none: a bug of the simulation's.
pub(crate) fn cluster(swarm: &Swarm, seed: u64, now: Instant) -> Result<Cluster> {
    let block_length = swarm.block_length;
    let version = version(block_length);
    let mut random = Random::new(seed);
    let host = |nth: u32| HostConfig {
        uuid: uuid(nth),
        management_address: None,
        heartbeat: swarm.heartbeat,
        seed: random.any(),
    };
    let geometry =
        hosts::Geometry { block_length, start: 0, version, heartbeats: heartbeats(block_length) };
    let locks = |wanted: fn(LockKind) -> bool, most| {
        let areas = LockArea::of(version).iter().filter(move |area| wanted(area.kind));
        areas.flat_map(LockArea::addresses).take(most).collect()
    };
    let (start, length) = BULK;
    let start = Lba::new(block_length.blocks_in(start).as_u64());
    let bulk = LbaRange::new(start, block_length.blocks_in(length)).context("room for bulk")?;
    let scratch = Scratch {
        block_length,
        machines: locks(|kind| kind == LockKind::FileDescriptor, MACHINES),
        resources: locks(|kind| kind != LockKind::FileDescriptor, RESOURCES),
        bulk,
        unmaps_to_zeros: true,
        copies: false,
    };
    let config = ClusterConfig {
        hosts: (0..swarm.hosts).map(host).collect(),
        volume: MountedVolume { geometry, locking: swarm.locking },
        scratch,
        mix: Mix::parse("the mix of the seed", &swarm.mix)?,
        seed: random.any(),
    };
    Ok(Cluster::new(config, now))
}

/// UUIDs that differ where ESXi's do: in the MAC address at their end.
fn uuid(nth: u32) -> HostUuid {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&0x6500_0000_u32.to_le_bytes());
    bytes[12..].copy_from_slice(&(nth + 1).to_be_bytes());
    HostUuid::from_bytes(bytes).expect("it is not zero")
}
