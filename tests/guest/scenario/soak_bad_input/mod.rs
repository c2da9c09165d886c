//! What a soak cannot work on is refused before anything is written; what goes wrong in a run ends it, or is gone on
//! with, and in either case there is a report.
//!
//! - `units`: the units of this scenario, made quickly;
//! - `refusals`: what there is no run of;
//! - `mishaps`: units that vanish, lose a path or fill up in a run.

mod mishaps;
mod refusals;
mod units;

use anyhow::Result;

use crate::report::Report;
use mishaps::Mishaps;

/// Runs that wait for something take their time beside what is over at once.
pub(super) fn run(report: &mut Report) -> Result<()> {
    let mishaps = Mishaps::start(report)?;
    refusals::run(report)?;
    mishaps.judge(report)
}
