//! What a logical unit is told about itself: settings by the administrator, names by the kernel.

use std::num::NonZeroU8;

use pulsefield_scsi::parameter::{
    AccessState, AccessStates, Ascii, TargetPortGroup, TargetPortGroupSupport,
};
use pulsefield_scsi::vpd::DeviceIdentification;
use pulsefield_units::LbaRange;

use crate::limits;
use crate::space::PoolLimits;

/// Settings of one logical unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LuConfig {
    /// MAXIMUM COMPARE AND WRITE LENGTH in blocks (VPD page B0h). Arrays report 1.
    pub compare_and_write_blocks_max: NonZeroU8,
    /// The medium can be taken out by START STOP UNIT (RMB of standard INQUIRY data).
    pub removable: bool,
    /// Commands that would change the medium are refused, whatever the medium could do.
    pub read_only: bool,
    /// CDBs of 32 bytes are carried out, although SBC-4 has them only with type 2 protection
    /// (`docs/decisions/0010`).
    pub long_cdbs: bool,
    /// What one initiator changes (mode parameters, statistics, a loaded medium) is reported where
    /// there are several: to all, since TCMU does not tell which of them it was (`docs/decisions/0012`).
    pub tell_others: bool,
    /// Every block is mapped, whatever the medium could do: space is not given back, and nothing is said
    /// of it (LBPME = 0).
    pub fully_provisioned: bool,
    /// Blocks known to hold VMFS metadata: their reads and writes take the heartbeat lane.
    pub metadata: Vec<LbaRange>,
    /// MEDIUM ROTATION RATE (VPD page B1h): 1 for a medium that does not rotate, else the rate.
    pub medium_rotation_rate: u16,
    /// Length of a physical block in bytes, a power of two; one shorter than the logical block counts
    /// as long as that (READ CAPACITY (16): LOGICAL BLOCKS PER PHYSICAL BLOCK EXPONENT).
    pub physical_block_bytes: u32,
    /// T10 VENDOR IDENTIFICATION.
    pub vendor: Ascii<8>,
    /// PRODUCT IDENTIFICATION. The same for all logical units: ESXi copies between two of them with
    /// EXTENDED COPY only then.
    pub product: Ascii<16>,
    /// PRODUCT REVISION LEVEL.
    pub revision: Ascii<4>,
    /// The NAA designator (VPD page 83h) if it is not to follow from the serial number; 8 or 16
    /// bytes.
    pub naa: Option<Vec<u8>>,
    /// MAXIMUM TRANSFER LENGTH in bytes (VPD page B0h), a multiple of 4096 and at most
    /// [`limits::TRANSFER_BYTES_MAX`].
    pub transfer_bytes_max: u32,
    /// The limits of the pool of space it belongs to, if it does.
    pub pool: Option<PoolLimits>,
}

impl Default for LuConfig {
    fn default() -> Self {
        Self {
            compare_and_write_blocks_max: NonZeroU8::MIN,
            removable: false,
            read_only: false,
            long_cdbs: false,
            tell_others: false,
            fully_provisioned: false,
            metadata: Vec::new(),
            medium_rotation_rate: 1,
            physical_block_bytes: 512,
            vendor: Ascii::new("PULSEFLD"),
            product: Ascii::new("PULSEFIELD LUN"),
            revision: Ascii::new("0001"),
            naa: None,
            transfer_bytes_max: limits::TRANSFER_BYTES_MAX,
            pool: None,
        }
    }
}

/// The names that tell a logical unit from every other, derived from the unit serial number LIO keeps for it, so that
/// they are the same on every path and after every restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    unit_serial: String,
}

impl Identity {
    /// NAA 6 and the IEEE company identifier 00-14-05 that LIO uses, so that a backstore keeps its
    /// `naa.6001405…` name when it moves from one of LIO's own handlers to this one.
    const NAA_PREFIX: [u8; 7] = [6, 0, 0, 1, 4, 0, 5];

    /// The names of the unit with LIO's `wwn/vpd_unit_serial`.
    pub fn new(unit_serial: impl Into<String>) -> Self {
        Self { unit_serial: unit_serial.into() }
    }

