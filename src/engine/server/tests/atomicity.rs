//! Atomicity as a property: whatever overlaps, in whatever order the medium answers and whoever is
//! aborted, the outcome is the one of executing the commands one by one.
//!
//! Claims on a range are granted in order of arrival, so *which* order is known: that of arrival; for
//! the later ranges of an UNMAP, that of its coming to them. The oracle is an array and a loop.

use proptest::prelude::*;
use pulsefield_backstore::{BackstoreError, Op};
use pulsefield_scsi::{Asc, Status};
use pulsefield_units::BlockCount;

use crate::testing::{Reply, World, cdb, filled, out, room};

/// Few blocks, so that commands meet, each of one colour, so that compares often come out equal.
const BLOCKS: usize = 6;

#[derive(Clone, Debug)]
enum Sent {
    CompareAndWrite { lba: usize, test: Vec<u8>, set: u8 },
    Write { lba: usize, blocks: usize, colour: u8 },
    WriteAndVerify { lba: usize, blocks: usize, colour: u8 },
    WriteSame { lba: usize, blocks: usize, colour: u8 },
    Read { lba: usize, blocks: usize },
    Verify { lba: usize, expected: Vec<u8> },
    Unmap { runs: Vec<(usize, usize)> },
}

#[derive(Clone, Debug)]
enum Step {
    Send(Sent),
    /// The medium does one of its ops.
    Finish(prop::sample::Index),
    /// The medium fails one of its ops.
    Fail(prop::sample::Index),
    /// One of the commands so far is aborted.
    Abort(prop::sample::Index),
}

fn colour() -> impl Strategy<Value = u8> {
    0u8..3
}

/// The first block and the number of blocks of a run on the medium.
fn run() -> impl Strategy<Value = (usize, usize)> {
    (0..BLOCKS).prop_flat_map(|lba| (Just(lba), 1..=(BLOCKS - lba).min(3)))
}

fn coloured_run() -> impl Strategy<Value = (usize, Vec<u8>)> {
    run().prop_flat_map(|(lba, blocks)| (Just(lba), prop::collection::vec(colour(), blocks)))
}

fn sent() -> impl Strategy<Value = Sent> {
    prop_oneof![
        6 => (coloured_run(), colour())
            .prop_map(|((lba, test), set)| Sent::CompareAndWrite { lba, test, set }),
        3 => (run(), colour())
            .prop_map(|((lba, blocks), colour)| Sent::Write { lba, blocks, colour }),
        1 => (run(), colour())
            .prop_map(|((lba, blocks), colour)| Sent::WriteAndVerify { lba, blocks, colour }),
        1 => (run(), colour())
            .prop_map(|((lba, blocks), colour)| Sent::WriteSame { lba, blocks, colour }),
        3 => run().prop_map(|(lba, blocks)| Sent::Read { lba, blocks }),
        1 => coloured_run().prop_map(|(lba, expected)| Sent::Verify { lba, expected }),
        2 => prop::collection::vec(run(), 1..4).prop_map(|runs| Sent::Unmap { runs }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => sent().prop_map(Step::Send),
        10 => any::<prop::sample::Index>().prop_map(Step::Finish),
        1 => any::<prop::sample::Index>().prop_map(Step::Fail),
        2 => any::<prop::sample::Index>().prop_map(Step::Abort),
    ]
}

/// Blocks of these colours.
fn painted(colours: &[u8]) -> Vec<u8> {
    colours.iter().flat_map(|colour| filled(*colour, 1)).collect()
}

impl Sent {
    fn send(&self, world: &mut World) -> u16 {
        let wide = |number: usize| u32::try_from(number).unwrap();
        match self {
            Self::CompareAndWrite { lba, test, set } => {
                let data = [painted(test), filled(*set, test.len())].concat();
                let blocks = u8::try_from(test.len()).unwrap();
                world.send(&cdb::compare_and_write(*lba as u64, blocks), out(&data))
            }
            Self::Write { lba, blocks, colour } => {
                world.send(&cdb::write(*lba as u64, wide(*blocks)), out(&filled(*colour, *blocks)))
            }
            Self::WriteAndVerify { lba, blocks, colour } => world.send(
                &cdb::write_and_verify(*lba as u64, wide(*blocks), 1),
                out(&filled(*colour, *blocks)),
            ),
            Self::WriteSame { lba, blocks, colour } => world.send(
                &cdb::write_same(*lba as u64, wide(*blocks), cdb::UNMAP),
                out(&filled(*colour, 1)),
            ),
            Self::Read { lba, blocks } => {
                world.send(&cdb::read(*lba as u64, wide(*blocks)), room(512 * blocks))
            }
            Self::Verify { lba, expected } => world
                .send(&cdb::verify(*lba as u64, wide(expected.len()), 1), out(&painted(expected))),
            Self::Unmap { runs } => {
                let runs: Vec<_> =
                    runs.iter().map(|(lba, blocks)| (*lba as u64, wide(*blocks))).collect();
                let (command, list) = cdb::unmap(&runs);
                world.send(&command, out(&list))
            }
        }
    }
}

/// A command, or one range of an UNMAP, in the order in which the blocks were claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Claim {
    tag: u16,
    /// Which range of an UNMAP; 0 for any other command.
    part: usize,
}

#[derive(Default)]
struct History {
    world: World,
    sent: Vec<Sent>,
    claims: Vec<Claim>,
    /// The ranges of UNMAPs that the medium has unmapped.
    unmapped: Vec<Claim>,
}

