//! What `pulsefield soak` is asked for.

use std::path::PathBuf;
use std::time::Duration;

use pulsefield_hosts::Locking;

/// A run, as it was asked for.
#[derive(Clone, Debug)]
pub struct SoakOptions {
    /// On what.
    pub on: On,
    /// How many hosts.
    pub hosts: u32,
    /// The mix of work: a name, or a file if there is a slash or a dot in it.
    pub mix: String,
    /// Where all that is drawn comes from; from the clock if it is not said.
    pub seed: Option<u64>,
    /// How long hosts work.
    pub duration: Duration,
    /// A plan of faults to arm.
    pub plan: Option<PathBuf>,
    /// When it is armed; after half of the duration if it is not said.
    pub plan_after: Option<Duration>,
    /// What the daemon calls the unit, for the plan and for its record.
    pub lun: Option<String>,
    /// The folder in which the daemon records its units.
    pub directory: PathBuf,
    /// The daemon's control socket.
    pub socket: PathBuf,
    /// How hosts keep others out.
    pub locking: Locking,
    /// Where the report goes.
    pub report: Option<PathBuf>,
    /// Where JUnit's XML goes.
    pub junit: Option<PathBuf>,
    /// Whether the report is printed as JSON.
    pub json: bool,
    /// How often it was said that what the unit holds may be destroyed.
    pub destroy: u8,
    /// What to type to repeat it, but for the seed.
    pub command: String,
    /// The program's version.
    pub version: String,
}

/// On what hosts run.
#[derive(Clone, Debug)]
pub enum On {
    /// Devices of the machine, each a path to the same logical unit.
    Devices(Vec<PathBuf>),
    /// A logical unit within the process.
    Embedded {
        /// Whether time is virtual.
        virtual_time: bool,
    },
}
