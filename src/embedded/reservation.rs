//! RESERVE and RELEASE of SPC-2, which LIO carries out itself.
//!
//! Source: `drivers/target/target_core_pr.c`, `target_scsi2_reservation_{check,reserve,release}`.

use pulsefield_scsi::{Status, opcode};

use crate::Nexus;

const RESERVE_6: u8 = 0x16;
const RELEASE_6: u8 = 0x17;
const RESERVE_10: u8 = 0x56;
const RELEASE_10: u8 = 0x57;

/// Who has the logical unit to itself.
#[derive(Debug, Default)]
pub(crate) struct Reservation(Option<Nexus>);

impl Reservation {
    /// Carries out RESERVE or RELEASE, or refuses what the reservation of another nexus forbids; `None` if
    /// the command goes on to the backstore.
    pub(crate) fn admit(&mut self, nexus: Nexus, opcode: Option<u8>) -> Option<Status> {
        let held_by_other = self.0.is_some_and(|holder| holder != nexus);
        match opcode {
            Some(RELEASE_6 | RELEASE_10) => {
                // That of another nexus stays, and the command is GOOD all the same.
                if !held_by_other {
                    self.0 = None;
                }
                Some(Status::Good)
            }
            Some(opcode::INQUIRY) => None,
            _ if held_by_other => Some(Status::ReservationConflict),
            Some(RESERVE_6 | RESERVE_10) => {
                self.0 = Some(nexus);
                Some(Status::Good)
            }
            _ => None,
        }
    }

    /// Ends it: what a LOGICAL UNIT RESET does (`core_tmr_lun_reset`).
    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Nexus = Nexus(1);
    const B: Nexus = Nexus(2);
    const READ_16: u8 = 0x88;

    #[test]
    fn one_has_it_until_it_is_released_or_reset() {
        let mut reservation = Reservation::default();
        let mut admit = |nexus, opcode| reservation.admit(nexus, Some(opcode));
        assert_eq!(admit(A, RESERVE_6), Some(Status::Good));
        assert_eq!(admit(A, RESERVE_6), Some(Status::Good), "again");
        assert_eq!(admit(A, READ_16), None);
        assert_eq!(admit(B, READ_16), Some(Status::ReservationConflict));
        assert_eq!(admit(B, RESERVE_10), Some(Status::ReservationConflict));
        assert_eq!(admit(B, opcode::INQUIRY), None);
        assert_eq!(admit(B, RELEASE_6), Some(Status::Good));
        assert_eq!(admit(B, READ_16), Some(Status::ReservationConflict), "it was not B's");
        assert_eq!(admit(A, RELEASE_10), Some(Status::Good));
        assert_eq!(admit(B, RESERVE_6), Some(Status::Good));
        reservation.clear();
        assert_eq!(reservation.admit(A, Some(READ_16)), None);
    }
}
