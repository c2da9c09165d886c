//! One host's heartbeat: a sector that it alone changes, by COMPARE AND WRITE, time after time.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::disk::Disk;
use crate::sg::Device;
use crate::tally::{SECTOR, Tally};

/// A heartbeat slot and what lies in it.
#[derive(Debug)]
pub struct Pulse {
    device: Device,
    lba: u64,
    /// What the next command compares with.
    current: Tally,
    /// Whether the medium keeps what is written to it; if not, the slot is zeros for ever.
    keeps: bool,
}

impl Pulse {
    /// Takes the slot at `lba`.
    ///
    /// # Errors
    /// It could not be written.
    pub fn start(disk: &Disk, lba: u64) -> Result<Self> {
        let device = disk.open()?;
        device.write_block(lba, &[0; SECTOR])?;
        Ok(Self { device, lba, current: Tally::ZERO, keeps: true })
    }

    /// Takes a slot on a medium that reads as zeros, whatever is written to it.
    ///
    /// # Errors
    /// The disk could not be opened.
    pub fn start_on_nothing(disk: &Disk, lba: u64) -> Result<Self> {
        Ok(Self { device: disk.open()?, lba, current: Tally::ZERO, keeps: false })
    }

    /// Sends one command; says how long it took.
    ///
    /// # Errors
    /// It did not succeed.
    pub fn beat(&mut self) -> Result<Duration> {
        let next = if self.keeps { self.current.incremented_by(0) } else { Tally::ZERO };
        let (compare, write) = (self.current.as_bytes(), next.as_bytes());
        let sent = Instant::now();
        let reply = self.device.compare_and_write(self.lba, compare, write)?;
        let took = sent.elapsed();
        let path = self.device.path().display();
        ensure!(reply.is_good(), "COMPARE AND WRITE on {path}: {}", reply.answer());
        self.current = next;
        Ok(took)
    }

    /// Reads the slot; says how long that took.
    ///
    /// # Errors
    /// It did not succeed.
    pub fn look(&self) -> Result<Duration> {
        let sent = Instant::now();
        self.device.read_block(self.lba, u32::try_from(SECTOR)?)?;
        Ok(sent.elapsed())
    }
}
