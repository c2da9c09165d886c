use pulsefield_backstore::Op;
use pulsefield_scsi::mode_page::ModeSettings;
use pulsefield_scsi::{Asc, Sense, SenseKey};

use crate::SavedState;
use crate::testing::{World, cdb, none, out, room};

const CACHE_OFF: ModeSettings = ModeSettings {
    write_cache_enabled: false,
    descriptor_sense: false,
    software_write_protect: false,
};

/// A world where the test says when something is saved.
fn holding() -> World {
    let mut world = World::default();
    world.holds_saves = true;
    world
}

/// MODE SELECT (6) with SP = 1 of a Caching page with this WCE.
fn save_write_cache(world: &mut World, enabled: bool) -> u16 {
    let list = cdb::write_cache(enabled);
    let mut command = cdb::mode_select(&list);
    command[1] |= 0x01;
    world.send(&command, out(&list))
}

/// WCE of the current and the saved Caching page.
fn write_cache(world: &mut World) -> [bool; 2] {
    [0x08, 0xc8].map(|page| {
        let reply = world.execute(&[0x1a, 0x08, page, 0, 255, 0], room(255));
        assert_eq!(reply.bytes[4] & 0x80, 0x80, "PS");
        reply.bytes[4 + 2] & 0x04 != 0
    })
}

fn set_information(world: &mut World, information: &[u8]) -> u16 {
    let length = u8::try_from(information.len()).unwrap();
    world.send(&[0xa4, 0x06, 0, 0, 0, 0, 0, 0, 0, length, 0, 0], out(information))
}

const REPORT_INFORMATION: [u8; 12] = [0xa3, 0x05, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];

#[test]
fn modes_are_written_out_then_saved_then_answered() {
    let mut world = holding();
    let select = save_write_cache(&mut world, false);
    assert_eq!(world.ops(), [Op::Flush]);
    assert!(world.saves.is_empty());
    world.finish(0);
    assert!(world.waits(select));
    assert_eq!(write_cache(&mut world), [false, true], "in force, and not saved yet");
    world.abort(&[select]);
    let saved = world.finish_save(true);
    assert_eq!(saved, SavedState { modes: Some(CACHE_OFF), ..SavedState::default() });
    world.answer(select).good();
    assert_eq!(write_cache(&mut world), [false, false]);
    world.assert_idle();

    let mut after_restart = World::default();
    after_restart.server.restore(saved);
    assert_eq!(write_cache(&mut after_restart), [false, false]);
}

#[test]
fn what_cannot_be_saved_is_an_error() {
    let mut world = holding();
    let select = save_write_cache(&mut world, true);
    world.finish_save(false);
    let reply = world.answer(select);
    reply.check_codes(SenseKey::HardwareError, Asc::INTERNAL_TARGET_FAILURE);
    let set = set_information(&mut world, b"x");
    world.finish_save(false);
    let reply = world.answer(set);
    reply.check_codes(SenseKey::HardwareError, Asc::INTERNAL_TARGET_FAILURE);
    world.execute(&REPORT_INFORMATION, room(256)).good_with(&[0; 4]);
    world.assert_idle();
}

#[test]
fn a_saved_cache_is_not_enabled_on_a_medium_without_one() {
    let mut world = World::with(|setup| setup.capabilities.write_cache = false);
    let modes = Some(ModeSettings { write_cache_enabled: true, ..CACHE_OFF });
    world.server.restore(SavedState { modes, ..SavedState::default() });
    assert!(!write_cache(&mut world)[0]);
}

#[test]
fn identifying_information_is_reported_once_it_is_saved() {
    let mut world = holding();
    world.execute(&REPORT_INFORMATION, room(256)).good_with(&[0; 4]);
    let set = set_information(&mut world, b"rack 7");
    world.execute(&REPORT_INFORMATION, room(256)).good_with(&[0; 4]);
    world.finish_save(true);
    world.answer(set).good();
    world.execute(&REPORT_INFORMATION, room(256)).good_with(b"\0\0\0\x06rack 7");
    let deleted = set_information(&mut world, b"");
    assert_eq!(world.finish_save(true), SavedState::default());
    world.answer(deleted).good();
    world.execute(&REPORT_INFORMATION, room(256)).good_with(&[0; 4]);
    let types = [0xa3, 0x05, 0, 0, 0, 0, 0, 0, 1, 0, 0xfe, 0];
    world.execute(&types, room(256)).good_with(&[0, 0, 0, 4, 0, 0, 2, 0]);
    let unknown = world.execute(&[0xa4, 0x06, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0], none());
    unknown.check(Sense::invalid_field_in_cdb(10, Some(7)));
}

#[test]
fn two_that_save_at_once_do_not_undo_each_other() {
    let mut world = holding();
    let set = set_information(&mut world, b"x");
    let select = save_write_cache(&mut world, true);
    world.finish_save(true);
    let both = world.finish_save(true);
    assert_eq!(both.identifying_information, b"x");
    assert!(both.modes.is_some());
    world.answer(set).good();
    world.answer(select).good();
}