impl History {
    fn take(&mut self, step: &Step) {
        let ops = self.world.ops().len();
        match step {
            Step::Send(sent) => {
                let tag = sent.send(&mut self.world);
                self.sent.push(sent.clone());
                self.claims.push(Claim { tag, part: 0 });
            }
            Step::Finish(nth) if ops > 0 => self.finish(nth.index(ops)),
            Step::Fail(nth) if ops > 0 => self.world.fail(nth.index(ops), BackstoreError::Medium),
            Step::Abort(nth) if !self.sent.is_empty() => {
                self.world.abort(&[u16::try_from(nth.index(self.sent.len())).unwrap()]);
            }
            Step::Finish(_) | Step::Fail(_) | Step::Abort(_) => {}
        }
    }

    fn finish(&mut self, nth: usize) {
        let tag = self.world.tag_of(nth);
        if let (Op::Unmap { .. }, Sent::Unmap { runs }) =
            (self.world.ops()[nth], &self.sent[usize::from(tag)])
        {
            let part = self.unmapped.iter().filter(|claim| claim.tag == tag).count();
            self.unmapped.push(Claim { tag, part });
            if part + 1 < runs.len() {
                // Claimed the moment the op before it is done.
                self.claims.push(Claim { tag, part: part + 1 });
            }
        }
        self.world.finish(nth);
    }

    /// Executes the commands one by one in order of arrival, and compares.
    fn judge(mut self) {
        while !self.world.ops().is_empty() {
            self.finish(0);
        }
        let replies: Vec<Reply> = (0..self.sent.len())
            .map(|tag| self.world.answer(u16::try_from(tag).unwrap()))
            .collect();
        let mut model = [0u8; BLOCKS];
        for claim in &self.claims {
            let reply = &replies[usize::from(claim.tag)];
            let sent = &self.sent[usize::from(claim.tag)];
            if let Sent::Unmap { runs } = sent {
                // The status speaks of all ranges; what counts is which were reached.
                if self.unmapped.contains(claim) {
                    let (lba, blocks) = runs[claim.part];
                    model[lba..lba + blocks].fill(0);
                }
            } else {
                judge_one(sent, reply, &mut model);
            }
        }
        for (tag, sent) in self.sent.iter().enumerate() {
            if let (Sent::Unmap { runs }, Status::Good) = (sent, replies[tag].status) {
                let done = self.unmapped.iter().filter(|claim| usize::from(claim.tag) == tag);
                assert_eq!(done.count(), runs.len(), "GOOD means all of it");
            }
        }
        assert!(self.world.medium == painted(&model), "the medium holds what nobody wrote");
        self.world.assert_idle();
    }
}

/// Compares a command's answer with what the model says, and changes the model.
fn judge_one(sent: &Sent, reply: &Reply, model: &mut [u8; BLOCKS]) {
    if reply.status == Status::TaskAborted {
        return;
    }
    let asc = reply.sense.map(|sense| sense.asc);
    let failed = |while_doing: Asc| asc == Some(while_doing);
    let failed_to_read = failed(Asc::UNRECOVERED_READ_ERROR);
    match sent {
        Sent::CompareAndWrite { lba, test, set } => {
            if failed_to_read || failed(Asc::WRITE_ERROR) {
                return;
            }
            let span = &mut model[*lba..lba + test.len()];
            match span.iter().zip(test).position(|(there, expected)| there != expected) {
                Some(block) => reply.miscompare(512 * block as u64),
                None => {
                    reply.good();
                    span.fill(*set);
                }
            }
        }
        Sent::Write { lba, blocks, colour } | Sent::WriteSame { lba, blocks, colour } => {
            if !failed(Asc::WRITE_ERROR) {
                reply.good();
                model[*lba..lba + blocks].fill(*colour);
            }
        }
        Sent::WriteAndVerify { lba, blocks, colour } => {
            if !failed(Asc::WRITE_ERROR) {
                assert!(reply.status == Status::Good || failed_to_read);
                model[*lba..lba + blocks].fill(*colour);
            }
        }
        Sent::Read { lba, blocks } => {
            if !failed_to_read {
                reply.good_with(&painted(&model[*lba..lba + blocks]));
            }
        }
        Sent::Verify { lba, expected } => {
            if failed_to_read {
                return;
            }
            let mut pairs = model[*lba..].iter().zip(expected);
            match pairs.position(|(there, expected)| there != expected) {
                Some(block) => reply.miscompare(512 * block as u64),
                None => reply.good(),
            }
        }
        Sent::Unmap { .. } => unreachable!("judged range by range"),
    }
}

fn check(native: bool, steps: &[Step]) {
    let world = World::with(|setup| {
        setup.geometry.blocks = BlockCount::new(BLOCKS as u64);
        setup.config.compare_and_write_blocks_max = 3.try_into().unwrap();
        setup.capabilities.compare_and_write = native;
    });
    let mut history = History { world, ..History::default() };
    steps.iter().for_each(|step| history.take(step));
    history.judge();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn commands_take_effect_one_by_one(steps in prop::collection::vec(step(), 1..80)) {
        check(false, &steps);
    }

    #[test]
    fn also_on_a_medium_that_compares_by_itself(steps in prop::collection::vec(step(), 1..80)) {
        check(true, &steps);
    }
}
