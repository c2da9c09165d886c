//! Where the time of late heartbeats went.

use pulsefield_engine::Waited;
use pulsefield_record::Record;

use super::*;
use crate::account::Account;
use crate::testing::{A, B, Tape, lock, slot};

const SECOND: u64 = 1_000_000_000;

fn at(seconds: u64) -> Instant {
    // As the tape has it.
    Instant::from_nanos((seconds + 1) * SECOND)
}

/// The words about each late heartbeat, with which share was longest.
fn late(records: &[Record]) -> Vec<(Share, bool, String)> {
    let account = Account::of(records, 0, Deadlines::default());
    let told = |late: &LateHeartbeat<'_>| (late.shares.longest(), late.too_late, late.to_string());
    account.late.iter().map(told).collect()
}

#[test]
fn a_slow_medium() {
    let mut tape = Tape::new();
    tape.at(0).ats(&slot(A, 0), &slot(A, 3)).but(|it| {
        (it.ended, it.answered) = (Some(at(4)), at(4));
    });
    let words =
        "#1 COMPARE AND WRITE 43520+1 took 4.00 s: 4.00 s in service of the medium (most of it)";
    assert_eq!(late(&tape.records()), [(Share::Service, false, words.to_owned())]);
}

#[test]
fn one_that_waited_names_what_for() {
    let mut tape = Tape::new();
    tape.at(0).other(0x8a, None).but(|it| (it.ended, it.answered) = (Some(at(8)), at(8)));
    tape.at(0).ats(&slot(A, 0), &slot(A, 3)).but(|it| {
        it.waited = Waited { blocks: Duration::from_secs(8), ..Waited::default() };
        (it.started, it.ended, it.answered) = (Some(at(8)), Some(at(9)), at(9));
    });
    let words = "#2 COMPARE AND WRITE 43520+1 took 9.00 s: 8.00 s waiting for others on its blocks (most of \
                 it), 1.00 s in service of the medium; it waited for #1 WRITE(16) 43520+1";
    assert_eq!(late(&tape.records()), [(Share::Blocks, true, words.to_owned())]);
}

#[test]
fn one_that_a_rule_held() {
    let mut tape = Tape::new();
    tape.at(0).ats(&slot(A, 0), &slot(A, 3));
    tape.but(|it| (it.ended, it.answered) = (Some(at(1)), at(9))).hit("slow", 8_000);
    let words = "#1 COMPARE AND WRITE 43520+1 took 9.00 s: 1.00 s in service of the medium, 8.00 s after the \
                 device server (most of it); injected by rule \"slow\", which held it up for 8.00 s";
    assert_eq!(late(&tape.records()), [(Share::Completion, true, words.to_owned())]);
}

#[test]
fn one_that_was_dropped_until_its_abort() {
    let mut tape = Tape::new();
    tape.at(0).ats(&slot(A, 0), &slot(A, 3));
    tape.but(|it| {
        (it.started, it.ended, it.answered) = (None, None, at(8));
        it.images.clear();
    });
    tape.hit("drop", 0);
    let words = "#1 COMPARE AND WRITE 43520+1 took 8.00 s: 8.00 s before the device server (most of it); \
                 injected by rule \"drop\"";
    assert_eq!(late(&tape.records()), [(Share::Before, true, words.to_owned())]);
}

#[test]
fn neither_a_punctual_heartbeat_nor_a_slow_lock() {
    let mut tape = Tape::new();
    tape.at(0).ats(&slot(A, 0), &slot(A, 3)).but(|it| it.answered = at(2));
    tape.at(0).ats(&lock(4, None), &lock(5, Some(B))).but(|it| it.answered = at(9));
    assert_eq!(late(&tape.records()), []);
}

#[test]
fn the_shares_are_the_whole_time() {
    let mut tape = Tape::new();
    tape.at(0).ats(&slot(A, 0), &slot(A, 3)).but(|it| {
        let second = Duration::from_secs(1);
        it.waited = Waited { blocks: second, slot: 2 * second, pool: 3 * second };
        (it.started, it.ended, it.answered) = (Some(at(7)), Some(at(15)), at(21));
    });
    let records = tape.records();
    let account = Account::of(&records, 0, Deadlines::default());
    let shares: Vec<_> = account.late[0].shares.iter().map(|(_, time)| time.as_secs()).collect();
    assert_eq!(shares, [4, 1, 2, 3, 5, 6]);
}
