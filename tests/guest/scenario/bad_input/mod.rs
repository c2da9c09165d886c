//! Everything that is wrong is answered precisely, changes nothing and stops nothing.

mod commands;
mod configuration;
mod lists;
mod media;

use anyhow::Result;

use crate::report::Report;

pub(super) fn run(report: &mut Report) -> Result<()> {
    lists::run(report)?;
    commands::run(report)?;
    configuration::run(report)?;
    media::run(report)
}
