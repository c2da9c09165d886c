//! How long one command takes of those that are sent one at a time.

use std::time::Instant;

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::disk::Disk;
use crate::sg::Device;
use crate::tally::{SECTOR, Tally};

/// What was measured, in µs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// Half of the commands took no longer.
    pub p50_us: u128,
    /// All but one in a hundred took no longer.
    pub p99_us: u128,
    /// None took longer.
    pub max_us: u128,
}

/// Sends commands to one block, one at a time.
#[derive(Debug)]
pub struct Prober {
    device: Device,
    lba: u64,
    tally: Tally,
}

impl Prober {
    /// For block `lba`, which nobody else writes to.
    ///
    /// # Errors
    /// It could not be written to.
    pub fn new(disk: &Disk, lba: u64) -> Result<Self> {
        let (device, tally) = (disk.open()?, Tally::ZERO);
        device.write_block(lba, tally.as_bytes())?;
        Ok(Self { device, lba, tally })
    }

    /// How long one COMPARE AND WRITE takes, in µs.
    ///
    /// # Errors
    /// It did not succeed.
    pub fn compare_and_write(&mut self) -> Result<u128> {
        let next = self.tally.incremented_by(0);
        let sent = Instant::now();
        let reply =
            self.device.compare_and_write(self.lba, self.tally.as_bytes(), next.as_bytes())?;
        let took = sent.elapsed().as_micros();
        let path = self.device.path().display();
        ensure!(reply.is_good(), "COMPARE AND WRITE on {path}: {}", reply.answer());
        self.tally = next;
        Ok(took)
    }

    /// How long one READ takes, in µs.
    ///
    /// # Errors
    /// It did not succeed.
    pub fn read(&self) -> Result<u128> {
        let sent = Instant::now();
        self.device.read_block(self.lba, u32::try_from(SECTOR)?)?;
        Ok(sent.elapsed().as_micros())
    }
}

/// Sends `count` COMPARE AND WRITEs back to back, each of which succeeds.
///
/// # Errors
/// One did not succeed, or `count` is zero.
pub fn measure(disk: &Disk, lba: u64, count: usize) -> Result<Latency> {
    let mut prober = Prober::new(disk, lba)?;
    let times = (0..count).map(|_| prober.compare_and_write()).collect::<Result<_>>()?;
    Latency::of(times)
}

impl Latency {
    /// Of commands that took so long, in µs each.
    ///
    /// # Errors
    /// There are none.
    pub fn of(mut times: Vec<u128>) -> Result<Self> {
        times.sort_unstable();
        let at = |percent: usize| times.get((times.len() * percent / 100).min(times.len() - 1));
        ensure!(!times.is_empty(), "nothing was measured");
        Ok(Self {
            p50_us: at(50).copied().unwrap_or_default(),
            p99_us: at(99).copied().unwrap_or_default(),
            max_us: at(100).copied().unwrap_or_default(),
        })
    }

    /// How much longer half of the commands took than half of `undisturbed` ones.
    pub fn p50_ratio(&self, undisturbed: &Self) -> f64 {
        self.p50_us as f64 / undisturbed.p50_us as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_a_hundred() {
        let latency = Latency::of((1..=100).rev().collect()).unwrap();
        assert_eq!(latency, Latency { p50_us: 51, p99_us: 100, max_us: 100 });
        assert!(Latency::of(Vec::new()).is_err());
    }
}
