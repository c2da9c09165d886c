//! Writes the manual pages of `pulsefield` and its subcommands into the folder named on the command line.
//!
//! A program of its own, behind the feature `manual`, so that `cargo xtask` itself need not compile the
//! command line of the product to check the rest of the house.

use std::path::PathBuf;

use anyhow::{Context, Result};

fn main() -> Result<()> {
    let folder: PathBuf =
        std::env::args_os().nth(1).context("usage: pulsefield-manual FOLDER")?.into();
    clap_mangen::generate_to(pulsefield_ctl::cli(), &folder)
        .with_context(|| format!("cannot write manual pages into {}", folder.display()))
}
