//! Reservations, which LIO keeps for every backstore, on one logical unit over four fabrics: what an
//! initiator may do while another has reserved it, and that nothing of it reaches the medium otherwise.
//!
//! What the kernel does differently from the standards is named where it is seen, with its source; line
//! numbers are those of Linux 6.1.192.

mod access;
mod lists;
mod multipath;
mod persistent;
mod whole_unit;

use anyhow::{Context, Result};

use crate::backstore::{Backstore, Kind};
use crate::cdb;
use crate::disk::Disk;
use crate::fabric::{self, Iscsi};
use crate::reply::Answer;
use crate::report::Report;
use crate::sg::{Data, Device};

const BLOCK: usize = 512;
/// The block that initiators quarrel over.
const LBA: u64 = 4096;

/// Four initiators, one a fabric, and the second path of the one over iSCSI.
struct Initiators {
    each: Vec<Initiator>,
    second_path: Initiator,
}

/// One of them.
struct Initiator {
    disk: Disk,
    device: Device,
}

impl Initiator {
    fn new(disk: Disk) -> Result<Self> {
        let device = disk.open()?;
        Ok(Self { disk, device })
    }

    /// The answer to a READ of the block.
    fn read(&self) -> Result<Answer> {
        let mut block = [0; BLOCK];
        Ok(self.device.send(&cdb::read_16(LBA, 1), Data::In(&mut block))?.answer())
    }

    /// The answer to a WRITE of the block.
    fn write(&self, byte: u8) -> Result<Answer> {
        Ok(self.device.send(&cdb::write_16(LBA, 1), Data::Out(&[byte; BLOCK]))?.answer())
    }

    /// The answer to a COMPARE AND WRITE of the block.
    fn compare_and_write(&self, from: u8, to: u8) -> Result<Answer> {
        Ok(self.device.compare_and_write(LBA, &[from; BLOCK], &[to; BLOCK])?.answer())
    }
}

pub(super) fn run(report: &mut Report) -> Result<()> {
    report.step("exporting ds1 over loopback, iSCSI, FC and SRP");
    let ds1 = Backstore::new(Kind::Pulsefield, "ds1", "256M");
    let disks = fabric::export_everywhere(&ds1)?;
    let paths = fabric::attach(&Iscsi, &ds1.serial()?)?;
    let second = paths.into_iter().nth(1).context("iSCSI has one path only")?;
    let initiators = Initiators {
        each: disks.into_iter().map(Initiator::new).collect::<Result<_>>()?,
        second_path: Initiator::new(second)?,
    };
    whole_unit::run(report, &initiators)?;
    access::run(report, &initiators)?;
    persistent::run(report, &ds1, &initiators)?;
    lists::run(report, &initiators)?;
    multipath::run(report, &initiators)?;
    drop(initiators);
    fabric::detach_everywhere()?;
    for fabric in fabric::ALL {
        fabric::unexport(fabric)?;
    }
    ds1.delete()
}
