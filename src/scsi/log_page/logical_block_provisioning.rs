//! Logical Block Provisioning (0Ch): how much space there is, and how much is taken (SBC-4).

use super::Parameters;

/// The resources of a thin logical unit, counted in threshold sets of 2^n blocks (THRESHOLD EXPONENT
/// of VPD page B2h). More than 32 bits can tell is told as the most they can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProvisioningResources {
    /// What can still be taken, by this logical unit and by the others of its pool.
    pub available: u64,
    /// What this logical unit has taken.
    pub used: u64,
}

/// PARAMETER CODE: Available LBA Mapping Threshold Resource Count.
const AVAILABLE: u16 = 0x0001;
/// PARAMETER CODE: Used LBA Mapping Threshold Resource Count.
pub(super) const USED: u16 = 0x0002;

/// SCOPE: only this logical unit.
const DEDICATED: u8 = 0x01;
/// SCOPE: others may share in it.
const SHARED: u8 = 0x02;

impl Parameters<'_> {
    pub(super) fn logical_block_provisioning(&mut self, resources: &ProvisioningResources) {
        self.push(AVAILABLE, |out| resource_count(resources.available, SHARED, out));
        self.push(USED, |out| resource_count(resources.used, DEDICATED, out));
    }
}

fn resource_count(count: u64, scope: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(&[scope, 0, 0, 0]);
}
