//! `cargo xtask demo`: the main job done for real, and what came of it as a page and as a picture.
//!
//! The picture in the README, `docs/soak-report.png`, is one of these.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use crate::tally::Tally;
use crate::workshop::target;
use crate::{packages, picture, vm};

/// What to leave behind.
#[derive(Args)]
pub(crate) struct Options {
    /// Render the report as a picture too, and install Chromium for that; where it is installed, the picture
    /// is made anyway.
    #[arg(long)]
    picture: bool,
}

/// What the guest's program calls the report of its soak.
const PAGE: &str = "soak.html";

/// Runs the demo in the guest and brings its report out, whatever that says.
///
/// # Errors
/// When the guest cannot be started, or the report not be brought out or rendered.
pub(crate) fn run(options: &Options) -> Result<Tally> {
    if options.picture {
        packages::install(packages::PICTURE)?;
    }
    let (tally, results) = vm::demo()?;
    let written = results.with_file_name(PAGE);
    // A soak that broke off leaves it empty.
    if fs::metadata(&written).is_ok_and(|file| file.len() > 0) {
        let page = bring_out(&written)?;
        println!("the report: {}", page.display());
        if packages::are_installed(packages::PICTURE) {
            let picture = page.with_extension("png");
            picture::render(&page, &picture)?;
            println!("a picture of it: {}", picture.display());
        }
    }
    Ok(tally)
}

/// Out of the folder of logs, which the next run empties, to where people look for it.
fn bring_out(written: &Path) -> Result<PathBuf> {
    let folder = target().join("demo");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let page = folder.join(PAGE);
    fs::copy(written, &page).with_context(|| format!("cannot write {}", page.display()))?;
    Ok(page)
}
