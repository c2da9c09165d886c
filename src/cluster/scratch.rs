//! Where on a logical unit everything lies that hosts work on.

use pulsefield_units::{BlockLength, LbaRange};

/// The parts of a logical unit. Locks are named by their address, in bytes from the start of the volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scratch {
    /// The length of the unit's blocks.
    pub block_length: BlockLength,
    /// The locks of the files of virtual machines, one each.
    pub machines: Vec<u64>,
    /// The locks of what all files are made of: clusters of blocks and of file descriptors.
    pub resources: Vec<u64>,
    /// Blocks outside of all metadata, for bulk reads and writes.
    pub bulk: LbaRange,
    /// Whether a block that was unmapped reads zeros (LBPRZ of the Logical Block Provisioning page).
    pub unmaps_to_zeros: bool,
    /// Whether it copies within itself (3PC of standard INQUIRY data).
    pub copies: bool,
}
