//! A path to a logical unit that commands can be sent by: opened, and its answers understood.

use std::fmt;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use nix::sys::stat::{major, minor};
use pulsefield_hosts::Outcome;
use pulsefield_scsi::{Sense, Status};
use rustix::thread::CapabilitySet;
use thiserror::Error;

use crate::command::{Command, Data, Request};
use crate::outcome::outcome;
use crate::paged::Paged;
use crate::pass_through::{self, Answer, Transfer};
use crate::resets::Resets;
use crate::sysfs::{NodeKind, Sysfs, UnitPath};
use crate::transport::Transport;

/// Something that carries out requests: a device, or what stands for one.
pub trait Device: Send + Sync {
    /// Carries one out and waits for its end. What has not been answered after `timeout` is aborted, and
    /// [`Outcome::TimedOut`] comes when it has been. May be asked from several threads at once.
    fn execute(&self, request: &Request, timeout: Duration) -> Outcome;
}

/// Why there is no path to a logical unit behind a name.
#[derive(Debug, Error)]
pub enum OpenError {
    /// There is no such file.
    #[error("there is no {}", node.display())]
    Missing {
        /// Its name.
        node: PathBuf,
    },
    /// SCSI commands may be sent by whoever has `CAP_SYS_RAWIO`, and nobody else.
    #[error("SCSI commands to {} take the rights of root", node.display())]
    NoPermission {
        /// The node.
        node: PathBuf,
    },
    /// It is a file, a loop device, a terminal.
    #[error("{} is no SCSI disk", node.display())]
    NotADisk {
        /// The node.
        node: PathBuf,
    },
    /// It is a part of a disk.
    #[error("{} is a partition: give the disk, /dev/{disk}", node.display())]
    Partition {
        /// The node.
        node: PathBuf,
        /// The name of the disk.
        disk: String,
    },
    /// It is made by device-mapper, which passes no SCSI commands on, or chooses paths by itself.
    #[error(
        "{} is made by device-mapper ({name}), where nobody knows which path a command takes: free and give what \
         it is made of, {}", node.display(), Nodes(over)
    )]
    Mapped {
        /// The node.
        node: PathBuf,
        /// What device-mapper calls it.
        name: String,
        /// The names of the devices it is made of.
        over: Vec<String>,
    },
    /// Somebody else uses it.
    #[error("{} is in use, by {}", node.display(), if by.is_empty() { "somebody unknown".to_owned() } else { by.join(", ") })]
    InUse {
        /// The node.
        node: PathBuf,
        /// Who, as far as the kernel says.
        by: Vec<String>,
    },
    /// The kernel says something else.
    #[error("cannot open {}", node.display())]
    Io {
        /// The node.
        node: PathBuf,
        /// What.
        source: io::Error,
    },
}

/// Names of devices as a user types them.
struct Nodes<'a>(&'a [String]);

