//! Units of ours, made through configfs: targetcli takes seconds for each.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::command::run;
use crate::configfs::Folder;
use crate::disk::Disk;
use crate::nexuses::Nexuses;

/// A unit, its initiators, and what its file lies on.
pub(super) struct Unit {
    folder: Folder,
    nexuses: Nexuses,
    small: Option<PathBuf>,
}

/// How one is to be.
pub(super) struct Spec {
    pub(super) name: &'static str,
    /// Differs among those that are there at the same time.
    pub(super) number: u8,
    pub(super) initiators: u8,
    pub(super) mebibytes: u64,
    /// How much room there is for its file, if less; as `size=` of tmpfs wants it.
    pub(super) room: Option<&'static str>,
    pub(super) read_only: bool,
}

impl Spec {
    /// A unit that is as it should be.
    pub(super) const fn large(name: &'static str, number: u8) -> Self {
        Self { name, number, initiators: 1, mebibytes: 512, room: None, read_only: false }
    }

    /// Makes it.
    ///
    /// # Errors
    /// Something refused.
    pub(super) fn make(&self) -> Result<Unit> {
        let Self { name, number, initiators, mebibytes, room, read_only } = *self;
        let small = room.map(|room| mounted(name, room)).transpose()?;
        let place = small.as_deref().unwrap_or_else(|| Path::new("/srv"));
        let file = place.join(format!("{name}.img"));
        let bytes = mebibytes << 20;
        if read_only {
            // A handler that may not write does not make a file, either.
            fs::File::create(&file)?.set_len(bytes)?;
        }
        let option = if read_only { ";read-only=yes" } else { "" };
        let config = format!("pulsefield/file/{}{option}", file.display());
        let folder = Folder::create_user(
            &format!("user_{}", 800 + u32::from(number)),
            name,
            &config,
            bytes,
        )?;
        // The kernel makes the NAA designator of the first 25 hexadecimal digits.
        folder.write(
            "wwn/vpd_unit_serial",
            &format!("bad1{number:04x}-0000-4000-8000-000000000000"),
        )?;
        let nexuses = Nexuses::export(&folder, number, initiators)?;
        Ok(Unit { folder, nexuses, small })
    }
}

impl Unit {
    /// A path for each initiator.
    pub(super) fn disks(&self) -> &[Disk] {
        &self.nexuses.disks
    }

    /// The device node of its first path.
    pub(super) fn node(&self) -> String {
        self.disks()[0].block.to_string_lossy().into_owned()
    }

    /// Takes it away.
    ///
    /// # Errors
    /// Something refused.
    pub(super) fn remove(self) -> Result<()> {
        self.nexuses.withdraw()?;
        self.folder.remove()?;
        if let Some(small) = self.small {
            run("umount", [&small]).output()?;
        }
        Ok(())
    }
}

/// A file system with so much room.
fn mounted(name: &str, room: &str) -> Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("room-{name}"));
    fs::create_dir_all(&folder)?;
    let size = format!("size={room}");
    run("mount", ["-t", "tmpfs", "-o", &size, "pulsefield", &folder.to_string_lossy()]).output()?;
    Ok(folder)
}
