//! Whatever the plan and whatever the commands: each is answered once, and so that SCSI can express it.
//! The [`World`] watches the answers; here is what it is fed with.

use std::num::NonZeroI64;
use std::time::Duration;

use proptest::prelude::*;
use pulsefield_scsi::Asc;

use super::*;
use crate::Rule;
use crate::saboteur::testing::{BLOCK_LIMITS, TEST_UNIT_READY, TIME_OUT, range, unmap};
use crate::{BitFlipSide, Phase};

#[derive(Clone, Debug)]
enum Step {
    Send { what: u8, lba: u8, blocks: u8, fill: u8 },
    Abort(usize),
    Pass(u8),
    Disarm(usize),
    Reset,
}

fn durations() -> impl Strategy<Value = Duration> {
    prop_oneof![Just(Duration::ZERO), Just(MS), Just(TIME_OUT), Just(Duration::MAX)]
}

fn delays() -> impl Strategy<Value = Delay> {
    let zero = Duration::ZERO;
    prop_oneof![
        durations().prop_map(Delay::Fixed),
        durations().prop_map(move |to| Delay::Uniform { from: zero, to }),
        (durations(), durations()).prop_map(|(mean, deviation)| Delay::Normal { mean, deviation }),
        (durations(), durations()).prop_map(|(minimum, maximum)| {
            Delay::Pareto { minimum, shape: 0.5, maximum: maximum.max(minimum) }
        }),
    ]
}

fn limits() -> impl Strategy<Value = Option<Duration>> {
    prop_oneof![Just(None), Just(Some(Duration::ZERO)), Just(Some(MS))]
}

fn counts() -> impl Strategy<Value = NonZeroU32> {
    prop_oneof![Just(1), Just(2), Just(513), Just(u32::MAX)]
        .prop_map(|count| NonZeroU32::new(count).unwrap())
}

fn lengths() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), Just(1), Just(511), Just(512), Just(4096), Just(u32::MAX)]
}

fn faults() -> impl Strategy<Value = Fault> {
    let asc = Asc::INTERNAL_TARGET_FAILURE;
    prop_oneof![
        Just(Fault::MiscompareSpurious),
        Just(Fault::MiscompareFalseEqual),
        counts().prop_map(|shift| Fault::MiscompareWrongOffset { shift }),
        Just(Fault::MiscompareNoInformation),
        Just(Fault::MiscompareWrongSense { key: SenseKey::HardwareError, asc }),
        limits().prop_map(|limit| Fault::CawStatusLost { limit }),
        (durations(), limits()).prop_map(|(delay, limit)| Fault::CawLateApply { delay, limit }),
        delays().prop_map(|delay| Fault::CawSlow { delay, phase: Phase::After }),
        delays().prop_map(|gap| Fault::CawNotAtomic { gap }),
        lengths().prop_map(|bytes| Fault::CawTorn { bytes }),
        Just(Fault::CawWriteFirst),
        Just(Fault::CawTwice),
        (lengths(), delays()).prop_map(|(page, gap)| Fault::CawPageRmw { page, gap }),
        delays().prop_map(|hold| Fault::CawGlobalMutex { hold }),
        Just(Fault::CawUnsupported),
        (durations(), durations()).prop_map(|(off, on)| Fault::CawFlap { off, on }),
        delays().prop_map(|delay| Fault::Latency { delay }),
        durations().prop_map(|step| Fault::Starve { step, free: 1 }),
        durations().prop_map(|duration| Fault::Stall { duration }),
        Just(Fault::Status { status: Status::Busy, sense: None }),
        limits().prop_map(|limit| Fault::Drop { limit }),
        durations().prop_map(|lasting| Fault::StaleRead { lasting }),
        Just(Fault::LostWrite),
        prop_oneof![Just(1), Just(-63), Just(i64::MIN), Just(i64::MAX)]
            .prop_map(|it| Fault::MisdirectedWrite { distance: NonZeroI64::new(it).unwrap() }),
        counts().prop_map(|bits| Fault::BitFlip { side: BitFlipSide::Read, bits }),
        counts().prop_map(|bits| Fault::BitFlip { side: BitFlipSide::Write, bits }),
        lengths().prop_map(|bytes| Fault::TornWrite { bytes }),
        counts().prop_map(|writes| Fault::WriteRevert { writes }),
        counts().prop_map(|age| Fault::StaleCompare { age }),
        Just(Fault::ZeroLieRead),
        Just(Fault::ZeroLieStatus),
        Just(Fault::ZeroKeepData),
        delays().prop_map(|delay| Fault::UnmapLate { delay }),
        Just(Fault::ThinFull),
        Just(Fault::ThinThreshold),
        any::<u8>().prop_map(|qualifier| Fault::NotReady { qualifier }),
        Just(Fault::AluaTransition),
        Just(Fault::UnitAttention { asc }),
        Just(Fault::ReservationConflict),
        Just(Fault::ReservationStuck),
        Just(Fault::MediumError { asc: Asc::UNRECOVERED_READ_ERROR }),
    ]
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let select = prop_oneof![
        Just(Select::All),
        Just(Select::Nth(NonZeroU64::MIN)),
        Just(Select::Every(NonZeroU64::new(2).unwrap())),
        Just(one_in(2)),
    ];
    let blocks = prop_oneof![
        Just(vec![]),
        Just(vec![range(0, 1)]),
        Just(vec![range(63, 1)]),
        Just(vec![range(0, 64)]),
    ];
    let one = (faults(), select, blocks).prop_map(|(fault, select, blocks)| {
        let mut rule = rule(fault);
        (rule.when.select, rule.place.blocks) = (select, blocks);
        rule
    });
    prop::collection::vec(one, 1..5)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let lba = prop_oneof![Just(0), Just(1), Just(62), Just(63), 0..70_u8];
    let blocks = prop_oneof![Just(0), Just(1), Just(2), Just(64)];
    let send = (0..9_u8, lba, blocks, 0..3_u8).prop_map(|(what, lba, blocks, fill)| Step::Send {
        what,
        lba,
        blocks,
        fill,
    });
    let step = prop_oneof![
        8 => send,
        2 => any::<usize>().prop_map(Step::Abort),
        3 => any::<u8>().prop_map(Step::Pass),
        1 => (0..4_usize).prop_map(Step::Disarm),
        1 => Just(Step::Reset),
    ];
    prop::collection::vec(step, 1..60)
}

