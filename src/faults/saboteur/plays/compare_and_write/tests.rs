use std::num::NonZeroU32;

use pulsefield_scsi::Status;

use super::*;
use crate::Disarm;
use crate::saboteur::testing::{BLOCK_LIMITS, MS, TIME_OUT, World, block, compare_and_write, pair};
use crate::{Cause, Delay, Fault, Phase};

/// How the kernel ends a command that it waited for too long: 02h/08h/00h.
const EXPIRED: (SenseKey, u8, u8) = (SenseKey::NotReady, 0x08, 0x00);

#[test]
fn a_spurious_miscompare_writes_nothing_and_a_genuine_one_is_told() {
    let mut world = World::with(Fault::MiscompareSpurious);
    world.put(3, &block(1));
    let reply = world.caw(3, 1, 2);
    let sense = reply.outcome.sense.unwrap();
    assert_eq!(sense.key, SenseKey::Miscompare);
    assert!(sense.information.unwrap() < 512);
    assert_eq!(world.block(3), block(1));
    world.put(3, &[1, 9]);
    world.caw(3, 1, 2).miscompare(1);
    world.assert_idle();
}

#[test]
fn false_equality_writes_whatever_is_there() {
    let mut world = World::with(Fault::MiscompareFalseEqual);
    world.caw(3, 1, 2).good();
    assert_eq!(world.block(3), block(2));
    let hit = world.saboteur.log.since(0).next().unwrap();
    assert_eq!((hit.cause, hit.before), (Cause::Selected, Some(miscompare(0))));
    assert_eq!(hit.after, Some(Outcome::GOOD));
}

#[test]
fn the_offset_of_a_miscompare_is_wrong_or_missing() {
    let shift = NonZeroU32::new(8).unwrap();
    let mut world = World::with(Fault::MiscompareWrongOffset { shift });
    world.caw(3, 1, 2).miscompare(8);
    world.caw(3, 0, 2).good();
    let hits: Vec<_> = world.saboteur.log.since(0).collect();
    assert_eq!(hits[0].before, Some(miscompare(0)));
    assert_eq!(hits[0].after, Some(miscompare(8)));
    let mut world = World::with(Fault::MiscompareNoInformation);
    let without = Sense { information: None, ..Sense::miscompare(0) };
    world.caw(3, 1, 2).sense(without);
    let (key, asc) = (SenseKey::AbortedCommand, Asc::INTERNAL_TARGET_FAILURE);
    let mut world = World::with(Fault::MiscompareWrongSense { key, asc });
    world.caw(3, 1, 2).sense(Sense::new(key, asc));
    world.caw(3, 0, 2).good();
}

#[test]
fn a_lost_status_is_answered_when_it_is_aborted_and_a_retry_miscompares() {
    let mut world = World::with(Fault::CawStatusLost { limit: None });
    let lost = world.send(&compare_and_write(3), &pair(0, 1));
    assert_eq!(world.block(3), block(1), "carried out");
    world.pass(8000 * MS);
    assert!(world.waits(lost));
    world.abort(lost);
    assert!(!world.waits(lost));
    let retry = world.send(&compare_and_write(3), &pair(0, 1));
    world.abort(retry);
    world.answer(retry).miscompare(0);
    world.assert_idle();
}

#[test]
fn a_lost_status_is_answered_when_its_time_is_over() {
    for (limit, after) in [(None, TIME_OUT), (Some(5 * MS), 5 * MS)] {
        let mut world = World::with(Fault::CawStatusLost { limit });
        let lost = world.send(&compare_and_write(3), &pair(0, 1));
        world.pass(after - MS);
        assert!(world.waits(lost));
        world.pass(MS);
        let (key, asc, ascq) = EXPIRED;
        world.answer(lost).codes(key, asc, ascq);
        assert_eq!(world.block(3), block(1));
        world.assert_idle();
    }
}

