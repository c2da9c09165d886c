//! All that the daemon says at one moment.

use pulsefield_control::protocol::{LunFaults, LunHosts, LunLatency, LunSummary, Status};
use pulsefield_control::{Client, ClientError};
use serde::Serialize;

/// All that the daemon says at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct Sample {
    /// How it is.
    pub status: Status,
    /// The logical units, by name.
    pub luns: Vec<LunSummary>,
    /// How long their commands take.
    pub latency: Vec<LunLatency>,
    /// Which hosts pulse on them.
    pub hosts: Vec<LunHosts>,
    /// Which faults are armed.
    pub faults: Vec<LunFaults>,
}

impl Sample {
    /// Asks the daemon for all of it.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn ask(client: &Client) -> Result<Self, ClientError> {
        Ok(Self {
            status: client.status()?,
            luns: client.luns()?,
            latency: client.latency(None, false)?,
            hosts: client.hosts(None)?,
            faults: client.faults(None)?,
        })
    }

    /// The latencies of the unit `name`, if it serves.
    pub(crate) fn latency_of(&self, name: &str) -> Option<&LunLatency> {
        self.latency.iter().find(|lun| lun.lun == name)
    }
}
