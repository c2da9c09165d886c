use std::sync::Arc;

use proptest::prelude::*;
use pulsefield_units::Lba;

use super::oracle::is_linearizable;
use super::*;
use crate::Standing;
use crate::history::{block, blocks, breach, done, history, judge, operation, read, swap, write};

fn verdict(operations: impl IntoIterator<Item = Operation>) -> Verdict {
    judge(Linearizable::default(), &history(operations))
}

fn breaks(operations: impl IntoIterator<Item = Operation>, words: &[&str]) {
    let verdict = verdict(operations);
    let breach = breach(&verdict);
    for words in words {
        assert!(breach.what.contains(words), "no `{words}` in: {}", breach.what);
    }
}

fn holds(operations: impl IntoIterator<Item = Operation>) {
    let verdict = verdict(operations);
    assert_eq!(verdict.standing, Standing::Held, "{verdict:#?}");
}

const MISCOMPARED: Ending = Ending::Miscompared(Some(0));

#[test]
fn a_chain_of_compare_and_writes_holds() {
    holds([
        done(1, (0, 1), write(1)),
        done(1, (2, 3), swap(1, 2)),
        operation(2, (2, 4), swap(1, 3), MISCOMPARED),
        done(2, (5, 6), read(2)),
        done(2, (7, 8), swap(2, 4)),
    ]);
}

#[test]
fn false_equality_is_caught() {
    breaks(
        [done(1, (0, 1), write(1)), done(1, (2, 3), swap(1, 2)), done(2, (4, 5), swap(1, 3))],
        &[
            "COMPARE AND WRITE of block 7 by host 2, 0.004000 s to 0.005000 s, was GOOD",
            "equality was false",
        ],
    );
    // Both at once: one of them must have miscompared.
    let both =
        [done(1, (0, 1), write(1)), done(1, (2, 5), swap(1, 2)), done(2, (3, 6), swap(1, 3))];
    assert_eq!(verdict(both).breaches_total, 1);
}

#[test]
fn a_write_lost_between_compare_and_write_is_caught() {
    let compare_and_write = || [done(1, (0, 1), write(1)), done(1, (2, 9), swap(1, 2))];
    let meanwhile = done(2, (4, 5), write(3));
    let seen = |number| [meanwhile.clone(), done(2, (10, 11), read(number))];
    holds(compare_and_write().into_iter().chain(seen(3)));
    breaks(compare_and_write().into_iter().chain(seen(2)), &["READ", "a write is lost"]);
}

#[test]
fn a_lost_write_and_a_stale_read_are_caught() {
    breaks(
        [done(1, (0, 1), write(1)), done(1, (2, 3), write(2)), done(2, (4, 5), read(1))],
        &["found", "last written by host 1 as acknowledged at 0.003000 s", "what it held before"],
    );
}

#[test]
fn a_misdirected_write_is_caught_where_it_went() {
    breaks([done(1, (0, 1), write(1)), done(2, (2, 3), read(9))], &["was not meant for it"]);
}

#[test]
fn a_spurious_miscompare_is_caught_and_contention_is_none() {
    let start = [done(1, (0, 1), write(1)), done(1, (2, 3), swap(1, 2))];
    let miscompare = |times| operation(2, times, swap(2, 5), MISCOMPARED);
    breaks(start.clone().into_iter().chain([miscompare((4, 5))]), &["spurious"]);
    holds(start.into_iter().chain([miscompare((4, 8)), done(1, (6, 7), swap(2, 3))]));
}

#[test]
fn what_was_aborted_may_have_happened_but_not_later() {
    let aborted = operation(1, (2, 5), swap(1, 2), Ending::Maybe);
    let start = || vec![done(1, (0, 1), write(1)), aborted.clone()];
    holds(start().into_iter().chain([done(2, (6, 7), read(2)), done(2, (8, 9), read(2))]));
    holds(start().into_iter().chain([done(2, (6, 7), read(1)), done(2, (8, 9), read(1))]));
    breaks(
        start().into_iter().chain([done(2, (6, 7), read(1)), done(2, (8, 9), read(2))]),
        &["READ"],
    );
    // Nobody knows when, or whether ever.
    let lost = Operation { returned: None, ..aborted };
    let late = |second| {
        let seen = [(6, 1), (second, 1), (second + 2, 2)];
        let seen = seen.map(|(when, number)| done(2, (when, when + 1), read(number)));
        [done(1, (0, 1), write(1)), lost.clone()].into_iter().chain(seen)
    };
    holds(late(8));
    holds(late(119_000));
    // But no command is lost for so long and then happens.
    breaks(late(122_000), &["READ"]);
}

