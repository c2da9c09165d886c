//! The micro-benchmarks, which are a program of their own.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::workshop::{cargo, output};

/// A figure that needs no guest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct NativeFigure {
    pub(super) name: String,
    pub(super) value: f64,
    pub(super) unit: String,
}

/// Builds and runs them.
///
/// # Errors
/// When they do not build or run, or print something else than a figure a line.
pub(super) fn measure() -> Result<Vec<NativeFigure>> {
    println!("native: commands over the simulated kernel");
    let program = ["run", "--quiet", "--release", "--package=pulsefield-bench", "--", "--json"];
    let lines = output(cargo().args(program))?;
    lines
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("no figure: {line}")))
        .collect()
}
