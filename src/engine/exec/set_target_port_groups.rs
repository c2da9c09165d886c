//! SET TARGET PORT GROUPS (SPC-4 6.46): an initiator chooses the states of target port groups.
//!
//! LIO keeps the states and enforces them; here the list is checked against the groups as they are,
//! all of it before anything changes, and the world outside is asked to change them.

use pulsefield_data::Buffer;
use pulsefield_scsi::parameter::SetTargetPortGroupsList;
use pulsefield_scsi::{self as scsi, Asc, Sense, SenseKey};

use crate::config::{AccessStateChange, PortGroup};
use crate::outcome::Outcome;

/// 04h/67h/0Ah: the states could not be changed.
const FAILED: Sense =
    Sense::new(SenseKey::HardwareError, Asc::SET_TARGET_PORT_GROUPS_COMMAND_FAILED);

/// Reads the parameter list and says what shall change; nothing if the list is empty.
///
/// # Errors
/// What is wrong with the list: its length, a state that the group cannot have, a group that does
/// not exist, that initiators may not set, or that is named twice.
pub(crate) fn changes(
    groups: &[PortGroup],
    data: &Buffer,
    command: scsi::SetTargetPortGroups,
) -> Result<Vec<AccessStateChange>, Sense> {
    let length = usize::try_from(command.parameter_list_length).expect("admitted by its length");
    let mut list = vec![0; length];
    data.read_at(0, &mut list);
    let mut changes: Vec<AccessStateChange> = Vec::new();
    for descriptor in SetTargetPortGroupsList::parse(&list)?.descriptors() {
        let descriptor = descriptor?;
        let group = groups.iter().find(|group| group.id == descriptor.group && group.explicit);
        let group = group.ok_or_else(|| descriptor.invalid_group())?;
        if !group.supported.contains(descriptor.state) {
            return Err(descriptor.invalid_state());
        }
        if changes.iter().any(|change| change.group == group.id) {
            return Err(descriptor.invalid_group());
        }
        changes.push(AccessStateChange { group: group.id, state: descriptor.state });
    }
    Ok(changes)
}

/// How the command ends once the states were changed, or could not be.
pub(crate) const fn outcome(changed: bool) -> Outcome {
    match changed {
        true => Outcome::GOOD,
        false => Outcome::check(FAILED),
    }
}

#[cfg(test)]
mod tests;
