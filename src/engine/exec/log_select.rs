//! LOG SELECT (SPC-4): statistics are reset; nothing else in log pages can be changed.

use pulsefield_data::Buffer;
use pulsefield_scsi::log_page::{Statistics, check_log_select};
use pulsefield_scsi::{self as scsi, Sense};

use crate::logical_unit::LogicalUnit;
use crate::unit_attention::UnitAttention;

/// Reads the parameter list, if there is one, and resets the statistics, if that is asked for.
///
/// # Errors
/// What is wrong with the list; nothing has changed.
pub(crate) fn execute(
    unit: &mut LogicalUnit,
    data: &Buffer,
    command: scsi::LogSelect,
) -> Result<(), Sense> {
    let length = usize::try_from(command.parameter_list_length).expect("at most 65,535");
    let mut list = vec![0; length];
    data.read_at(0, &mut list);
    check_log_select(&list, &unit.statistics, unit.provisioning_resources().as_ref())?;
    if command.reset {
        unit.statistics = Statistics::default();
        unit.attentions.raise_for_others(UnitAttention::LogParametersChanged);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use pulsefield_scsi::Sense;

    use crate::testing::{World, cdb, none, out, room};

    const LOG_SENSE: [u8; 10] = [0x4d, 0, 0x40 | 0x19, 0, 0, 0, 0, 2, 0, 0];

    const fn log_select(byte_1: u8, length: u8) -> [u8; 10] {
        [0x4c, byte_1, 0x40, 0, 0, 0, 0, 0, length, 0]
    }

    /// NUMBER OF READ COMMANDS.
    fn reads(world: &mut World) -> u8 {
        world.execute(&LOG_SENSE, room(512)).bytes[15]
    }

    #[test]
    fn statistics_start_anew_when_they_are_reset() {
        let mut world = World::default();
        world.execute(&cdb::read(0, 1), room(512)).good();
        world.execute(&log_select(0, 0), none()).good();
        assert_eq!(reads(&mut world), 1, "nothing was asked for");
        world.execute(&log_select(0x02, 0), none()).good();
        assert_eq!(reads(&mut world), 0);
        world.execute(&cdb::read(0, 1), room(512)).good();
        assert_eq!(reads(&mut world), 1);
    }

    #[test]
    fn a_list_can_set_nothing() {
        let mut world = World::default();
        world.execute(&cdb::read(0, 1), room(512)).good();
        let mut page = world.execute(&LOG_SENSE, room(512)).bytes[..4 + 68].to_vec();
        page[3] = 68;
        world.execute(&log_select(0, 72), out(&page)).good();
        page[15] = 0;
        world
            .execute(&log_select(0, 72), out(&page))
            .check(Sense::invalid_field_in_parameter_list(15, None));
        assert_eq!(reads(&mut world), 1);
    }
}
