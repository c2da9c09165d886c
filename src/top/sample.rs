//! All that the daemon and its records say at one moment.

use std::collections::BTreeMap;

use pulsefield_control::protocol::{LunFaults, LunHosts, LunLatency, LunSummary, Status};
use pulsefield_control::{Client, ClientError};
use serde::Serialize;

/// All that the daemon and its records say at one moment.
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
    /// The latest MISCOMPAREs and why they happened, the last one first: the daemon does not say that, its
    /// records do.
    pub miscompares: Vec<Miscompare>,
    /// Why there is nothing to be said of the MISCOMPAREs of a unit, by unit.
    pub unread_records: BTreeMap<String, String>,
}

/// A MISCOMPARE, and why it happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Miscompare {
    /// The logical unit.
    pub lun: String,
    /// When it was answered, as ISO 8601 has it, in UTC; `None` if the record does not tell.
    pub time: Option<String>,
    /// What the block is to VMFS.
    pub object: Option<String>,
    /// The host that sent it, if what it brought names one.
    pub host: Option<String>,
    /// What is found about it.
    pub finding: String,
    /// On what evidence.
    pub words: String,
}

impl Sample {
    /// Asks the daemon for all that it says.
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
            miscompares: Vec::new(),
            unread_records: BTreeMap::new(),
        })
    }

    /// The latencies of the unit `name`, if it serves.
    pub(crate) fn latency_of(&self, name: &str) -> Option<&LunLatency> {
        self.latency.iter().find(|lun| lun.lun == name)
    }
}
