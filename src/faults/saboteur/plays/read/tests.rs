use crate::saboteur::testing::{MS, World, block, read, rule, write};
use crate::{BitFlipSide, Cause, Fault, Select};

use super::*;
use crate::Disarm;

#[test]
fn an_old_image_is_read_for_a_while_and_the_medium_has_the_new_one() {
    let mut stale = rule(Fault::StaleRead { lasting: 100 * MS });
    stale.when.select = Select::Nth(std::num::NonZeroU64::MIN);
    let mut world = World::default();
    world.arm_rules(vec![stale]);
    world.put(3, &block(7));
    world.caw(3, 7, 1).good();
    assert_eq!(world.block(3), block(1));
    assert_eq!(world.read(3), block(7));
    let both = [block(7), block(0)].concat();
    world.execute(&read(3, 2), &[0xa5; 1024]).good_with(&both);
    assert_eq!(world.read(4), block(0));
    // It lies over reads, not over the medium: what is compared is what is there.
    world.caw(3, 1, 2).good();
    assert_eq!(world.read(3), block(7));
    let causes: Vec<_> = world.saboteur.log.since(0).map(|hit| hit.cause).collect();
    assert_eq!(causes[0], Cause::Selected);
    assert!(causes.len() == 4 && causes[1..].iter().all(|cause| *cause == Cause::Lasting));
    world.pass(100 * MS);
    assert_eq!(world.read(3), block(2));
    world.assert_idle();
}

#[test]
fn disarming_lifts_the_old_image() {
    let mut world = World::default();
    let armed = world.arm(Fault::StaleRead { lasting: 100 * MS });
    world.write(3, 1).good();
    assert_eq!(world.read(3), block(0));
    world.saboteur.disarm(world.now, &Disarm::Plan(armed));
    assert_eq!(world.read(3), block(1));
}

#[test]
fn a_write_that_fails_leaves_no_old_image() {
    let mut world = World::with(Fault::StaleRead { lasting: 100 * MS });
    world.put(3, &block(5));
    world.caw(3, 6, 7).miscompare(0);
    world.put(3, &block(8));
    assert_eq!(world.read(3), block(8));
}

#[test]
fn bits_flip_on_the_way_from_the_medium() {
    let bits = NonZeroU32::new(2).unwrap();
    let mut world = World::with(Fault::BitFlip { side: BitFlipSide::Read, bits });
    let ones: u32 = world.read(3).iter().map(|byte| byte.count_ones()).sum();
    assert_eq!(ones, 2);
    assert_eq!(world.block(3), block(0));
    let data = world.saboteur.log.since(0).next().unwrap().data.unwrap();
    assert_ne!(data.before, data.after);
}

#[test]
fn zeros_are_read_where_there_is_data() {
    let mut world = World::with(Fault::ZeroLieRead);
    world.execute(&write(3, 1), &block(9)).good();
    assert_eq!(world.read(3), block(0));
    assert_eq!(world.block(3), block(9));
}

#[test]
fn what_is_mapped_is_said_to_be_deallocated() {
    let get_lba_status = [0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 24, 0, 0];
    let status = |world: &mut World| world.execute(&get_lba_status, &[0; 24]).bytes[8 + 12];
    assert_eq!(status(&mut World::default()), 0);
    assert_eq!(status(&mut World::with(Fault::ZeroLieStatus)), 1);
}
