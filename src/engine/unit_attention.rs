//! Unit attention conditions the device server raises itself.
//!
//! LIO keeps the conditions it knows of per I_T nexus (resets, reservations, ALUA) and reports them
//! before a command reaches us. TCMU hides the nexus, so a condition raised here goes to whoever sends
//! the next command. Where there are several initiators it is therefore reported several times, with
//! pauses, so that all that keep sending commands are likely to hear of it (SAM-5 5.14 asks for one
//! report per nexus; see `docs/decisions/0012`). What an initiator has changed itself is news to the
//! others alone, so where there is only one nothing is reported.

use pulsefield_scsi::{Asc, Command, Sense, SenseKey};
use pulsefield_units::Instant;

use crate::limits;

/// A condition that initiators are to hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitAttention {
    /// 2Ah/09h: the number of blocks is another one now.
    CapacityDataHasChanged,
    /// 28h/00h: a medium was loaded.
    MediumMayHaveChanged,
    /// 2Ah/01h: a mode parameter is another one now.
    ModeParametersChanged,
    /// 2Ah/02h: statistics have started anew.
    LogParametersChanged,
    /// 3Fh/03h: INQUIRY data, such as a page of vital product data, is other data now.
    InquiryDataHasChanged,
    /// 38h/07h: the pool of space has reached a threshold.
    ThinProvisioningSoftThresholdReached,
}

impl UnitAttention {
    /// The additional sense code that it is reported with.
    pub const fn asc(self) -> Asc {
        match self {
            Self::CapacityDataHasChanged => Asc::CAPACITY_DATA_HAS_CHANGED,
            Self::MediumMayHaveChanged => Asc::NOT_READY_TO_READY_CHANGE_MEDIUM_MAY_HAVE_CHANGED,
            Self::ModeParametersChanged => Asc::MODE_PARAMETERS_CHANGED,
            Self::LogParametersChanged => Asc::LOG_PARAMETERS_CHANGED,
            Self::InquiryDataHasChanged => Asc::INQUIRY_DATA_HAS_CHANGED,
            Self::ThinProvisioningSoftThresholdReached => {
                Asc::THIN_PROVISIONING_SOFT_THRESHOLD_REACHED
            }
        }
    }

    fn sense(self) -> Sense {
        Sense::new(SenseKey::UnitAttention, self.asc())
    }
}

/// Conditions that wait to be reported, oldest first, each kind once.
#[derive(Debug, Default)]
pub(crate) struct UnitAttentions {
    pending: Vec<Pending>,
    /// How many initiators there may be, once that was found out for what is pending.
    initiators: Option<u32>,
    /// Whether that is still to be asked.
    unasked: bool,
    /// Whether an initiator's own changes are reported.
    tells_others: bool,
    now: Instant,
}

#[derive(Debug)]
struct Pending {
    condition: UnitAttention,
    audience: Audience,
    reports: u32,
    /// Not to be reported again before.
    due: Instant,
    /// Whether whoever watches the unit knows that it was raised.
    told: bool,
}

/// Who is to hear of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Audience {
    /// All initiators but one, whose command was the cause.
    Others,
    /// All of them.
    All,
}

impl UnitAttentions {
    /// Sets whether what an initiator changes itself is reported from now on.
    pub(crate) const fn set_tells_others(&mut self, tells_others: bool) {
        self.tells_others = tells_others;
    }

    /// Raises `condition`. How many are to hear of it has to be found out
    /// ([`Self::wants_initiators`]); until then it is reported once.
    pub(crate) fn raise(&mut self, condition: UnitAttention) {
        self.raise_for(condition, Audience::All);
    }

    /// Raises a condition that an initiator has brought about, for the others. Until it is known that
    /// there are others it is not reported, and if there are none it never is. Who of several it was
    /// TCMU does not tell, so it may hear of it as well; hence only where that was asked for.
    pub(crate) fn raise_for_others(&mut self, condition: UnitAttention) {
        if self.tells_others {
            self.raise_for(condition, Audience::Others);
        }
    }

    fn raise_for(&mut self, condition: UnitAttention, audience: Audience) {
        self.initiators = None;
        self.unasked = true;
        if let Some(pending) = self.pending.iter_mut().find(|it| it.condition == condition) {
            // Whoever heard of it heard of an earlier change.
            (pending.reports, pending.due, pending.told) = (0, self.now, false);
            pending.audience = pending.audience.max(audience);
        } else if self.pending.len() < limits::UNIT_ATTENTIONS_MAX {
            let (reports, due, told) = (0, self.now, false);
            self.pending.push(Pending { condition, audience, reports, due, told });
        }
    }

    /// Whether somebody has to find out how many initiators there may be; says so once.
    pub(crate) const fn wants_initiators(&mut self) -> bool {
        std::mem::replace(&mut self.unasked, false)
    }

    /// The conditions that were raised since the last time.
    pub(crate) fn newly_raised(&mut self) -> impl Iterator<Item = UnitAttention> {
        let new = |pending: &mut Pending| !std::mem::replace(&mut pending.told, true);
        self.pending.iter_mut().filter_map(move |it| new(it).then_some(it.condition))
    }

    /// Takes the number of initiators that there may be.
    pub(crate) fn set_initiators(&mut self, initiators: u32) {
        self.initiators = Some(initiators);
        self.forget_reported();
    }

    /// Takes the time.
    pub(crate) const fn advance(&mut self, now: Instant) {
        self.now = now;
    }

    /// The condition that ends `command` unexecuted, if there is one. INQUIRY is executed all the
    /// same and leaves it pending; REQUEST SENSE takes it as its data ([`Self::take`]).
    #[inline]
    pub(crate) fn ends(&mut self, command: &Command) -> Option<Sense> {
        if self.pending.is_empty() {
            return None;
        }
        let exempt = matches!(command, Command::Inquiry(_) | Command::RequestSense(_));
        if exempt { None } else { self.take() }
    }

    /// Reports the oldest condition that is due.
    pub(crate) fn take(&mut self) -> Option<Sense> {
        let (now, initiators) = (self.now, self.initiators);
        let due = |pending: &&mut Pending| pending.is_wanted(initiators) && pending.due <= now;
        let pending = self.pending.iter_mut().find(due)?;
        pending.reports += 1;
        pending.due = now.after(limits::UNIT_ATTENTION_PAUSE);
        let sense = pending.condition.sense();
        self.forget_reported();
        Some(sense)
    }

    fn forget_reported(&mut self) {
        // As long as the number of initiators is not known, more reports may be wanted.
        if self.initiators.is_some() {
            self.pending.retain(|pending| pending.is_wanted(self.initiators));
        }
    }
}

impl Pending {
    /// Whether it is to be reported once more, as far as the number of initiators is known.
    fn is_wanted(&self, initiators: Option<u32>) -> bool {
        let reports = match (initiators, self.audience) {
            (None | Some(0 | 1), Audience::All) => 1,
            (None | Some(0 | 1), Audience::Others) => 0,
            (Some(several), Audience::All | Audience::Others) => several
                .saturating_mul(limits::UNIT_ATTENTION_REPORTS_PER_INITIATOR)
                .min(limits::UNIT_ATTENTION_REPORTS_MAX),
        };
        self.reports < reports
    }
}

#[cfg(test)]
mod tests;
