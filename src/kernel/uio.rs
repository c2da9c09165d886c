//! UIO devices: which are there, opening one, its doorbell.
//!
//! Mapping the shared region is the `ring` room's business; it takes the descriptor from here.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use pulsefield_units::LuId;
use thiserror::Error;

use crate::attribute::Directory;
use crate::{AttributeError, Roots, UioName};

/// A device of ours that was there when somebody looked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UioDevice {
    /// Its minor number.
    pub id: LuId,
    /// Its name.
    pub name: UioName,
}

/// All devices of ours, in the order of their minor numbers. Devices of other daemons and other
/// drivers are not listed, so nobody can touch them by mistake. Without any UIO driver in the
/// kernel the list is empty.
///
/// # Errors
/// If the class directory cannot be read. A device that disappears meanwhile is not an error.
pub fn scan(roots: &Roots) -> io::Result<Vec<UioDevice>> {
    let entries = match fs::read_dir(roots.uio_class()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut devices = Vec::new();
    for entry in entries {
        let Some(id) = minor(&entry?.file_name()) else {
            continue;
        };
        let Ok(name) = fs::read_to_string(roots.uio_attributes(id).join("name")) else {
            continue;
        };
        if let Ok(name) = name.parse::<UioName>()
            && name.is_ours()
        {
            devices.push(UioDevice { id, name });
        }
    }
    devices.sort_by_key(|device| device.id);
    Ok(devices)
}

/// The N of `uioN`.
fn minor(file_name: &std::ffi::OsStr) -> Option<LuId> {
    file_name.to_str()?.strip_prefix("uio")?.parse().ok().map(LuId::new)
}

/// The length of the region that `ring` maps, in bytes: mailbox, command ring and data area.
///
/// # Errors
/// [`AttributeError::Gone`] if the device is, [`AttributeError::Malformed`] if the size is not the
/// hexadecimal number that `uio.c` prints.
pub fn region_len(roots: &Roots, id: LuId) -> Result<u64, AttributeError> {
    const SIZE: &str = "maps/map0/size";
    let device = Directory::new(roots.uio_attributes(id));
    let text = device.read(SIZE)?;
    text.strip_prefix("0x")
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or_else(|| device.malformed(SIZE, &text))
}

/// Why a UIO device could not be opened.
#[derive(Debug, Error)]
pub enum OpenUioError {
    /// Another process has it open; TCMU allows one.
    #[error("{0} is open in another process")]
    Owned(LuId),
    /// It was removed.
    #[error("{0} is gone")]
    Gone(LuId),
    /// The device exists, but its node did not appear in time.
    #[error("{} did not appear within {} ms", .node.display(), .patience.as_millis())]
    NoNode {
        /// The node waited for.
        node: PathBuf,
        /// How long.
        patience: Duration,
    },
    /// The operating system refused in another way.
    #[error("open {}", .node.display())]
    Io {
        /// The node.
        node: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// Why the doorbell of an open device did not work.
#[derive(Debug, Error)]
pub enum UioError {
    /// The device was removed; the descriptor is of no more use.
    #[error("{0} is gone")]
    Gone(LuId),
    /// The operating system failed in another way.
    #[error("{action} {id}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which device.
        id: LuId,
        /// What the operating system said.
        source: io::Error,
    },
}

/// An open UIO device: the doorbell of its ring in both directions.
///
/// Readable (`POLLIN`) when commands were posted since the last [`UioFile::take_event`]. Commands
/// that were on the ring before the device was opened make no event: scan the ring once after
/// opening. Any of `POLLERR` and `POLLHUP` means that the device is gone.
#[derive(Debug)]
pub struct UioFile {
    id: LuId,
    file: File,
}

impl UioFile {
    /// Opens the device, waiting up to `patience` for its node: the kernel announces a device
    /// without waiting for whoever manages `/dev`.
    ///
    /// # Errors
    /// [`OpenUioError::Owned`] while another process has it open; see the type for the rest.
    pub fn open(roots: &Roots, id: LuId, patience: Duration) -> Result<Self, OpenUioError> {
        let node = roots.uio_node(id);
        let opened = match open_node(&node) {
            Err(error) if is_missing(&error) => open_when_there(roots, id, &node, patience),
            opened => opened,
        };
        match opened {
            Ok(file) => Ok(Self { id, file }),
            Err(error) if is_missing(&error) && roots.uio_attributes(id).exists() => {
                Err(OpenUioError::NoNode { node, patience })
            }
            Err(error) => Err(open_error(id, node, error)),
        }
    }

    /// Which device this is.
    pub fn id(&self) -> LuId {
        self.id
    }

    /// Tells the kernel to look at the completions on the ring. It copies Data-In inside this call.
    ///
    /// # Errors
    /// [`UioError::Gone`] once the device was removed.
    pub fn doorbell(&self) -> Result<(), UioError> {
        // Four bytes, or `uio_write` refuses; TCMU does not look at the value.
        (&self.file)
            .write_all(&[0; 4])
            .map_err(|source| self.failed("ring the doorbell of", source))
    }

    /// Takes the event that makes the descriptor readable; `false` if there is none.
    ///
    /// Take it *before* looking at the ring: a command posted in between makes a new event.
    ///
    /// # Errors
    /// [`UioError::Gone`] once the device was removed.
    pub fn take_event(&self) -> Result<bool, UioError> {
        // The four bytes count events, not commands: nobody can use the number.
        match (&self.file).read_exact(&mut [0; 4]) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(source) => Err(self.failed("read the events of", source)),
        }
    }

    fn failed(&self, action: &'static str, source: io::Error) -> UioError {
        match source.raw_os_error() {
            // `uio_write` without `info`, `uio_read` after `uio_unregister_device`.
            Some(libc::EINVAL | libc::EIO | libc::ENODEV) => UioError::Gone(self.id),
            _ => UioError::Io { action, id: self.id, source },
        }
    }
}

impl AsFd for UioFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn open_node(node: &Path) -> io::Result<File> {
    // The standard library adds O_CLOEXEC.
    OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(node)
}

fn is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

fn open_error(id: LuId, node: PathBuf, source: io::Error) -> OpenUioError {
    match source.raw_os_error() {
        // `tcmu_open` found the device open.
        Some(libc::EBUSY) => OpenUioError::Owned(id),
        // No node; or a node without a device; or, from `uio_open`, a device being removed.
        Some(libc::ENOENT | libc::ENODEV | libc::ENXIO | libc::EINVAL) => OpenUioError::Gone(id),
        _ => OpenUioError::Io { node, source },
    }
}

/// Opens a node that is not there yet, as soon as it is; gives up when the device itself has gone,
/// or `patience` is over.
fn open_when_there(roots: &Roots, id: LuId, node: &Path, patience: Duration) -> io::Result<File> {
    let deadline = Instant::now() + patience;
    // Watch first and look second: a node that appears in between is seen by the look. A change of
    // attributes counts too, for a node may be made before its owner is set.
    let arrivals = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
    let news = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_ATTRIB;
    arrivals.add_watch(roots.dev(), news)?;
    loop {
        let opened = open_node(node);
        let left = deadline.saturating_duration_since(Instant::now());
        match &opened {
            Err(error)
                if is_missing(error) && roots.uio_attributes(id).exists() && !left.is_zero() => {}
            _ => return opened,
        }
        // Rounded up, or the last millisecond would be spent spinning.
        let timeout = PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(arrivals.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        match arrivals.read_events() {
            Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    const ENOUGH: Duration = Duration::from_secs(30);

    struct Machine {
        _directory: tempfile::TempDir,
        roots: Roots,
    }

    impl Machine {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let roots = Roots::under(directory.path());
            fs::create_dir_all(roots.dev()).unwrap();
            Self { _directory: directory, roots }
        }

        fn add(&self, minor: u32, name: &str) -> LuId {
            let id = LuId::new(minor);
            let attributes = self.roots.uio_attributes(id);
            fs::create_dir_all(attributes.join("maps/map0")).unwrap();
            fs::write(attributes.join("name"), format!("{name}\n")).unwrap();
            fs::write(attributes.join("maps/map0/size"), "0x0000000000900000\n").unwrap();
            id
        }
    }

    #[test]
    fn a_scan_lists_our_devices_in_order() {
        let machine = Machine::new();
        assert_eq!(scan(&machine.roots).unwrap(), []);
        machine.add(10, "tcm-user/1/b/pulsefield/ram/");
        machine.add(2, "tcm-user/0/a/pulsefield/null/");
        machine.add(0, "tcm-user/0/c/rbd/pool/image");
        machine.add(1, "uio_pci_generic");
        fs::create_dir_all(machine.roots.uio_attributes(LuId::new(3))).unwrap();
        let found = scan(&machine.roots).unwrap();
        let named: Vec<_> = found.iter().map(|d| (d.id.as_u32(), d.name.device())).collect();
        assert_eq!(named, [(2, "a"), (10, "b")]);
    }

    #[test]
    fn the_region_is_as_long_as_sysfs_says() {
        let machine = Machine::new();
        let id = machine.add(0, "tcm-user/0/a/pulsefield/ram/");
        assert_eq!(region_len(&machine.roots, id).unwrap(), 9 << 20);
        let size = machine.roots.uio_attributes(id).join("maps/map0/size");
        for wrong in ["", "9437184", "0x", "0xg", "0x1ffffffffffffffff"] {
            fs::write(&size, wrong).unwrap();
            let error = region_len(&machine.roots, id).unwrap_err();
            assert!(matches!(error, AttributeError::Malformed { text, .. } if text == wrong));
        }
        let gone = region_len(&machine.roots, LuId::new(9)).unwrap_err();
        assert!(matches!(gone, AttributeError::Gone(_)));
    }

    #[test]
    fn a_node_that_appears_late_is_waited_for() {
        let machine = Machine::new();
        let id = machine.add(4, "tcm-user/0/a/pulsefield/ram/");
        let roots = machine.roots.clone();
        let (opened, result) = mpsc::channel();
        let waiter = thread::spawn(move || opened.send(UioFile::open(&roots, id, ENOUGH)));
        // An unrelated node must not end the waiting.
        fs::write(machine.roots.dev().join("null"), "").unwrap();
        fs::write(machine.roots.uio_node(id), "").unwrap();
        let file = result.recv().unwrap().unwrap();
        assert_eq!(file.id(), id);
        file.doorbell().unwrap();
        assert_eq!(fs::read(machine.roots.uio_node(id)).unwrap(), [0; 4]);
        waiter.join().unwrap().unwrap();
    }

    #[test]
    fn waiting_for_a_node_has_an_end() {
        let machine = Machine::new();
        let id = machine.add(4, "tcm-user/0/a/pulsefield/ram/");
        let error = UioFile::open(&machine.roots, id, Duration::from_millis(5)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{} did not appear within 5 ms", machine.roots.uio_node(id).display())
        );
        let error = UioFile::open(&machine.roots, LuId::new(9), ENOUGH).unwrap_err();
        assert!(matches!(error, OpenUioError::Gone(_)), "a device that is gone is not waited for");
    }

    #[test]
    fn what_the_kernel_answers_has_one_meaning_each() {
        let open =
            |errno| open_error(LuId::new(1), PathBuf::new(), io::Error::from_raw_os_error(errno));
        assert!(matches!(open(libc::EBUSY), OpenUioError::Owned(_)));
        for errno in [libc::ENODEV, libc::ENXIO, libc::EINVAL] {
            assert!(matches!(open(errno), OpenUioError::Gone(_)));
        }
        assert!(matches!(open(libc::EACCES), OpenUioError::Io { .. }));

        let file = UioFile { id: LuId::new(1), file: tempfile::tempfile().unwrap() };
        for errno in [libc::EINVAL, libc::EIO] {
            let error = file.failed("x", io::Error::from_raw_os_error(errno));
            assert!(matches!(error, UioError::Gone(_)));
        }
    }
}
