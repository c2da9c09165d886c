//! The kernel's target configuration as files: what targetcli does not show, or shows too slowly.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

const CORE: &str = "/sys/kernel/config/target/core";
/// What precedes the serial number in `wwn/vpd_unit_serial`.
const SERIAL_PREFIX: &str = "T10 VPD Unit Serial Number: ";

/// A backstore's folder, `core/<plugin>_<n>/<name>`.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder of the backstore of this name, if there is one.
    ///
    /// # Errors
    /// configfs could not be read.
    pub fn find(name: &str) -> Result<Option<Self>> {
        if !Path::new(CORE).exists() {
            return Ok(None);
        }
        for entry in fs::read_dir(CORE).context("reading the list of backstores")? {
            let folder = entry?.path().join(name);
            if folder.join("info").exists() {
                return Ok(Some(Self(folder)));
            }
        }
        Ok(None)
    }

    /// The folder of a backstore that must exist.
    ///
    /// # Errors
    /// It does not.
    pub fn of(name: &str) -> Result<Self> {
        Self::find(name)?.with_context(|| format!("there is no backstore {name}"))
    }

    /// Makes a user backstore the short way: no targetcli, no D-Bus.
    ///
    /// # Errors
    /// The kernel or the daemon refused it; nothing is left behind.
    pub fn create_user(hba: &str, name: &str, config: &str, bytes: u64) -> Result<Self> {
        Self::create(hba, name, &[format!("dev_config={config}"), format!("dev_size={bytes}")])
    }

    /// Makes any backstore the short way: `control` is what its plugin wants to know, each setting
    /// written by itself.
    ///
    /// # Errors
    /// The kernel, or the daemon behind it, refused it; nothing is left behind.
    pub fn create(hba: &str, name: &str, control: &[String]) -> Result<Self> {
        let path = Path::new(CORE).join(hba).join(name);
        fs::create_dir_all(&path).with_context(|| format!("creating {}", path.display()))?;
        let folder = Self(path);
        let mut told = control.iter().map(|setting| folder.write("control", setting));
        match told.try_for_each(|done| done).and_then(|()| folder.write("enable", "1")) {
            Ok(()) => Ok(folder),
            Err(error) => {
                folder.remove()?;
                Err(error)
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Removes a backstore that nothing exports.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn remove(self) -> Result<()> {
        fs::remove_dir(&self.0).with_context(|| format!("removing {}", self.0.display()))
    }

    /// Reads an attribute, such as `attrib/dev_size`.
    ///
    /// # Errors
    /// There is none, or the kernel refused.
    pub fn read(&self, attribute: &str) -> Result<String> {
        let path = self.0.join(attribute);
        let value =
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        Ok(value.trim().to_owned())
    }

    /// Writes an attribute.
    ///
    /// # Errors
    /// There is none, or the kernel (or the daemon behind it) refused.
    pub fn write(&self, attribute: &str, value: &str) -> Result<()> {
        let path = self.0.join(attribute);
        fs::write(&path, value).with_context(|| format!("writing {value} to {}", path.display()))
    }

    /// The unit serial number.
    ///
    /// # Errors
    /// The attribute could not be read or is not what the kernel writes.
    pub fn serial(&self) -> Result<String> {
        let line = self.read("wwn/vpd_unit_serial")?;
        match line.strip_prefix(SERIAL_PREFIX) {
            Some(serial) if !serial.is_empty() => Ok(serial.to_owned()),
            _ => bail!("{} has no unit serial number: {line}", self.0.display()),
        }
    }
}

/// The user backstores that have a UIO device, by name.
///
/// # Errors
/// sysfs could not be read.
pub fn user_devices() -> Result<Vec<String>> {
    let mut names: Vec<_> = uio_devices()?.into_iter().map(|(name, _)| name).collect();
    names.sort();
    Ok(names)
}

/// The N of `/dev/uioN` that belongs to the user backstore of this name.
///
/// # Errors
/// It has none.
pub fn uio_number(backstore: &str) -> Result<u32> {
    let devices = uio_devices()?;
    // `tcm-user/<hba>/<backstore>/<dev_config>`
    let is_its = |name: &str| name.split('/').nth(2) == Some(backstore);
    let device = devices.into_iter().find(|(name, _)| is_its(name));
    let (_, node) = device.with_context(|| format!("{backstore} has no UIO device"))?;
    node.trim_start_matches("uio").parse().with_context(|| format!("{node} has no number"))
}

/// TCMU's UIO devices: what they are called, and the names of their nodes.
fn uio_devices() -> Result<Vec<(String, String)>> {
    let class = Path::new("/sys/class/uio");
    if !class.exists() {
        return Ok(Vec::new());
    }
    let mut devices = Vec::new();
    for entry in fs::read_dir(class)? {
        let entry = entry?;
        // A device may vanish while it is looked at.
        let name = fs::read_to_string(entry.path().join("name")).unwrap_or_default();
        if name.starts_with("tcm-user/") {
            let node = entry.file_name().to_string_lossy().into_owned();
            devices.push((name.trim().to_owned(), node));
        }
    }
    Ok(devices)
}
