//! The seam between a cluster and what carries out its commands.

pub(crate) mod devices;
pub(crate) mod embedded;

use std::time::Duration;

use pulsefield_checkers::HostId;
use pulsefield_cluster::Ticket;
use pulsefield_hosts::{Io, Outcome};
use pulsefield_units::Instant;
use thiserror::Error;

use crate::area::Area;

/// Something has happened behind the seam.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Happening {
    /// A command has ended.
    Ended {
        /// Which.
        ticket: Ticket,
        /// How.
        outcome: Outcome,
    },
    /// A path of a host is lost, or is there again.
    Path {
        /// When.
        at: Instant,
        /// Whose.
        host: HostId,
        /// What.
        what: String,
    },
}

/// Carries out commands of hosts on one logical unit, and says what time it is.
pub(crate) trait Transport {
    /// The time that the run goes by. It never goes back.
    fn now(&self) -> Instant;

    /// Is told where hosts will work from now on.
    fn set_out(&mut self, area: &Area);

    /// Begins a command, and never waits. Its end is told once: also if it is not answered for `timeout`, when
    /// it has been aborted.
    fn submit(&mut self, ticket: Ticket, host: HostId, io: Io, timeout: Duration);

    /// What has happened next; `None` if nothing has by `until`.
    ///
    /// # Errors
    /// If there is nothing left to wait for: the unit is gone on all ways.
    fn wait(&mut self, until: Instant) -> Result<Option<Happening>, TransportError>;
}

/// Why a run cannot go on.
#[derive(Debug, Error)]
pub enum TransportError {
    /// No path leads to the unit any more.
    #[error("the device is gone: no path has answered for {seconds} s")]
    Gone {
        /// For how long.
        seconds: u64,
    },
    /// The unit in the process has broken down.
    #[error("the embedded unit has broken down")]
    Embedded(#[source] Box<dyn std::error::Error + Send + Sync>),
}
