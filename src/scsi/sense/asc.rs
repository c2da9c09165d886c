//! Additional sense codes: one table of numbers and T10's names (SPC-4 annex F.2).

use std::fmt;

/// An additional sense code and its qualifier. Codes that the table does not name are kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asc(u16);

macro_rules! table {
    ($($code:literal $constant:ident $name:literal;)+) => {
        impl Asc {
            $(#[doc = $name] pub const $constant: Self = Self($code);)+

            /// Every code with a name, in ascending order.
            const NAMES: &[(Self, &str)] = &[$((Self::$constant, $name)),+];
        }
    };
}

table! {
    0x0000 NO_ADDITIONAL_SENSE_INFORMATION "NO ADDITIONAL SENSE INFORMATION";
    0x0401 LOGICAL_UNIT_IS_IN_PROCESS_OF_BECOMING_READY
        "LOGICAL UNIT IS IN PROCESS OF BECOMING READY";
    0x0402 LOGICAL_UNIT_NOT_READY_INITIALIZING_COMMAND_REQUIRED
        "LOGICAL UNIT NOT READY, INITIALIZING COMMAND REQUIRED";
    0x0403 LOGICAL_UNIT_NOT_READY_MANUAL_INTERVENTION_REQUIRED
        "LOGICAL UNIT NOT READY, MANUAL INTERVENTION REQUIRED";
    0x0407 LOGICAL_UNIT_NOT_READY_OPERATION_IN_PROGRESS
        "LOGICAL UNIT NOT READY, OPERATION IN PROGRESS";
    0x040a LOGICAL_UNIT_NOT_ACCESSIBLE_ASYMMETRIC_ACCESS_STATE_TRANSITION
        "LOGICAL UNIT NOT ACCESSIBLE, ASYMMETRIC ACCESS STATE TRANSITION";
    0x040b LOGICAL_UNIT_NOT_ACCESSIBLE_TARGET_PORT_IN_STANDBY_STATE
        "LOGICAL UNIT NOT ACCESSIBLE, TARGET PORT IN STANDBY STATE";
    0x040c LOGICAL_UNIT_NOT_ACCESSIBLE_TARGET_PORT_IN_UNAVAILABLE_STATE
        "LOGICAL UNIT NOT ACCESSIBLE, TARGET PORT IN UNAVAILABLE STATE";
    0x0414 LOGICAL_UNIT_NOT_READY_SPACE_ALLOCATION_IN_PROGRESS
        "LOGICAL UNIT NOT READY, SPACE ALLOCATION IN PROGRESS";
    0x0800 LOGICAL_UNIT_COMMUNICATION_FAILURE "LOGICAL UNIT COMMUNICATION FAILURE";
    0x0801 LOGICAL_UNIT_COMMUNICATION_TIME_OUT "LOGICAL UNIT COMMUNICATION TIME-OUT";
    0x0c00 WRITE_ERROR "WRITE ERROR";
    0x0e03 INVALID_FIELD_IN_COMMAND_INFORMATION_UNIT "INVALID FIELD IN COMMAND INFORMATION UNIT";
    0x1100 UNRECOVERED_READ_ERROR "UNRECOVERED READ ERROR";
    0x1a00 PARAMETER_LIST_LENGTH_ERROR "PARAMETER LIST LENGTH ERROR";
    0x1d00 MISCOMPARE_DURING_VERIFY_OPERATION "MISCOMPARE DURING VERIFY OPERATION";
    0x2000 INVALID_COMMAND_OPERATION_CODE "INVALID COMMAND OPERATION CODE";
    0x2100 LOGICAL_BLOCK_ADDRESS_OUT_OF_RANGE "LOGICAL BLOCK ADDRESS OUT OF RANGE";
    0x2400 INVALID_FIELD_IN_CDB "INVALID FIELD IN CDB";
    0x2500 LOGICAL_UNIT_NOT_SUPPORTED "LOGICAL UNIT NOT SUPPORTED";
    0x2600 INVALID_FIELD_IN_PARAMETER_LIST "INVALID FIELD IN PARAMETER LIST";
    0x2604 INVALID_RELEASE_OF_PERSISTENT_RESERVATION "INVALID RELEASE OF PERSISTENT RESERVATION";
    0x2700 WRITE_PROTECTED "WRITE PROTECTED";
    0x2707 SPACE_ALLOCATION_FAILED_WRITE_PROTECT "SPACE ALLOCATION FAILED WRITE PROTECT";
    0x2900 POWER_ON_RESET_OR_BUS_DEVICE_RESET_OCCURRED
        "POWER ON, RESET, OR BUS DEVICE RESET OCCURRED";
    0x2903 BUS_DEVICE_RESET_FUNCTION_OCCURRED "BUS DEVICE RESET FUNCTION OCCURRED";
    0x2907 I_T_NEXUS_LOSS_OCCURRED "I_T NEXUS LOSS OCCURRED";
    0x2a01 MODE_PARAMETERS_CHANGED "MODE PARAMETERS CHANGED";
    0x2a06 ASYMMETRIC_ACCESS_STATE_CHANGED "ASYMMETRIC ACCESS STATE CHANGED";
    0x2a09 CAPACITY_DATA_HAS_CHANGED "CAPACITY DATA HAS CHANGED";
    0x2f00 COMMANDS_CLEARED_BY_ANOTHER_INITIATOR "COMMANDS CLEARED BY ANOTHER INITIATOR";
    0x3807 THIN_PROVISIONING_SOFT_THRESHOLD_REACHED "THIN PROVISIONING SOFT THRESHOLD REACHED";
    0x3900 SAVING_PARAMETERS_NOT_SUPPORTED "SAVING PARAMETERS NOT SUPPORTED";
    0x3a00 MEDIUM_NOT_PRESENT "MEDIUM NOT PRESENT";
    0x3e01 LOGICAL_UNIT_FAILURE "LOGICAL UNIT FAILURE";
    0x3f03 INQUIRY_DATA_HAS_CHANGED "INQUIRY DATA HAS CHANGED";
    0x3f0e REPORTED_LUNS_DATA_HAS_CHANGED "REPORTED LUNS DATA HAS CHANGED";
    0x4400 INTERNAL_TARGET_FAILURE "INTERNAL TARGET FAILURE";
    0x4b05 DATA_OFFSET_ERROR "DATA OFFSET ERROR";
    0x5302 MEDIUM_REMOVAL_PREVENTED "MEDIUM REMOVAL PREVENTED";
    0x5500 SYSTEM_RESOURCE_FAILURE "SYSTEM RESOURCE FAILURE";
    0x5503 INSUFFICIENT_RESOURCES "INSUFFICIENT RESOURCES";
    0x5e03 IDLE_CONDITION_ACTIVATED_BY_COMMAND "IDLE CONDITION ACTIVATED BY COMMAND";
    0x5e04 STANDBY_CONDITION_ACTIVATED_BY_COMMAND "STANDBY CONDITION ACTIVATED BY COMMAND";
    0x5e06 IDLE_B_CONDITION_ACTIVATED_BY_COMMAND "IDLE_B CONDITION ACTIVATED BY COMMAND";
    0x5e08 IDLE_C_CONDITION_ACTIVATED_BY_COMMAND "IDLE_C CONDITION ACTIVATED BY COMMAND";
    0x5e0a STANDBY_Y_CONDITION_ACTIVATED_BY_COMMAND "STANDBY_Y CONDITION ACTIVATED BY COMMAND";
    0x670a SET_TARGET_PORT_GROUPS_COMMAND_FAILED "SET TARGET PORT GROUPS COMMAND FAILED";
}

impl Asc {
    /// The code `asc` with the qualifier `ascq`.
    pub const fn new(asc: u8, ascq: u8) -> Self {
        Self(u16::from_be_bytes([asc, ascq]))
    }

    /// The additional sense code.
    pub const fn asc(self) -> u8 {
        self.to_be_bytes()[0]
    }

    /// The additional sense code qualifier.
    pub const fn ascq(self) -> u8 {
        self.to_be_bytes()[1]
    }

    /// Code and qualifier as they stand on the wire.
    pub const fn to_be_bytes(self) -> [u8; 2] {
        self.0.to_be_bytes()
    }

    /// What T10 calls it, if the table knows.
    pub fn name(self) -> Option<&'static str> {
        let nth = Self::NAMES.binary_search_by_key(&self, |(code, _)| *code).ok()?;
        Self::NAMES.get(nth).map(|(_, name)| *name)
    }
}

impl fmt::Display for Asc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.name() {
            write!(f, "{name} ")?;
        }
        write!(f, "({:02X}h/{:02X}h)", self.asc(), self.ascq())
    }
}

impl fmt::Debug for Asc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Asc({:02x}/{:02x})", self.asc(), self.ascq())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_ascend_and_no_two_names_share_one() {
        assert!(Asc::NAMES.is_sorted_by(|a, b| a.0 < b.0));
        let mut names: Vec<_> = Asc::NAMES.iter().map(|(_, name)| name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Asc::NAMES.len());
    }

    #[test]
    fn a_code_without_a_name_is_kept() {
        assert_eq!(Asc::new(0x24, 0).to_string(), "INVALID FIELD IN CDB (24h/00h)");
        assert_eq!(Asc::new(0x80, 0x7f).to_string(), "(80h/7Fh)");
    }
}
