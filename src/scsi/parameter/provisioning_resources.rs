//! The parameters of the Logical Block Provisioning log page (0Ch): how much space there is, and how
//! much is taken (SBC-4).

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
const USED: u16 = 0x0002;

/// SCOPE: only this logical unit.
const DEDICATED: u8 = 0x01;
/// SCOPE: others may share in it.
const SHARED: u8 = 0x02;

impl ProvisioningResources {
    /// The parameters in ascending order of their codes: code, and the bytes after the parameter
    /// length. They are binary list parameters (FORMAT AND LINKING 11b).
    pub fn parameters(&self) -> [(u16, [u8; 8]); 2] {
        [
            (AVAILABLE, resource_count(self.available, SHARED)),
            (USED, resource_count(self.used, DEDICATED)),
        ]
    }
}

fn resource_count(count: u64, scope: u8) -> [u8; 8] {
    let [a, b, c, d] = u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes();
    [a, b, c, d, scope, 0, 0, 0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_count_has_its_scope() {
        let resources = ProvisioningResources { available: 0x0102_0304, used: 1 << 40 };
        assert_eq!(
            resources.parameters(),
            [(1, [1, 2, 3, 4, 2, 0, 0, 0]), (2, [0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0])]
        );
    }
}
