//! What is said about hosts that pulse.

use serde::{Deserialize, Serialize};

/// The hosts that pulse on a logical unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LunHosts {
    /// The logical unit.
    pub lun: String,
    /// Its hosts, by UUID.
    pub hosts: Vec<HostPulse>,
}

/// A host that pulses: what its heartbeats said, and when they came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPulse {
    /// The host's UUID, as ESXi writes it.
    pub host: String,
    /// Its heartbeat slot, counted from 0.
    pub slot: u64,
    /// Its management address, if its heartbeat says one.
    pub address: Option<String>,
    /// How long it had been up when it pulsed last, as it says itself.
    pub up_ms: u64,
    /// How long ago that was.
    pub age_ms: u64,
    /// How many intervals between two of its pulses were seen.
    pub intervals: u64,
    /// Those of them that were longer than 8 seconds, which is what ESXi gives a heartbeat.
    pub late: u64,
    /// The longest of them.
    pub longest_ms: u64,
}
