//! What comes as Python packages: programs and libraries of others, in folders of their own in the cache.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::packages;
use crate::workshop::run;

/// Only what need not be compiled here.
pub(crate) const READY_MADE: &str = "--only-binary=:all:";

/// Makes a fresh environment in `folder` and has its pip install what `wanted` says, with pip's options.
///
/// # Errors
/// When this machine has no Python and cannot have it, or pip fails.
pub(crate) fn install(folder: &Path, wanted: &[&str]) -> Result<()> {
    println!("installing {} into {}", wanted.last().unwrap_or(&"nothing"), folder.display());
    packages::install(packages::PYTHON)?;
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
    run(Command::new(folder.join("bin/pip")).args(["install", "--quiet"]).args(wanted))
}
