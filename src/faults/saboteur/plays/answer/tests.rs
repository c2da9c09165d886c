use std::num::NonZeroU64;

use pulsefield_units::{BlockCount, Lba, LbaRange};

use super::*;
use crate::Disarm;
use crate::saboteur::testing::{BLOCK_LIMITS, TEST_UNIT_READY, World, block, read, rule, unmap};
use crate::{Cause, Fault, Select};

#[test]
fn flapping_starts_without() {
    let nanos = Duration::from_nanos;
    let on = (0..12).filter(|at| {
        is_on(Instant::from_nanos(100), Instant::from_nanos(100 + at), nanos(3), nanos(2))
    });
    assert_eq!(on.collect::<Vec<_>>(), [3, 4, 8, 9]);
}

#[test]
fn conditions_are_answered_in_place_of_the_command() {
    for (fault, key, asc, ascq) in [
        (Fault::NotReady { qualifier: 0x03 }, SenseKey::NotReady, 0x04, 0x03),
        (Fault::AluaTransition, SenseKey::NotReady, 0x04, 0x0a),
        (Fault::UnitAttention { asc: Asc::new(0x29, 0) }, SenseKey::UnitAttention, 0x29, 0x00),
        (Fault::ThinFull, SenseKey::DataProtect, 0x27, 0x07),
    ] {
        let mut world = World::with(fault);
        world.write(3, 1).codes(key, asc, ascq);
        assert_eq!(world.block(3), block(0));
        world.caw(3, 0, 1).codes(key, asc, ascq);
        assert_eq!(world.block(3), block(0));
        // What an initiator needs in order to find out.
        world.execute(&BLOCK_LIMITS, &[0; 64]).good();
        world.assert_idle();
    }
}

#[test]
fn a_status_is_answered_with_the_sense_that_goes_with_it() {
    for status in [Status::Busy, Status::TaskSetFull, Status::ReservationConflict] {
        let mut world = World::with(Fault::Status { status, sense: None });
        world.write(3, 1).status(status);
        world.execute(&read(3, 1), &[0xa5; 512]).status(status);
    }
    let sense = Sense::new(SenseKey::HardwareError, Asc::INTERNAL_TARGET_FAILURE);
    let status = Status::CheckCondition;
    World::with(Fault::Status { status, sense: Some(sense) }).write(3, 1).sense(sense);
}

#[test]
fn a_full_pool_takes_no_writes_and_gives_reads() {
    let mut world = World::with(Fault::ThinFull);
    world.put(3, &block(7));
    assert_eq!(world.read(3), block(7));
    let (cdb, list) = unmap(3, 1);
    world.execute(&cdb, &list).good();
    assert_eq!(world.block(3), block(0));
}

#[test]
fn a_threshold_is_told_to_the_command_that_was_hit_alone() {
    let mut once = rule(Fault::ThinThreshold);
    once.when.at_most = NonZeroU64::new(1);
    let mut world = World::default();
    world.server.on_initiators(4);
    world.arm_rules(vec![once]);
    world.write(3, 1).codes(SenseKey::UnitAttention, 0x38, 0x07);
    assert_eq!(world.block(3), block(0));
    world.pass(Duration::from_secs(2));
    world.write(3, 1).good();
    assert_eq!(world.block(3), block(1));
}

#[test]
fn a_reservation_is_in_the_way_once_or_for_good() {
    let mut first = rule(Fault::ReservationConflict);
    first.when.select = Select::Nth(NonZeroU64::MIN);
    let mut world = World::default();
    world.arm_rules(vec![first]);
    world.write(3, 1).status(Status::ReservationConflict);
    world.write(3, 1).good();
    let mut second = rule(Fault::ReservationStuck);
    second.when.select = Select::Nth(NonZeroU64::new(2).unwrap());
    let mut world = World::default();
    let armed = world.arm_rules(vec![second]);
    world.write(3, 1).good();
    for _ in 0..3 {
        world.execute(&TEST_UNIT_READY, &[]).status(Status::ReservationConflict);
        world.execute(&BLOCK_LIMITS, &[0; 64]).good();
    }
    let causes: Vec<_> = world.saboteur.log.since(0).map(|hit| hit.cause).collect();
    assert_eq!(causes, [Cause::Selected, Cause::Lasting, Cause::Lasting]);
    world.saboteur.disarm(world.now, &Disarm::Plan(armed));
    world.write(3, 2).good();
}

#[test]
fn a_bad_block_is_named() {
    let range = |start, blocks| LbaRange::new(Lba::new(start), BlockCount::new(blocks)).unwrap();
    let mut bad = rule(Fault::MediumError { asc: Asc::UNRECOVERED_READ_ERROR });
    bad.place.blocks = vec![range(20, 1), range(10, 2)];
    let mut world = World::default();
    world.arm_rules(vec![bad]);
    let sense = Sense::new(SenseKey::MediumError, Asc::UNRECOVERED_READ_ERROR);
    for (lba, blocks, first) in [(8, 3, 10), (11, 1, 11), (9, 20, 10), (12, 9, 20)] {
        let data = vec![0; usize::from(blocks) * 512];
        world.execute(&read(lba, blocks), &data).sense(sense.with_information(first));
    }
    world.execute(&read(12, 8), &[0; 8 * 512]).good();
    world.execute(&read(0, 10), &[0; 10 * 512]).good();
    world.assert_idle();
}
