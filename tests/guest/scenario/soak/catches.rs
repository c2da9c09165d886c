//! Faults that answer GOOD and do something else. Nobody is told of them; whoever keeps account of all that was
//! answered must notice, and within a minute.

use std::time::Duration;

use anyhow::Result;

use super::{HOSTS, LUN};
use crate::disk::Disk;
use crate::report::Report;
use crate::soak::{CAUGHT, Plan, Soak, plan_of_one_rule};

/// When the fault is armed: hosts have their heartbeats by then.
const ARMED_AFTER: Duration = Duration::from_secs(5);
/// How long hosts go on with it.
const ARMED_FOR: Duration = Duration::from_secs(20);
/// By when it must have shown.
const LIMIT: Duration = Duration::from_secs(60);
/// Hosts that contend for a few locks, and write and read beside that.
const MIX: &str = "file-growth";

/// A fault, and the rest of its rule.
type Catch = (&'static str, &'static str);

const NOT_ATOMIC: Catch = ("caw.not-atomic", "gap = \"20ms\"\nwhere = { vmfs = \"lock\" }");
const LOST_WRITE: Catch =
    ("lost-write", "where = { command = [\"write\", \"caw\"] }\nwhen = { every = 20 }");

/// Those for which there is always time. The plan `false-equality` is about one of the others.
pub(super) const FEW: [Catch; 2] = [NOT_ATOMIC, LOST_WRITE];

/// All of them.
pub(super) const ALL: [Catch; 5] = [
    ("miscompare.false-equal", "where = { vmfs = \"lock\" }"),
    NOT_ATOMIC,
    LOST_WRITE,
    ("stale-read", "where = { command = [\"write\", \"caw\"] }\nwhen = { every = 10 }"),
    // It happens to no COMPARE AND WRITE.
    ("misdirected-write", "when = { every = 4 }"),
];

pub(super) fn run(report: &mut Report, disks: &[Disk], catches: &[Catch], seed: u64) -> Result<()> {
    for (fault, rest) in catches {
        report.step(format!("{fault}, seed {seed}"));
        let name = format!("{fault}-{seed}");
        let file = plan_of_one_rule(&name, seed, &format!("fault = \"{fault}\"\n{rest}"))?;
        let soak = Soak {
            name: &name,
            hosts: HOSTS,
            mix: MIX,
            seed,
            lasting: ARMED_AFTER + ARMED_FOR,
            plan: Some(Plan { file: &file, lun: LUN, after: ARMED_AFTER }),
        };
        let soaked = soak.on_whatever_is_there(disks)?;
        soaked.must_end_with(report, &name, &[CAUGHT]);
        let caught = soaked.found.caught_after();
        report.figure(&format!("{name}.caught_after_ms"), caught.map(|it| it.as_millis()));
        let in_time = caught.is_some_and(|after| after <= LIMIT);
        let seen = caught.map_or_else(|| "never".to_owned(), |it| format!("after {it:.1?}"));
        let expected = format!("within {} s", LIMIT.as_secs());
        report.check(&format!("{name}: caught"), in_time, expected, seen);
    }
    Ok(())
}
