//! SET IDENTIFYING INFORMATION (SPC-4): is kept before it is answered.

use pulsefield_data::Buffer;
use pulsefield_scsi as scsi;

use super::{Context, Exec, Step};

/// The command with the information that it brings.
pub(crate) fn admit(data: &Buffer, command: scsi::SetIdentifyingInformation) -> Exec {
    let mut information = vec![0; command.parameter_list_length.into()];
    data.read_at(0, &mut information);
    Exec::SetIdentifyingInformation(information)
}

pub(crate) fn step(information: &[u8], cx: &mut Context<'_>) -> Step {
    cx.unit.to_save.identifying_information = information.to_vec();
    Step::Save(cx.unit.to_save.clone())
}
