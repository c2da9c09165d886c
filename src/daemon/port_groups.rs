//! LIO's target port groups in the device server's words.

use pulsefield_engine::PortGroup;
use pulsefield_kernel::{AccessState, Device, TargetPortGroup};
use pulsefield_scsi::parameter::{AccessState as T10State, AccessStates};
use tracing::warn;

/// The most ports that fit into a descriptor.
const PORTS_MAX: usize = 255;

/// The groups of `device` as they are now; none if they cannot be read.
pub(crate) fn read(device: &Device) -> Vec<PortGroup> {
    match device.target_port_groups() {
        Ok(groups) => groups.into_iter().map(translate).collect(),
        Err(error) => {
            warn!(%error, "the target port groups cannot be read");
            Vec::new()
        }
    }
}

fn translate(mut group: TargetPortGroup) -> PortGroup {
    if group.ports.len() > PORTS_MAX {
        warn!(group = group.name, "only the first 255 ports of the group are reported");
        group.ports.truncate(PORTS_MAX);
    }
    let supported = group.supported.into_iter().map(translate_state);
    PortGroup {
        id: group.id,
        preferred: group.preferred,
        state: translate_state(group.state),
        supported: supported.fold(AccessStates::NONE, AccessStates::with),
        status_code: group.status.code(),
        ports: group.ports,
    }
}

const fn translate_state(state: AccessState) -> T10State {
    match state {
        AccessState::ActiveOptimized => T10State::ActiveOptimized,
        AccessState::ActiveNonOptimized => T10State::ActiveNonOptimized,
        AccessState::Standby => T10State::Standby,
        AccessState::Unavailable => T10State::Unavailable,
        AccessState::LbaDependent => T10State::LogicalBlockDependent,
        AccessState::Offline => T10State::Offline,
        AccessState::Transitioning => T10State::Transitioning,
    }
}
