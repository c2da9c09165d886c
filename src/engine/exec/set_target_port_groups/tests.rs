use pulsefield_scsi::parameter::{AccessState, AccessStates};

use super::*;
use crate::Query;
use crate::testing::{World, cdb, none, out};

fn groups() -> Vec<PortGroup> {
    let group = |id| PortGroup {
        id,
        preferred: false,
        state: AccessState::ActiveOptimized,
        supported: AccessStates::NONE.with(AccessState::ActiveOptimized).with(AccessState::Standby),
        implicit: true,
        explicit: id != 9,
        status_code: 0,
        ports: vec![id + 1],
    };
    vec![group(0), group(1), group(9)]
}

/// Sends a SET TARGET PORT GROUPS and lets it know the groups; returns its tag.
fn send(world: &mut World, list: &[u8]) -> u16 {
    let set = world.send(&cdb::set_target_port_groups(list), out(list));
    assert!(world.waits(set));
    assert_eq!(world.queries.pop(), Some(Query::PortGroups));
    world.server.on_port_groups(groups());
    world.poll();
    set
}

const BOTH: [u8; 12] = [0, 0, 0, 0, 0x02, 0, 0, 1, 0x00, 0, 0, 0];

#[test]
fn states_are_set_outside_before_the_answer() {
    for (changed, sense) in [(true, None), (false, Some(FAILED))] {
        let mut world = World::default();
        let set = send(&mut world, &BOTH);
        assert!(world.waits(set));
        let (request, changes) = world.access_states.pop().unwrap();
        let expected = [(1, AccessState::Standby), (0, AccessState::ActiveOptimized)];
        let expected = expected.map(|(group, state)| AccessStateChange { group, state });
        assert_eq!(changes, expected);
        world.server.on_access_states_set(Default::default(), request, changed);
        world.poll();
        match sense {
            None => world.answer(set).good(),
            Some(sense) => world.answer(set).check(sense),
        }
        world.assert_idle();
    }
}

#[test]
fn each_ends_with_its_own_answer() {
    let mut world = World::default();
    let first = send(&mut world, &BOTH);
    let second = send(&mut world, &BOTH);
    let requests: Vec<_> = world.access_states.drain(..).map(|(request, _)| request).collect();
    world.server.on_access_states_set(Default::default(), requests[1], true);
    world.poll();
    world.answer(second).good();
    assert!(world.waits(first));
    world.server.on_access_states_set(Default::default(), requests[0], false);
    // Twice, as when an earlier device server had asked.
    world.server.on_access_states_set(Default::default(), requests[1], false);
    world.poll();
    world.answer(first).check(FAILED);
    world.assert_idle();
}

#[test]
fn nothing_to_set_is_no_error() {
    for list in [&[][..], &[0; 4]] {
        let mut world = World::default();
        let set = send(&mut world, list);
        world.answer(set).good();
        assert_eq!(world.access_states, []);
    }
}

#[test]
fn a_list_that_is_wrong_anywhere_changes_nothing() {
    let pointing_at = Sense::invalid_field_in_parameter_list;
    let entries = |entries: &[[u8; 4]]| [&[0; 4], entries.as_flattened()].concat();
    for (list, sense) in [
        (BOTH[..7].to_vec(), Sense::parameter_list_length_error()),
        (vec![0; 3], Sense::parameter_list_length_error()),
        // A state the second group does not support, a state nobody can ask for.
        (entries(&[[0, 0, 0, 0], [3, 0, 0, 1]]), pointing_at(8, Some(3))),
        (entries(&[[0, 0, 0, 0], [0x0e, 0, 0, 1]]), pointing_at(8, Some(3))),
        // No such group; one that initiators may not set; one named twice.
        (entries(&[[0, 0, 0, 0], [0, 0, 1, 0]]), pointing_at(10, None)),
        (entries(&[[0, 0, 0, 9]]), pointing_at(6, None)),
        (entries(&[[0, 0, 0, 1], [2, 0, 0, 1]]), pointing_at(10, None)),
    ] {
        let mut world = World::default();
        let set = send(&mut world, &list);
        world.answer(set).check(sense);
        assert_eq!(world.access_states, []);
        world.assert_idle();
    }
    let mut world = World::default();
    let set = world.send(&cdb::set_target_port_groups(&BOTH), out(&BOTH[..8]));
    world.answer(set).check(Sense::parameter_list_length_error());
    assert_eq!(world.queries, [], "less came than the CDB says");
}

#[test]
fn an_abort_drops_it_only_before_anything_is_set() {
    let mut world = World::default();
    let set = world.send(&cdb::set_target_port_groups(&BOTH), out(&BOTH));
    world.abort(&[set]);
    world.answer(set).aborted();
    world.server.on_port_groups(groups());
    world.poll();
    assert_eq!(world.access_states, []);

    let set = send(&mut world, &BOTH);
    world.abort(&[set]);
    assert!(world.waits(set), "the states are being changed");
    let (request, _) = world.access_states.pop().unwrap();
    world.server.on_access_states_set(Default::default(), request, true);
    world.poll();
    world.answer(set).good();
    world.execute(&cdb::TEST_UNIT_READY, none()).good();
}