    /// The unit serial number (VPD page 80h).
    pub fn unit_serial(&self) -> &str {
        &self.unit_serial
    }

    /// The NAA IEEE Registered Extended designator (VPD page 83h, SPC-5 7.7.6.6.5): the prefix, then
    /// the hexadecimal digits of the serial number, zeros where it has too few.
    ///
    /// Source: `drivers/target/target_core_spc.c`, `spc_gen_naa_6h_vendor_specific`.
    pub fn naa(&self) -> [u8; 16] {
        let digits = self.unit_serial.chars().filter_map(|digit| digit.to_digit(16));
        let digits = digits.filter_map(|digit| u8::try_from(digit).ok());
        let mut nibbles = Self::NAA_PREFIX.into_iter().chain(digits);
        std::array::from_fn(|_| {
            let mut nibble = || nibbles.next().unwrap_or(0);
            (nibble() << 4) | nibble()
        })
    }
}

/// What names a logical unit in its Device Identification page (VPD page 83h), and in a CSCD
/// descriptor of EXTENDED COPY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Designators {
    naa: Vec<u8>,
    vendor: Ascii<8>,
    unit_serial: String,
}

impl Designators {
    /// The designators of the unit with this identity and these settings.
    pub fn new(identity: &Identity, config: &LuConfig) -> Self {
        Self {
            naa: config.naa.clone().unwrap_or_else(|| identity.naa().to_vec()),
            vendor: config.vendor,
            unit_serial: identity.unit_serial.clone(),
        }
    }

    /// The page, without a port.
    pub(crate) fn page(&self) -> DeviceIdentification<'_> {
        DeviceIdentification {
            naa: &self.naa,
            vendor: self.vendor,
            serial: &self.unit_serial,
            relative_target_port: None,
            target_port_group: None,
        }
    }
}

/// A target port group as LIO keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortGroup {
    /// TARGET PORT GROUP.
    pub id: u16,
    /// PREF: the group is preferred.
    pub preferred: bool,
    /// The state it is in.
    pub state: AccessState,
    /// The states it may have.
    pub supported: AccessStates,
    /// The target changes its state.
    pub implicit: bool,
    /// Initiators change its state with SET TARGET PORT GROUPS.
    pub explicit: bool,
    /// STATUS CODE: 0 none, 1 altered by SET TARGET PORT GROUPS, 2 altered implicitly.
    pub status_code: u8,
    /// The relative target port identifiers of its ports; of more than 255, so many are reported.
    pub ports: Vec<u16>,
}

impl PortGroup {
    /// What the one-byte TARGET PORT COUNT can tell.
    const PORTS_MAX: usize = 255;

    pub(crate) fn describe(&self) -> TargetPortGroup<'_> {
        TargetPortGroup {
            id: self.id,
            preferred: self.preferred,
            state: self.state,
            supported: self.supported,
            status_code: self.status_code,
            ports: self.ports.get(..Self::PORTS_MAX).unwrap_or(&self.ports),
        }
    }
}

/// TPGS: how the states of these groups may change.
pub(crate) fn target_port_group_support(groups: &[PortGroup]) -> TargetPortGroupSupport {
    let any = |may: fn(&PortGroup) -> bool| groups.iter().any(may);
    match (any(|group| group.implicit), any(|group| group.explicit)) {
        (false, false) => TargetPortGroupSupport::None,
        (true, false) => TargetPortGroupSupport::Implicit,
        (false, true) => TargetPortGroupSupport::Explicit,
        (true, true) => TargetPortGroupSupport::Both,
    }
}

/// Another state for a target port group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessStateChange {
    /// TARGET PORT GROUP.
    pub group: u16,
    /// The state it shall have.
    pub state: AccessState,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_naa_name_is_the_one_lio_gives_the_same_serial() {
        let identity = Identity::new("0ab8b6e1-1c4a-4d0a-9f0e-c2b1b1b8d8f7");
        let expected = "60014050ab8b6e11c4a4d0a9f0ec2b1b";
        let hex: String = identity.naa().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected);
    }

    #[test]
    fn a_short_serial_is_filled_with_zeros() {
        assert_eq!(Identity::new("zz-1").naa()[3..5], [0x51, 0x00]);
    }
}
