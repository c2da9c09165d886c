//! The scratch area of a run: looking what a unit holds, formatting it, and finding one's way on it.

use std::time::Duration;

use pulsefield_checkers::HostId;
use pulsefield_cluster::{Scratch, Ticket};
use pulsefield_hosts::{Geometry, Io, Locking, MountedVolume, Outcome};
use pulsefield_initiator::{Words, is_unit_attention};
use pulsefield_units::{BlockCount, BlockLength, Lba, LbaRange};
use pulsefield_vmfs::format::{Destructive, Format, FormatError, LockArea, METADATA_END, Occupant};
use pulsefield_vmfs::{LockKind, Version, Volume, VolumeUuid};
use thiserror::Error;

use crate::transport::{Happening, Transport, TransportError};

/// The region for bulk I/O: small enough that many commands meet there, and that checkers know each block.
const BULK_BYTES: u64 = 32 << 20;

/// How many locks all files share. Hosts with more would seldom meet.
const RESOURCES: usize = 24;

/// How long a command may take while a run is prepared.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is known of a logical unit.
#[derive(Clone, Debug)]
pub(crate) struct UnitFacts {
    /// What people call it.
    pub(crate) name: String,
    /// Vendor, product and revision.
    pub(crate) product: String,
    /// Its capacity.
    pub(crate) blocks: BlockCount,
    /// The length of its blocks.
    pub(crate) block_length: BlockLength,
    /// Whether what is unmapped reads zeros.
    pub(crate) unmaps_to_zeros: bool,
    /// Whether it copies within itself.
    pub(crate) copies: bool,
}

impl UnitFacts {
    /// Its capacity in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.block_length.bytes_of(self.blocks).unwrap_or(u64::MAX)
    }
}

/// A unit that is ready for a run.
pub(crate) struct Area {
    /// What hosts mount.
    pub(crate) volume: MountedVolume,
    /// Where they work.
    pub(crate) scratch: Scratch,
}

/// Why a unit is not ready.
#[derive(Debug, Error)]
pub enum PrepareError {
    /// It holds something that somebody may miss.
    #[error("{unit} is not touched: {why}; --destroy says it once")]
    Holds {
        /// The unit.
        unit: String,
        /// What.
        why: Destructive,
    },
    /// It cannot be formatted.
    #[error("{unit} cannot be used")]
    Format {
        /// The unit.
        unit: String,
        /// Why not.
        source: FormatError,
    },
    /// A command failed.
    #[error("{unit} cannot be {action}: the answer at byte {offset} was {outcome}")]
    Command {
        /// The unit.
        unit: String,
        /// What was tried: "read", "written".
        action: &'static str,
        /// Where.
        offset: u64,
        /// What was answered.
        outcome: String,
    },
    /// What was written is not what is read.
    #[error("{unit} was formatted, and no volume is found on it: it does not keep what is written")]
    NotKept {
        /// The unit.
        unit: String,
    },
    /// It is gone.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// Formats a unit for a run, if it holds nothing of value or it was `told` twice that that may be destroyed.
///
/// # Errors
/// [`PrepareError`]. Nothing was written if the unit holds something or cannot be formatted.
pub(crate) fn prepare(
    transport: &mut impl Transport,
    unit: &UnitFacts,
    locking: Locking,
    told: u8,
) -> Result<Area, PrepareError> {
    let mut preparing = Preparing { transport, unit };
    let occupant = Occupant::recognise(unit.bytes(), |offset, buffer: &mut [u8]| {
        preparing.read(offset, buffer)
    })?;
    let name = || unit.name.clone();
    occupant.may_be_destroyed(told).map_err(|why| PrepareError::Holds { unit: name(), why })?;
    let unique = preparing.transport.now().as_nanos();
    let block_bytes = u64::from(unit.block_length.bytes());
    let uuid = VolumeUuid::scratch(unique);
    let format = Format::new(Version::VMFS_6, unit.bytes(), block_bytes, uuid);
    let pieces = format.pieces().map_err(|source| PrepareError::Format { unit: name(), source })?;
    for piece in pieces {
        preparing.write(piece.offset, piece.bytes)?;
    }
    let volume = Volume::locate(|offset, buffer: &mut [u8]| {
        preparing.read(offset, buffer).map_err(std::io::Error::other)
    });
    let volume = volume.map_err(|_| PrepareError::NotKept { unit: name() })?;
    area(&volume, unit, locking).ok_or_else(|| PrepareError::NotKept { unit: name() })
}

/// Where everything is.
fn area(volume: &Volume, unit: &UnitFacts, locking: Locking) -> Option<Area> {
    let file_system = volume.file_system.as_ref()?;
    let (version, start, block_length) =
        (file_system.version, volume.data_start(), unit.block_length);
    let geometry = Geometry { block_length, start, version, heartbeats: file_system.heartbeats };
    let locks = |kind| {
        let areas = LockArea::of(version).iter().filter(move |area| area.kind == kind);
        areas.flat_map(LockArea::addresses)
    };
    let first = Lba::new(block_length.blocks_in(start + METADATA_END).as_u64());
    let bulk = LbaRange::new(first, block_length.blocks_in(BULK_BYTES))?;
    let scratch = Scratch {
        block_length,
        machines: locks(LockKind::FileDescriptor).collect(),
        resources: locks(LockKind::FileBlockCluster).take(RESOURCES).collect(),
        bulk,
        unmaps_to_zeros: unit.unmaps_to_zeros,
        copies: unit.copies,
    };
    bulk.fits(unit.blocks).then_some(Area { volume: MountedVolume { geometry, locking }, scratch })
}

/// A unit that is being prepared: one command after the other, by the first host.
struct Preparing<'p, T> {
    transport: &'p mut T,
    unit: &'p UnitFacts,
}

