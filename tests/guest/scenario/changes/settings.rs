//! MODE SELECT with SP = 1 is in force after a restart of the daemon; without, it is not.

use anyhow::Result;

use crate::cdb;
use crate::command::run as command;
use crate::daemon;
use crate::report::Report;
use crate::sg::{Data, Device};

/// D_SENSE of the Control mode page: sense data in descriptors.
const CHANGED: [&str; 3] = [
    "--page=0x0a",
    "--contents=0a,0a,04,00,00,00,00,00,00,00,00,00",
    "--mask=00,00,04,00,00,00,00,00,00,00,00,00",
];
const UNCHANGED: [&str; 3] = [
    "--page=0x0a",
    "--contents=0a,0a,00,00,00,00,00,00,00,00,00,00",
    "--mask=00,00,04,00,00,00,00,00,00,00,00,00",
];

pub(super) fn run(report: &mut Report, device: &Device) -> Result<()> {
    report.step("MODE SELECT, saved and not");
    select(device, &CHANGED, false)?;
    report.equal("D_SENSE", true, descriptors(device)?);
    restart()?;
    report.equal("D_SENSE after a restart, not saved", false, descriptors(device)?);
    select(device, &CHANGED, true)?;
    restart()?;
    report.equal("D_SENSE after a restart, saved", true, descriptors(device)?);
    select(device, &UNCHANGED, true)?;
    restart()?;
    report.equal("D_SENSE after a restart, saved back", false, descriptors(device)?);
    Ok(())
}

fn restart() -> Result<()> {
    daemon::stop()?;
    daemon::start()
}

fn select(device: &Device, change: &[&str], save: bool) -> Result<()> {
    let path = device.path().to_string_lossy();
    let save = save.then_some("--save");
    let words = change.iter().copied().chain(save).chain([&*path]);
    command("sg_wr_mode", words).output().map(drop)
}

/// Whether D_SENSE is set.
fn descriptors(device: &Device) -> Result<bool> {
    let mut page = [0; 64];
    device.must(&cdb::mode_sense_6(0x0a, 64), Data::In(&mut page))?;
    let at = 4 + usize::from(page[3]);
    Ok(page[at + 2] & 0x04 != 0)
}
