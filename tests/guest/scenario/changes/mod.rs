//! What initiators see of a logical unit that changes under them: paths, size, settings, medium, space.

mod medium;
mod paths;
mod settings;
mod size;
mod space;

use anyhow::{Context, Result};

use crate::backstore::{Backstore, Kind};
use crate::cdb;
use crate::daemon;
use crate::disk::{COMMAND_LIMIT, Disk};
use crate::fabric;
use crate::reply::Answer;
use crate::report::Report;
use crate::sg::{Data, Device};

const BLOCK: usize = 512;
/// The units that are not like others.
const CONFIGURATION: &str = "[lun.protected]\nread_only = true\n\
    [lun.disc]\nremovable = true\n\
    [pool.small]\nlimit = \"32MiB\"\nthresholds = [\"50%\"]\n\
    [lun.one]\npool = \"small\"\n\
    [lun.two]\npool = \"small\"\n";

pub(super) fn run(report: &mut Report) -> Result<()> {
    daemon::configure(CONFIGURATION)?;
    let ds1 = Backstore::new(Kind::Pulsefield, "ds1", "64M");
    let devices =
        fabric::export_everywhere(&ds1)?.iter().map(Disk::open).collect::<Result<Vec<_>>>()?;
    let first = devices.first().context("no fabric")?;
    paths::run(report, &ds1, &devices)?;
    size::run(report, &ds1, &devices)?;
    settings::run(report, first)?;
    drop(devices);
    fabric::detach_everywhere()?;
    for fabric in fabric::ALL {
        fabric::unexport(fabric)?;
    }
    ds1.delete()?;
    medium::run(report)?;
    space::run(report)
}

/// The answer to TEST UNIT READY, a unit attention included.
fn ready(device: &Device) -> Result<Answer> {
    Ok(device.execute(&cdb::TEST_UNIT_READY, Data::None, COMMAND_LIMIT)?.answer())
}
