//! How hosts of several releases keep others out while they change a sector.

use thiserror::Error;

/// ATS and nothing else is wanted, of a device that does not have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the device has no ATS")]
pub struct NoAts;

/// How a host changes metadata that others change, too (`esxcli storage vmfs lockmode list`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Locking {
    /// By ATS and nothing else, contended or not: VMFS 5 and 6 formatted on a device that has it. Without it
    /// the volume is not mounted.
    AtsOnly,
    /// By ATS, and where a device refuses it by a reservation: VMFS 5 that was VMFS 3 once, or VMFS 5 and 6
    /// formatted on a device without ATS.
    AtsAndScsi,
    /// VMFS 3 under ESX 4.1: by ATS as long as nobody comes in between, and by a reservation after a
    /// miscompare ("mid-air collision"; Hogan, VMFS Locking Uncovered).
    AtsUncontended,
    /// VMFS 3 under ESX 4.0: by reservations.
    Reservations,
}

impl Locking {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::AtsOnly, Self::AtsAndScsi, Self::AtsUncontended, Self::Reservations];

    /// What a user types.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AtsOnly => "ats-only",
            Self::AtsAndScsi => "ats+scsi",
            Self::AtsUncontended => "ats-uncontended",
            Self::Reservations => "scsi",
        }
    }

    /// What remains of it on a device that has ATS or not; `None` if nothing does.
    pub const fn on_device(self, has_ats: bool) -> Option<Self> {
        match self {
            _ if has_ats => Some(self),
            Self::AtsOnly => None,
            Self::AtsAndScsi | Self::AtsUncontended | Self::Reservations => {
                Some(Self::Reservations)
            }
        }
    }

    /// Whether an operation tries ATS first.
    pub const fn tries_ats(self) -> bool {
        !matches!(self, Self::Reservations)
    }

    /// Whether an operation may do its work under a reservation when ATS is refused.
    pub const fn may_reserve(self) -> bool {
        !matches!(self, Self::AtsOnly)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ats_only_needs_a_device_with_ats() {
        for locking in Locking::ALL {
            assert_eq!(locking.on_device(true), Some(locking));
            let without = locking.on_device(false);
            assert_eq!(without.is_none(), !locking.may_reserve(), "{}", locking.name());
            assert!(without.is_none_or(|without| !without.tries_ats()));
        }
    }
}