#[test]
fn a_write_that_nobody_saw_may_hide_behind_another() {
    // Told long after what followed it: the queue waits for its end.
    holds([
        done(1, (0, 1), write(1)),
        done(1, (2, 20), write(2)),
        done(2, (3, 4), write(3)),
        done(2, (5, 6), read(3)),
        done(2, (7, 8), read(3)),
        done(2, (30, 31), read(2)),
    ]);
}

#[test]
fn a_copy_brings_anything_once() {
    let copy = done(1, (2, 3), OperationKind::Copy { from: Lba::new(90) });
    let start = || vec![done(1, (0, 1), write(1)), copy.clone(), done(1, (4, 5), read(8))];
    holds(start());
    breaks(start().into_iter().chain([done(1, (6, 7), read(9))]), &["READ"]);
}

#[test]
fn data_that_nobody_knows_may_be_anything() {
    let unknown = || done(1, (2, 3), OperationKind::Write { data: Arc::from([]) });
    let unread = done(2, (4, 5), OperationKind::Read { data: Arc::from([]) });
    let start =
        || vec![done(1, (0, 1), write(1)), unknown(), unread.clone(), done(2, (6, 7), read(8))];
    holds(start());
    breaks(start().into_iter().chain([done(2, (8, 9), read(1))]), &["READ"]);
}

#[test]
fn zeroes_are_zeros() {
    let zero = done(1, (2, 3), OperationKind::Zero);
    holds([done(1, (0, 1), write(1)), zero.clone(), done(1, (4, 5), read(0))]);
    breaks([done(1, (0, 1), write(1)), zero, done(1, (4, 5), read(1))], &["held zeros"]);
}

#[test]
fn several_blocks_are_each_judged() {
    let pair = |numbers: [u64; 2]| {
        let data = numbers.map(|number| block(number).to_vec()).concat();
        Arc::<[u8]>::from(data)
    };
    let both = |times, kind| Operation { blocks: blocks(7, 2), ..done(1, times, kind) };
    let written = both((0, 1), OperationKind::Write { data: pair([1, 2]) });
    let found = |numbers| both((2, 3), OperationKind::Read { data: pair(numbers) });
    holds([written.clone(), found([1, 2])]);
    breaks([written, found([1, 3])], &["READ of block 8"]);
}

#[test]
fn a_large_operation_counts_for_blocks_that_others_touch() {
    let all =
        |times| Operation { blocks: blocks(0, LARGE + 1), ..done(3, times, OperationKind::Zero) };
    let verdict =
        verdict([all((0, 1)), done(1, (2, 3), write(1)), all((4, 5)), done(2, (6, 7), read(1))]);
    assert!(breach(&verdict).what.contains("held zeros"));
    assert_eq!(verdict.figures[0], Figure { name: "blocks", value: 1 });
    // It was in flight when the block was touched for the first time.
    let meanwhile =
        |number| [all((0, 9)), done(1, (2, 3), write(1)), done(2, (10, 11), read(number))];
    holds(meanwhile(0));
    holds(meanwhile(1));
    breaks(meanwhile(2), &["READ"]);
}

#[test]
fn one_breach_is_told_once() {
    let lost = [done(1, (0, 1), write(1)), done(1, (2, 3), write(2))];
    let reads = (2..50).map(|nth| done(2, (2 * nth, 2 * nth + 1), read(1)));
    assert_eq!(verdict(lost.into_iter().chain(reads)).breaches_total, 1);
}

#[test]
fn a_block_with_too_many_open_operations_is_given_up_and_others_are_not() {
    let many = (0..70).map(|nth| done(1, (0, 100), write(nth)));
    let lie = [done(1, (200, 201), write(1)), done(1, (202, 203), read(2))];
    let elsewhere = lie.clone().map(|operation| Operation { blocks: blocks(9, 1), ..operation });
    let verdict = verdict(many.chain(lie).chain(elsewhere));
    assert!(breach(&verdict).what.contains("block 9"));
    let given_up = Figure { name: "blocks_given_up", value: 1 };
    assert!(verdict.figures.contains(&given_up), "{verdict:#?}");
}

