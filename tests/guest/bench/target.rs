//! Logical units and their loopback paths, made by hand: targetcli takes seconds for each.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::configfs::Folder;
use crate::disk::{Disk, Transport};
use crate::wait::wait_for;

const TARGET: &str = "/sys/kernel/config/target/loopback/naa.50014050000000b1";
/// The initiator's name; any other than the target's.
const NEXUS: &str = "naa.50014050000000b2";
/// How long a disk may take to appear, with an emulated processor.
const ATTACH_LIMIT: Duration = Duration::from_secs(60);

/// A loopback target and what it exports.
#[derive(Debug)]
pub(super) struct Target {
    luns: Vec<Lun>,
    /// How many were ever made: each has names and a serial number of its own.
    made: u32,
}

/// What was made for one logical unit.
#[derive(Debug)]
struct Lun {
    folder: Folder,
    number: PathBuf,
    link: PathBuf,
}

impl Target {
    /// A target without logical units.
    ///
    /// # Errors
    /// configfs refused it.
    pub(super) fn new() -> Result<Self> {
        let group = Path::new(TARGET).join("tpgt_1");
        fs::create_dir_all(&group).context("creating a loopback target")?;
        fs::write(group.join("nexus"), NEXUS).context("naming its initiator")?;
        Ok(Self { luns: Vec::new(), made: 0 })
    }

    /// Makes a backstore of `plugin` and gives it a serial number, which it returns.
    ///
    /// # Errors
    /// configfs refused it.
    pub(super) fn create(
        &mut self,
        name: &str,
        (plugin, control): (&str, Vec<String>),
    ) -> Result<String> {
        let number = self.made;
        self.made += 1;
        let folder = Folder::create(&format!("{plugin}_{}", 700 + number), name, &control)?;
        // The kernel makes the NAA designator of the first 25 hexadecimal digits.
        let serial = format!("be9c{number:04x}-0000-4000-8000-000000000000");
        folder.write("wwn/vpd_unit_serial", &serial)?;
        let place = Path::new(TARGET).join(format!("tpgt_1/lun/lun_{number}"));
        self.luns.push(Lun { folder, link: place.join(name), number: place });
        Ok(serial)
    }

    /// Exports what was made last. The kernel looks at it before this returns, and its disk driver soon
    /// after.
    ///
    /// # Errors
    /// configfs refused it.
    pub(super) fn export(&self) -> Result<()> {
        let lun = self.luns.last().context("nothing was made")?;
        fs::create_dir(&lun.number).context("creating a LUN")?;
        symlink(lun.folder.path(), &lun.link).context("exporting a backstore")
    }

    /// Takes everything away.
    ///
    /// # Errors
    /// configfs refused.
    pub(super) fn remove(self) -> Result<()> {
        for lun in self.luns {
            if lun.link.exists() {
                fs::remove_file(&lun.link).context("withdrawing a backstore")?;
                fs::remove_dir(&lun.number).context("removing a LUN")?;
            }
            lun.folder.remove()?;
        }
        let group = Path::new(TARGET).join("tpgt_1");
        fs::write(group.join("nexus"), "NULL").context("removing the initiator")?;
        fs::remove_dir(group).context("removing the target's group")?;
        fs::remove_dir(TARGET).context("removing the target")
    }
}

/// Waits for the disk of the unit with this serial number.
///
/// # Errors
/// It did not come.
pub(super) fn disk(serial: &str) -> Result<Disk> {
    wait_for(ATTACH_LIMIT, "a disk over loopback", || {
        Ok(Disk::find(Transport::Loopback, serial)?.into_iter().next())
    })
}