impl fmt::Display for Nodes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, name) in self.0.iter().enumerate() {
            write!(f, "{}/dev/{name}", if nth == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

/// A path to a logical unit, by way of the kernel's SCSI pass-through.
///
/// Commands go by the block device node, whichever node was named: a generic one takes 16 commands at a time from
/// whoever has it open, and forgets those of a thread that a signal interrupts. To a block device a time-out of less
/// than 7 s is one of 7 s (`BLK_MIN_SG_TIMEOUT` of `<linux/blkdev.h>`).
///
/// By loopback a command that a reset by the same path has ended is told to be GOOD, and is [`Outcome::Lost`] here.
#[derive(Debug)]
pub struct SgDevice {
    node: RwLock<Arc<File>>,
    path: UnitPath,
    resets: Resets,
}

impl SgDevice {
    /// Opens the path with this block device node or generic node. Nothing is sent to it yet.
    ///
    /// # Errors
    /// [`OpenError`], but never that it is in use: [`Claim`] finds that.
    pub fn open(node: &Path) -> Result<Self, OpenError> {
        let metadata = fs::metadata(node).map_err(|source| told(node, source))?;
        let path = unit_path(node, kind(&metadata, &Sysfs::default()))?;
        if !may_send() {
            return Err(OpenError::NoPermission { node: node.to_owned() });
        }
        // Read-only: it is enough for who has CAP_SYS_RAWIO, and when it is closed udev does not look for what was
        // written.
        let file = File::open(path.node()).map_err(|source| told(node, source))?;
        Ok(Self { node: RwLock::new(Arc::new(file)), path, resets: Resets::default() })
    }

    /// Which path it is; the name of the disk is the one that it was opened by.
    pub const fn path(&self) -> &UnitPath {
        &self.path
    }

    /// How many bytes one command may carry, if the kernel says. What carries more is not sent, and
    /// [`Outcome::Lost`].
    pub fn transfer_bytes_max(&self) -> Option<u64> {
        Sysfs::default().transfer_bytes_max(&self.path.disk)
    }

    fn send(&self, command: &Command, timeout: Duration) -> Outcome {
        let mut data = match &command.data {
            Data::None => Paged::default(),
            Data::In(length) => Paged::zeroed(*length),
            Data::Out(bytes) => Paged::from(&bytes[..]),
        };
        let transfer = match &command.data {
            Data::None => Transfer::None,
            Data::In(_) => Transfer::In(&mut data),
            Data::Out(_) => Transfer::Out(&data),
        };
        let node = self.node();
        let cdb = command.cdb.as_bytes();
        let send = || pass_through::execute(&node, cdb, transfer, timeout);
        let (answer, beside_reset) = self.resets.beside(send);
        let came: &[u8] = if let Data::In(_) = command.data { &data } else { &[] };
        match answer.map(|answer| understood(&answer, came)) {
            Ok(Outcome::Good(_)) if beside_reset && self.path.transport == Transport::Loopback => {
                Outcome::Lost
            }
            Ok(outcome) => outcome,
            Err(error) => self.lost(&error),
        }
    }

    fn node(&self) -> Arc<File> {
        Arc::clone(&self.node.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The outcome of what the kernel did not send. A disk that was away for long is another one to the kernel when
    /// it comes back, at the same address, and whoever has the old one open never hears of it: so it is opened anew.
    fn lost(&self, error: &io::Error) -> Outcome {
        if matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ENXIO)) {
            let again = Sysfs::default().disk_at(&self.path.address);
            let again = again.filter(|path| path.naa == self.path.naa);
            if let Some(Ok(file)) = again.map(|path| File::open(path.node())) {
                *self.node.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(file);
            }
        }
        Outcome::Lost
    }
}

impl Device for SgDevice {
    /// A reset has no time limit but those of the driver.
    fn execute(&self, request: &Request, timeout: Duration) -> Outcome {
        match request {
            Request::Command(command) => self.send(command, timeout),
            Request::LogicalUnitReset => {
                match self.resets.reset(|| pass_through::reset_unit(&self.node())) {
                    Ok(()) => Outcome::Good(Vec::new()),
                    Err(error) => self.lost(&error),
                }
            }
        }
    }
}

/// What keeps everybody else off a disk of this machine for as long as it lives: mounts, device-mapper, and others
/// who ask for it alone (open(2), `O_EXCL`). Only one of several paths to a unit needs it for that, but each of them
/// could be mounted.
#[derive(Debug)]
pub struct Claim {
    _file: File,
}

impl Claim {
    /// Claims a disk.
    ///
    /// # Errors
    /// [`OpenError::InUse`], and whatever opening it ends with.
    pub fn take(path: &UnitPath) -> Result<Self, OpenError> {
        let node = path.node();
        let mut options = File::options();
        options.read(true).custom_flags(libc::O_EXCL);
        let file = options.open(&node).map_err(|source| {
            if source.kind() != io::ErrorKind::ResourceBusy {
                return told(&node, source);
            }
            let proc = |name| fs::read_to_string(name).unwrap_or_default();
            let (mounts, swaps) = (proc("/proc/self/mountinfo"), proc("/proc/swaps"));
            let by = Sysfs::default().holders(&path.disk, &mounts, &swaps);
            OpenError::InUse { node: node.clone(), by }
        })?;
        Ok(Self { _file: file })
    }
}

/// Whether this thread may send any SCSI command (`scsi_cmd_allowed` in `drivers/scsi/scsi_ioctl.c`).
fn may_send() -> bool {
    rustix::thread::capabilities(None)
        .is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_RAWIO))
}

