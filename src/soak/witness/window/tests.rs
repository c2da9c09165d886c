//! When what is explained, and by what.

use pulsefield_explain::FindingKind;

use super::*;
use crate::witness::testing::{Tape, at};

const MILLISECOND: Duration = Duration::from_millis(1);

/// All that a window says of these records and, at the end, of what is left.
fn explained(records: impl IntoIterator<Item = Record>) -> Vec<Explained> {
    let mut window = Window::default();
    let mut all: Vec<_> = records.into_iter().filter_map(|record| window.take(record)).collect();
    all.push(window.rest());
    all
}

fn findings(explained: &Explained) -> Vec<FindingKind> {
    explained.explanations.iter().map(|explanation| explanation.finding).collect()
}

#[test]
fn nothing_is_said_before_all_is_known() {
    let mut tape = Tape::default();
    let mut records = vec![tape.applied(0, [1, 2], MILLISECOND)];
    records.extend(tape.miscompared(1_000, [1, 3], 2));
    records.extend([tape.idle(29_000), tape.idle(30_001), tape.idle(31_000)]);
    let all = explained(records);
    let [first, rest] = &all[..] else { panic!("{all:?}") };
    assert_eq!(findings(first), [FindingKind::Contention]);
    assert_eq!((first.until, first.explanations[0].answered), (at(29_000), at(1_001)));
    assert!(first.explanations[0].about.ends_with("COMPARE AND WRITE 7+1"));
    assert!(rest.explanations.is_empty() && rest.until > at(1_000_000));
}

/// It was applied at the beginning, and is recorded when its host has given it up: after what it explains.
#[test]
fn a_writer_may_be_recorded_late() {
    let mut tape = Tape::default();
    let mut records = vec![tape.applied(0, [0, 1], MILLISECOND)];
    records.extend(tape.miscompared(20_500, [1, 2], 3));
    records.push(tape.applied(20_000, [1, 3], Duration::from_millis(9_100)));
    records.push(tape.idle(40_000));
    let all = explained(records);
    assert_eq!(findings(&all[0]), [FindingKind::Contention], "{all:?}");
}

#[test]
fn evidence_reaches_back_over_what_was_told() {
    let mut tape = Tape::default();
    let mut records = vec![tape.applied(0, [1, 2], MILLISECOND)];
    records.extend((0..40).map(|second| tape.idle(second * 1_000)));
    records.extend(tape.miscompared(39_500, [1, 3], 2));
    // And no further than it must.
    records.extend((41..100).map(|second| tape.idle(second * 1_000)));
    records.extend(tape.miscompared(99_500, [1, 3], 2));
    let all = explained(records);
    let found: Vec<_> = all.iter().flat_map(findings).collect();
    assert_eq!(found, [FindingKind::Contention, FindingKind::Unknown]);
    assert!(all.len() > 3, "{}", all.len());
}

#[test]
fn a_window_is_bounded_however_much_there_is() {
    let mut tape = Tape::default();
    let mut window = Window::default();
    let mut told = 0;
    // A hundred a millisecond: nothing becomes old enough.
    for nth in 0..4 * RECORDS_MAX as u64 {
        told += usize::from(window.take(tape.idle(nth / 100)).is_some());
        assert!(window.records.len() < RECORDS_MAX);
    }
    assert!((6..20).contains(&told), "{told}");
}
