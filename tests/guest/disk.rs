//! A path to a logical unit as the initiator sees it: `sd` and `sg` nodes, found by serial number and
//! transport, and the few commands that every scenario sends.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::cdb;
use crate::reply::{Answer, Reply};
use crate::sg::{Data, Device};

/// How long one command may take before the initiator aborts it. Longer than a restart of the
/// daemon, so that only a command that is never answered gets there.
pub const COMMAND_LIMIT: Duration = Duration::from_secs(60);
/// How often a command is sent again that only met a unit attention: power-on, reset and a new size can
/// be pending at once.
const UNIT_ATTENTIONS_MAX: usize = 8;

/// A fabric, named as the administrator names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// `tcm_loop`: initiator and target in one kernel.
    Loopback,
    /// iSCSI over TCP.
    Iscsi,
    /// Fibre Channel: `tcm_fc`, here over FCoE in VN2VN mode.
    Fc,
    /// SRP: `ib_srpt`, here over soft RoCE.
    Srp,
}

impl Transport {
    /// The name Linux gives the initiator's driver in `/sys/class/scsi_host/hostN/proc_name`.
    const fn proc_name(self) -> &'static str {
        match self {
            Self::Loopback => "tcm_loopback",
            Self::Iscsi => "iscsi_tcp",
            Self::Fc => "fcoe",
            Self::Srp => "ib_srp",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Loopback => "loopback",
            Self::Iscsi => "iSCSI",
            Self::Fc => "FC",
            Self::Srp => "SRP",
        })
    }
}

/// One path to a logical unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// The fabric it goes over.
    pub transport: Transport,
    /// The block node, `/dev/sdX`.
    pub block: PathBuf,
    /// The generic node, `/dev/sgN`.
    pub generic: PathBuf,
    /// The device's folder in sysfs.
    sysfs: PathBuf,
    /// The folder of the SCSI host that it is on.
    host: PathBuf,
}

/// What READ CAPACITY (16) says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Number of logical blocks.
    pub blocks: u64,
    /// Bytes in a logical block.
    pub block_bytes: u32,
}

impl Disk {
    /// All paths of `transport` to the logical unit with this unit serial number.
    ///
    /// # Errors
    /// sysfs could not be read.
    pub fn find(transport: Transport, serial: &str) -> Result<Vec<Self>> {
        let mut disks = Vec::new();
        for entry in fs::read_dir("/sys/class/scsi_device").context("reading SCSI devices")? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let sysfs = entry.path().join("device");
            let number = name.split(':').next().unwrap_or_default();
            let host = Path::new("/sys/class/scsi_host").join(format!("host{number}"));
            // A device may vanish while it is looked at; then it is not the one.
            let Ok(driver) = fs::read_to_string(host.join("proc_name")) else { continue };
            if driver.trim() != transport.proc_name()
                || serial_of(&sysfs).as_deref() != Some(serial)
            {
                continue;
            }
            let (Some(block), Some(generic)) =
                (only_child(&sysfs.join("block")), only_child(&sysfs.join("scsi_generic")))
            else {
                continue;
            };
            let attached = is_attached(&sysfs.join("block").join(&block));
            let (block, generic) = (Path::new("/dev").join(block), Path::new("/dev").join(generic));
            if attached && generic.exists() {
                disks.push(Self { transport, block, generic, sysfs, host });
            }
        }
        disks.sort_by(|a, b| a.generic.cmp(&b.generic));
        Ok(disks)
    }

    /// Opens the generic node.
    ///
    /// # Errors
    /// What the operating system said.
    pub fn open(&self) -> Result<Device> {
        Device::open(&self.generic).with_context(|| format!("opening {}", self.generic.display()))
    }

    /// Asks the initiator to read the capacity again.
    ///
    /// # Errors
    /// sysfs refused.
    pub fn rescan(&self) -> Result<()> {
        fs::write(self.sysfs.join("rescan"), "1").context("rescanning")
    }

    /// The `state` the initiator's SCSI layer has for it: `running`, `offline`, …
    ///
    /// # Errors
    /// The device is gone.
    pub fn state(&self) -> Result<String> {
        let state = fs::read_to_string(self.sysfs.join("state")).context("reading its state")?;
        Ok(state.trim().to_owned())
    }

    /// Requests that the initiator's disk driver has and that are not done.
    ///
    /// # Errors
    /// The device is gone.
    pub fn in_flight(&self) -> Result<u32> {
        let name = self.block.file_name().context("a disk without a name")?;
        in_flight(&self.sysfs.join("block").join(name))
    }

    /// How long the initiator's disk driver waits for a command before it aborts it.
    ///
    /// # Errors
    /// sysfs refused.
    pub fn set_time_out(&self, time_out: Duration) -> Result<()> {
        let seconds = time_out.as_secs().to_string();
        fs::write(self.sysfs.join("timeout"), seconds).context("setting its time-out")
    }

    /// Makes the initiator forget it.
    ///
    /// # Errors
    /// sysfs refused.
    pub fn forget(&self) -> Result<()> {
        fs::write(self.sysfs.join("delete"), "1").context("deleting a path")
    }

    /// Has the SCSI host that it is on look for disks: one that was forgotten is there again, as another one.
    ///
    /// # Errors
    /// sysfs refused.
    pub fn look_again(&self) -> Result<()> {
        fs::write(self.host.join("scan"), "- - -").context("looking for disks")
    }
}

/// Requests that the driver of a block device has and that are not done; `sysfs` is the device's folder.
///
/// # Errors
/// The device is gone.
pub fn in_flight(sysfs: &Path) -> Result<u32> {
    let path = sysfs.join("inflight");
    let counts =
        fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    // Reads and writes.
    counts.split_whitespace().map(|count| Ok(count.parse::<u32>()?)).sum()
}

impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.transport, self.block.display(), self.generic.display())
    }
}

/// Commands that every scenario sends.
impl Device {
    /// Sends a command; again if all it met was a unit attention.
    ///
    /// # Errors
    /// The kernel refused to send it.
    pub fn send(&self, cdb: &[u8], mut data: Data<'_>) -> Result<Reply> {
        let mut attempts = 0;
        loop {
            let again = match &mut data {
                Data::None => Data::None,
                Data::In(bytes) => Data::In(bytes),
                Data::Out(bytes) => Data::Out(bytes),
            };
            let reply = self
                .execute(cdb, again, COMMAND_LIMIT)
                .with_context(|| format!("sending a command to {}", self.path().display()))?;
            attempts += 1;
            if !reply.is_unit_attention() || attempts > UNIT_ATTENTIONS_MAX {
                return Ok(reply);
            }
        }
    }

    /// Sends a command that must succeed.
    ///
    /// # Errors
    /// The answer, if it was not GOOD.
    pub fn must(&self, cdb: &[u8], data: Data<'_>) -> Result<()> {
        let answer = self.send(cdb, data)?.answer();
        ensure!(
            answer == Answer::Good,
            "opcode {:02X}h on {}: {answer}",
            cdb[0],
            self.path().display()
        );
        Ok(())
    }

    /// READ CAPACITY (16).
    ///
    /// # Errors
    /// It did not succeed.
    pub fn capacity(&self) -> Result<Capacity> {
        let mut data = [0; 32];
        self.must(&cdb::read_capacity_16(), Data::In(&mut data))?;
        let last = u64::from_be_bytes(data[..8].try_into()?);
        Ok(Capacity { blocks: last + 1, block_bytes: u32::from_be_bytes(data[8..12].try_into()?) })
    }

    /// The NAA designator of VPD page 83h, in hex.
    ///
    /// # Errors
    /// INQUIRY failed, or the page has none.
    pub fn naa(&self) -> Result<String> {
        let mut page = [0; 255];
        self.must(&cdb::inquiry_vpd(0x83), Data::In(&mut page))?;
        naa_in(&page).context("VPD page 83h has no NAA designator")
    }

    /// Reads one block of `block_bytes`.
    ///
    /// # Errors
    /// It did not succeed.
    pub fn read_block(&self, lba: u64, block_bytes: u32) -> Result<Vec<u8>> {
        let mut data = vec![0; usize::try_from(block_bytes)?];
        self.must(&cdb::read_16(lba, 1), Data::In(&mut data))?;
        Ok(data)
    }

    /// Writes one block.
    ///
    /// # Errors
    /// It did not succeed.
    pub fn write_block(&self, lba: u64, block: &[u8]) -> Result<()> {
        self.must(&cdb::write_16(lba, 1), Data::Out(block))
    }

    /// MAXIMUM COMPARE AND WRITE LENGTH of the Block Limits page (SBC-4), in blocks; 0 says that there is
    /// no such command.
    ///
    /// # Errors
    /// INQUIRY failed.
    pub fn compare_and_write_length(&self) -> Result<u8> {
        let mut page = [0; 255];
        self.must(&cdb::inquiry_vpd(0xb0), Data::In(&mut page))?;
        Ok(page[5])
    }

    /// COMPARE AND WRITE of one block.
    ///
    /// # Errors
    /// The kernel refused to send it; any answer is `Ok`.
    pub fn compare_and_write(&self, lba: u64, compare: &[u8], write: &[u8]) -> Result<Reply> {
        self.send(&cdb::compare_and_write(lba, 1), Data::Out(&[compare, write].concat()))
    }
}

/// The unit serial number in VPD page 80h, as the kernel read it when it found the device.
fn serial_of(sysfs: &Path) -> Option<String> {
    let page = fs::read(sysfs.join("vpd_pg80")).ok()?;
    let length = usize::from(u16::from_be_bytes([*page.get(2)?, *page.get(3)?]));
    let serial = page.get(4..4 + length)?;
    Some(String::from_utf8_lossy(serial).trim_matches([' ', '\0']).to_owned())
}

/// Whether udev is through with a block device. Its nodes are there earlier, but until then the kernel
/// still looks for partitions, and whoever takes the path away makes that fail.
fn is_attached(block: &Path) -> bool {
    let number = fs::read_to_string(block.join("dev")).unwrap_or_default();
    Path::new("/run/udev/data").join(format!("b{}", number.trim())).exists()
}

fn only_child(folder: &Path) -> Option<std::ffi::OsString> {
    Some(fs::read_dir(folder).ok()?.next()?.ok()?.file_name())
}

/// The first NAA designator (type 3, binary) of a device identification page.
fn naa_in(page: &[u8]) -> Option<String> {
    let length = usize::from(u16::from_be_bytes([*page.get(2)?, *page.get(3)?]));
    let mut rest = page.get(4..(4 + length).min(page.len()))?;
    while let [code_set, kind, _, length, ..] = *rest {
        let designator = rest.get(4..4 + usize::from(length))?;
        if (code_set & 0x0f, kind & 0x3f) == (0x01, 0x03) {
            return Some(designator.iter().map(|byte| format!("{byte:02x}")).collect());
        }
        rest = &rest[4 + usize::from(length)..];
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_naa_designator_is_found_behind_another() {
        let mut page = vec![0, 0x83, 0, 18];
        page.extend([0x02, 0x01, 0, 2, b'a', b'b']);
        page.extend([0x01, 0x03, 0, 8, 0x60, 0x01, 0x40, 0x5a, 0, 0, 0, 1]);
        assert_eq!(naa_in(&page).unwrap(), "6001405a00000001");
        assert_eq!(naa_in(&page[..9]), None);
    }
}
