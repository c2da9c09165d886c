//! The page of metrics as Prometheus's own Python client reads it.
//!
//! A unit test of the daemon pins the page to `golden.prom`; here a parser that is not ours, and is what
//! other programs use, reads that file. `metrics.py` says what must hold.

use std::process::Command;

use anyhow::Result;

use crate::python;
use crate::workshop::{cache, output, root, run};

/// The parser: `prometheus-client`, Apache-2.0; fetched, never part of the product.
const PARSER: &str = "prometheus-client";
const VERSION: &str = "0.26.0";

/// The page.
const PAGE: &str = "src/daemon/exposition/golden.prom";

/// Reads the page; gets the parser first where it is missing.
///
/// # Errors
/// When the page is not what it should be, or the parser cannot be had.
pub(crate) fn run_checks() -> Result<()> {
    let folder = cache()?.join(format!("{PARSER}-{VERSION}"));
    let python = folder.join("bin/python");
    let import = ["-c", "import prometheus_client.parser"];
    if output(Command::new(&python).args(import)).is_err() {
        python::install(&folder, &[python::READY_MADE, &format!("{PARSER}=={VERSION}")])?;
    }
    run(Command::new(python).args(["-c", include_str!("metrics.py")]).arg(root().join(PAGE)))
}
