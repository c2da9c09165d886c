//! The scripts of targetcli-examples, each on its own, exactly as they stand.

use anyhow::{Context, Result};

use crate::backstore::{Backstore, Kind};
use crate::examples::Example;
use crate::fabric;
use crate::report::Report;

/// What the scripts make when nobody sets anything.
const NAME: &str = "ds1";
const SIZE: &str = "1G";

pub(super) fn run(report: &mut Report) -> Result<()> {
    for example in Example::ALL {
        let help = example.help()?;
        let complete = help.contains("usage:") && help.contains("Undo:");
        report.equal(&format!("{} --help", example.file_name()), true, complete);
    }
    let ds1 = Backstore::new(Kind::Pulsefield, NAME, SIZE);
    for fabric in fabric::ALL {
        let script = fabric.example();
        report.step(format!("{} without any setting", script.file_name()));
        if report.works(script.file_name(), script.run(&[])).is_none() {
            continue;
        }
        let disks = fabric::attach(fabric, &ds1.serial()?)?;
        let device = disks.first().context("no path")?.open()?;
        let capacity = device.capacity()?;
        let bytes = capacity.blocks * u64::from(capacity.block_bytes);
        report.equal(&format!("{}: capacity", script.file_name()), ds1.bytes()?, bytes);
        let block = [0x5a; 512];
        device.write_block(1, &block)?;
        let read = device.read_block(1, capacity.block_bytes)?;
        report.equal(&format!("{}: data", script.file_name()), true, read == block);
        drop(device);
        fabric::detach(fabric)?;
        // As `--help` says: the target goes, the backstore stays.
        fabric::unexport(fabric)?;
    }
    ds1.delete()
}
