//! The plans that ship, armed by a soak: each ends as it declares.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use super::{HOSTS, LUN, SEED};
use crate::disk::{Disk, Transport};
use crate::fault::plan_path;
use crate::report::Report;
use crate::soak::{CAUGHT, HELD, Plan, Soak};

/// When plans are armed.
const ARMED_AFTER: Duration = Duration::from_secs(5);

/// A plan, and the run that shows what it declares.
pub(super) struct Shown {
    plan: &'static str,
    mix: &'static str,
    hosts: usize,
    /// Over what it does not go.
    without: &'static [Transport],
    /// How long it is armed.
    armed_s: u64,
    /// What the run may end with: with a fault that only takes time it may be that a promise about time is
    /// broken, and that it is not.
    ends_with: &'static [i32],
}

const EITHER: &[i32] = &[HELD, CAUGHT];
/// `tcm_fc` does not survive that hosts give commands up (see the scenario `faults`).
const WITH_ABORTS: &[Transport] = &[Transport::Fc];
/// Linux 6.1 hangs if hosts reset the unit while an iSCSI connection is closed because its commands take so long:
/// `iscsit_close_connection` and `core_tmr_lun_reset` wait for the same command.
const WITH_RESETS_IN_CROWDS: &[Transport] = &[Transport::Fc, Transport::Iscsi];
/// `ib_srpt` warns of a command that was refused, with sense data, and is then ended by a reset: its status is TASK
/// ABORTED by then (`srpt_queue_status`).
const WITH_RESETS_OF_REFUSED: &[Transport] = &[Transport::Fc, Transport::Srp];

const HEALTHY_CONTROL: Shown =
    shown("healthy-control", "mixed", 25).over_fc().that_ends_with(&[HELD]);
const FALSE_EQUALITY: Shown =
    shown("false-equality", "file-growth", 25).over_fc().that_ends_with(&[CAUGHT]);
const EIGHT_SECONDS: Shown = shown("ibm-8-second-heartbeats", "mixed", 30);

/// Those for which there is always time. The scenario `demo` has [`EIGHT_SECONDS`].
pub(super) const FEW: [Shown; 1] = [FALSE_EQUALITY];

/// All of them.
pub(super) const ALL: [Shown; 10] = [
    // With a few less it never has as much in flight as it takes, with a few more pulses are refused for seconds.
    Shown { hosts: 22, without: WITH_RESETS_IN_CROWDS, ..shown("starved-array", "bulk", 40) },
    shown("zero-lie", "offload", 60).over_fc().that_ends_with(&[CAUGHT]),
    Shown { without: WITH_RESETS_OF_REFUSED, ..shown("thin-pool-full", "mixed", 150) },
    HEALTHY_CONTROL,
    FALSE_EQUALITY,
    EIGHT_SECONDS,
    shown("lost-status", "mixed", 60),
    shown("hba-driver-bug", "file-growth", 60),
    shown("controller-failover", "mixed", 75),
    shown("non-ats-lun", "file-growth", 25).over_fc(),
];

const fn shown(plan: &'static str, mix: &'static str, armed_s: u64) -> Shown {
    Shown { plan, mix, hosts: HOSTS, without: WITH_ABORTS, armed_s, ends_with: EITHER }
}

impl Shown {
    const fn over_fc(self) -> Self {
        Self { without: &[], ..self }
    }

    const fn that_ends_with(self, ends_with: &'static [i32]) -> Self {
        Self { ends_with, ..self }
    }

    fn soak(&self, report: &mut Report, disks: &[Disk]) -> Result<()> {
        let Self { plan, mix, hosts, without, armed_s, ends_with } = *self;
        report.step(format!("{plan}.toml"));
        let mut disks = disks.to_vec();
        disks.retain(|disk| !without.contains(&disk.transport));
        let file = PathBuf::from(plan_path(plan));
        let soak = Soak {
            name: plan,
            hosts,
            mix,
            seed: SEED,
            lasting: ARMED_AFTER + Duration::from_secs(armed_s),
            plan: Some(Plan { file: &file, lun: LUN, after: ARMED_AFTER }),
        };
        let soaked = soak.on_whatever_is_there(&disks)?;
        soaked.must_end_with(report, plan, ends_with);
        let found = &soaked.found;
        report.equal(&format!("{plan}: passed"), true, found.judgement.passed);
        let other = found.expectations.iter().filter(|expectation| !expectation.met);
        let other: Vec<_> = other.map(|it| format!("{}: {}", it.rule, it.seen)).collect();
        report.none(&format!("{plan}: rules with other consequences than declared"), &other);
        Ok(())
    }
}

pub(super) fn run(report: &mut Report, disks: &[Disk], plans: &[Shown]) -> Result<()> {
    plans.iter().try_for_each(|plan| plan.soak(report, disks))
}