#[test]
fn a_late_one_is_applied_after_its_abort_was_answered() {
    let mut world = World::with(Fault::CawLateApply { delay: 20 * MS, limit: None });
    let late = world.send(&compare_and_write(3), &pair(0, 1));
    assert_eq!(world.block(3), block(0));
    world.abort(late);
    world.answer(late).status(Status::TaskAborted);
    // The kernel gives the tag away again; aborting that does not stop it.
    world.abort(late);
    world.pass(19 * MS);
    assert_eq!(world.block(3), block(0));
    world.pass(MS);
    assert_eq!(world.block(3), block(1));
    world.assert_idle();
}

#[test]
fn a_late_one_that_nobody_aborts_is_not_applied() {
    let mut world = World::with(Fault::CawLateApply { delay: MS, limit: Some(10 * MS) });
    let late = world.send(&compare_and_write(3), &pair(0, 1));
    world.pass(100 * MS);
    let (key, asc, ascq) = EXPIRED;
    world.answer(late).codes(key, asc, ascq);
    assert_eq!(world.block(3), block(0));
    world.assert_idle();
}

#[test]
fn a_late_one_takes_no_unit_attention_away_from_an_initiator() {
    let mut world = World::default();
    let armed = world.arm(Fault::CawLateApply { delay: MS, limit: None });
    let late = world.send(&compare_and_write(3), &pair(0, 1));
    world.abort(late);
    world.server.raise(pulsefield_engine::UnitAttention::CapacityDataHasChanged);
    world.pass(MS);
    assert_eq!(world.block(3), block(1));
    world.saboteur.disarm(world.now, &Disarm::Plan(armed));
    world.execute(&[0; 6], &[]).codes(SenseKey::UnitAttention, 0x2a, 0x09);
}

#[test]
fn a_slow_one_is_held_before_or_after() {
    for (phase, written) in [(Phase::Before, 0), (Phase::After, 1)] {
        let mut world = World::with(Fault::CawSlow { delay: Delay::Fixed(8000 * MS), phase });
        let slow = world.send(&compare_and_write(3), &pair(0, 1));
        assert_eq!(world.block(3), block(written));
        world.write(4, 7).good();
        world.pass(7999 * MS);
        assert!(world.waits(slow));
        world.pass(MS);
        world.answer(slow).good();
        assert_eq!(world.block(3), block(1));
        // Aborted while it waits: dropped if it was not carried out yet.
        let aborted = world.send(&compare_and_write(3), &pair(1, 2));
        world.abort(aborted);
        let expected = match phase {
            Phase::Before => Outcome::status(Status::TaskAborted),
            Phase::After => Outcome::GOOD,
        };
        assert_eq!(world.answer(aborted).outcome, expected);
        world.pass(9000 * MS);
        assert_eq!(world.block(3), block(1 + written));
        world.assert_idle();
    }
}

#[test]
fn between_the_halves_of_one_that_is_not_atomic_anybody_may_write() {
    let mut world = World::with(Fault::CawNotAtomic { gap: Delay::Fixed(MS) });
    let caw = world.send(&compare_and_write(3), &pair(0, 1));
    world.write(3, 9).good();
    assert_eq!(world.block(3), block(9));
    world.pass(MS);
    world.answer(caw).good();
    assert_eq!(world.block(3), block(1), "the write in between is lost");
    world.caw(3, 9, 2).miscompare(0);
    world.assert_idle();
}

#[test]
fn two_that_are_not_atomic_both_win() {
    let mut world = World::with(Fault::CawNotAtomic { gap: Delay::Fixed(MS) });
    let [a, b] = [1, 2].map(|set| world.send(&compare_and_write(3), &pair(0, set)));
    world.pass(MS);
    world.answer(a).good();
    world.answer(b).good();
    world.assert_idle();
}

#[test]
fn an_abort_in_the_gap_leaves_the_block_as_it_was() {
    let mut world = World::with(Fault::CawNotAtomic { gap: Delay::Fixed(MS) });
    let caw = world.send(&compare_and_write(3), &pair(0, 1));
    world.abort(caw);
    world.answer(caw).status(Status::TaskAborted);
    world.pass(MS);
    assert_eq!(world.block(3), block(0));
    world.assert_idle();
}

