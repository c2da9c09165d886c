//! Third-party copies through conductors: within a unit, between two of them, and from one that ends.

use pulsefield_engine::{CopyPeer, Designators, Query};
use pulsefield_units::LuId;

use super::*;
use crate::copying::Reachable;

const SERIALS: [&str; 2] = ["a-1", "b-2"];

/// The parameter list of a copy of one segment; units are counted as in [`SERIALS`].
fn list(source: u8, destination: u8, blocks: u8, from: u8, to: u8) -> Vec<u8> {
    let mut list = vec![0; 16];
    (list[0], list[3], list[11]) = (1, 64, 28);
    for serial in SERIALS {
        list.extend([0xe4, 0, 0, 0, 0x01, 0x03, 0, 16]);
        list.extend(Identity::new(serial).naa());
        list.extend([0, 0, 0, 0, 0, 0, 2, 0]);
    }
    list.extend([0x02, 0, 0, 0x18, 0, source, 0, destination, 0, 0, 0, blocks]);
    list.extend([0, 0, 0, 0, 0, 0, 0, from, 0, 0, 0, 0, 0, 0, 0, to]);
    list
}

fn send(lu: &Lu, list: Vec<u8>) -> Submitted {
    let length = u8::try_from(list.len()).unwrap();
    let cdb = [0x83, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, length, 0, 0];
    lu.submit(&cdb, Data::Out(list))
}

/// Two units in one group, each of which has learnt so.
fn two() -> [Lu; 2] {
    let units = [Lu::on("ram/"), Lu::on("ram/")];
    for (nth, lu) in units.iter().enumerate() {
        lu.mailbox.send(Message::Identity(Identity::new(SERIALS[nth])));
        introduce(lu, &units[1 - nth], SERIALS[1 - nth]);
    }
    units
}

fn introduce(lu: &Lu, other: &Lu, serial: &str) {
    let unit = LuId::new(u32::from(serial.as_bytes()[0]));
    let designators = Designators::new(&Identity::new(serial), &LuConfig::default());
    let peer = CopyPeer { unit, designators, geometry: geometry(64) };
    lu.mailbox.send(Message::CopyPeers(vec![Reachable { peer, mailbox: other.mailbox.clone() }]));
}

#[test]
fn blocks_are_copied_within_a_unit_and_to_and_from_another() {
    let [a, b] = two();
    a.write(0, 0xaa);
    let within = send(&a, list(0, 0, 1, 0, 8));
    assert_eq!(a.uio.answer(within).status, GOOD);
    assert_eq!(a.read(8), block(0xaa));
    let there = send(&a, list(0, 1, 2, 0, 20));
    assert_eq!(a.uio.answer(there).status, GOOD);
    assert_eq!((b.read(20), b.read(21)), (block(0xaa), block(0)));
    let back = send(&a, list(1, 0, 1, 20, 30));
    assert_eq!(a.uio.answer(back).status, GOOD);
    assert_eq!(a.read(30), block(0xaa));
    assert!(a.asked.is_empty() && b.asked.is_empty());
    assert!(matches!(a.stop(), End::Stopped));
    assert!(matches!(b.stop(), End::Stopped));
}

#[test]
fn units_that_copy_from_each_other_at_once_both_come_to_an_end() {
    let [a, b] = two();
    for lba in 0..64 {
        a.write(lba, 0xaa);
        b.write(lba, 0xbb);
    }
    let copies = [0, 1].map(|nth| {
        let lu = [&a, &b][usize::from(nth)];
        [(); 20].map(|()| send(lu, list(1 - nth, nth, 64, 0, 0)))
    });
    for (lu, copies) in [&a, &b].into_iter().zip(copies) {
        for _ in copies {
            assert_eq!(lu.uio.next_answer().status, GOOD);
        }
    }
    for lu in [a, b] {
        let first = lu.read(0);
        assert!((1..64).all(|lba| lu.read(lba) == first), "a piece is written as a whole");
        assert!(matches!(lu.stop(), End::Stopped));
    }
}

#[test]
fn a_unit_that_has_ended_cannot_be_reached() {
    let [a, b] = two();
    assert!(matches!(b.stop(), End::Stopped));
    let copy = send(&a, list(1, 0, 1, 0, 8));
    let sense = a.uio.answer(copy).sense.unwrap();
    assert_eq!((sense[2], sense[12], sense[13]), (0x0a, 0x0d, 0x02));
    // It is looked for once more, and still there is nobody.
    let again = send(&a, list(1, 0, 1, 0, 8));
    assert_eq!(a.asked(), Asked::Query(Query::CopyPeers));
    a.mailbox.send(Message::CopyPeers(Vec::new()));
    assert_eq!(a.uio.answer(again).status, CHECK_CONDITION);
}

#[test]
fn a_unit_that_ends_with_a_part_at_hand_leaves_no_copy_waiting() {
    let (medium, requests) = held_medium(64);
    let (a, b) = (Lu::on("ram/"), Lu::new(medium));
    a.mailbox.send(Message::Identity(Identity::new(SERIALS[0])));
    introduce(&a, &b, SERIALS[1]);
    let copy = send(&a, list(1, 0, 1, 0, 8));
    let part = requests.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(b.stop(), End::Stopped), "no command of its own is in flight");
    let sense = a.uio.answer(copy).sense.unwrap();
    assert_eq!((sense[2], sense[12], sense[13]), (0x0a, 0x0d, 0x02));
    part.complete(Ok(OpOutput::Done));
}
