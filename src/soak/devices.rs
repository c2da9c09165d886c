//! A run on devices of the machine.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use pulsefield_cluster::UNIT;
use pulsefield_control::protocol::LunSummary;
use pulsefield_hosts::Locking;
use pulsefield_initiator::{Claim, LogicalUnit, OpenError, SgDevice, UnitError};
use pulsefield_report::{Emulation, Path};
use thiserror::Error;

use crate::area::UnitFacts;
use crate::faults::{DaemonFaults, FaultError};
use crate::soak::{Conclusion, Place, Prepared, SoakError};
use crate::transport::devices::DeviceTransport;
use crate::witness::UnitRecord;

/// How many paths a host has: the one it is meant for, and one to change to; but only the first where hosts
/// reserve, since the other one is another host's.
const PATHS_MAX: usize = 2;

/// Why devices are none that a run can be on. Nothing was written to them.
#[derive(Debug, Error)]
pub enum DevicesError {
    /// One cannot be opened, or somebody else uses it.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// One does not say what it is.
    #[error("{device} cannot be used")]
    Unit {
        /// Which.
        device: String,
        /// Why not.
        source: UnitError,
    },
    /// Nobody may write.
    #[error("{0} is write-protected")]
    WriteProtected(String),
    /// There is no ATS, and hosts are to use nothing else.
    #[error("{0} has no ATS (COMPARE AND WRITE); --locking scsi does without")]
    NoAts(String),
    /// One is named more than once.
    #[error("{0} is named twice")]
    Twice(String),
    /// To a target, hosts that share a path are one initiator, whose reservation keeps none of them out.
    #[error(
        "{hosts} hosts that may reserve the unit take a path each, and there {}: fewer --hosts, or --locking ats-only",
        if *paths == 1 { "is 1".to_owned() } else { format!("are {paths}") }
    )]
    SharedPaths {
        /// How many hosts.
        hosts: u32,
        /// How many paths.
        paths: usize,
    },
    /// Two of them are not known to be the same unit.
    #[error("{first} and {other} are not known to be one logical unit: {why}")]
    NotOneUnit {
        /// The first of all.
        first: String,
        /// One of the others.
        other: String,
        /// What tells them apart.
        why: String,
    },
    /// The plan cannot be armed by a daemon.
    #[error(transparent)]
    Faults(#[from] FaultError),
    /// The plan would break another unit.
    #[error(
        "{device} is not the logical unit {lun} of the daemon, which has {lun_bytes} bytes instead of {bytes}"
    )]
    OtherLun {
        /// The device.
        device: String,
        /// How long that is.
        bytes: u64,
        /// What the daemon was to know it by.
        lun: String,
        /// How long the daemon's is.
        lun_bytes: u64,
    },
    /// Threads cannot be started.
    #[error("there is no thread left for hosts")]
    Threads(#[source] io::Error),
}

/// Runs on one unit, which all these devices are paths to.
pub(crate) fn soak(
    nodes: &[PathBuf],
    prepared: &Prepared<'_>,
    out: &mut dyn Write,
) -> Result<Conclusion, SoakError> {
    let options = prepared.options;
    let mut paths = Vec::new();
    let mut claims = Vec::new();
    let mut units: Vec<(String, LogicalUnit)> = Vec::new();
    for node in nodes {
        let device = SgDevice::open(node).map_err(DevicesError::Open)?;
        let name = device.path().node().display().to_string();
        if units.iter().any(|(other, _)| *other == name) {
            return Err(DevicesError::Twice(name).into());
        }
        claims.push(Claim::take(device.path()).map_err(DevicesError::Open)?);
        let unit = LogicalUnit::ask(&device)
            .map_err(|source| DevicesError::Unit { device: name.clone(), source })?;
        units.push((name, unit));
        paths.push(Arc::new(device));
    }
    let Some(((name, unit), others)) = units.split_first() else { return Ok(Conclusion::Held) };
    others.iter().try_for_each(|other| is_same((name, unit), other))?;
    refuse(name, unit, options.locking)?;
    let reserving = options.locking.may_reserve();
    if reserving && usize::try_from(options.hosts).is_ok_and(|hosts| hosts > paths.len()) {
        return Err(DevicesError::SharedPaths { hosts: options.hosts, paths: paths.len() }.into());
    }
    let faults = DaemonFaults::new(&options.socket, options.lun.clone());
    if options.plan.is_some() {
        is_served(name, unit, &faults)?;
    }
    let (naa, block_length) = (unit.naa.clone(), unit.block_length);
    let each = if reserving { 1 } else { PATHS_MAX };
    let transport = DeviceTransport::start(options.hosts, &paths, each, naa, block_length, faults)
        .map_err(DevicesError::Threads)?;
    let ways = paths.iter().map(|device| Path {
        unit: UNIT.0,
        device: device.path().node().display().to_string(),
        transport: device.path().transport.to_string(),
    });
    let facts = UnitFacts {
        name: unit.naa.as_ref().map_or_else(|| name.clone(), ToString::to_string),
        product: format!("{} {} {}", unit.vendor, unit.product, unit.revision),
        blocks: unit.blocks,
        block_length,
        unmaps_to_zeros: unit.unmap_max > 0 && unit.unmaps_to_zeros,
        copies: unit.third_party_copy,
    };
    let record = match &options.lun {
        Some(lun) => UnitRecord::open(&options.directory, lun),
        None => UnitRecord::None {
            why: "no --lun says which unit of a daemon's the devices lead to".to_owned(),
        },
    };
    let emulation = Emulation::Devices;
    let place = Place { transport, unit: facts, paths: ways.collect(), emulation, record };
    let conclusion = prepared.run(place, out);
    drop(claims);
    conclusion
}

fn refuse(name: &str, unit: &LogicalUnit, locking: Locking) -> Result<(), DevicesError> {
    if unit.write_protected {
        return Err(DevicesError::WriteProtected(name.to_owned()));
    }
    if unit.compare_and_write_max == 0 && !locking.may_reserve() {
        return Err(DevicesError::NoAts(name.to_owned()));
    }
    Ok(())
}

/// Whether a daemon could arm a plan for the unit: half-way in a run is late to hear that it cannot.
fn is_served(name: &str, unit: &LogicalUnit, faults: &DaemonFaults) -> Result<(), DevicesError> {
    let LunSummary { name: lun, size_bytes: lun_bytes, .. } = faults.unit()?;
    let (device, bytes) = (name.to_owned(), unit.bytes());
    match bytes == lun_bytes {
        true => Ok(()),
        false => Err(DevicesError::OtherLun { device, bytes, lun, lun_bytes }),
    }
}

fn is_same(
    (first, unit): (&String, &LogicalUnit),
    (other, its_unit): &(String, LogicalUnit),
) -> Result<(), DevicesError> {
    let why = match (&unit.naa, &its_unit.naa) {
        (Some(naa), Some(its)) if naa == its => return Ok(()),
        (Some(naa), Some(its)) => format!("{naa} and {its}"),
        (None, _) | (_, None) => "one of them has no NAA identifier".to_owned(),
    };
    Err(DevicesError::NotOneUnit { first: first.clone(), other: other.clone(), why })
}