#[test]
fn an_abort_while_an_errand_is_with_the_medium_is_answered_when_it_ends() {
    let mut world = World::with(Fault::MiscompareFalseEqual);
    world.holds_ops = true;
    let caw = world.send(&compare_and_write(3), &pair(5, 1));
    world.finish_next();
    world.abort(caw);
    assert!(world.waits(caw), "it was found different, and is written");
    world.finish();
    world.answer(caw).good();
    // A read is not waited for in vain: nothing is written after it.
    let mut world = World::with(Fault::CawNotAtomic { gap: Delay::Fixed(MS) });
    world.holds_ops = true;
    let caw = world.send(&compare_and_write(3), &pair(0, 1));
    world.abort(caw);
    world.finish();
    world.answer(caw).status(Status::TaskAborted);
    world.pass(MS);
    assert_eq!(world.block(3), block(0));
    world.assert_idle();
}

#[test]
fn a_torn_one_writes_its_first_bytes() {
    let mut world = World::with(Fault::CawTorn { bytes: 100 });
    world.caw(3, 0, 1).good();
    assert_eq!(world.block(3), [[1; 100].as_slice(), &[0; 412]].concat());
    world.caw(3, 1, 2).miscompare(100);
    let mut world = World::with(Fault::CawTorn { bytes: u32::MAX });
    world.caw(3, 0, 1).good();
    assert_eq!(world.block(3), block(1));
}

#[test]
fn one_that_writes_first_tells_of_a_miscompare_and_has_written() {
    let mut world = World::with(Fault::CawWriteFirst);
    world.put(3, &[5; 7]);
    world.caw(3, 0, 1).miscompare(0);
    assert_eq!(world.block(3), block(1));
    world.caw(3, 1, 2).good();
    assert_eq!(world.block(3), block(2));
    world.assert_idle();
}

#[test]
fn one_that_is_done_twice_fails_the_second_time() {
    let mut world = World::with(Fault::CawTwice);
    world.caw(3, 0, 1).miscompare(0);
    assert_eq!(world.block(3), block(1));
    world.caw(3, 0, 2).miscompare(0);
    assert_eq!(world.block(3), block(1));
    world.assert_idle();
}

#[test]
fn one_that_writes_its_page_takes_its_neighbours_back() {
    let gap = Delay::Fixed(MS);
    let mut world = World::with(Fault::CawPageRmw { page: 4096, gap });
    let caw = world.send(&compare_and_write(10), &pair(0, 1));
    for lba in [8, 15, 16] {
        world.write(lba, 9).good();
    }
    world.pass(MS);
    world.answer(caw).good();
    assert_eq!(world.block(10), block(1));
    assert_eq!((world.block(8), world.block(15)), (&*block(0), &*block(0)), "of the same page");
    assert_eq!(world.block(16), block(9), "of the next page");
    world.caw(63, 7, 8).miscompare(0);
    world.assert_idle();
}

#[test]
fn a_page_is_never_shorter_than_the_blocks_nor_longer_than_the_medium() {
    for page in [1, 512, 1 << 20, u32::MAX] {
        let mut world = World::with(Fault::CawPageRmw { page, gap: Delay::Fixed(MS) });
        let caw = world.send(&compare_and_write(63), &pair(0, 1));
        world.pass(MS);
        world.answer(caw).good();
        assert_eq!(world.block(63), block(1));
    }
}

#[test]
fn an_older_test_half_is_compared_with() {
    let mut world = World::with(Fault::StaleCompare { age: NonZeroU32::MIN });
    world.caw(3, 0, 1).good();
    assert_eq!(world.saboteur.log.hits(), 0, "there was nothing older");
    world.caw(3, 1, 2).miscompare(0);
    world.caw(4, 0, 1).good();
    assert_eq!((world.block(3), world.block(4)), (&*block(1), &*block(1)));
}

#[test]
fn a_lost_compare_and_write_still_compares() {
    let mut world = World::with(Fault::LostWrite);
    world.caw(3, 0, 1).good();
    assert_eq!(world.block(3), block(0));
    world.caw(3, 1, 2).miscompare(0);
}

