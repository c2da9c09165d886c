//! Whatever bytes come in as a CDB, with however much data: one valid answer, and no panic.

use proptest::prelude::*;
use pulsefield_backstore::BackstoreError;
use pulsefield_scsi::Status;
use pulsefield_scsi::opcode::cdb_length;
use pulsefield_units::{BlockCount, BlockLength};

use crate::testing::{World, out};
use crate::{Identity, limits};

/// The operation codes that mean something.
fn known() -> Vec<u8> {
    (0..=u8::MAX).filter(|opcode| cdb_length(*opcode).is_some()).collect()
}

/// Mostly zeros, so that addresses and lengths are often small, or all ones, or anything.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![6 => Just(0u8), 2 => 0u8..16, 1 => Just(0xff), 1 => any::<u8>()]
}

fn cdb() -> impl Strategy<Value = Vec<u8>> {
    let opcode = prop_oneof![9 => prop::sample::select(known()), 1 => any::<u8>()];
    let rest = prop_oneof![
        8 => prop::collection::vec(byte(), 15),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ];
    // For the codes with service actions, one that exists, as often as not.
    (
        opcode,
        rest,
        prop::option::of(prop::sample::select(vec![
            0x01, 0x02, 0x05, 0x06, 0x10, 0x12, 0x0a, 0x0c,
        ])),
    )
        .prop_map(|(opcode, mut rest, action)| {
            if let (0x48 | 0x9e | 0xa3 | 0xa4, Some(action), [byte_1, ..]) =
                (opcode, action, &mut rest[..])
            {
                *byte_1 = action;
            }
            [vec![opcode], rest].concat()
        })
}

/// Lengths on and around what commands want, and parameter lists that are nearly right.
fn data() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![
        3 => prop::sample::select(vec![0, 1, 4, 8, 24, 512, 1024, 4096, 8192]),
        1 => 0usize..10_000,
    ];
    (length, byte()).prop_map(|(length, fill)| vec![fill; length])
}

#[derive(Clone, Debug)]
enum Event {
    Command(Vec<u8>, Vec<u8>),
    Finish(prop::sample::Index),
    Fail(prop::sample::Index, BackstoreError),
    Abort(u16),
    Resize(u64),
    Names,
    Reset,
}

fn event() -> impl Strategy<Value = Event> {
    let error = prop::sample::select(vec![
        BackstoreError::Medium,
        BackstoreError::NoSpace,
        BackstoreError::ReadOnly,
        BackstoreError::Transient,
        BackstoreError::Gone,
        BackstoreError::Dropped,
    ]);
    prop_oneof![
        20 => (cdb(), data()).prop_map(|(cdb, data)| Event::Command(cdb, data)),
        20 => any::<prop::sample::Index>().prop_map(Event::Finish),
        1 => (any::<prop::sample::Index>(), error).prop_map(|(nth, error)| Event::Fail(nth, error)),
        2 => (0u16..40).prop_map(Event::Abort),
        1 => (0u64..5000).prop_map(Event::Resize),
        1 => Just(Event::Names),
        1 => Just(Event::Reset),
    ]
}

fn give_names(world: &mut World) {
    world.server.on_identity(Identity::new("x".repeat(300)));
    world.poll();
    // After the name: whoever waited for it may want the groups next.
    world.server.on_port_groups(Vec::new());
    world.poll();
    while !world.saves.is_empty() {
        world.finish_save(false);
    }
}

/// Lets the medium finish; an operation that would go on for ever fails at last.
fn settle(world: &mut World) {
    for _ in 0..5_000 {
        if world.ops().is_empty() {
            return;
        }
        world.finish(0);
    }
    while !world.ops().is_empty() {
        world.fail(0, BackstoreError::Gone);
    }
}

/// Shrinks as the daemon does: the medium is cut off once nobody claims what goes away.
fn resize(world: &mut World, blocks: u64) {
    let blocks = BlockCount::new(blocks);
    if blocks < world.server.geometry().blocks && world.server.touches_beyond(blocks) {
        settle(world);
    }
    if !world.server.touches_beyond(blocks) {
        world.server.resize(blocks);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_in_is_answered_once(
        events in prop::collection::vec(event(), 1..60),
        big_blocks in any::<bool>(),
        blocks in prop::sample::select(vec![0, 1, 64, 4096, 1 << 40, (1 << 51) - 1]),
        thin in any::<bool>(),
        fully_provisioned in prop::bool::weighted(0.2),
        native in any::<bool>(),
        holds_saves in any::<bool>(),
        removable in any::<bool>(),
        read_only in prop::bool::weighted(0.1),
    ) {
        let mut world = World::with(|setup| {
            setup.geometry.blocks = BlockCount::new(blocks);
            if big_blocks {
                setup.geometry.block_length = BlockLength::B4096;
            }
            setup.capabilities.thin = thin;
            setup.config.fully_provisioned = fully_provisioned;
            setup.config.removable = removable;
            setup.config.read_only = read_only;
            setup.capabilities.compare_and_write = native;
            setup.config.compare_and_write_blocks_max = limits::COMPARE_AND_WRITE_BLOCKS_MAX
                .try_into()
                .unwrap();
        });
        world.holds_saves = holds_saves;
        // Resizing would need a medium that follows.
        world.medium.clear();
        let mut tags = Vec::new();
        for event in events {
            let ops = world.ops().len();
            match event {
                Event::Command(cdb, data) => tags.push(world.send(&cdb, out(&data))),
                Event::Finish(nth) if ops > 0 => world.finish(nth.index(ops)),
                Event::Fail(nth, error) if ops > 0 => world.fail(nth.index(ops), error),
                Event::Abort(tag) => world.abort(&[tag]),
                Event::Resize(blocks) => resize(&mut world, blocks),
                Event::Names => give_names(&mut world),
                Event::Reset => world.server.on_reset(),
                Event::Finish(_) | Event::Fail(..) => {}
            }
        }
        // A background operation has something to save before and after its ops.
        for _ in 0..2 {
            settle(&mut world);
            give_names(&mut world);
        }
        for tag in tags {
            let status = world.answer(tag).status;
            prop_assert!(matches!(
                status,
                Status::Good | Status::CheckCondition | Status::Busy | Status::TaskAborted
            ));
        }
        world.assert_idle();
    }
}
