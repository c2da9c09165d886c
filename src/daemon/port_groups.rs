//! LIO's target port groups in the device server's words, and back.

use pulsefield_engine::{AccessStateChange, PortGroup};
use pulsefield_kernel::{AccessState, AccessType, AttributeError, Device, TargetPortGroup};
use pulsefield_scsi::parameter::{AccessState as T10State, AccessStates};
use tracing::{info, warn};

/// The most ports that fit into a descriptor.
const PORTS_MAX: usize = 255;

/// The groups of `device` as they are now; none if they cannot be read, or LIO does not use them.
pub(crate) fn read(device: &Device) -> Vec<PortGroup> {
    let groups = || match device.alua_support()? {
        true => device.target_port_groups(),
        false => Ok::<_, AttributeError>(Vec::new()),
    };
    match groups() {
        Ok(groups) => groups.into_iter().map(translate).collect(),
        Err(error) => {
            warn!(%error, "the target port groups cannot be read");
            Vec::new()
        }
    }
}

/// Changes the states of groups of `device`, in order; says whether all of them were changed.
pub(crate) fn set(device: &Device, changes: &[AccessStateChange]) -> bool {
    for change in changes {
        let state = kernel_state(change.state);
        if let Err(error) = device.set_access_state(change.group, state) {
            warn!(group = change.group, ?state, %error, "the access state cannot be set");
            return false;
        }
        info!(group = change.group, ?state, "an initiator set the access state");
    }
    true
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
        implicit: matches!(
            group.access_type,
            AccessType::Implicit | AccessType::ImplicitAndExplicit
        ),
        // Where implicit changes are forbidden, the kernel takes none from us either.
        explicit: group.access_type == AccessType::ImplicitAndExplicit,
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

const fn kernel_state(state: T10State) -> AccessState {
    match state {
        T10State::ActiveOptimized => AccessState::ActiveOptimized,
        T10State::ActiveNonOptimized => AccessState::ActiveNonOptimized,
        T10State::Standby => AccessState::Standby,
        T10State::Unavailable => AccessState::Unavailable,
        T10State::LogicalBlockDependent => AccessState::LbaDependent,
        T10State::Offline => AccessState::Offline,
        T10State::Transitioning => AccessState::Transitioning,
    }
}
