//! Plans under which hosts on several fabrics take one lock: two owners with false equality, and never
//! without a fault.

use anyhow::Result;

use super::{LUN, hit};
use crate::disk::Disk;
use crate::fault;
use crate::hammer::hammer;
use crate::report::Report;

/// Where the lock lies.
const LBA: u64 = 4096;
/// How often each host takes it.
const TIMES: usize = 250;

/// Takings that were acknowledged and do not count: each had another owner.
pub(super) fn false_equality(report: &mut Report, disks: &[Disk]) -> Result<()> {
    let hammered = hammer(disks, LBA, TIMES)?;
    report.figure("false-equality", hammered);
    let lost = hammered.acknowledged.saturating_sub(hammered.counted);
    report.at_least("false-equality: takings that do not count", 1, lost);
    hit(report, "false-equality", "two owners", 1)
}

/// The plan without rules: it is sound, there is nothing in it to arm, and each taking counts.
pub(super) fn healthy_control(report: &mut Report, disks: &[Disk]) -> Result<()> {
    let plan = "healthy-control";
    report.step(format!("{plan}.toml"));
    report.works(&format!("{plan}: pulsefield check"), fault::check_plan(plan));
    let said = fault::arm_plan(LUN, plan)?.said();
    let empty = said.contains("no logical unit serves that the plan has rules for");
    report.check(&format!("{plan}: pulsefield fault arm"), empty, "no rules to arm", said);
    report.equal(&format!("{plan}: rules armed"), 0, fault::armed(LUN)?.len());
    let hammered = hammer(disks, LBA, TIMES)?;
    report.figure(plan, hammered);
    report.equal(&format!("{plan}: takings that count"), hammered.acknowledged, hammered.counted);
    report.at_least(&format!("{plan}: takings that met another's"), 1, hammered.miscompared);
    Ok(())
}
