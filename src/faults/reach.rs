//! Which commands a fault can happen to, whatever their blocks and data: for whoever reads a plan, and
//! for whoever carries it out.

use std::sync::LazyLock;

use pulsefield_scsi::{Command, opcode};
use pulsefield_units::Cdb;

use crate::{BitFlipSide, Family, Fault};

/// A command that a unit is sent, with its operation code.
pub(crate) type Served = (u8, Command);

/// One command for each operation code and service action that reaches a unit; LIO keeps the others.
pub(crate) fn served() -> &'static [Served] {
    static SERVED: LazyLock<Vec<Served>> = LazyLock::new(|| {
        let codes = (0..=u8::MAX).flat_map(|code| (0..32).map(move |action| (code, action)));
        codes
            .filter_map(|(code, action)| Some((code, opcode::parse(&cdb(code, action)).ok()?)))
            .collect()
    });
    &SERVED
}

/// A CDB with nothing in it but this operation code and service action.
fn cdb(code: u8, service_action: u8) -> Cdb {
    let mut bytes = [0; Cdb::CAPACITY];
    bytes[0] = code;
    if code == opcode::VARIABLE_LENGTH {
        // ADDITIONAL CDB LENGTH, and the service action's low byte (SPC-4, Variable length CDB formats).
        (bytes[7], bytes[9]) = (0x18, service_action);
    } else {
        bytes[1] = service_action;
    }
    Cdb::new(&bytes)
}

impl Fault {
    /// Whether it can happen to a command like this one, on some blocks and with some data.
    pub(crate) const fn can_happen_to(&self, command: &Command) -> bool {
        match self {
            Self::MiscompareSpurious
            | Self::MiscompareFalseEqual
            | Self::MiscompareWrongOffset { .. }
            | Self::MiscompareNoInformation
            | Self::MiscompareWrongSense { .. }
            | Self::CawStatusLost { .. }
            | Self::CawLateApply { .. }
            | Self::CawSlow { .. }
            | Self::CawNotAtomic { .. }
            | Self::CawTorn { .. }
            | Self::CawWriteFirst
            | Self::CawTwice
            | Self::CawPageRmw { .. }
            | Self::CawGlobalMutex { .. }
            | Self::CawUnsupported
            | Self::CawFlap { .. }
            | Self::StaleCompare { .. } => matches!(command, Command::CompareAndWrite(_)),
            Self::LostWrite
            | Self::TornWrite { .. }
            | Self::BitFlip { side: BitFlipSide::Write, .. } => brings_blocks(command),
            Self::MisdirectedWrite { .. } => is_write(command),
            Self::StaleRead { .. } | Self::WriteRevert { .. } | Self::ThinFull => {
                writes_over_blocks(command)
            }
            Self::BitFlip { side: BitFlipSide::Read, .. } | Self::ZeroLieRead => {
                matches!(command, Command::Read(_))
            }
            Self::ZeroLieStatus => matches!(command, Command::GetLbaStatus(_)),
            Self::ZeroKeepData => matches!(command, Command::WriteSame(_) | Command::Unmap(_)),
            Self::UnmapLate { .. } => matches!(command, Command::Unmap(_)),
            Self::MediumError { .. } => {
                touches_blocks(command) && !matches!(command, Command::GetLbaStatus(_))
            }
            Self::Latency { .. }
            | Self::Starve { .. }
            | Self::Stall { .. }
            | Self::Status { .. }
            | Self::Drop { .. } => true,
            Self::ThinThreshold
            | Self::NotReady { .. }
            | Self::AluaTransition
            | Self::UnitAttention { .. }
            | Self::ReservationConflict
            | Self::ReservationStuck => !passes_any_condition(command),
        }
    }

    /// The families of the commands that it can happen to; `None` if only what an initiator needs to find
    /// out about a condition is spared, or nothing. Commands of no family are not told of.
    pub fn families(&self) -> Option<Vec<Family>> {
        let can_happen_to = |family: &Family| {
            served().iter().any(|(_, command)| {
                Family::of(command) == Some(*family) && self.can_happen_to(command)
            })
        };
        let families: Vec<_> = Family::ALL.into_iter().filter(can_happen_to).collect();
        let all = Family::ALL
            .iter()
            .all(|family| families.contains(family) || *family == Family::Inquiry);
        (!all).then_some(families)
    }
}

/// Whether a command is carried out whatever the unit's condition and whoever reserved it (SPC-4 5.9,
/// 5.14): what an initiator needs to find out what is wrong.
const fn passes_any_condition(command: &Command) -> bool {
    matches!(
        command,
        Command::Inquiry(_)
            | Command::RequestSense(_)
            | Command::ReportTargetPortGroups(_)
            | Command::SetTargetPortGroups(_)
    )
}

/// Whether a command writes the blocks it brings, as they are.
pub(crate) const fn is_write(command: &Command) -> bool {
    matches!(command, Command::Write(_) | Command::WriteAndVerify(_) | Command::WriteAtomic(_))
}

/// Whether a command brings the blocks it writes.
pub(crate) const fn brings_blocks(command: &Command) -> bool {
    is_write(command) || matches!(command, Command::CompareAndWrite(_))
}

/// Whether a command writes over blocks, whatever it writes.
pub(crate) const fn writes_over_blocks(command: &Command) -> bool {
    brings_blocks(command) || matches!(command, Command::WriteSame(_) | Command::OrWrite(_))
}

/// Whether a command names blocks of the medium.
pub(crate) const fn touches_blocks(command: &Command) -> bool {
    writes_over_blocks(command)
        || matches!(
            command,
            Command::Read(_)
                | Command::Verify(_)
                | Command::Unmap(_)
                | Command::SynchronizeCache(_)
                | Command::PreFetch(_)
                | Command::WriteLong(_)
                | Command::GetLbaStatus(_)
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Plan;
    use crate::catalogue::CATALOGUE;

    #[test]
    fn every_family_is_served_and_so_are_cdbs_of_32_bytes() {
        for family in Family::ALL {
            let is_of = |(_, command): &Served| Family::of(command) == Some(family);
            assert!(served().iter().any(is_of), "{}", family.name());
        }
        let long = served().iter().filter(|(code, _)| *code == opcode::VARIABLE_LENGTH);
        assert!(long.clone().any(|(_, command)| matches!(command, Command::Read(_))));
        let report_luns = 0xa0;
        assert!(served().iter().all(|(code, _)| *code != report_luns), "that is LIO's");
    }

    #[test]
    fn the_families_of_a_fault_are_those_of_its_commands() {
        for entry in CATALOGUE {
            let plan = Plan::parse("p", &format!("[[rule]]\nfault = \"{}\"\n", entry.name));
            let fault = plan.unwrap().rules.remove(0).fault;
            for family in Family::ALL {
                let happens = served().iter().any(|(_, command)| {
                    Family::of(command) == Some(family) && fault.can_happen_to(command)
                });
                let told = match fault.families() {
                    Some(families) => families.contains(&family),
                    None => family != Family::Inquiry || happens,
                };
                assert_eq!(told, happens, "{} and {}", entry.name, family.name());
            }
        }
    }
}
