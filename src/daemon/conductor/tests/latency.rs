use std::time::Duration;

use crossbeam_channel::bounded;
use pulsefield_faults::Fault;

use super::*;
use crate::latency::{Book, Deadlines, Row};

impl Lu {
    fn book(&self, clear: bool) -> Book {
        let (reply, book) = bounded(1);
        self.mailbox.send(Message::ReportLatency { clear, reply });
        book.recv_timeout(PATIENCE).unwrap()
    }
}

/// What a row is called, and how many commands it has.
fn counts(book: &Book) -> Vec<(&'static str, u64)> {
    let name = |row: &Row| row.command.map_or("others", |command| command.name);
    book.rows().map(|row| (name(row), row.total.count())).collect()
}

#[test]
fn every_command_of_the_ring_is_counted_once() {
    let lu = Lu::on("ram/");
    for lba in 0..3 {
        lu.write(lba, b'A');
        lu.read(lba);
    }
    let data = [block(b'A'), block(b'B')].concat();
    assert_eq!(lu.execute(&compare_and_write(0), Data::Out(data)).status, GOOD);
    assert_eq!(lu.execute(&[0; 6], Data::None).status, GOOD);
    assert_eq!(lu.execute(&[0xff; 6], Data::None).status, CHECK_CONDITION);
    // The daemon's own are no initiator's.
    lu.probe(1);
    let book = lu.book(true);
    let counted = [("others", 2), ("WRITE(10)", 3), ("READ(10)", 3), ("COMPARE AND WRITE", 1)];
    assert_eq!(counts(&book), counted);
    for row in book.rows() {
        let medium = if row.command.is_some() { row.total.count() } else { 0 };
        assert_eq!((row.waiting.count(), row.service.count()), (medium, medium));
        assert!(row.answer.max() <= row.total.max());
    }
    assert_eq!(book.slowest.in_order().len(), 9);
    assert_eq!(counts(&lu.book(false)), [], "it was cleared");
}

#[test]
fn what_a_command_waited_for_is_known_afterwards() {
    let (medium, requests) = held_medium(64);
    let lu = Lu::new(medium);
    lu.mailbox
        .send(Message::SetDeadlines(Deadlines { warning: Some(Duration::ZERO), error: None }));
    let first = lu.submit(&write(0, 4), Data::Out(vec![1; 2048]));
    let request = requests.recv_timeout(PATIENCE).unwrap();
    let second = lu.submit(&write(2, 4), Data::Out(vec![2; 2048]));
    // It has been seen, and is parked.
    wait_until(|| lu.counters.commands.load() == 2);
    request.complete(Ok(OpOutput::Done));
    assert_eq!(lu.uio.answer(first).status, GOOD);
    requests.recv_timeout(PATIENCE).unwrap().complete(Ok(OpOutput::Done));
    assert_eq!(lu.uio.answer(second).status, GOOD);
    let book = lu.book(false);
    let slow = book.slowest.in_order();
    let of = |lba: u64| {
        let at = |slow: &&crate::latency::Slow| {
            let blocks = slow.passage.served.unwrap().blocks.unwrap();
            blocks.start().as_u64() == lba
        };
        slow.iter().find(at).unwrap()
    };
    assert!(of(0).parts.blocks.is_zero() && !of(0).parts.medium.is_zero());
    assert!(!of(2).parts.blocks.is_zero(), "{:?}", of(2).parts);
    for slow in &slow {
        let parts = slow.parts.named().map(|(_, time)| time);
        assert_eq!(parts.iter().sum::<Duration>(), slow.took);
    }
    assert_eq!((lu.counters.late.load(), lu.counters.too_late.load()), (2, 0));
}

#[test]
fn what_a_fault_held_up_is_blamed_on_it() {
    let lu = Lu::on("ram/");
    // Longer than a busy machine lets this thread, or the unit's, wait for a processor.
    let duration = Duration::from_secs(1);
    lu.arm(Fault::Stall { duration });
    lu.write(3, b'A');
    let slowest = lu.book(false).slowest.in_order()[0];
    assert_eq!(slowest.parts.reason(), "fault");
    assert!(slowest.parts.fault >= duration);
}
