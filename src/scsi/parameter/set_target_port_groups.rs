//! The SET TARGET PORT GROUPS parameter list (SPC-4).

use super::AccessState;
use crate::Sense;
use crate::field::{Bits, Number};

/// Four reserved bytes come first.
const HEADER_LENGTH: usize = 4;
const DESCRIPTOR_LENGTH: usize = 4;
const ACCESS_STATE: Bits = Bits::new(0, 3, 0);
const TARGET_PORT_GROUP: Number<2> = Number::at(2);

/// The descriptors of a SET TARGET PORT GROUPS, in their order.
#[derive(Clone, Copy, Debug)]
pub struct SetTargetPortGroupsList<'a> {
    descriptors: &'a [[u8; DESCRIPTOR_LENGTH]],
}

/// One descriptor: which state a group shall have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetTargetPortGroup {
    /// TARGET PORT GROUP.
    pub group: u16,
    /// ASYMMETRIC ACCESS STATE: one of the four primary states.
    pub state: AccessState,
    /// Where the descriptor lies in the list.
    at: usize,
}

impl<'a> SetTargetPortGroupsList<'a> {
    /// Takes a parameter list apart. An empty list, and one of a header alone, set nothing.
    ///
    /// # Errors
    /// ILLEGAL REQUEST, PARAMETER LIST LENGTH ERROR if it ends in the middle of its header or of a
    /// descriptor.
    pub fn parse(list: &'a [u8]) -> Result<Self, Sense> {
        if list.is_empty() {
            return Ok(Self { descriptors: &[] });
        }
        let Some((_, descriptors)) = list.split_at_checked(HEADER_LENGTH) else {
            return Err(Sense::parameter_list_length_error());
        };
        match descriptors.as_chunks() {
            (descriptors, []) => Ok(Self { descriptors }),
            _ => Err(Sense::parameter_list_length_error()),
        }
    }

    /// What each descriptor asks for.
    ///
    /// # Errors
    /// An item is ILLEGAL REQUEST, INVALID FIELD IN PARAMETER LIST if the descriptor asks for a state
    /// that nobody can ask for, or for OFFLINE, which is a single port's and set in LIO only.
    pub fn descriptors(&self) -> impl Iterator<Item = Result<SetTargetPortGroup, Sense>> + 'a {
        let places = (HEADER_LENGTH..).step_by(DESCRIPTOR_LENGTH);
        self.descriptors.iter().zip(places).map(|(descriptor, at)| {
            let state = match ACCESS_STATE.read(descriptor) {
                0x0 => AccessState::ActiveOptimized,
                0x1 => AccessState::ActiveNonOptimized,
                0x2 => AccessState::Standby,
                0x3 => AccessState::Unavailable,
                _ => return Err(ACCESS_STATE.invalid_in_parameter_list(at)),
            };
            Ok(SetTargetPortGroup { group: TARGET_PORT_GROUP.read(descriptor), state, at })
        })
    }
}

impl SetTargetPortGroup {
    /// 05h/26h/00h, pointing at the state: the group cannot have it.
    pub fn invalid_state(&self) -> Sense {
        ACCESS_STATE.invalid_in_parameter_list(self.at)
    }

    /// 05h/26h/00h, pointing at the group: it does not exist, cannot be set, or was named before.
    pub fn invalid_group(&self) -> Sense {
        TARGET_PORT_GROUP.invalid_in_parameter_list(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(list: &[u8]) -> Result<Vec<(u16, AccessState)>, Sense> {
        let list = SetTargetPortGroupsList::parse(list)?;
        let set = |descriptor: Result<SetTargetPortGroup, Sense>| {
            descriptor.map(|descriptor| (descriptor.group, descriptor.state))
        };
        list.descriptors().map(set).collect()
    }

    #[test]
    fn each_descriptor_is_a_group_and_its_state() {
        let list = [0, 0, 0, 0, 0xf2, 0xff, 0x01, 0x02, 0x00, 0, 0, 7];
        let expected = [(0x0102, AccessState::Standby), (7, AccessState::ActiveOptimized)];
        assert_eq!(parsed(&list).unwrap(), expected);
        assert_eq!(parsed(&[]), Ok(vec![]));
        assert_eq!(parsed(&[0; 4]), Ok(vec![]));
    }

    #[test]
    fn a_list_that_ends_in_the_middle_is_refused() {
        for length in [1, 3, 5, 7, 9, 11] {
            let refused = Err(Sense::parameter_list_length_error());
            assert_eq!(parsed(&[0; 12][..length]), refused, "{length} bytes");
        }
    }

    #[test]
    fn states_nobody_can_ask_for_are_pointed_at() {
        for state in 4..=15 {
            let list = [0, 0, 0, 0, 0x01, 0, 0, 1, state, 0, 0, 2];
            let refused = Sense::invalid_field_in_parameter_list(8, Some(3));
            assert_eq!(parsed(&list), Err(refused), "state {state:X}h");
        }
        let list = [0, 0, 0, 0, 0x01, 0, 0, 1];
        let list = SetTargetPortGroupsList::parse(&list).unwrap();
        let descriptor = list.descriptors().next().unwrap().unwrap();
        let point = |byte, bit| Sense::invalid_field_in_parameter_list(byte, bit);
        assert_eq!(descriptor.invalid_state(), point(4, Some(3)));
        assert_eq!(descriptor.invalid_group(), point(6, None));
    }
}
