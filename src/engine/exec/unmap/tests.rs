use pulsefield_backstore::{BackstoreError, Op};
use pulsefield_scsi::{Asc, Sense, SenseKey};
use pulsefield_units::BlockCount;

use crate::limits;
use crate::testing::{World, cdb, filled, none, out, range};

/// Sends an UNMAP of these runs of blocks.
fn send(world: &mut World, runs: &[(u64, u32)]) -> u16 {
    let (command, list) = cdb::unmap(runs);
    world.send(&command, out(&list))
}

#[test]
fn ranges_are_unmapped_one_after_the_other() {
    let mut world = World::default();
    world.put(0, &filled(b'A', 64));
    let unmap = send(&mut world, &[(40, 4), (0, 0), (8, 2)]);
    for range in [range(40, 4), range(8, 2)] {
        assert_eq!(world.ops(), [Op::Unmap { range }]);
        world.finish(0);
    }
    world.answer(unmap).good();
    for lba in 0..64 {
        let unmapped = (40..44).contains(&lba) || (8..10).contains(&lba);
        assert_eq!(world.block(lba), filled(if unmapped { 0 } else { b'A' }, 1));
    }
    world.assert_idle();
}

#[test]
fn a_heartbeat_between_two_ranges_does_not_wait() {
    let mut world = World::default();
    let unmap = send(&mut world, &[(0, 8), (56, 8)]);
    let between = world.send(&cdb::compare_and_write(30, 1), out(&filled(0, 2)));
    let in_the_second = world.send(&cdb::compare_and_write(60, 1), out(&filled(0, 2)));
    let in_the_first = world.send(&cdb::compare_and_write(4, 1), out(&filled(0, 2)));
    assert_eq!(
        world.ops(),
        [
            Op::Unmap { range: range(0, 8) },
            Op::Read { range: range(30, 1) },
            Op::Read { range: range(60, 1) },
        ]
    );
    world.finish(0);
    assert!(world.ops().contains(&Op::Read { range: range(4, 1) }), "the first range is free");
    assert!(!world.ops().contains(&Op::Unmap { range: range(56, 8) }), "block 60 is taken");
    world.finish_all();
    for tag in [unmap, between, in_the_second, in_the_first] {
        world.answer(tag).good();
    }
    world.assert_idle();
}

#[test]
fn nothing_to_unmap_is_good() {
    let mut world = World::default();
    for runs in [&[][..], &[(7, 0)], &[(u64::MAX, 0)]] {
        let unmap = send(&mut world, runs);
        world.answer(unmap).good();
    }
    world.execute(&[0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0], none()).good();
}

#[test]
fn one_block_that_does_not_exist_refuses_them_all() {
    let mut world = World::default();
    for runs in [[(0, 1), (64, 1)], [(0, 1), (63, 2)], [(0, 1), (u64::MAX, 2)]] {
        let unmap = send(&mut world, &runs);
        assert_eq!(world.ops(), []);
        world.answer(unmap).check(Sense::lba_out_of_range());
    }
}

#[test]
fn the_limits_of_the_block_limits_page_hold() {
    let mut world = World::with(|setup| setup.geometry.blocks = BlockCount::new(1 << 30));
    let max = limits::UNMAP_BLOCKS_MAX;
    let unmap = send(&mut world, &[(0, max - 1), (max.into(), 1)]);
    world.finish_all();
    world.answer(unmap).good();
    let too_many_blocks = send(&mut world, &[(0, max), (max.into(), 1)]);
    let refused = Sense::invalid_field_in_parameter_list(8 + 16 + 8, None);
    world.answer(too_many_blocks).check(refused);
    let descriptors = limits::UNMAP_DESCRIPTORS_MAX as usize;
    let unmap = send(&mut world, &vec![(0, 1); descriptors]);
    world.finish_all();
    world.answer(unmap).good();
    let too_many = send(&mut world, &vec![(0, 1); descriptors + 1]);
    world.answer(too_many).check(Sense::invalid_field_in_parameter_list(2, None));
}

#[test]
fn a_list_that_is_not_there_is_refused() {
    let mut world = World::default();
    let (command, list) = cdb::unmap(&[(0, 1)]);
    let reply = world.execute(&command, out(&list[..23]));
    reply.check_codes(SenseKey::IllegalRequest, Asc::new(0x1a, 0x00));
}

#[test]
fn who_cannot_unmap_does_not_know_the_command() {
    let (command, list) = cdb::unmap(&[(0, 1)]);
    let mut thick = World::with(|setup| setup.capabilities.thin = false);
    thick.execute(&command, out(&list)).check(Sense::invalid_opcode());
    let mut read_only = World::with(|setup| setup.capabilities.read_only = true);
    let reply = read_only.execute(&command, out(&list));
    reply.check_codes(SenseKey::DataProtect, Asc::new(0x27, 0x00));
    let mut anchored = command;
    anchored[1] = 1;
    let reply = World::default().execute(&anchored, out(&list));
    reply.check(Sense::invalid_field_in_cdb(1, Some(0)));
}

#[test]
fn a_range_that_was_cut_off_meanwhile_is_not_touched() {
    let mut world = World::default();
    let unmap = send(&mut world, &[(0, 8), (56, 8)]);
    assert!(!world.server.touches_beyond(BlockCount::new(32)));
    world.server.resize(BlockCount::new(32));
    world.finish(0);
    assert_eq!(world.ops(), []);
    world.answer(unmap).check(Sense::lba_out_of_range());
    world.assert_idle();
}

#[test]
fn an_error_ends_it() {
    let mut world = World::default();
    let unmap = send(&mut world, &[(0, 8), (56, 8)]);
    world.fail(0, BackstoreError::Medium);
    world.answer(unmap).check_codes(SenseKey::MediumError, Asc::new(0x0c, 0x00));
    world.assert_idle();
}
