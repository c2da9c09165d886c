//! `pulsefield soak`: what a run is told on the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use pulsefield_control::{CONTROL_SOCKET, RECORD_FOLDER};

use super::time;

pub(super) const EXIT_STATUS: &str = "\
Exit status:
  0  every promise held; of units that are watched, every one that a record can decide
  1  there was no run, or its report could not be written; standard error says why
  2  the command line was not understood
  3  no daemon answers on the control socket
  4  a promise was broken, a plan of faults had other consequences than it declares, or the run broke off
  5  promises were broken exactly as the plan of faults declares";

/// What to soak, how, and for how long.
#[derive(Clone, Debug, Args)]
pub struct SoakArgs {
    /// Devices, each a path to the same logical unit, over which hosts are spread
    #[arg(
        value_name = "DEVICE",
        required_unless_present_any = ["embedded", "watch"],
        conflicts_with = "embedded"
    )]
    pub devices: Vec<PathBuf>,
    /// Run no host, but watch logical units that the daemon serves and records, or records if there is a slash in the
    /// name
    #[arg(
        long,
        value_name = "LUN|FILE",
        num_args = 1..,
        conflicts_with_all = [
            "devices", "embedded", "hosts", "mix", "seed", "locking", "plan", "lun", "destroy",
        ]
    )]
    pub watch: Vec<String>,
    /// The folder in which logical units are recorded
    #[arg(long, value_name = "FOLDER", default_value = RECORD_FOLDER, conflicts_with = "embedded")]
    pub directory: PathBuf,
    /// On a logical unit within the process, in memory: needs no device, no kernel module and no root
    #[arg(long)]
    pub embedded: bool,
    /// In virtual time, as fast as it can be computed
    #[arg(long = "virtual", requires = "embedded")]
    pub virtual_time: bool,
    /// How many hosts
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub hosts: u32,
    /// What they do: a mix by name, or a file if there is a slash or a dot in it
    ///
    /// Names: mixed, power-on-storm, file-growth, vmotion, host-crash, host-freeze, bulk, offload, plain-writes,
    /// collisions.
    #[arg(long, value_name = "NAME|FILE", default_value = "mixed")]
    pub mix: String,
    /// Where all that is drawn comes from; from the clock without it
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// How long hosts work, as 60s or 8h; 60s without it. Units are watched until Ctrl-C without it
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub duration: Option<Duration>,
    /// How hosts keep others out of a lock
    #[arg(long, value_name = "HOW", default_value = "ats-only")]
    pub locking: LockingArg,
    /// A plan of faults to arm on the way, whose verdicts are then to be seen
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// When the plan is armed; after half of the duration without it
    #[arg(long, value_name = "TIME", value_parser = time, requires = "plan")]
    pub plan_after: Option<Duration>,
    /// What the daemon calls the unit that the devices lead to: for a plan of faults, and for its record, which
    /// explains miscompares
    #[arg(long, value_name = "NAME")]
    pub lun: Option<String>,
    /// The daemon's control socket
    #[arg(long, value_name = "PATH", default_value = CONTROL_SOCKET)]
    pub socket: PathBuf,
    /// The folder for the report: soak.html for people, soak.json for machines
    #[arg(long, value_name = "FOLDER")]
    pub report: Option<PathBuf>,
    /// Write the verdicts as JUnit's XML to this file
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
    /// What the unit holds may be destroyed; to be said twice if that is not a scratch volume of a soak
    #[arg(long, action = clap::ArgAction::Count)]
    pub destroy: u8,
}

/// How hosts keep others out of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LockingArg {
    /// By ATS and nothing else
    AtsOnly,
    /// By ATS, and where the device refuses it by a reservation
    #[value(name = "ats+scsi")]
    AtsAndScsi,
    /// By reservations
    Scsi,
}
