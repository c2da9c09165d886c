//! The range lock alone, with more claims than a device server has tasks: what one claim and its
//! release cost beside so many others, none of which they meet.

use std::hint::black_box;
use std::time::Instant as Clock;

use pulsefield_engine::range_lock::{Access, Holder, RangeLock};
use pulsefield_units::{BlockCount, Lba, LbaRange};

use crate::figure::{Figure, Report};
use crate::stopwatch::fastest_tenth;
use crate::workload::GROWTH_MAX;

/// What the name of each figure starts with.
pub(crate) const NAME: &str = "lock";

/// How many claims there are.
pub(crate) const NUMBERS: [u32; 3] = [1, 100, 10_000];

/// Claims a round, and rounds.
const CLAIMS: u32 = 10_000;
const ROUNDS: usize = 15;

/// So far from each other are the places of two claims in a row: all are visited.
const STEP: u32 = 7_919;

/// What it is called with so many claims.
pub(crate) fn name(held: u32) -> String {
    format!("{NAME}.{held}")
}

/// How many claims there are in what is called so.
pub(crate) fn number_in(name: &str) -> Option<u32> {
    NUMBERS.into_iter().find(|held| self::name(*held) == name)
}

/// Measures the time, and what it adds to a command whose time was measured before.
pub(crate) fn measure(report: &mut Report) {
    let nanos = NUMBERS.map(|held| {
        let mut lock = holding(held);
        let mut rounds = [(); ROUNDS].map(|()| {
            let started = Clock::now();
            run_on(&mut lock, held, CLAIMS);
            started.elapsed().as_secs_f64() * 1e9 / f64::from(CLAIMS)
        });
        fastest_tenth(&mut rounds)
    });
    for (held, nanos) in NUMBERS.into_iter().zip(nanos) {
        report.add(Figure::new(format!("{}.time", name(held)), nanos, "ns/claim"));
    }
    if let ([first, .., last], Some(command)) = (nanos, report.value("held.1.time")) {
        let growth = (command + last - first) / command;
        report.add(Figure::new("lock.growth", growth, "times a command").at_most(GROWTH_MAX));
    }
}

/// Claims and releases so many times, among `held` claims.
pub(crate) fn run(held: u32, times: u32) {
    run_on(&mut holding(held), held, times);
}

/// A lock on every other of twice so many places of eight blocks.
fn holding(held: u32) -> RangeLock {
    let mut lock = RangeLock::default();
    for nth in 0..held {
        lock.claim(nth, place(2 * nth), Access::Exclusive);
    }
    lock
}

fn run_on(lock: &mut RangeLock, held: u32, times: u32) {
    let mut nth = 0;
    for _ in 0..times {
        counted_claim(lock, held, place(2 * nth + 1));
        nth = (nth + STEP) % held;
    }
}

/// What callgrind counts: a claim and its release.
#[inline(never)]
fn counted_claim(lock: &mut RangeLock, holder: Holder, range: LbaRange) {
    let granted = lock.claim(holder, range, Access::Exclusive);
    assert!(black_box(granted), "nobody else claims this place");
    lock.release(holder, |_| unreachable!("nobody waits"));
}

fn place(nth: u32) -> LbaRange {
    LbaRange::new(Lba::new(u64::from(nth) * 8), BlockCount::new(8)).expect("eight blocks")
}
