//! The kernel module `target_core_user`: loading it, and its parameters.

use std::ffi::OsStr;
use std::io;
use std::process::{Command, ExitStatus, Stdio};

use thiserror::Error;
use tracing::warn;

use crate::attribute::Directory;
use crate::{AttributeError, Roots};

const NAME: &str = "target_core_user";

/// Why the module could not be loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// `modprobe` could not be run.
    #[error("load {NAME}: run modprobe")]
    Spawn(#[source] io::Error),
    /// `modprobe` said no.
    #[error("load {NAME}: {}", reason(.status, .stderr))]
    Failed {
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        stderr: String,
    },
    /// `modprobe` said yes, but the kernel shows no such module.
    #[error("load {NAME}: modprobe succeeded, but /sys/module/{NAME} is missing")]
    Missing,
}

fn reason(status: &ExitStatus, stderr: &str) -> String {
    match stderr.trim() {
        "" => format!("modprobe ended with {status}"),
        said => said.to_owned(),
    }
}

/// The module, loaded or not.
#[derive(Clone, Debug)]
pub struct Module {
    directory: Directory,
}

impl Module {
    /// The module as `roots` shows it.
    pub fn new(roots: &Roots) -> Self {
        Self { directory: Directory::new(roots.module()) }
    }

    /// Whether it is loaded, or built into the kernel.
    pub fn is_loaded(&self) -> bool {
        self.directory.path().exists()
    }

    /// Loads the module unless it is there, with `modprobe`.
    ///
    /// # Errors
    /// [`LoadError`], which says what `modprobe` said.
    pub fn load(&self) -> Result<(), LoadError> {
        self.load_with("modprobe".as_ref())
    }

    fn load_with(&self, modprobe: &OsStr) -> Result<(), LoadError> {
        if self.is_loaded() {
            return Ok(());
        }
        let output = Command::new(modprobe)
            .arg(NAME)
            .stdin(Stdio::null())
            .output()
            .map_err(LoadError::Spawn)?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(LoadError::Failed { status: output.status, stderr });
        }
        if self.is_loaded() { Ok(()) } else { Err(LoadError::Missing) }
    }

    /// The limit of all data areas together, in MiB. Above it the kernel takes pages of idle
    /// devices away, which costs time, so the sum of all `max_data_area_mb` had better stay below.
    ///
    /// # Errors
    /// [`AttributeError::Gone`] if the module is not loaded.
    pub fn global_max_data_area_mb(&self) -> Result<u32, AttributeError> {
        self.directory.read_value("parameters/global_max_data_area_mb")
    }

    /// Sets [`Module::global_max_data_area_mb`].
    ///
    /// # Errors
    /// [`AttributeError::Refused`] if more than that is in use; [`AttributeError::Gone`] if the
    /// module is not loaded.
    pub fn set_global_max_data_area_mb(&self, mib: u32) -> Result<(), AttributeError> {
        self.directory.write("parameters/global_max_data_area_mb", mib)
    }

    /// Whether requests to daemons fail with EAGAIN instead of being sent.
    ///
    /// # Errors
    /// [`AttributeError::Unsupported`] before Linux 4.19, [`AttributeError::Gone`] if the module is
    /// not loaded.
    pub fn is_netlink_blocked(&self) -> Result<bool, AttributeError> {
        const BLOCK_NETLINK: &str = "parameters/block_netlink";
        match self.directory.read(BLOCK_NETLINK)?.as_str() {
            "blocked" => Ok(true),
            "unblocked" => Ok(false),
            other => Err(self.directory.malformed(BLOCK_NETLINK, other)),
        }
    }

    /// Blocks all requests to daemons until the answer is dropped.
    ///
    /// This concerns *every* daemon on the machine. It is for start-up, when no other daemon runs,
    /// to free those who wait for an answer of one that died.
    ///
    /// # Errors
    /// See [`Module::is_netlink_blocked`].
    pub fn block_netlink(&self) -> Result<NetlinkBlocked, AttributeError> {
        self.set_netlink_blocked(true)?;
        Ok(NetlinkBlocked { module: self.clone(), lifted: false })
    }

    fn set_netlink_blocked(&self, blocked: bool) -> Result<(), AttributeError> {
        self.directory.write("parameters/block_netlink", u8::from(blocked))
    }
}

/// Requests to daemons are blocked, module-wide; they go on when this is dropped, for otherwise no
/// device could be made or changed until somebody noticed.
///
/// Removing a device does not fail meanwhile, it only is not announced: look at what [`crate::scan`]
/// finds after this has been lifted, or notice it at the device itself.
#[derive(Debug)]
#[must_use = "netlink is unblocked when this is dropped"]
pub struct NetlinkBlocked {
    module: Module,
    lifted: bool,
}

