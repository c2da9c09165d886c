//! SET TARGET PORT GROUPS from an initiator, over explicit ALUA: in force at once for everybody, in the
//! kernel's configuration, and told.

use anyhow::{Context, Result};

use super::{BLOCK, ready};
use crate::backstore::Backstore;
use crate::command::run as command;
use crate::reply::Answer;
use crate::report::Report;
use crate::sg::Device;

/// LIO's group of all ports that were not put into another.
const STATE: &str = "alua/default_tg_pt_gp/alua_access_state";
/// 06h/2Ah/06h ASYMMETRIC ACCESS STATE CHANGED.
const STATE_CHANGED: Answer = Answer::Check(0x06, 0x2a, 0x06);
/// 02h/04h/0Bh LOGICAL UNIT NOT ACCESSIBLE, TARGET PORT IN STANDBY STATE.
const STANDBY: Answer = Answer::Check(0x02, 0x04, 0x0b);

pub(super) fn run(report: &mut Report, unit: &Backstore, devices: &[Device]) -> Result<()> {
    report.step("SET TARGET PORT GROUPS");
    let [first, .., last] = devices else { anyhow::bail!("two fabrics at least") };
    let folder = unit.folder()?;
    for device in devices {
        settle(device)?;
    }
    report.works("sg_stpg to standby", set(first, "--standby"));
    report.equal("the kernel's access state", "2", &*folder.read(STATE)?);
    report.equal("what another initiator hears first", STATE_CHANGED, ready(last)?);
    report.equal("TEST UNIT READY over a port in standby", STANDBY, ready(last)?);
    let told = command("sg_rtpg", ["--decode", &*last.path().to_string_lossy()]).output()?;
    report.equal("REPORT TARGET PORT GROUPS says standby", true, told.contains("standby"));
    report.works("sg_stpg to active/optimized", set(last, "--optimized"));
    report.equal("the kernel's access state", "0", &*folder.read(STATE)?);
    for device in devices {
        settle(device)?;
    }
    report.works("a WRITE then", first.write_block(0, &[1; BLOCK]));
    Ok(())
}

/// Sets the state of group 0.
fn set(device: &Device, state: &str) -> Result<String> {
    let path = device.path().to_string_lossy();
    command("sg_stpg", [state, "--tp=0", &*path]).output()
}

/// Takes every condition that is pending.
fn settle(device: &Device) -> Result<()> {
    device.capacity().map(drop).context("settling")
}
