//! Four fabrics in one kernel: target side by the scripts in `targetcli-examples`, initiator side here.

mod fc;
mod iscsi;
mod loopback;
mod srp;

use std::time::Duration;

use anyhow::{Context, Result};

use crate::backstore::{Backstore, Kind};
use crate::command::run;
use crate::configfs::Folder;
use crate::disk::{Disk, Transport};
use crate::examples::Example;
use crate::targetcli::targetcli;
use crate::wait::wait_for;

pub use fc::Fc;
pub use iscsi::{Iscsi, PORTALS, TARGET as ISCSI_TARGET};
pub use loopback::Loopback;
pub use srp::Srp;

/// How long an initiator may take to find a logical unit: FLOGI and PLOGI over VN2VN take some
/// seconds, and the CPU is emulated.
const DISCOVERY_LIMIT: Duration = Duration::from_secs(90);

/// One fabric.
pub trait Fabric: Sync {
    /// Which one.
    fn transport(&self) -> Transport;

    /// The script that exports over it.
    fn example(&self) -> Example;

    /// Makes the initiator log in, or look again if it has.
    ///
    /// # Errors
    /// What the initiator's programs said.
    fn log_in(&self) -> Result<()>;

    /// Makes the initiator forget the target.
    ///
    /// # Errors
    /// What the initiator's programs said.
    fn log_out(&self) -> Result<()>;

    /// The target's path in targetcli.
    ///
    /// # Errors
    /// The port it is named after is not there.
    fn target(&self) -> Result<(String, String)>;

    /// How many paths an initiator has.
    fn paths(&self) -> usize {
        1
    }
}

/// All of them, in the order in which they are brought up. FC comes with its target first: an
/// initiator that logs in before has a remote port without a SCSI target for ever.
pub const ALL: [&dyn Fabric; 4] = [&Loopback, &Iscsi, &Fc, &Srp];

/// Exports a backstore, making it if it is missing. The scripts know how to make ours.
///
/// # Errors
/// What the script said.
pub fn export(fabric: &dyn Fabric, backstore: &Backstore) -> Result<()> {
    if backstore.kind != Kind::Pulsefield && Folder::find(&backstore.name)?.is_none() {
        backstore.create()?;
    }
    fabric
        .example()
        .run(&[
            ("BACKSTORES", backstore.kind.folder()),
            ("NAME", &backstore.name),
            ("SIZE", &backstore.size),
            ("CFGSTRING", &backstore.cfgstring),
        ])
        .with_context(|| format!("exporting over {}", fabric.transport()))
}

/// Logs in and waits for every path to the backstore.
///
/// # Errors
/// The paths did not come.
pub fn attach(fabric: &dyn Fabric, serial: &str) -> Result<Vec<Disk>> {
    let transport = fabric.transport();
    fabric.log_in().with_context(|| format!("logging in over {transport}"))?;
    wait_for(DISCOVERY_LIMIT, &format!("the paths over {transport}"), || {
        let disks = Disk::find(transport, serial)?;
        Ok((disks.len() == fabric.paths()).then_some(disks))
    })
}

/// Makes the initiator forget the target, once nothing in this guest still looks at its disks.
///
/// # Errors
/// What the initiator's programs said.
pub fn detach(fabric: &dyn Fabric) -> Result<()> {
    settle()?;
    fabric.log_out().with_context(|| format!("logging out over {}", fabric.transport()))
}

/// Waits until udev is through with what it knows of: it reads a disk again whenever somebody who
/// wrote to it has closed it, and a read that meets the end of its path is an I/O error in the log.
fn settle() -> Result<()> {
    run("udevadm", ["settle"]).output().map(drop).context("waiting for udev")
}

/// Deletes the target.
///
/// # Errors
/// What targetcli said.
pub fn unexport(fabric: &dyn Fabric) -> Result<()> {
    settle()?;
    let (folder, target) = fabric.target()?;
    targetcli(&[&folder, "delete", &target])
        .map(drop)
        .with_context(|| format!("deleting the target of {}", fabric.transport()))
}

/// Exports a backstore over loopback, making it if it is one of ours and missing, and attaches it.
///
/// # Errors
/// One of them failed.
pub fn over_loopback(backstore: &Backstore) -> Result<Disk> {
    export(&Loopback, backstore)?;
    let disks = attach(&Loopback, &backstore.serial()?)?;
    disks.into_iter().next().context("no path over loopback")
}

/// Exports a backstore over every fabric and attaches all of it: the first path of each fabric first.
///
/// # Errors
/// One of them failed.
pub fn export_everywhere(backstore: &Backstore) -> Result<Vec<Disk>> {
    export_over(&ALL, backstore)
}

/// Exports a backstore over each of `fabrics` and attaches it: the first path of each.
///
/// # Errors
/// One of them failed.
pub fn export_over(fabrics: &[&dyn Fabric], backstore: &Backstore) -> Result<Vec<Disk>> {
    fabrics.iter().try_for_each(|fabric| export(*fabric, backstore))?;
    attach_over(fabrics, &backstore.serial()?)
}

/// Attaches one backstore over every fabric; one path of each.
///
/// # Errors
/// One of them failed.
pub fn attach_everywhere(serial: &str) -> Result<Vec<Disk>> {
    attach_over(&ALL, serial)
}

fn attach_over(fabrics: &[&dyn Fabric], serial: &str) -> Result<Vec<Disk>> {
    fabrics
        .iter()
        .map(|fabric| {
            let disks = attach(*fabric, serial)?;
            disks.into_iter().next().context("a fabric without a path")
        })
        .collect()
}

/// Makes every initiator forget its target.
///
/// # Errors
/// One of them failed.
pub fn detach_everywhere() -> Result<()> {
    ALL.iter().try_for_each(|fabric| detach(*fabric))
}
