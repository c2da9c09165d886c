//! One VMFS lock that hosts on several paths take over and over: whether each taking that was
//! acknowledged is one that counts.
//!
//! The lock's own token is the sum: each COMPARE AND WRITE that is answered GOOD adds one. Unlike a
//! `race`, which explains every MISCOMPARE of a sound target, this only sums up, so that a target that
//! breaks on purpose can be measured with it.

use std::thread;

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;

use crate::disk::Disk;
use crate::reply::Answer;
use crate::tally::SECTOR;
use crate::vmfs;

/// What it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Hammered {
    /// Takings that were answered GOOD.
    pub acknowledged: u64,
    /// Takings that met a lock that another had taken.
    pub miscompared: u64,
    /// Takings that the lock itself counts.
    pub counted: u64,
}

/// Takes the lock on block `lba` `times` over each of `disks`, all at once.
///
/// # Errors
/// An answer that is neither GOOD nor MISCOMPARE and that no driver tries again after.
pub fn hammer(disks: &[Disk], lba: u64, times: usize) -> Result<Hammered> {
    let first = disks.first().context("a hammer needs a disk")?.open()?;
    first.write_block(lba, &vmfs::lock(0))?;
    let each: Vec<_> = thread::scope(|scope| {
        let hosts: Vec<_> =
            disks.iter().map(|disk| scope.spawn(|| take(disk, lba, times))).collect();
        let joined = hosts.into_iter().map(|host| {
            host.join().unwrap_or_else(|_| bail!("a host that takes the lock panicked"))
        });
        joined.collect::<Result<_>>()
    })?;
    Ok(Hammered {
        acknowledged: each.iter().map(|(acknowledged, _)| acknowledged).sum(),
        miscompared: each.iter().map(|(_, miscompared)| miscompared).sum(),
        counted: vmfs::token(&sector(&first.read_block(lba, u32::try_from(SECTOR)?)?)?),
    })
}

/// How often the lock was taken, and how often another was faster.
fn take(disk: &Disk, lba: u64, times: usize) -> Result<(u64, u64)> {
    let device = disk.open()?;
    let (mut acknowledged, mut miscompared) = (0, 0);
    for _ in 0..times {
        let there = sector(&device.read_block(lba, u32::try_from(SECTOR)?)?)?;
        let next = vmfs::lock(vmfs::token(&there) + 1);
        let answer = device.compare_and_write(lba, &there, &next)?.answer();
        acknowledged += u64::from(answer == Answer::Good);
        miscompared += u64::from(answer == Answer::MISCOMPARE);
        let clear = matches!(answer, Answer::Good | Answer::MISCOMPARE) || answer.is_tried_again();
        ensure!(clear, "taking the lock over {}: {answer}", disk.transport);
    }
    Ok((acknowledged, miscompared))
}

fn sector(block: &[u8]) -> Result<[u8; SECTOR]> {
    Ok(block.try_into()?)
}
