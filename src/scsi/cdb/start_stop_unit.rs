//! START STOP UNIT (SBC-4).

use crate::field::{Bits, Flag};
use crate::{Command, Sense};

const POWER_CONDITION_MODIFIER: Bits = Bits::new(3, 3, 0);
const POWER_CONDITION: Bits = Bits::new(4, 7, 4);
const NO_FLUSH: Flag = Flag::new(4, 2);
const LOEJ: Flag = Flag::new(4, 1);
const START: Flag = Flag::new(4, 0);

/// How much of a logical unit is awake (SPC-5 and SBC-4, Power conditions).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerCondition {
    /// Everything is carried out at once.
    Active,
    /// idle_a, the idle condition quickest to leave.
    IdleA,
    /// idle_b.
    IdleB,
    /// idle_c.
    IdleC,
    /// standby_y.
    StandbyY,
    /// standby_z, which takes longest to leave.
    StandbyZ,
    /// Nothing that needs the medium is carried out before another START STOP UNIT.
    Stopped,
}

/// What a START STOP UNIT does to the unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitChange {
    /// POWER CONDITION, or START with LOEJ = 0: the unit goes into this condition.
    Power(PowerCondition),
    /// LOEJ = 1 and START = 1.
    Load,
    /// LOEJ = 1 and START = 0.
    Eject,
    /// LU_CONTROL, which starts timers, of which there are none. So are taken the values of POWER
    /// CONDITION that SBC-4 calls reserved or obsolete: libiscsi's suite has every one of them
    /// answered GOOD (`StartStopUnit.PwrCnd`).
    Nothing,
}

/// START STOP UNIT. IMMED is not kept: an answer that comes once everything is done says more than
/// was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartStopUnit {
    /// What happens.
    pub change: UnitChange,
    /// NO_FLUSH: the volatile cache need not be written out first.
    pub no_flush: bool,
}

pub(crate) fn parse(cdb: &[u8]) -> Result<Command, Sense> {
    let change = match POWER_CONDITION.read(cdb) {
        // START_VALID.
        0x0 => match (LOEJ.read(cdb), START.read(cdb)) {
            (false, false) => UnitChange::Power(PowerCondition::Stopped),
            (false, true) => UnitChange::Power(PowerCondition::Active),
            (true, false) => UnitChange::Eject,
            (true, true) => UnitChange::Load,
        },
        0x1 => one_of(cdb, &[PowerCondition::Active])?,
        // IDLE and FORCE_IDLE_0, which differ in what they do to timers.
        0x2 | 0xa => {
            one_of(cdb, &[PowerCondition::IdleA, PowerCondition::IdleB, PowerCondition::IdleC])?
        }
        // STANDBY and FORCE_STANDBY_0.
        0x3 | 0xb => one_of(cdb, &[PowerCondition::StandbyZ, PowerCondition::StandbyY])?,
        _ => UnitChange::Nothing,
    };
    Ok(Command::StartStopUnit(StartStopUnit { change, no_flush: NO_FLUSH.read(cdb) }))
}

/// The condition that POWER CONDITION MODIFIER chooses.
fn one_of(cdb: &[u8], conditions: &[PowerCondition]) -> Result<UnitChange, Sense> {
    let nth = usize::from(POWER_CONDITION_MODIFIER.read(cdb));
    let condition = conditions.get(nth).ok_or(POWER_CONDITION_MODIFIER.invalid_in_cdb())?;
    Ok(UnitChange::Power(*condition))
}

impl StartStopUnit {
    /// 05h/24h/00h for LOEJ = 1 on a medium that cannot be taken out.
    pub const LOEJ_NOT_SUPPORTED: Sense = LOEJ.invalid_in_cdb();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_bytes;

    fn change(modifier: u8, byte_4: u8) -> Result<UnitChange, Sense> {
        let command = parse_bytes(&[0x1b, 0, 0, modifier, byte_4, 0])?;
        let Command::StartStopUnit(command) = command else { panic!("{command:?}") };
        Ok(command.change)
    }

    #[test]
    fn start_and_loej_count_while_there_is_no_power_condition() {
        assert_eq!(change(0, 0x00), Ok(UnitChange::Power(PowerCondition::Stopped)));
        assert_eq!(change(0, 0x01), Ok(UnitChange::Power(PowerCondition::Active)));
        assert_eq!(change(0, 0x02), Ok(UnitChange::Eject));
        assert_eq!(change(0, 0x03), Ok(UnitChange::Load));
        assert_eq!(change(0, 0x22), Ok(UnitChange::Power(PowerCondition::IdleA)));
    }

    #[test]
    fn the_modifier_chooses_among_conditions() {
        for (byte_4, modifier, condition) in [
            (0x10, 0, PowerCondition::Active),
            (0x20, 0, PowerCondition::IdleA),
            (0xa0, 1, PowerCondition::IdleB),
            (0x20, 2, PowerCondition::IdleC),
            (0x30, 0, PowerCondition::StandbyZ),
            (0xb0, 1, PowerCondition::StandbyY),
        ] {
            assert_eq!(change(modifier, byte_4), Ok(UnitChange::Power(condition)));
        }
        for (byte_4, modifier) in [(0x10, 1), (0x20, 3), (0xb0, 2)] {
            assert_eq!(change(modifier, byte_4), Err(Sense::invalid_field_in_cdb(3, Some(3))));
        }
    }

    #[test]
    fn reserved_conditions_change_nothing() {
        for condition in [0x4, 0x5, 0x6, 0x7, 0x8, 0x9, 0xc, 0xf] {
            assert_eq!(change(0, condition << 4), Ok(UnitChange::Nothing));
        }
    }

    #[test]
    fn no_flush_is_told() {
        let change = UnitChange::Eject;
        assert_eq!(
            parse_bytes(&[0x1b, 1, 0, 0, 0x06, 0]),
            Ok(Command::StartStopUnit(StartStopUnit { change, no_flush: true }))
        );
    }
}
