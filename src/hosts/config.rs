//! What a host is, and what it is told of a volume.

use std::net::IpAddr;

use pulsefield_vmfs::HostUuid;

use crate::{Geometry, Locking};

/// A host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostConfig {
    /// Its UUID. The MAC address in it decides which heartbeat slot the host tries first.
    pub uuid: HostUuid,
    /// The address that its heartbeats bear.
    pub management_address: Option<IpAddr>,
    /// How it pulses.
    pub heartbeat: HeartbeatMode,
    /// What decides all that is left to chance. Hosts of one cluster should differ in it.
    pub seed: u64,
}

/// How a host pulses (`/VMFS3/UseATSForHBOnVMFS5`, KB 2113956). It decides about pulses only: a slot is acquired
/// and cleared as the volume's [`Locking`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HeartbeatMode {
    /// READ, a look at what is there, WRITE: before 5.5 U2, or with the option at 0. Also what a host does
    /// on a device without ATS, and on VMFS 3.
    ReadWrite,
    /// By ATS, since 5.5 U2. After a time-out the next pulse expects what the one before expected, and
    /// miscompares if that one was done after all.
    Ats,
    /// By ATS, since 6.5: after a time-out the slot is read first, and the host's own image taken for what
    /// it is. That much is published; how it is done is not.
    AtsReadBack,
}

impl HeartbeatMode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ReadWrite, Self::Ats, Self::AtsReadBack];

    /// What a user types.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadWrite => "read-write",
            Self::Ats => "ats",
            Self::AtsReadBack => "ats-read-back",
        }
    }
}

/// A volume that a host is to mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MountedVolume {
    /// Where things are.
    pub geometry: Geometry,
    /// How metadata is to be changed there. All hosts of a volume must agree about it.
    pub locking: Locking,
}