fn kind(metadata: &Metadata, sysfs: &Sysfs) -> NodeKind {
    let class = match metadata.file_type() {
        it if it.is_block_device() => "block",
        it if it.is_char_device() => "char",
        _ => return NodeKind::Other,
    };
    sysfs.node(class, major(metadata.rdev()), minor(metadata.rdev()))
}

fn unit_path(node: &Path, kind: NodeKind) -> Result<UnitPath, OpenError> {
    let node = node.to_owned();
    match kind {
        NodeKind::Disk(path) => Ok(path),
        NodeKind::Partition(disk) => Err(OpenError::Partition { node, disk }),
        NodeKind::Mapped { name, over } => Err(OpenError::Mapped { node, name, over }),
        NodeKind::OtherScsi | NodeKind::Other => Err(OpenError::NotADisk { node }),
    }
}

fn told(node: &Path, source: io::Error) -> OpenError {
    let node = node.to_owned();
    let kind = source.kind();
    if kind == io::ErrorKind::NotFound {
        OpenError::Missing { node }
    } else if kind == io::ErrorKind::PermissionDenied {
        OpenError::NoPermission { node }
    } else {
        OpenError::Io { node, source }
    }
}

/// `DID_OK` and `DID_TIME_OUT` of `<scsi/scsi_status.h>`.
const DID_OK: u16 = 0x00;
const DID_TIME_OUT: u16 = 0x03;
/// `DRIVER_TIMEOUT` and the bits it stands in: kernels before 5.14 say it so.
const DRIVER_TIMEOUT: u16 = 0x06;
const DRIVER_STATUS: u16 = 0x0f;

