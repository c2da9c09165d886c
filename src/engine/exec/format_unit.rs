//! FORMAT UNIT (SBC-4): what is checked before the background operation takes over.

use pulsefield_data::Buffer;
use pulsefield_scsi::parameter::FormatParameters;
use pulsefield_scsi::{self as scsi, Extent, FormatList, Sense};
use pulsefield_units::{BlockCount, Lba, LbaRange};

use crate::admit::Admission;
use crate::background::Background;
use crate::logical_unit::LogicalUnit;
use crate::outcome::Outcome;

/// Gives the unit the operation.
///
/// # Errors
/// What is wrong with the parameter list.
pub(crate) fn admit(
    unit: &mut LogicalUnit,
    data: &Buffer,
    command: scsi::FormatUnit,
) -> Result<Admission, Sense> {
    let mut list = vec![0; command.list.header_length().into()];
    data.read_at(0, &mut list);
    let parameters = FormatParameters::parse(command.list, &list)?;
    let background = Background::format(unit, whole_medium(unit)?);
    let outcome = match command.list {
        FormatList::None => Outcome::NO_DATA,
        FormatList::Short | FormatList::Long => Outcome::GOOD,
    };
    Ok(start(unit, background, parameters.immediate, outcome))
}

/// Every block there is.
///
/// # Errors
/// 05h/21h/00h for a medium without any.
pub(super) fn whole_medium(unit: &LogicalUnit) -> Result<LbaRange, Sense> {
    unit.range_to_end(Extent { lba: Lba::new(0), blocks: BlockCount::ZERO })
}

/// Hands `background` to the unit; the command ends with `outcome`, at once or after it.
pub(super) fn start(
    unit: &mut LogicalUnit,
    background: Background,
    immediate: bool,
    outcome: Outcome,
) -> Admission {
    unit.background = Some(background);
    match immediate {
        true => Admission::StartAndEnd(outcome),
        false => Admission::Await(outcome),
    }
}
