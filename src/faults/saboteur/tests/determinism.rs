//! The same plan over the same commands: the same hits; and again when the hits are replayed.

use super::*;
use crate::Rule;
use crate::saboteur::rng::{Rng, Stream};

/// A bit of everything that draws.
fn faults() -> Vec<Rule> {
    let delay = Delay::Normal { mean: 5 * MS, deviation: 2 * MS };
    let tail = Delay::Pareto { minimum: MS, shape: 1.5, maximum: 50 * MS };
    let bits = NonZeroU32::new(3).unwrap();
    let all = [
        (Fault::MiscompareSpurious, one_in(50)),
        (Fault::CawNotAtomic { gap: tail }, one_in(40)),
        (Fault::CawStatusLost { limit: Some(80 * MS) }, one_in(70)),
        (Fault::StaleCompare { age: NonZeroU32::new(2).unwrap() }, one_in(30)),
        (Fault::Latency { delay }, one_in(20)),
        (Fault::Stall { duration: 20 * MS }, one_in(500)),
        (Fault::BitFlip { side: crate::BitFlipSide::Read, bits }, one_in(25)),
        (Fault::StaleRead { lasting: 30 * MS }, one_in(60)),
        (Fault::WriteRevert { writes: bits }, one_in(90)),
        (Fault::LostWrite, Select::Every(NonZeroU64::new(33).unwrap())),
    ];
    let named = |(nth, (fault, select))| {
        let mut rule = rule(fault);
        (rule.name, rule.when.select) = (format!("rule {nth}"), select);
        rule
    };
    (0..).zip(all).map(named).collect()
}

/// What a run of so many commands leaves behind: the hits, and a digest of the medium and all answers.
fn run(plan: Plan, commands: u32) -> (Vec<Hit>, u64) {
    let mut world = World::default();
    world.arm_plan(plan);
    let mut rng = Rng::new(99, 0, Stream::Effects);
    let (mut hits, mut seen) = (Vec::new(), 0);
    let mut state = Vec::new();
    for nth in 0..commands {
        let [lba, fill] = [16, 3].map(|end| u8::try_from(rng.below(end)).unwrap());
        let tag = match rng.below(3) {
            0 => world.send(&read(lba, 1), &block(0xa5)),
            1 => world.send(&write(lba, 1), &block(fill)),
            _ => world.send(&compare_and_write(lba), &pair(fill, fill + 1)),
        };
        if rng.below(40) == 0 {
            world.abort(tag);
        }
        world.pass(MS / 4);
        hits.extend(world.saboteur.log.since(seen).cloned());
        seen = world.saboteur.log.hits();
        if nth % 64 == 0 {
            state.extend(
                crate::saboteur::digest::fnv_1a(world.medium.iter().copied()).to_be_bytes(),
            );
        }
        for (tag, reply) in world.take_replies() {
            state.extend(tag.to_be_bytes());
            state.push(reply.outcome.status.as_u8());
            state.extend(crate::saboteur::digest::fnv_1a(reply.bytes).to_be_bytes());
        }
    }
    world.stop();
    (hits, crate::saboteur::digest::fnv_1a(state))
}

/// The plan that lists the hits of a log, as it comes back from a file.
fn replay(plan: &Plan, hits: &[Hit]) -> Plan {
    let selected = hits.iter().filter(|hit| hit.cause == Cause::Selected);
    let replay = plan.replay(selected.map(|hit| (&*hit.rule, hit.command)));
    Plan::parse("replay", &replay.to_toml()).unwrap()
}

fn assert_deterministic(commands: u32) {
    let plan = plan(faults());
    let (hits, state) = run(plan.clone(), commands);
    let (again, same) = run(plan.clone(), commands);
    assert!(hits.len() > commands as usize / 20, "{} hits", hits.len());
    assert!(hits == again && state == same, "another run was different");
    let key = |hit: &Hit| (hit.rule.clone(), hit.command, hit.cause, hit.delay, hit.data);
    let (replayed, same) = run(replay(&plan, &hits), commands);
    assert!(hits.iter().map(key).eq(replayed.iter().map(key)), "the replay hit others");
    assert_eq!(state, same, "the replay had other consequences");
}

#[test]
fn two_runs_and_a_replay_are_the_same() {
    assert_deterministic(20_000);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without optimisation")]
fn a_million_commands_are_the_same_again() {
    assert_deterministic(1_000_000);
}

#[test]
fn another_seed_hits_others() {
    let with_seed = |seed| run(Plan { seed, ..plan(faults()) }, 2_000).0;
    let numbers = |hits: &[Hit]| hits.iter().map(|hit| hit.command).collect::<Vec<_>>();
    assert_ne!(numbers(&with_seed(1)), numbers(&with_seed(2)));
}
