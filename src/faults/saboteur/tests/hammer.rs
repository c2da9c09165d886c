//! Hosts that count together with COMPARE AND WRITE: the sum holds without faults, and breaks with those
//! that break it.

use super::*;

/// A host that adds one to the counter in block 7, again and again.
#[derive(Default)]
struct Host {
    /// What it read last.
    seen: u8,
    /// What it waits for.
    command: Option<(u16, bool)>,
    /// How often it was told that it has added one.
    added: u32,
}

/// Has eight hosts add 100 in all, and says what they were told and what the counter says.
fn hammer(fault: Option<Fault>) -> (u32, u8) {
    let mut world = World::default();
    world.holds_ops = true;
    if let Some(fault) = fault {
        let mut rule = rule(fault);
        rule.when.select = one_in(4);
        world.arm_rules(vec![rule]);
    }
    let mut hosts: [Host; 8] = Default::default();
    while hosts.iter().map(|host| host.added).sum::<u32>() < 100 {
        for host in &mut hosts {
            let Some((tag, swaps)) = host.command else {
                host.command = Some((world.send(&read(7, 1), &block(0)), false));
                continue;
            };
            if world.waits(tag) {
                continue;
            }
            let reply = world.answer(tag);
            host.command = None;
            if swaps {
                host.added += u32::from(reply.outcome.sense.is_none());
            } else {
                host.seen = reply.bytes[0];
                let swap = pair(host.seen, host.seen.wrapping_add(1));
                host.command = Some((world.send(&compare_and_write(7), &swap), true));
            }
        }
        world.finish();
        world.pass(MS);
    }
    let told = hosts.iter().map(|host| host.added).sum();
    world.stop();
    world.finish();
    (told, world.block(7)[0])
}

#[test]
fn without_faults_the_sum_holds() {
    let (told, counter) = hammer(None);
    assert_eq!(told, u32::from(counter));
}

#[test]
fn delays_and_lost_answers_lose_no_increment_that_was_told() {
    let delay = Delay::Uniform { from: MS, to: 9 * MS };
    for fault in [
        Fault::Latency { delay },
        Fault::CawSlow { delay, phase: crate::Phase::After },
        Fault::CawGlobalMutex { hold: delay },
        Fault::MiscompareSpurious,
        Fault::CawStatusLost { limit: Some(3 * MS) },
    ] {
        let (told, counter) = hammer(Some(fault));
        assert!(told <= u32::from(counter), "{fault:?}: {told} told, {counter} counted");
    }
}

#[test]
fn what_is_not_atomic_breaks_the_sum() {
    for fault in [
        Fault::MiscompareFalseEqual,
        Fault::CawNotAtomic { gap: Delay::Fixed(3 * MS) },
        Fault::CawPageRmw { page: 4096, gap: Delay::Fixed(3 * MS) },
        Fault::LostWrite,
    ] {
        let (told, counter) = hammer(Some(fault));
        assert!(told > u32::from(counter), "{fault:?}: {told} told, {counter} counted");
    }
}
