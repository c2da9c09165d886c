//! Several initiators to one unit, all in this kernel: loopback targets of which each has an initiator of its own.
//! To whoever keeps reservations they are as different as hosts on a fabric; and each is a path to the unit.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::command::run;
use crate::configfs::Folder;
use crate::disk::{Disk, Transport};
use crate::wait::wait_for;

const FABRIC: &str = "/sys/kernel/config/target/loopback";
/// How long disks may take to appear, with an emulated processor.
const ATTACH_LIMIT: Duration = Duration::from_secs(90);

/// The initiators of one unit.
#[derive(Debug)]
pub struct Nexuses {
    targets: Vec<PathBuf>,
    serial: String,
    /// The disk that each of them sees.
    pub disks: Vec<Disk>,
}

impl Nexuses {
    /// Exports a backstore to `count` initiators, and waits for the disk that each sees. Units that are exported at the
    /// same time differ in `number`.
    ///
    /// # Errors
    /// configfs refused it, or a disk did not come.
    pub fn export(backstore: &Folder, number: u8, count: u8) -> Result<Self> {
        let mut nexuses =
            Self { targets: Vec::new(), serial: backstore.serial()?, disks: Vec::new() };
        for nth in 0..count {
            // Of the target and of its initiator, who must not have the same name.
            let [target, initiator] =
                [0xa, 0xb].map(|end| format!("naa.500140500{number:02x}{nth:02x}00{end:x}"));
            let target = Path::new(FABRIC).join(target);
            let place = target.join("tpgt_1/lun/lun_0");
            fs::create_dir_all(target.join("tpgt_1")).context("creating a loopback target")?;
            nexuses.targets.push(target.clone());
            fs::write(target.join("tpgt_1/nexus"), initiator).context("naming its initiator")?;
            fs::create_dir(&place).context("creating a LUN")?;
            symlink(backstore.path(), place.join("unit")).context("exporting a backstore")?;
        }
        nexuses.disks = nexuses.attached()?;
        Ok(nexuses)
    }

    /// Waits for the disks of all initiators.
    ///
    /// # Errors
    /// One did not come.
    fn attached(&self) -> Result<Vec<Disk>> {
        wait_for(ATTACH_LIMIT, "the disks of all initiators", || {
            let disks = Disk::find(Transport::Loopback, &self.serial)?;
            Ok((disks.len() == self.targets.len()).then_some(disks))
        })
    }

    /// Takes the unit away from all of them.
    ///
    /// # Errors
    /// configfs refused.
    pub fn withdraw(self) -> Result<()> {
        // Of a disk that its initiator has forgotten the kernel keeps the target for ever (`tcm_loop_port_unlink`).
        self.disks.iter().try_for_each(Disk::look_again)?;
        self.attached()?;
        // Udev reads a disk again whenever somebody who could write has closed it.
        run("udevadm", ["settle"]).output().context("waiting for udev")?;
        for target in self.targets {
            let group = target.join("tpgt_1");
            let place = group.join("lun/lun_0");
            fs::remove_file(place.join("unit")).context("withdrawing a backstore")?;
            fs::remove_dir(place).context("removing a LUN")?;
            fs::write(group.join("nexus"), "NULL").context("removing an initiator")?;
            fs::remove_dir(group).context("removing a target's group")?;
            fs::remove_dir(target).context("removing a target")?;
        }
        Ok(())
    }
}