impl NetlinkBlocked {
    /// Ends every wait for a daemon's answer with EINTR. The kernel takes this only while requests
    /// are blocked, which is why it is a method of this type.
    ///
    /// # Errors
    /// See [`Module::is_netlink_blocked`].
    pub fn reset(&self) -> Result<(), AttributeError> {
        self.module.directory.write("parameters/reset_netlink", 1)
    }

    /// Lets requests through again.
    ///
    /// # Errors
    /// See [`Module::is_netlink_blocked`].
    pub fn lift(mut self) -> Result<(), AttributeError> {
        self.lifted = true;
        self.module.set_netlink_blocked(false)
    }
}

impl Drop for NetlinkBlocked {
    fn drop(&mut self) {
        if self.lifted {
            return;
        }
        if let Err(error) = self.module.set_netlink_blocked(false) {
            warn!(error = &error as &dyn std::error::Error, "requests to daemons stay blocked");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::*;

    struct Machine {
        directory: tempfile::TempDir,
        module: Module,
    }

    impl Machine {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let module = Module::new(&Roots::under(directory.path()));
            Self { directory, module }
        }

        fn parameter(&self, name: &str) -> PathBuf {
            self.module.directory.path().join("parameters").join(name)
        }

        fn loaded() -> Self {
            let machine = Self::new();
            fs::create_dir_all(machine.parameter("")).unwrap();
            fs::write(machine.parameter("block_netlink"), "unblocked\n").unwrap();
            fs::write(machine.parameter("reset_netlink"), "").unwrap();
            fs::write(machine.parameter("global_max_data_area_mb"), "2048\n").unwrap();
            machine
        }

        /// A `modprobe` that does what `script` says.
        fn load_with(&self, script: &str) -> Result<(), LoadError> {
            let modprobe = self.directory.path().join("modprobe");
            fs::write(&modprobe, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&modprobe, fs::Permissions::from_mode(0o755)).unwrap();
            self.module.load_with(modprobe.as_os_str())
        }
    }

    #[test]
    fn loading_says_what_modprobe_says() {
        let machine = Machine::new();
        let said = machine.load_with("echo modprobe: FATAL: no $1 >&2; exit 1").unwrap_err();
        assert_eq!(said.to_string(), "load target_core_user: modprobe: FATAL: no target_core_user");
        let silent = machine.load_with("exit 3").unwrap_err();
        assert_eq!(silent.to_string(), "load target_core_user: modprobe ended with exit status: 3");
        assert!(matches!(machine.load_with("exit 0"), Err(LoadError::Missing)));
        let absent = machine.module.load_with("/nonexistent/modprobe".as_ref());
        assert!(matches!(absent, Err(LoadError::Spawn(_))));
        let path = machine.module.directory.path().display().to_string();
        machine.load_with(&format!("mkdir -p {path}")).unwrap();
        assert!(machine.module.is_loaded());
        machine.load_with("exit 1").unwrap();
    }

    #[test]
    fn netlink_is_unblocked_whatever_happens() {
        let machine = Machine::loaded();
        assert!(!machine.module.is_netlink_blocked().unwrap());
        let blocked = machine.module.block_netlink().unwrap();
        blocked.reset().unwrap();
        let written = |name| fs::read_to_string(machine.parameter(name)).unwrap();
        assert_eq!(
            (written("block_netlink"), written("reset_netlink")),
            ("1".to_owned(), "1".to_owned())
        );
        blocked.lift().unwrap();
        assert_eq!(written("block_netlink"), "0");
        drop(machine.module.block_netlink().unwrap());
        assert_eq!(written("block_netlink"), "0");
    }

    #[test]
    fn parameters_of_a_module_that_is_not_there_are_gone() {
        let machine = Machine::new();
        let error = machine.module.global_max_data_area_mb().unwrap_err();
        assert!(matches!(error, AttributeError::Gone(_)));
        let machine = Machine::loaded();
        assert_eq!(machine.module.global_max_data_area_mb().unwrap(), 2048);
        machine.module.set_global_max_data_area_mb(4096).unwrap();
        assert_eq!(machine.module.global_max_data_area_mb().unwrap(), 4096);
        fs::remove_file(machine.parameter("block_netlink")).unwrap();
        assert!(matches!(machine.module.block_netlink(), Err(AttributeError::Unsupported { .. })));
    }
}
