//! What is to be seen, one scenario a file.
//!
//! Each runs in a fresh guest. A scenario returns an error only where it cannot go on; what it was
//! to see and did not, it records as a failed check and carries on.

mod bad_input;
mod block;
mod changes;
mod conformance;
mod demo;
mod examples;
mod explaining;
mod fabrics;
mod faults;
mod incidents;
mod rearming;
mod removal;
mod reservations;
mod restart;
mod soak;
mod soak_bad_input;
mod soak_peers;
mod tools;

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::backstore::Kind;
use crate::report::Report;
use crate::{configfs, daemon, kernel_log, processes};

/// The scenarios.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// Four fabrics at once: a race, collisions, a file system, save and restore.
    Fabrics,
    /// libiscsi's test suite over two portals.
    Conformance,
    /// The daemon killed ten times under load.
    Restart,
    /// Logical units deleted, resized and reconfigured under load.
    Removal,
    /// The scripts of targetcli-examples as they stand.
    Examples,
    /// sg3_utils, file systems with discard, EXTENDED COPY.
    Tools,
    /// The main job for a person to watch: four fabrics, and a soak over them with a fault half-way.
    Demo,
    /// Commands and configurations that are wrong.
    BadInput,
    /// Block devices as media.
    Block,
    /// SCSI-2 and persistent reservations, which LIO keeps, from all fabrics.
    Reservations,
    /// Units that change under their initiators.
    Changes,
    /// Every fault of the catalogue, armed and seen.
    Faults,
    /// The plans of faults that ship, and what they promise.
    Incidents,
    /// Every cause of an ATS miscompare, and what is explained of it.
    Explaining,
    /// An hour in which nothing is to be explained.
    CleanHour,
    /// Faults armed, disarmed and reloaded, thousands of times under load.
    Rearming,
    /// Emulated hosts on four fabrics: nothing is wrong, and what is broken on purpose is caught.
    Soak,
    /// A soak under each plan that ships, and under faults that checkers must catch, again and again.
    SoakPlans,
    /// Half an hour of a soak in which nothing is wrong.
    SoakHalfHour,
    /// What a soak cannot work on, and units that vanish, lose a path or fill up in one.
    SoakBadInput,
    /// The same soak on units of LIO and of tcmu-runner.
    SoakPeers,
}

impl Scenario {
    /// Its name on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Runs it and checks what nearly every scenario must leave behind: nothing.
    pub fn run(self, report: &mut Report, kind: Kind) {
        let outcome = self.observe(report, kind);
        report.works("the scenario runs to its end", outcome);
    }

    fn observe(self, report: &mut Report, kind: Kind) -> Result<()> {
        let log = kernel_log::mark()?;
        if kind == Kind::Pulsefield {
            daemon::start().context("starting the daemon")?;
        }
        match self {
            Self::Fabrics => fabrics::run(report, kind)?,
            Self::Conformance => conformance::run(report, kind)?,
            Self::Restart => restart::run(report)?,
            Self::Removal => removal::run(report)?,
            Self::Examples => examples::run(report)?,
            Self::Tools => tools::run(report)?,
            Self::Demo => demo::run(report)?,
            Self::BadInput => bad_input::run(report)?,
            Self::Block => block::run(report)?,
            Self::Reservations => reservations::run(report)?,
            Self::Changes => changes::run(report)?,
            Self::Faults => faults::run(report)?,
            Self::Incidents => incidents::run(report)?,
            Self::Explaining => explaining::run(report)?,
            Self::CleanHour => explaining::run_clean_hour(report)?,
            Self::Rearming => rearming::run(report)?,
            Self::Soak => soak::run(report)?,
            Self::SoakPlans => soak::run_plans(report)?,
            Self::SoakHalfHour => soak::run_half_hour(report)?,
            Self::SoakBadInput => soak_bad_input::run(report)?,
            Self::SoakPeers => soak_peers::run(report)?,
        }
        report.none("tasks stuck in the kernel", &processes::stuck()?);
        // The demo ends with what it has to show.
        if self != Self::Demo {
            report.none("UIO devices left behind", &configfs::user_devices()?);
        }
        // These break media and LUNs on purpose; others must not see a single error.
        let breaks_units =
            matches!(self, Self::BadInput | Self::Block | Self::Removal | Self::SoakBadInput);
        if !breaks_units {
            report.none("errors and panics of the daemon", &daemon::complaints()?);
        }
        if !breaks_units {
            // Nor does the kernel complain, but of what the scenario does to whoever reads.
            let mut complaints = log.complaints()?;
            complaints.retain(|line| !self.brings_about().iter().any(|sign| line.contains(sign)));
            report.none("complaints of the kernel", &complaints);
        }
        Ok(())
    }
    /// What the kernel says when udev, which reads a disk whenever somebody has closed it, meets a fault, or
    /// a disk that another initiator has reserved for itself.
    const fn brings_about(self) -> &'static [&'static str] {
        if matches!(self, Self::Faults) {
            &["I/O error", "Medium Error"]
        } else if matches!(self, Self::Reservations | Self::SoakPeers) {
            &["async page read"]
        } else {
            &[]
        }
    }
}
