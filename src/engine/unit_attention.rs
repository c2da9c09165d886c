//! Unit attention conditions the device server raises itself.
//!
//! LIO keeps the conditions it knows of per I_T nexus (resets, reservations, ALUA) and reports them
//! before a command reaches us. TCMU hides the nexus, so a condition raised here is reported once,
//! to whichever initiator asks first (SAM-5 5.14 asks for one report per nexus; see
//! `docs/operating.md`).

use pulsefield_scsi::{Asc, Command, Sense, SenseKey};

use crate::limits;

/// A condition to be reported once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitAttention {
    /// 2Ah/09h: the number of blocks is another one now.
    CapacityDataHasChanged,
    /// 2Ah/01h: a mode parameter is another one now.
    ModeParametersChanged,
    /// 3Fh/03h: INQUIRY data, such as a page of vital product data, is other data now.
    InquiryDataHasChanged,
}

impl UnitAttention {
    fn sense(self) -> Sense {
        let asc = match self {
            Self::CapacityDataHasChanged => Asc::CAPACITY_DATA_HAS_CHANGED,
            Self::ModeParametersChanged => Asc::MODE_PARAMETERS_CHANGED,
            Self::InquiryDataHasChanged => Asc::INQUIRY_DATA_HAS_CHANGED,
        };
        Sense::new(SenseKey::UnitAttention, asc)
    }
}

/// Conditions that wait to be reported, oldest first, each kind once.
#[derive(Debug, Default)]
pub(crate) struct UnitAttentions {
    pending: Vec<UnitAttention>,
}

impl UnitAttentions {
    pub(crate) fn raise(&mut self, condition: UnitAttention) {
        if !self.pending.contains(&condition) && self.pending.len() < limits::UNIT_ATTENTIONS_MAX {
            self.pending.push(condition);
        }
    }

    /// The condition that ends `command` unexecuted, if there is one. INQUIRY is executed all the
    /// same and leaves it pending; REQUEST SENSE takes it as its data ([`Self::take`]).
    pub(crate) fn ends(&mut self, command: &Command) -> Option<Sense> {
        let exempt = matches!(command, Command::Inquiry(_) | Command::RequestSense(_));
        if exempt { None } else { self.take() }
    }

    /// Takes the oldest condition.
    pub(crate) fn take(&mut self) -> Option<Sense> {
        (!self.pending.is_empty()).then(|| self.pending.remove(0).sense())
    }
}

#[cfg(test)]
mod tests;
