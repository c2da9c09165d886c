use pulsefield_backstore::{BackstoreError, Op};
use pulsefield_scsi::{Asc, Sense, SenseFormat, SenseKey};
use pulsefield_units::BlockCount;

use crate::limits;
use crate::testing::{World, cdb, filled, out, range, room};

/// The parameter list that sets D_SENSE and SWP of the Control page.
fn control(descriptor_sense: bool, software_write_protect: bool) -> Vec<u8> {
    let mut list = vec![0, 0, 0, 0, 0x0a, 0x0a, 0x02, 0x10, 0, 0x40, 0, 0, 0xff, 0xff, 0, 0];
    list[6] |= if descriptor_sense { 0x04 } else { 0 };
    list[8] |= if software_write_protect { 0x08 } else { 0 };
    list
}

/// Sends a MODE SELECT with this parameter list.
fn select(world: &mut World, list: &[u8]) -> u16 {
    world.send(&cdb::mode_select(list), out(list))
}

/// WCE as MODE SENSE tells it.
fn write_cache_enabled(world: &mut World) -> bool {
    let reply = world.execute(&[0x1a, 0x08, 0x08, 0, 255, 0], room(255));
    reply.bytes[4 + 2] & 0x04 != 0
}

#[test]
fn a_cache_that_is_switched_off_is_written_out_before_the_answer() {
    let mut world = World::default();
    let off = select(&mut world, &cdb::write_cache(false));
    assert_eq!(world.ops(), [Op::Flush]);
    // A write that arrives meanwhile goes through already.
    world.send(&cdb::write(0, 1), out(&filled(b'A', 1)));
    assert_eq!(world.ops(), [Op::Flush, Op::Write { range: range(0, 1), durable: true }]);
    assert!(world.waits(off));
    world.finish_all();
    world.answer(off).good();
    assert!(!write_cache_enabled(&mut world));
    // Off already: nothing to write out. On again: nothing either.
    for enabled in [false, true] {
        let select = select(&mut world, &cdb::write_cache(enabled));
        world.answer(select).good();
        assert_eq!(write_cache_enabled(&mut world), enabled);
    }
    world.assert_idle();
}

#[test]
fn a_cache_that_cannot_be_written_out_is_an_error() {
    let mut world = World::default();
    let off = select(&mut world, &cdb::write_cache(false));
    world.fail(0, BackstoreError::Medium);
    world.answer(off).check_codes(SenseKey::MediumError, Asc::new(0x0c, 0x00));
}

#[test]
fn a_medium_without_a_cache_has_none_to_enable() {
    let mut world = World::with(|setup| setup.capabilities.write_cache = false);
    let on = select(&mut world, &cdb::write_cache(true));
    world.answer(on).check(Sense::invalid_field_in_parameter_list(4 + 2, Some(2)));
}

#[test]
fn software_write_protect_refuses_writes_and_nothing_else() {
    let mut world = World::default();
    let protect = select(&mut world, &control(false, true));
    world.answer(protect).good();
    for (command, data) in [
        (cdb::write(0, 1), filled(0, 1)),
        (cdb::write_same(0, 1, 0), filled(0, 1)),
        (cdb::write_and_verify(0, 1, 0), filled(0, 1)),
        (cdb::compare_and_write(0, 1), filled(0, 2)),
    ] {
        let reply = world.execute(&command, out(&data));
        reply.check_codes(SenseKey::DataProtect, Asc::new(0x27, 0x00));
    }
    world.execute(&cdb::read(0, 1), room(512)).good();
    let unprotect = select(&mut world, &control(false, false));
    world.answer(unprotect).good();
    world.execute(&cdb::write(0, 1), out(&filled(b'A', 1))).good();
}

#[test]
fn autosense_takes_the_form_that_was_selected() {
    let mut world = World::default();
    for (on, format) in [(true, SenseFormat::Descriptor), (false, SenseFormat::Fixed)] {
        let select = select(&mut world, &control(on, false));
        world.answer(select).good();
        assert_eq!(world.server.sense_format(), format);
    }
}

#[test]
fn a_list_that_is_wrong_changes_nothing() {
    let mut world = World::default();
    let half_wrong = [&cdb::write_cache(false)[..], &[0x3e, 0]].concat();
    let select_wrong = select(&mut world, &half_wrong);
    world.answer(select_wrong).check(Sense::invalid_field_in_parameter_list(24, Some(5)));
    assert!(write_cache_enabled(&mut world));
    let list = cdb::write_cache(false);
    let short = world.execute(&cdb::mode_select(&list), out(&list[1..]));
    short.check_codes(SenseKey::IllegalRequest, Asc::new(0x1a, 0x00));
    assert!(write_cache_enabled(&mut world));
}

#[test]
fn a_later_select_is_not_undone_by_an_earlier_one_that_waits() {
    let mut world = World::with(|setup| setup.geometry.blocks = BlockCount::new(256));
    for lba in 0..limits::BULK_SLOTS as u64 {
        world.send(&cdb::read(lba, 1), room(512));
    }
    let waits = select(&mut world, &cdb::write_cache(false));
    let answered = select(&mut world, &control(true, false));
    assert!(world.waits(waits));
    world.answer(answered).good();
    world.finish_all();
    world.answer(waits).good();
    assert_eq!(world.server.sense_format(), SenseFormat::Descriptor);
}

#[test]
fn an_abort_comes_too_late() {
    let mut world = World::default();
    let off = select(&mut world, &cdb::write_cache(false));
    world.abort(&[off]);
    assert!(world.waits(off));
    world.finish_all();
    world.answer(off).good();
    world.assert_idle();
}
