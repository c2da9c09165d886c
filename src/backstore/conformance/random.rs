//! Random ops against the model, shrunk to the shortest sequence that breaks.

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestRunner};
use pulsefield_data::Buffer;
use pulsefield_units::{BlockLength, LbaRange};

use super::Subject;
use super::bench::{Bench, range};
use crate::Op;

const BLOCKS: u64 = 64;

/// Where, as two free numbers: they become a range of whatever size the medium then has.
type Place = (u64, u64);

#[derive(Clone, Debug)]
enum Step {
    Write(Place, bool),
    WriteZeroes(Place, bool, bool),
    Unmap(Place),
    Copy(Place, Place, bool),
    Read(Place),
    Provisioning(Place),
    Flush,
    Resize(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let place = || (0..BLOCKS, 0..BLOCKS);
    // Durable writes are slow on a real disk, so they are rare.
    let durable = || proptest::bool::weighted(0.1);
    prop_oneof![
        8 => (place(), durable()).prop_map(|(place, durable)| Step::Write(place, durable)),
        3 => (place(), durable(), any::<bool>())
            .prop_map(|(place, durable, may_unmap)| Step::WriteZeroes(place, durable, may_unmap)),
        3 => place().prop_map(Step::Unmap),
        4 => (place(), place(), durable()).prop_map(|(from, to, durable)| Step::Copy(from, to, durable)),
        8 => place().prop_map(Step::Read),
        2 => place().prop_map(Step::Provisioning),
        1 => Just(Step::Flush),
        1 => (1..2 * BLOCKS).prop_map(Step::Resize),
    ]
}

/// Whatever is done to a medium in whatever order, it holds what an array would.
pub fn random_ops_agree_with_an_array(subject: &Subject) {
    let config = Config { cases: 48, failure_persistence: None, ..Config::default() };
    let lengths = prop_oneof![Just(BlockLength::B512), Just(BlockLength::B4096)];
    TestRunner::new(config)
        .run(&(lengths, vec(step(), 1..40)), |(block_length, steps)| {
            let mut bench = Bench::open(subject, block_length, BLOCKS);
            for step in steps {
                take(&mut bench, step);
            }
            bench.verify_all();
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
}

fn take(bench: &mut Bench, step: Step) {
    let blocks = bench.blocks();
    let place = |(start, len): Place| -> LbaRange {
        let start = start % blocks;
        range(start, 1 + len % (blocks - start))
    };
    match step {
        Step::Write(at, durable) => bench.write(place(at), durable),
        Step::WriteZeroes(at, durable, may_unmap) => {
            bench.write_zeroes(place(at), durable, may_unmap);
        }
        Step::Unmap(at) => bench.unmap(place(at)),
        Step::Copy(from, to, durable) => {
            let (from, to) = (place(from), place(to));
            let blocks = from.blocks().min(to.blocks());
            let [from, to] = [from, to].map(|whole| whole.split_first(blocks).0);
            if bench.medium().capabilities().copy && !from.overlaps(to) {
                bench.copy(from, to, durable);
            }
        }
        Step::Read(at) => bench.verify(place(at)),
        Step::Provisioning(at) => {
            bench.first_extent(place(at));
        }
        Step::Flush => {
            bench.succeed(Op::Flush, Buffer::empty());
        }
        Step::Resize(blocks) => bench.resize(blocks),
    }
}
