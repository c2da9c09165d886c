//! `cargo xtask faults`: writes the reference at the end of `docs/faults.md`.
//!
//! The product prints it (`pulsefield fault catalogue --markdown`), so that nothing of the house is
//! compiled into this program. A test of `faults` says when the page is stale.

use std::fs;

use anyhow::{Context, Result};

use crate::workshop::{cargo, output, root};

/// The heading with which the reference begins.
const BEGINNING: &str = "## The catalogue\n";

/// Writes the page.
///
/// # Errors
/// When the product cannot be built, or the page is not there or has no reference.
pub(crate) fn run() -> Result<()> {
    let product =
        ["run", "--quiet", "--package=pulsefield", "--", "fault", "catalogue", "--markdown"];
    let reference = output(cargo().args(product))?;
    let path = root().join("docs/faults.md");
    let page =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let (manual, _) = page.split_once(BEGINNING).context("docs/faults.md has no catalogue")?;
    fs::write(&path, format!("{manual}{reference}")).context("cannot write docs/faults.md")?;
    println!("docs/faults.md is written");
    Ok(())
}
