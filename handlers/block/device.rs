//! Finding, claiming and opening the device, and saying exactly why that cannot be done.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{major, minor};
use pulsefield_backstore::{Claim, OpenError};

use crate::holders;
use crate::limits::Limits;

/// A device that is open and ours alone.
pub(crate) struct Device {
    pub(crate) file: File,
    pub(crate) limits: Limits,
    /// Who keeps others off the device, if not this open file itself.
    pub(crate) claim: Option<Claim>,
}

/// Says whether [`Device::open`] would succeed.
pub(crate) fn check(path: &Path, read_only: bool) -> Result<(), OpenError> {
    find(path, read_only)?;
    // Claimed for a moment only: that is how one learns that somebody else has it. Not for writing,
    // since udev examines a device again once it is closed by somebody who could write.
    claim(path, true, false).map(drop)
}

impl Device {
    /// Opens the device at `path` for us alone. A device that `predecessor` is on is not claimed
    /// once more, but left to that.
    pub(crate) fn open(
        path: &Path,
        read_only: bool,
        direct: bool,
        predecessor: Option<&Claim>,
    ) -> Result<Self, OpenError> {
        let (metadata, limits) = find(path, read_only)?;
        let is_on = |claim: &Claim| claim.is_on(&metadata).map_err(refused("examine", path));
        let predecessor = match predecessor {
            Some(claim) if is_on(claim)? => Some(claim.clone()),
            Some(_) | None => None,
        };
        let file = match &predecessor {
            Some(_) => open(path, read_only, direct, OFlag::empty())?,
            None => claim(path, read_only, direct)?,
        };
        Ok(Self { file, limits, claim: predecessor })
    }
}

/// The device at `path` and what it says of itself. Looks before anything is opened: to open a pipe or a
/// character device can have effects of its own.
fn find(path: &Path, read_only: bool) -> Result<(Metadata, Limits), OpenError> {
    let metadata = fs::metadata(path).map_err(refused("open", path))?;
    if !metadata.file_type().is_block_device() {
        let found = metadata.file_type();
        return Err(OpenError::other_kind(path, found, "block device", "block"));
    }
    let limits = Limits::read(&sysfs_entry(&metadata)).map_err(refused("examine", path))?;
    if limits.zoned {
        return Err(OpenError::Zoned { path: text(path) });
    }
    if limits.read_only && !read_only {
        return Err(OpenError::NotWritable { path: text(path), source: Errno::EROFS.into() });
    }
    Ok((metadata, limits))
}

/// On a block device `O_EXCL` claims it: whoever has mounted it, built on it, or claimed it in turn
/// is in the way, and nobody can do so while it is open (`open(2)`).
fn claim(path: &Path, read_only: bool, direct: bool) -> Result<File, OpenError> {
    open(path, read_only, direct, OFlag::O_EXCL)
}

fn open(path: &Path, read_only: bool, direct: bool, flags: OFlag) -> Result<File, OpenError> {
    let flags = if direct { flags | OFlag::O_DIRECT } else { flags };
    let mut options = OpenOptions::new();
    options.read(true).write(!read_only).custom_flags(flags.bits());
    options.open(path).map_err(|source| match source.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EBUSY) => in_use(path),
        Some(Errno::EACCES | Errno::EPERM | Errno::EROFS) if !read_only => {
            OpenError::NotWritable { path: text(path), source }
        }
        _ => refused("open", path)(source),
    })
}

fn in_use(path: &Path) -> OpenError {
    let holder = fs::metadata(path)
        .ok()
        .and_then(|metadata| holders::find(Path::new("/proc"), &sysfs_entry(&metadata)));
    match holder {
        Some(holder) => OpenError::Held { path: text(path), holder },
        None => OpenError::InUse { path: text(path) },
    }
}

/// The directory of a device in sysfs.
fn sysfs_entry(metadata: &Metadata) -> PathBuf {
    let number = metadata.rdev();
    PathBuf::from(format!("/sys/dev/block/{}:{}", major(number), minor(number)))
}

fn refused(action: &'static str, path: &Path) -> impl Fn(io::Error) -> OpenError {
    let path = text(path);
    move |source| OpenError::Io { action, path: path.clone(), source }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