#[test]
fn what_has_ended_leaves_only_its_blocks_behind() {
    let mut checker = Linearizable::default();
    let operations = (0..100_000_u64).map(|nth| {
        let place = blocks(nth % 100, 1);
        let kind = if nth < 100 { write(nth) } else { swap(nth - 100, nth) };
        Operation { blocks: place, ..done(1, (2 * nth, 2 * nth + 3), kind) }
    });
    history(operations).iter().for_each(|event| checker.observe(event));
    assert_eq!(checker.ledger.breaches_total(), 0);
    assert!(checker.blocks.values().all(|block| matches!(block, Block::Resting(_))));
    assert_eq!(checker.blocks.len(), 100);
    assert!(checker.spare.len() <= 2, "two operations overlap at any time");
    let bytes = 2 * size_of::<(Place, Block)>();
    assert!(bytes <= 256, "{bytes} bytes of a block, in a table that is half full");
}

/// Operations of a few hosts on one block, with values of which some are written twice, and endings
/// as they come.
fn operations(unique: bool) -> impl Strategy<Value = Vec<Operation>> {
    let one = (0..4_u32, 0..24_u64, 0..8_u64, 0..4_u64, 1..4_u64, 0..10_u8, 0..12_u8);
    prop::collection::vec(one, 1..8).prop_map(move |operations| {
        let operations = (10..).zip(operations);
        let made = operations.map(|(nth, (host, from, length, test, set, kind, ending))| {
            let set = if unique { nth } else { set };
            let test = if unique && test > 1 { 10 + test } else { test };
            let (kind, ending) = match (kind, ending) {
                (0..3, 1..) => (read(test), Ending::Done),
                (0..3, 0) => (read(test), Ending::Maybe),
                (3..5, 3..) => (write(set), Ending::Done),
                (5.., 6..) => (swap(test, set), Ending::Done),
                (5.., 3..6) => (swap(test, set), MISCOMPARED),
                (3..5, 1..3) => (write(set), Ending::Maybe),
                (5.., 1..3) => (swap(test, set), Ending::Maybe),
                (3.., 0) => (swap(test, set), Ending::Refused),
            };
            let operation = operation(host, (from, from + length), kind, ending);
            let never = ending == Ending::Maybe && length == 0;
            Operation { returned: operation.returned.filter(|_| !never), ..operation }
        });
        made.collect()
    })
}

/// What a register would have answered: a history that holds, made by executing it.
fn executed() -> impl Strategy<Value = Vec<Operation>> {
    let one = (0..4_u32, 0..40_u64, 0..20_u64, 0..20_u64, 0..10_u8, any::<bool>(), 0..9_u8);
    prop::collection::vec(one, 1..30).prop_map(|mut operations| {
        operations.sort_by_key(|(_, when, ..)| *when);
        let (mut held, mut before) = (0, 0);
        let made =
            (1..).zip(operations).map(|(nth, (host, when, early, late, kind, stale, maybe))| {
                let expected = if stale { before } else { held };
                let (kind, ending) = match kind {
                    0..3 => (read(held), Ending::Done),
                    3..5 => (write(nth), Ending::Done),
                    _ if expected == held => (swap(expected, nth), Ending::Done),
                    _ => (swap(expected, nth), MISCOMPARED),
                };
                if ending == Ending::Done && !matches!(kind, OperationKind::Read { .. }) {
                    (before, held) = (held, nth);
                }
                let ending = if maybe == 0 { Ending::Maybe } else { ending };
                operation(host, (100 + when - early.min(when), 100 + when + late), kind, ending)
            });
        made.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// As the brute-force search says, of histories of which most are bad, with values written once.
    #[test]
    fn agrees_with_the_oracle_on_unique_values(operations in operations(true)) {
        let broken = verdict(operations.clone()).standing == Standing::Broken;
        prop_assert_eq!(!broken, is_linearizable(&operations));
    }

    /// And with values that are written more than once.
    #[test]
    fn agrees_with_the_oracle_on_values_that_return(operations in operations(false)) {
        let broken = verdict(operations.clone()).standing == Standing::Broken;
        prop_assert_eq!(!broken, is_linearizable(&operations));
    }

    /// No false alarm, however the operations of a true register overlap.
    #[test]
    fn what_a_register_did_holds(operations in executed()) {
        let verdict = verdict(operations);
        prop_assert!(verdict.standing != Standing::Broken, "{:#?}", verdict.breaches);
    }

    /// A history that was true, with one answer changed: again as the brute-force search says.
    #[test]
    fn agrees_with_the_oracle_on_a_planted_violation(
        mut operations in executed(),
        nth in any::<prop::sample::Index>(),
        number in 0..12_u64,
    ) {
        operations.truncate(8);
        let nth = nth.index(operations.len());
        operations[nth].kind = read(number);
        operations[nth].ending = Ending::Done;
        let broken = verdict(operations.clone()).standing == Standing::Broken;
        prop_assert_eq!(!broken, is_linearizable(&operations));
    }
}