#[test]
fn without_compare_and_write_the_block_limits_page_agrees() {
    let mut world = World::default();
    let length = |world: &mut World| world.execute(&BLOCK_LIMITS, &[0; 64]).bytes[5];
    assert_eq!(length(&mut world), 1);
    let armed = world.arm(Fault::CawUnsupported);
    assert_eq!(length(&mut world), 0);
    world.caw(3, 0, 1).codes(SenseKey::IllegalRequest, 0x20, 0x00);
    world.saboteur.disarm(world.now, &Disarm::Plan(armed));
    assert_eq!(length(&mut world), 1);
    world.caw(3, 0, 1).good();
}

#[test]
fn without_compare_and_write_it_is_not_among_the_supported_commands() {
    // REPORT SUPPORTED OPERATION CODES with these options, of so much of the answer.
    let ask = |world: &mut World, options: u8, length: u16| {
        let [high, low] = length.to_be_bytes();
        let cdb = [0xa3, 0x0c, options, 0x89, 0, 0, 0, 0, high, low, 0, 0];
        let reply = world.execute(&cdb, &vec![0; length.into()]);
        reply.good();
        reply.bytes[..reply.outcome.data_in.unwrap()].to_vec()
    };
    let told = |list: &[u8]| u32::from_be_bytes(list[..4].try_into().unwrap()) as usize;
    let mut world = World::default();
    for (options, descriptor) in [(0, 8), (0x80, 20)] {
        let sound = ask(&mut world, options, 4096);
        let armed = world.arm(Fault::CawUnsupported);
        let without = ask(&mut world, options, 4096);
        assert_eq!(told(&without) + 4, without.len());
        assert_eq!(without.len() + descriptor, sound.len());
        let opcodes: Vec<_> = without[4..].chunks(descriptor).map(|own| own[0]).collect();
        assert!(!opcodes.contains(&0x89) && opcodes.is_sorted(), "{opcodes:02x?}");
        // Who first asks how long the list is hears the same.
        assert_eq!(ask(&mut world, options, 4), without[..4]);
        assert_eq!(ask(&mut world, options, 3), sound[..3]);
        world.saboteur.disarm(world.now, &Disarm::Plan(armed));
        assert_eq!(ask(&mut world, options, 4096), sound);
    }
    assert_eq!(ask(&mut world, 1, 4096)[..2], [0, 0b011]);
    world.arm(Fault::CawUnsupported);
    for options in [1, 3, 0x81] {
        assert_eq!(ask(&mut world, options, 4096), [0, 0b001, 0, 0]);
        assert_eq!(ask(&mut world, options, 2), [0, 0b001]);
    }
    world.assert_idle();
}

#[test]
fn it_comes_and_goes_and_initiators_hear_of_it() {
    let mut world = World::with(Fault::CawFlap { off: 10 * MS, on: 10 * MS });
    let attention = (SenseKey::UnitAttention, 0x3f, 0x03);
    for supported in [false, true, false] {
        let reply = world.execute(&[0; 6], &[]);
        reply.codes(attention.0, attention.1, attention.2);
        world.server.on_initiators(1);
        let length = world.execute(&BLOCK_LIMITS, &[0; 64]).bytes[5];
        assert_eq!(length, u8::from(supported));
        match supported {
            true => world.caw(3, 0, 1).good(),
            false => world.caw(3, 0, 1).codes(SenseKey::IllegalRequest, 0x20, 0x00),
        }
        world.pass(10 * MS);
    }
    world.assert_idle();
}

#[test]
fn zero_blocks_are_no_compare_and_write_to_break() {
    let mut world = World::with(Fault::MiscompareSpurious);
    let mut none = compare_and_write(3);
    none[13] = 0;
    world.execute(&none, &[]).good();
    // Nor are those that the device server refuses: too many blocks, no such block, too little data.
    let mut two = compare_and_write(3);
    two[13] = 2;
    world.execute(&two, &[0; 2048]).sense(Sense::invalid_field_in_cdb(13, None));
    world.caw(64, 0, 1).codes(SenseKey::IllegalRequest, 0x21, 0x00);
    let short = world.execute(&compare_and_write(3), &[0; 1000]);
    assert_eq!(short.outcome.sense.unwrap().key, SenseKey::IllegalRequest);
    assert_eq!(world.saboteur.log.hits(), 0);
}
