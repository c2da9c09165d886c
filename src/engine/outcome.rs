//! How a command ends, and the single map from what a medium answers to what an initiator sees.

use pulsefield_backstore::BackstoreError;
use pulsefield_scsi::{Asc, Sense, SenseKey, Status};

/// The end of a command: an ordinary value, good or bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// SCSI status.
    pub status: Status,
    /// Sense data of a CHECK CONDITION.
    pub sense: Option<Sense>,
    /// How many bytes of the buffer are valid Data-In, from its start; `None` if the buffer is
    /// Data-Out, or goes nowhere because the command failed.
    pub data_in: Option<usize>,
}

impl Outcome {
    /// How many bytes of a buffer of `len` may reach the initiator; the rest must read as zeros there.
    pub fn valid_bytes(&self, len: usize) -> usize {
        match (self.data_in, self.status) {
            (Some(valid), _) => valid,
            // Data-Out; or Data-In, which the kernel does not copy with CHECK CONDITION.
            (None, Status::Good | Status::CheckCondition) => len,
            // With any other status it does copy Data-In, over loopback into the initiator's own
            // memory; and in there is what another command left.
            (None, _) => 0,
        }
    }

    /// GOOD, for a command with Data-Out: its buffer is not Data-In and stays as it is.
    pub const GOOD: Self = Self { status: Status::Good, sense: None, data_in: None };

    /// GOOD, for a command without data. Should its transport have brought a buffer to be filled
    /// all the same, none of it is valid.
    pub(crate) const NO_DATA: Self = Self::data(0);

    /// GOOD, and `bytes` bytes of Data-In.
    pub(crate) const fn data(bytes: usize) -> Self {
        Self { data_in: Some(bytes), ..Self::GOOD }
    }

    /// CHECK CONDITION with `sense`.
    pub const fn check(sense: Sense) -> Self {
        Self { status: Status::CheckCondition, sense: Some(sense), data_in: None }
    }

    /// A status that carries no sense.
    pub const fn status(status: Status) -> Self {
        Self { status, sense: None, data_in: None }
    }
}

impl From<Sense> for Outcome {
    fn from(sense: Sense) -> Self {
        Self::check(sense)
    }
}

/// What the failed op was for: a medium error has another name when reading than when writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Reading,
    Writing,
}

/// What an initiator sees of a medium that failed.
pub(crate) const fn of_error(error: BackstoreError, purpose: Purpose) -> Outcome {
    let (key, asc) = match error {
        BackstoreError::Medium => match purpose {
            Purpose::Reading => (SenseKey::MediumError, Asc::UNRECOVERED_READ_ERROR),
            Purpose::Writing => (SenseKey::MediumError, Asc::WRITE_ERROR),
        },
        BackstoreError::NoSpace => {
            (SenseKey::DataProtect, Asc::SPACE_ALLOCATION_FAILED_WRITE_PROTECT)
        }
        BackstoreError::ReadOnly => (SenseKey::DataProtect, Asc::WRITE_PROTECTED),
        // The initiator tries again by itself.
        BackstoreError::Transient => return Outcome::status(Status::Busy),
        // A path fails over; a cluster does not declare the device permanently lost, as it would
        // on 05h/25h/00.
        BackstoreError::Gone => {
            (SenseKey::NotReady, Asc::LOGICAL_UNIT_NOT_READY_MANUAL_INTERVENTION_REQUIRED)
        }
        BackstoreError::Dropped => (SenseKey::HardwareError, Asc::INTERNAL_TARGET_FAILURE),
    };
    Outcome::check(Sense::new(key, asc))
}

/// How a copy ends when a part of its segment number `segment` ended with `part`, which is not GOOD.
///
/// SPC-4 has an EXTENDED COPY end with COPY ABORTED. Not so when the destination takes no writes: ESXi
/// pauses a virtual machine on 07h/27h/07h, and on nothing else, until the pool has space again.
pub(crate) fn of_copy_part(part: Outcome, segment: u16) -> Outcome {
    let Some(sense) = part.sense else {
        // A task set that is full may be another unit's, and is not about this command.
        let full = part.status == Status::TaskSetFull;
        return if full { Outcome::status(Status::Busy) } else { part };
    };
    if sense.key == SenseKey::DataProtect {
        return Outcome::check(sense.with_segment(segment));
    }
    let unreachable = matches!(sense.key, SenseKey::NotReady | SenseKey::IllegalRequest);
    let asc = match unreachable {
        true => Asc::COPY_TARGET_DEVICE_NOT_REACHABLE,
        false => Asc::THIRD_PARTY_DEVICE_FAILURE,
    };
    Outcome::check(Sense::copy_aborted(asc, segment))
}
