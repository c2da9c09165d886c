//! Who holds a UIO device: every process with a descriptor or a mapping of its node.
//!
//! A mapping outlives the descriptor it was made with, and the kernel's one-opener rule knows
//! nothing of it. So before a ring is reset, `/proc` is searched for both.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process;

use nix::sys::stat::{major, minor};
use pulsefield_units::LuId;
use thiserror::Error;

use crate::Roots;

/// What a process holds of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// An open descriptor.
    Descriptor,
    /// A mapping, and no descriptor any more.
    Mapping,
}

/// A process that can still reach a device's ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// The name of its main thread, as in `ps`.
    pub command: String,
    /// What it holds.
    pub hold: Hold,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hold = match self.hold {
            Hold::Descriptor => "descriptor",
            Hold::Mapping => "mapping",
        };
        write!(f, "process {} ({}, {hold})", self.pid, self.command)
    }
}

/// Why the search could not be completed, so that nothing is proved.
#[derive(Debug, Error)]
pub enum HolderError {
    /// The device has no node to compare with.
    #[error("look at the node of {id}")]
    Node {
        /// Which device.
        id: LuId,
        /// What the operating system said.
        source: io::Error,
    },
    /// The list of processes could not be read.
    #[error("list the processes of this machine")]
    Processes(#[source] io::Error),
    /// One process does not let itself be looked at: `CAP_SYS_PTRACE` is missing.
    #[error("look at the descriptors and mappings of process {pid}")]
    Process {
        /// Which process.
        pid: u32,
        /// What the operating system said.
        source: io::Error,
    },
}

/// All processes that hold `id`, by process id. A descriptor of the calling process does not count,
/// for it is what the caller came with; a mapping does.
///
/// Processes outside of the caller's PID namespace are not seen.
///
/// # Errors
/// If any process could not be looked at: the answer would prove nothing.
pub fn holders(roots: &Roots, id: LuId) -> Result<Vec<Holder>, HolderError> {
    let node =
        fs::metadata(roots.uio_node(id)).map_err(|source| HolderError::Node { id, source })?;
    let node = Node { name: id.to_string(), dev: node.dev(), ino: node.ino() };
    let mut found = Vec::new();
    for entry in fs::read_dir(roots.proc()).map_err(HolderError::Processes)? {
        let entry = entry.map_err(HolderError::Processes)?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        match node.held_by(pid, &entry.path()) {
            Ok(Some(hold)) => {
                let command = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
                found.push(Holder { pid, command: command.trim_end().to_owned(), hold });
            }
            Ok(None) => {}
            Err(error) if has_ended(&error) => {}
            Err(source) => return Err(HolderError::Process { pid, source }),
        }
    }
    found.sort_by_key(|holder| holder.pid);
    Ok(found)
}

/// A device node by identity: its path may differ from one mount namespace to the next.
struct Node {
    name: String,
    dev: u64,
    ino: u64,
}

impl Node {
    fn held_by(&self, pid: u32, process: &Path) -> io::Result<Option<Hold>> {
        if pid != process::id() && self.has_descriptor(process)? {
            return Ok(Some(Hold::Descriptor));
        }
        let maps = fs::read(process.join("maps"))?;
        let mapped = String::from_utf8_lossy(&maps).lines().any(|line| self.is_mapped_by(line));
        Ok(mapped.then_some(Hold::Mapping))
    }