/// What an answer of the kernel says. `data` is the buffer for Data-In.
fn understood(answer: &Answer, data: &[u8]) -> Outcome {
    let timed_out = answer.driver_status & DRIVER_STATUS == DRIVER_TIMEOUT;
    if answer.host_status == DID_TIME_OUT || timed_out {
        return Outcome::TimedOut;
    }
    let status = Status::from_u8(answer.status);
    match status {
        // Some host statuses only sort a status that came: DID_NEXUS_FAILURE a RESERVATION CONFLICT.
        Some(Status::Good) if answer.host_status != DID_OK => Outcome::Lost,
        Some(status) => {
            let missing = usize::try_from(answer.residual).unwrap_or(0);
            let came = &data[..data.len().saturating_sub(missing)];
            outcome(status, Sense::decode(answer.sense()), came.to_vec())
        }
        None => Outcome::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sysfs::UnitPath;

    #[test]
    fn what_is_no_disk_is_refused_by_name() {
        let refused = |node: &str| SgDevice::open(Path::new(node)).unwrap_err().to_string();
        assert_eq!(refused("/dev/there-is-none"), "there is no /dev/there-is-none");
        assert_eq!(refused("/dev/null"), "/dev/null is no SCSI disk");
        let file = tempfile::NamedTempFile::new().unwrap();
        let words = format!("{} is no SCSI disk", file.path().display());
        assert_eq!(refused(file.path().to_str().unwrap()), words);
    }

    #[test]
    fn what_else_a_node_may_be_is_told_with_what_to_give_instead() {
        let refused = |kind| unit_path(Path::new("/dev/x"), kind).unwrap_err().to_string();
        let partition = NodeKind::Partition("sdb".to_owned());
        assert_eq!(refused(partition), "/dev/x is a partition: give the disk, /dev/sdb");
        let over = vec!["sda".to_owned(), "sdb".to_owned()];
        let mapped = refused(NodeKind::Mapped { name: "mpatha".to_owned(), over });
        assert!(mapped.contains("(mpatha)"), "{mapped}");
        assert!(mapped.ends_with("what it is made of, /dev/sda /dev/sdb"), "{mapped}");
        assert_eq!(refused(NodeKind::OtherScsi), "/dev/x is no SCSI disk");
        let node = PathBuf::from("/dev/x");
        let by = vec!["mpatha (dm-0)".to_owned(), "swap".to_owned()];
        let used = OpenError::InUse { node: node.clone(), by }.to_string();
        assert_eq!(used, "/dev/x is in use, by mpatha (dm-0), swap");
        let used = OpenError::InUse { node, by: Vec::new() }.to_string();
        assert_eq!(used, "/dev/x is in use, by somebody unknown");
    }

    #[test]
    fn a_disk_that_is_gone_cannot_be_claimed() {
        let path = UnitPath {
            address: "0:0:0:0".to_owned(),
            disk: "there-is-none".to_owned(),
            transport: Transport::Loopback,
            naa: None,
        };
        assert!(matches!(Claim::take(&path), Err(OpenError::Missing { .. })));
    }

    fn answer(status: u8, host_status: u16) -> Outcome {
        understood(&Answer::new(status, host_status, &[]), &[1, 2, 3])
    }

    #[test]
    fn what_the_target_did_not_answer_is_lost_or_timed_out() {
        assert_eq!(answer(0, DID_OK), Outcome::Good(vec![1, 2, 3]));
        assert_eq!(answer(0, DID_TIME_OUT), Outcome::TimedOut);
        // DID_NO_CONNECT, DID_ABORT, DID_ERROR, DID_RESET, DID_TRANSPORT_DISRUPTED.
        for host_status in [0x01, 0x05, 0x07, 0x08, 0x0e] {
            assert_eq!(answer(0, host_status), Outcome::Lost, "{host_status:#x}");
        }
        let old = Answer { driver_status: 0x06, ..Answer::new(0, DID_OK, &[]) };
        assert_eq!(understood(&old, &[]), Outcome::TimedOut);
    }

    #[test]
    fn a_status_that_came_counts_for_more_than_how_the_kernel_sorts_it() {
        assert_eq!(answer(0x18, DID_OK), Outcome::ReservationConflict);
        // DID_NEXUS_FAILURE.
        assert_eq!(answer(0x18, 0x11), Outcome::ReservationConflict);
        assert_eq!(answer(0x28, DID_OK), Outcome::Busy);
        assert_eq!(answer(0xff, DID_OK), Outcome::Lost, "no status of SAM");
        // DRIVER_SENSE beside CHECK CONDITION.
        let mut sense = [0; 18];
        sense[..8].copy_from_slice(&[0xf0, 0, 0x0e, 0, 0, 1, 0x80, 10]);
        sense[12] = 0x1d;
        let miscompare = Answer { driver_status: 0x08, ..Answer::new(0x02, DID_OK, &sense) };
        assert_eq!(understood(&miscompare, &[]), Outcome::Miscompare(Some(0x180)));
    }

    #[test]
    fn data_that_did_not_come_is_not_there() {
        let short = Answer { residual: 2, ..Answer::new(0, DID_OK, &[]) };
        assert_eq!(understood(&short, &[1, 2, 3]), Outcome::Good(vec![1]));
        let nonsense = Answer { residual: 9, ..short };
        assert_eq!(understood(&nonsense, &[1, 2, 3]), Outcome::Good(Vec::new()));
        let over = Answer { residual: -1, ..short };
        assert_eq!(understood(&over, &[1]), Outcome::Good(vec![1]));
    }
}