impl<T: Transport> Preparing<'_, T> {
    fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize, PrepareError> {
        let length = u64::try_from(buffer.len()).unwrap_or(u64::MAX);
        let left = self.unit.bytes().saturating_sub(offset).min(length);
        // What is asked for may end within a block of 4096 bytes.
        let block_length = self.unit.block_length;
        let blocks = left.div_ceil(block_length.bytes().into());
        let first = block_length.blocks_in(offset);
        let within = usize::try_from(offset % u64::from(block_length.bytes())).unwrap_or(0);
        let Some(range) = LbaRange::new(Lba::new(first.as_u64()), BlockCount::new(blocks)) else {
            return Ok(0);
        };
        let data = self.carry_out("read", offset, Io::Read(range))?;
        let data = data.get(within..).unwrap_or_default();
        let read = data.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        buffer[..read].copy_from_slice(&data[..read]);
        Ok(read)
    }

    fn write(&mut self, offset: u64, data: Vec<u8>) -> Result<(), PrepareError> {
        let lba = Lba::new(self.unit.block_length.blocks_in(offset).as_u64());
        self.carry_out("written", offset, Io::Write { lba, data })?;
        Ok(())
    }

    /// Carries out a command; once more if the unit had something else to say first.
    fn carry_out(
        &mut self,
        action: &'static str,
        offset: u64,
        io: Io,
    ) -> Result<Vec<u8>, PrepareError> {
        let mut outcome = self.ask(io.clone())?;
        if is_unit_attention(&outcome) {
            outcome = self.ask(io)?;
        }
        if let Outcome::Good(data) = outcome {
            return Ok(data);
        }
        let (unit, outcome) = (self.unit.name.clone(), Words(&outcome).to_string());
        Err(PrepareError::Command { unit, action, offset, outcome })
    }

    fn ask(&mut self, io: Io) -> Result<Outcome, PrepareError> {
        self.transport.submit(Ticket(0), HostId(0), io, PATIENCE);
        // Twice as long as the command has: that it is aborted takes time, too.
        let until = self.transport.now().after(2 * PATIENCE);
        loop {
            match self.transport.wait(until)? {
                Some(Happening::Ended { outcome, .. }) => return Ok(outcome),
                // Before a run nobody keeps account of paths.
                Some(Happening::Path { .. }) => {}
                None => return Ok(Outcome::TimedOut),
            }
        }
    }
}