    fn has_descriptor(&self, process: &Path) -> io::Result<bool> {
        for entry in fs::read_dir(process.join("fd"))? {
            let link = entry?.path();
            // Asking every descriptor for its file could hang on a dead network file system, so
            // only those with the right name are asked.
            match fs::read_link(&link) {
                Ok(target) if self.is_named_like(target.file_name()) => {}
                Ok(_) => continue,
                Err(error) if has_ended(&error) => continue,
                Err(error) => return Err(error),
            }
            match fs::metadata(&link) {
                Ok(file) if (file.dev(), file.ino()) == (self.dev, self.ino) => return Ok(true),
                Ok(_) => {}
                Err(error) if has_ended(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    fn is_named_like(&self, file_name: Option<&OsStr>) -> bool {
        let Some(name) = file_name.and_then(OsStr::to_str) else {
            return false;
        };
        // The kernel marks a node that was removed while open.
        name.strip_suffix(" (deleted)").unwrap_or(name) == self.name
    }

    /// Whether a line of `maps`, `range perms offset major:minor inode path`, is a mapping of it.
    fn is_mapped_by(&self, line: &str) -> bool {
        let mut fields = line.split_ascii_whitespace().skip(3);
        let device = fields.next().and_then(|device| device.split_once(':'));
        let inode = fields.next().and_then(|inode| inode.parse().ok());
        let hex = |digits| u64::from_str_radix(digits, 16).ok();
        device.is_some_and(|(high, low)| {
            hex(high) == Some(major(self.dev)) && hex(low) == Some(minor(self.dev))
        }) && inode == Some(self.ino)
    }
}

/// Whether the process ended, or closed the descriptor, while it was looked at.
fn has_ended(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const ID: LuId = LuId::new(3);

    struct Machine {
        directory: tempfile::TempDir,
        roots: Roots,
    }

    impl Machine {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let roots = Roots::under(directory.path());
            fs::create_dir_all(roots.dev()).unwrap();
            for minor in [3, 30] {
                fs::write(roots.uio_node(LuId::new(minor)), "").unwrap();
            }
            fs::create_dir_all(roots.proc().join("sys")).unwrap();
            Self { directory, roots }
        }

        fn process(&self, pid: u32, files: &[&Path], maps: &str) {
            let process = self.roots.proc().join(pid.to_string());
            fs::create_dir_all(process.join("fd")).unwrap();
            for (fd, file) in files.iter().enumerate() {
                symlink(file, process.join("fd").join(fd.to_string())).unwrap();
            }
            fs::write(process.join("maps"), maps).unwrap();
            fs::write(process.join("comm"), "tcmu-runner\n").unwrap();
        }

        fn mapping(&self, id: LuId) -> String {
            let node = fs::metadata(self.roots.uio_node(id)).unwrap();
            let (high, low) = (major(node.dev()), minor(node.dev()));
            format!(
                "55d0c0000000-55d0c0001000 r-xp 00000000 fe:01 {ino}   /usr/bin/x\n\
                 7f00a0000000-7f00a0900000 rw-s 00000000 {high:02x}:{low:02x} {ino}   /dev/{id}\n",
                ino = node.ino(),
            )
        }
    }

    #[test]
    fn nobody_holds_an_idle_device() {
        let machine = Machine::new();
        let other = machine.roots.uio_node(LuId::new(30));
        machine.process(1, &[&other], "");
        machine.process(2, &[Path::new("socket:[3]")], &machine.mapping(LuId::new(30)));
        assert_eq!(holders(&machine.roots, ID).unwrap(), []);
    }

    #[test]
    fn descriptors_and_mappings_are_found() {
        let machine = Machine::new();
        let node = machine.roots.uio_node(ID);
        machine.process(20, &[], &machine.mapping(ID));
        machine.process(7, &[Path::new("/dev/null"), &node], &machine.mapping(ID));
        let found = holders(&machine.roots, ID).unwrap();
        let named: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            named,
            ["process 7 (tcmu-runner, descriptor)", "process 20 (tcmu-runner, mapping)"]
        );
    }

    #[test]
    fn another_file_of_the_same_name_is_another_file() {
        let machine = Machine::new();
        let namesake = machine.directory.path().join("uio3");
        fs::write(&namesake, "").unwrap();
        machine.process(7, &[&namesake, Path::new("/nowhere/uio3")], "");
        assert_eq!(holders(&machine.roots, ID).unwrap(), []);
    }

    #[test]
    fn our_own_descriptor_does_not_count_but_our_mapping_does() {
        let machine = Machine::new();
        let node = machine.roots.uio_node(ID);
        machine.process(process::id(), &[&node], "");
        assert_eq!(holders(&machine.roots, ID).unwrap(), []);
        let maps = machine.roots.proc().join(process::id().to_string()).join("maps");
        fs::write(maps, machine.mapping(ID)).unwrap();
        assert_eq!(holders(&machine.roots, ID).unwrap()[0].hold, Hold::Mapping);
    }

    #[test]
    fn a_process_that_ends_meanwhile_is_nobody() {
        let machine = Machine::new();
        fs::create_dir_all(machine.roots.proc().join("9")).unwrap();
        assert_eq!(holders(&machine.roots, ID).unwrap(), []);
    }

    #[test]
    fn a_process_that_cannot_be_looked_at_proves_nothing() {
        let machine = Machine::new();
        machine.process(9, &[], "");
        let maps = machine.roots.proc().join("9/maps");
        fs::remove_file(&maps).unwrap();
        // A directory cannot be read as a file: stands in for a refusal, also as root.
        fs::create_dir(&maps).unwrap();
        let error = holders(&machine.roots, ID).unwrap_err();
        assert!(matches!(error, HolderError::Process { pid: 9, .. }));
        let error = holders(&machine.roots, LuId::new(8)).unwrap_err();
        assert!(matches!(error, HolderError::Node { .. }));
    }
}