fn send(world: &mut World, what: u8, lba: u8, blocks: u8, fill: u8) -> u16 {
    let bytes = usize::from(blocks) * 512;
    match what {
        0 => world.send(&read(lba, blocks), &vec![0xa5; bytes]),
        1 => world.send(&write(lba, blocks), &vec![fill; bytes]),
        2 => {
            let mut cdb = compare_and_write(lba);
            cdb[13] = blocks.min(1);
            world.send(&cdb, &pair(fill, fill + 1)[..usize::from(blocks.min(1)) * 1024])
        }
        3 => {
            let (cdb, list) = unmap(lba, blocks);
            world.send(&cdb, &list)
        }
        4 => world.send(&[0x41, 0, 0, 0, 0, lba, 0, 0, blocks, 0], &block(fill)),
        5 => world.send(&[0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, lba, 0, 0, 0, 24, 0, 0], &[0; 24]),
        6 => world.send(&BLOCK_LIMITS, &[0; 64]),
        // Data that does not fit the CDB.
        7 => world.send(&write(lba, blocks), &[1; 100]),
        _ => world.send(&TEST_UNIT_READY, &[]),
    }
}

proptest! {
    #[test]
    fn every_command_is_answered_once_and_as_scsi_can(rules in rules(), steps in steps()) {
        let mut world = World::default();
        let mut armed: Vec<_> = rules.into_iter().map(|rule| world.arm_rules(vec![rule])).collect();
        let mut tags = Vec::new();
        for step in steps {
            match step {
                Step::Send { what, lba, blocks, fill } => {
                    tags.push(send(&mut world, what, lba, blocks, fill));
                }
                Step::Abort(nth) if !tags.is_empty() => {
                    let tag = tags[nth % tags.len()];
                    world.abort(tag);
                    prop_assert!(!world.waits(tag), "an abort is answered at once");
                }
                Step::Abort(_) => {}
                Step::Pass(ms) => world.pass(u32::from(ms) * MS),
                Step::Disarm(nth) if nth < armed.len() => {
                    let plan = armed.remove(nth);
                    world.saboteur.disarm(world.now, &Disarm::Plan(plan));
                    world.pump();
                }
                Step::Disarm(_) => {}
                Step::Reset => world.server.on_reset(),
            }
            // Whoever waits has an end to wait for.
            let waits = tags.iter().filter(|tag| world.waits(**tag)).count();
            prop_assert_eq!(waits, world.saboteur.unanswered());
            prop_assert!(waits == 0 || world.saboteur.next_deadline().is_some());
        }
        world.stop();
        prop_assert!(tags.iter().all(|tag| !world.waits(*tag)));
        world.assert_idle();
    }
}
