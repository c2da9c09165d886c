//! Unit attention conditions that LIO establishes itself, each for one nexus.
//!
//! Source: `drivers/target/target_core_ua.c`.

use std::collections::BTreeMap;

use pulsefield_scsi::{Asc, Sense, SenseKey, opcode};

use crate::Nexus;

const REQUEST_SENSE: u8 = 0x03;
const REPORT_LUNS: u8 = 0xa0;

/// After a LOGICAL UNIT RESET (`ASCQ_29H_BUS_DEVICE_RESET_FUNCTION_OCCURRED`).
pub(crate) const RESET_OCCURRED: Asc = Asc::BUS_DEVICE_RESET_FUNCTION_OCCURRED;

/// The conditions that nexuses have not been told of.
#[derive(Debug, Default)]
pub(crate) struct Attentions(BTreeMap<Nexus, Asc>);

impl Attentions {
    /// Establishes a condition. One that is pending for the nexus is told of instead, and ends this one too
    /// (`core_scsi3_ua_for_check_condition`).
    pub(crate) fn establish(&mut self, nexus: Nexus, condition: Asc) {
        self.0.entry(nexus).or_insert(condition);
    }

    /// Forgets what a nexus that is no more was to be told.
    pub(crate) fn forget(&mut self, nexus: Nexus) {
        self.0.remove(&nexus);
    }

    /// What a command of `nexus` is answered with instead of being carried out (`target_scsi3_ua_check`).
    pub(crate) fn report(&mut self, nexus: Nexus, opcode: Option<u8>) -> Option<Sense> {
        if matches!(opcode, Some(opcode::INQUIRY | REPORT_LUNS | REQUEST_SENSE)) {
            return None;
        }
        let condition = self.0.remove(&nexus)?;
        Some(Sense::new(SenseKey::UnitAttention, condition))
    }
}
