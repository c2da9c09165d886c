//! How long one COMPARE AND WRITE takes, with nothing else going on.

use std::time::Instant;

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::disk::Disk;
use crate::tally::Tally;

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

/// Sends `count` commands back to back, each of which succeeds.
///
/// # Errors
/// One did not succeed, or `count` is zero.
pub fn measure(disk: &Disk, lba: u64, count: usize) -> Result<Latency> {
    let device = disk.open()?;
    let mut tally = Tally::ZERO;
    device.write_block(lba, tally.as_bytes())?;
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let next = tally.incremented_by(0);
        let sent = Instant::now();
        let reply = device.compare_and_write(lba, tally.as_bytes(), next.as_bytes())?;
        times.push(sent.elapsed().as_micros());
        ensure!(reply.is_good(), "COMPARE AND WRITE over {}: {}", disk.transport, reply.answer());
        tally = next;
    }
    Latency::of(times)
}

impl Latency {
    fn of(mut times: Vec<u128>) -> Result<Self> {
        times.sort_unstable();
        let at = |percent: usize| times.get((times.len() * percent / 100).min(times.len() - 1));
        ensure!(!times.is_empty(), "nothing was measured");
        Ok(Self {
            p50_us: at(50).copied().unwrap_or_default(),
            p99_us: at(99).copied().unwrap_or_default(),
            max_us: at(100).copied().unwrap_or_default(),
        })
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
