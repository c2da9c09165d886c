//! REPORT TARGET PORT GROUPS parameter data (SPC-4).

use crate::encode::length_prefixed;

/// ASYMMETRIC ACCESS STATE of a target port group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum AccessState {
    /// Active/optimized.
    ActiveOptimized = 0x0,
    /// Active/non-optimized.
    ActiveNonOptimized = 0x1,
    /// Standby.
    Standby = 0x2,
    /// Unavailable.
    Unavailable = 0x3,
    /// Logical block dependent.
    LogicalBlockDependent = 0x4,
    /// Offline.
    Offline = 0xe,
    /// On the way from one state to another.
    Transitioning = 0xf,
}

/// The states a target port group may have: the T_SUP … AO_SUP bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct AccessStates(u8);

impl AccessStates {
    /// No state at all.
    pub const NONE: Self = Self(0);

    /// These states and `state`.
    #[must_use]
    pub const fn with(self, state: AccessState) -> Self {
        Self(self.0 | Self::bit(state))
    }

    /// Whether `state` is one of them.
    pub const fn contains(self, state: AccessState) -> bool {
        self.0 & Self::bit(state) != 0
    }

    const fn bit(state: AccessState) -> u8 {
        match state {
            AccessState::ActiveOptimized => 0x01,
            AccessState::ActiveNonOptimized => 0x02,
            AccessState::Standby => 0x04,
            AccessState::Unavailable => 0x08,
            AccessState::LogicalBlockDependent => 0x10,
            AccessState::Offline => 0x40,
            AccessState::Transitioning => 0x80,
        }
    }
}

/// A target port group descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetPortGroup<'a> {
    /// TARGET PORT GROUP.
    pub id: u16,
    /// PREF: the group is preferred.
    pub preferred: bool,
    /// The state it is in.
    pub state: AccessState,
    /// The states it may have.
    pub supported: AccessStates,
    /// STATUS CODE: 0 none, 1 altered by SET TARGET PORT GROUPS, 2 altered implicitly.
    pub status_code: u8,
    /// The relative target port identifiers of its ports, at most 255.
    pub ports: &'a [u16],
}

const PREF: u8 = 0x80;
/// FORMAT TYPE of the extended header.
const EXTENDED_HEADER: u8 = 0x10;

/// Appends the header and `groups` to `out`; the extended header tells `implicit_transition_time`,
/// in seconds, 0 for unknown.
///
/// # Panics
/// If a group has more than 255 ports.
pub fn encode_target_port_groups(
    extended_header: Option<u8>,
    groups: &[TargetPortGroup<'_>],
    out: &mut Vec<u8>,
) {
    length_prefixed::<4>(out, |out| {
        if let Some(implicit_transition_time) = extended_header {
            out.extend_from_slice(&[EXTENDED_HEADER, implicit_transition_time, 0, 0]);
        }
        for group in groups {
            let preferred = if group.preferred { PREF } else { 0 };
            out.extend_from_slice(&[preferred | group.state as u8, group.supported.0]);
            out.extend_from_slice(&group.id.to_be_bytes());
            let ports = u8::try_from(group.ports.len()).expect("at most 255 ports in a group");
            out.extend_from_slice(&[0, group.status_code, 0, ports]);
            for port in group.ports {
                out.extend_from_slice(&[0, 0]);
                out.extend_from_slice(&port.to_be_bytes());
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUPS: [TargetPortGroup<'static>; 2] = [
        TargetPortGroup {
            id: 0,
            preferred: true,
            state: AccessState::ActiveOptimized,
            supported: AccessStates::NONE
                .with(AccessState::ActiveOptimized)
                .with(AccessState::Standby)
                .with(AccessState::Transitioning),
            status_code: 2,
            ports: &[1, 0x0102],
        },
        TargetPortGroup {
            id: 0x0304,
            preferred: false,
            state: AccessState::Transitioning,
            supported: AccessStates::NONE,
            status_code: 0,
            ports: &[],
        },
    ];

    #[test]
    fn groups_and_their_ports() {
        let mut out = Vec::new();
        encode_target_port_groups(None, &GROUPS, &mut out);
        let first = [0x80, 0x85, 0, 0, 0, 2, 0, 2, 0, 0, 0, 1, 0, 0, 1, 2];
        let second = [0x0f, 0x00, 3, 4, 0, 0, 0, 0];
        assert_eq!(out, [&[0, 0, 0, 24], &first[..], &second[..]].concat());
    }

    #[test]
    fn the_extended_header_comes_first() {
        let mut out = Vec::new();
        encode_target_port_groups(Some(60), &GROUPS[1..], &mut out);
        assert_eq!(out, [0, 0, 0, 12, 0x10, 60, 0, 0, 0x0f, 0, 3, 4, 0, 0, 0, 0]);
    }
}
