//! A medium in memory that does what SBC and SPC want of it, and nothing else.

use std::collections::BTreeMap;

use pulsefield_scsi::{Sense, Status};
use pulsefield_units::Lba;
use pulsefield_vmfs::{DiskLock, Heartbeat, HeartbeatState};

use crate::{Geometry, Io, Outcome, Sector};

/// A device with a volume of VMFS on it.
pub(crate) struct Medium {
    /// Whether it has COMPARE AND WRITE.
    pub(crate) has_ats: bool,
    /// Whether COMPARE AND WRITE compares.
    pub(crate) compares: bool,
    geometry: Geometry,
    blocks: BTreeMap<Lba, Vec<u8>>,
    reserved_by: Option<usize>,
}

impl Medium {
    /// Zeros.
    pub(crate) const fn blank(geometry: Geometry) -> Self {
        Self { has_ats: true, compares: true, geometry, blocks: BTreeMap::new(), reserved_by: None }
    }

    /// What formatting leaves: heartbeat slots that nobody ever used.
    pub(crate) fn formatted(geometry: Geometry) -> Self {
        let mut medium = Self::blank(geometry);
        medium.format(&geometry);
        medium
    }

    /// The same, of another volume on the device.
    pub(crate) fn format(&mut self, geometry: &Geometry) {
        for address in (0..).map_while(|slot| geometry.heartbeats.address(slot)) {
            if let Io::Write { lba, data } = geometry.write(address, &never_used(address).encode())
            {
                self.blocks.insert(lba, data);
            }
        }
    }

    /// Puts a sector there, past all hosts.
    pub(crate) fn put(&mut self, address: u64, sector: &Sector) {
        if let Io::Write { lba, data } = self.geometry.write(address, sector) {
            self.blocks.insert(lba, data);
        }
    }

    /// The block at an address of the volume.
    pub(crate) fn block(&self, address: u64) -> Vec<u8> {
        self.read(self.geometry.block(address).start())
    }

    /// The heartbeat in a slot.
    pub(crate) fn heartbeat(&self, slot: u64) -> Heartbeat {
        let address = self.geometry.heartbeats.address(slot).expect("there is such a slot");
        Heartbeat::decode(&self.block(address)).expect("nobody writes anything else there")
    }

    /// The lock at an address.
    pub(crate) fn lock(&self, address: u64) -> DiskLock {
        DiskLock::decode(&self.block(address)).expect("nobody writes anything else there")
    }

    /// Changes the heartbeat in a slot, past all hosts.
    pub(crate) fn change(&mut self, slot: u64, change: impl FnOnce(Heartbeat) -> Heartbeat) {
        let changed = change(self.heartbeat(slot));
        self.put(changed.address, &changed.encode());
    }

    /// Ends the reservation, if there is one.
    pub(crate) const fn release_all(&mut self) {
        self.reserved_by = None;
    }

    /// What becomes of an I/O of a host.
    pub(crate) fn execute(&mut self, host: usize, io: &Io) -> Outcome {
        let good = Outcome::Good(Vec::new());
        if self.reserved_by.is_some_and(|holder| holder != host) && *io != Io::BlockLimits {
            // SPC-2: RELEASE of another's reservation does nothing, and that is GOOD.
            return if *io == Io::Release { good } else { Outcome::ReservationConflict };
        }
        match io {
            Io::Read(blocks) => Outcome::Good(self.read(blocks.start())),
            Io::Write { lba, data } => {
                self.blocks.insert(*lba, data.clone());
                good
            }
            Io::CompareAndWrite { .. } if !self.has_ats => Outcome::Failed {
                status: Status::CheckCondition,
                sense: Some(Sense::invalid_opcode()),
            },
            Io::CompareAndWrite { lba, test, set } => {
                let there = self.read(*lba);
                let differs = there.iter().zip(test).position(|(there, test)| there != test);
                if let Some(offset) = differs.filter(|_| self.compares) {
                    return Outcome::Miscompare(Some(offset as u64));
                }
                self.blocks.insert(*lba, set.clone());
                good
            }
            Io::Reserve => {
                self.reserved_by = Some(host);
                good
            }
            Io::Release => {
                self.reserved_by = None;
                good
            }
            Io::BlockLimits => {
                let mut page = vec![0; 64];
                page[1] = 0xb0;
                page[5] = u8::from(self.has_ats);
                Outcome::Good(page)
            }
            Io::TestUnitReady => good,
            Io::Unmap(_)
            | Io::WriteZeros(_)
            | Io::LbaStatus(_)
            | Io::Copy { .. }
            | Io::LogicalUnitReset => {
                unreachable!("no host asks a medium for {io:?}")
            }
        }
    }

    fn read(&self, lba: Lba) -> Vec<u8> {
        let length = self.geometry.block_length.bytes() as usize;
        self.blocks.get(&lba).cloned().unwrap_or_else(|| vec![0; length])
    }
}

/// A slot that no host ever used.
const fn never_used(address: u64) -> Heartbeat {
    Heartbeat {
        state: HeartbeatState::Clear,
        address,
        generation: 0,
        stamp: std::time::Duration::ZERO,
        owner: None,
        journal: None,
        major_version: 0,
        minor_version: 0,
        lock_implementation: 0,
        management_address: None,
        journal_offset: 0,
        replaying_host: None,
        replaying_heartbeat: 0,
        replaying_generation: 0,
    }
}
