//! Changes to another medium, under load and with everything that can go wrong.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::change_medium::{ChangeError, MediumChange};

use super::*;

type Changed = Receiver<Result<Arc<dyn Backstore>, ChangeError>>;

fn change(lu: &Lu, medium: Arc<dyn Backstore>) -> Changed {
    let (done, changed) = unbounded();
    lu.mailbox.send(Message::ChangeMedium(MediumChange { medium, done }));
    changed
}

fn memory() -> Arc<dyn Backstore> {
    Media::new().open("test", "ram/", geometry(64), None).unwrap()
}

/// The sense key, code and qualifier that TEST UNIT READY ends with, if it does.
fn told(lu: &Lu) -> Option<(u8, u8, u8)> {
    lu.execute(&[0; 6], Data::None).sense.map(|sense| (sense[2], sense[12], sense[13]))
}

const INQUIRY_DATA_HAS_CHANGED: Option<(u8, u8, u8)> = Some((0x06, 0x3f, 0x03));

#[test]
fn what_was_accepted_ends_on_the_old_medium_and_what_comes_goes_to_the_new_one() {
    let (medium, requests) = held_medium(64);
    let lu = Lu::new(medium);
    let first = lu.submit(&write(0, 1), Data::Out(block(1)));
    let accepted = requests.recv_timeout(PATIENCE).unwrap();
    let changed = change(&lu, memory());
    lu.probe(1);
    let second = lu.submit(&[0; 6], Data::None);
    lu.probe(2);
    assert!(requests.is_empty() && changed.is_empty() && !lu.uio.has_answer());
    accepted.complete(Ok(OpOutput::Done));
    let flush = requests.recv_timeout(PATIENCE).unwrap();
    assert_eq!(flush.op(), Op::Flush);
    assert_eq!(lu.uio.answer(first).status, GOOD);
    lu.probe(3);
    assert!(changed.is_empty() && !lu.uio.has_answer());
    flush.complete(Ok(OpOutput::Done));
    let old = changed.recv_timeout(PATIENCE).unwrap().unwrap();
    assert_eq!(lu.uio.answer(second).status, CHECK_CONDITION, "INQUIRY DATA HAS CHANGED");
    drop(old);
    assert!(is_closed(&requests), "nobody keeps the old medium");
    assert_eq!(told(&lu), Some((0x06, 0x2a, 0x09)), "it is thin");
    assert_eq!(told(&lu), Some((0x06, 0x2a, 0x01)), "and has no volatile cache");
    lu.write(0, 2);
    assert_eq!(lu.read(0), block(2));
}

#[test]
fn a_medium_that_cannot_keep_what_was_written_is_kept() {
    let (medium, requests) = held_medium(64);
    let lu = Lu::new(medium);
    let changed = change(&lu, memory());
    let flush = requests.recv_timeout(PATIENCE).unwrap();
    flush.complete(Err(BackstoreError::Medium));
    let refused = changed.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(refused, Err(ChangeError::Flush(BackstoreError::Medium))));
    let command = lu.submit(&write(0, 1), Data::Out(block(1)));
    requests.recv_timeout(PATIENCE).unwrap().complete(Ok(OpOutput::Done));
    assert_eq!(lu.uio.answer(command).status, GOOD, "and initiators hear of nothing");
}

#[test]
fn a_unit_without_its_medium_gets_one() {
    let lu = Lu::new(Arc::new(crate::absent::Absent(geometry(64))));
    assert_eq!(lu.execute(&read(0, 1), Data::In(512)).status, CHECK_CONDITION);
    let changed = change(&lu, memory());
    changed.recv_timeout(PATIENCE).unwrap().unwrap();
    assert_eq!(told(&lu), INQUIRY_DATA_HAS_CHANGED);
    assert_eq!(told(&lu), Some((0x06, 0x2a, 0x09)), "LBPME differs");
    assert_eq!(lu.read(0), block(0));
}

#[test]
fn a_medium_is_not_changed_while_it_is_formatted() {
    let lu = Lu::on("ram/");
    let format = lu.submit(&[0x04, 0, 0, 0, 0, 0], Data::None);
    let Asked::Save(number, _) = lu.asked() else { panic!("nothing is saved") };
    let changed = change(&lu, memory());
    assert!(matches!(changed.recv_timeout(PATIENCE).unwrap(), Err(ChangeError::Busy)));
    lu.mailbox.send(Message::Saved { number, on_stable_storage: true });
    let Asked::Save(number, _) = lu.asked() else { panic!("nothing is saved") };
    lu.mailbox.send(Message::Saved { number, on_stable_storage: true });
    assert_eq!(lu.uio.answer(format).status, GOOD);
}

#[test]
fn initiators_do_not_wait_for_a_medium_that_hangs() {
    let (medium, requests) = held_medium(64);
    let lu = Lu::new(medium);
    let changed = change(&lu, memory());
    let flush = requests.recv_timeout(PATIENCE).unwrap();
    let command = lu.submit(&[0; 6], Data::None);
    assert!(matches!(changed.recv_timeout(PATIENCE).unwrap(), Err(ChangeError::Late)));
    assert_eq!(lu.uio.answer(command).status, GOOD);
    // That flush says nothing of what is written from now on.
    let again = change(&lu, memory());
    assert!(matches!(again.recv_timeout(PATIENCE).unwrap(), Err(ChangeError::Busy)));
    flush.complete(Ok(OpOutput::Done));
    wait_until(|| {
        let again = change(&lu, memory());
        lu.probe(lu.mailbox.probe_passed() + 1);
        again.try_recv().is_err()
    });
    requests.recv_timeout(PATIENCE).unwrap().complete(Ok(OpOutput::Done));
    wait_until(|| told(&lu) == INQUIRY_DATA_HAS_CHANGED);
}

#[test]
fn a_unit_that_stops_changes_nothing_any_more() {
    let (medium, requests) = held_medium(64);
    let lu = Lu::new(medium);
    let changed = change(&lu, memory());
    let flush = requests.recv_timeout(PATIENCE).unwrap();
    lu.mailbox.send(Message::Stop);
    lu.probe(1);
    assert!(is_closed(&changed), "dropped");
    flush.complete(Ok(OpOutput::Done));
    let late = change(&lu, memory());
    assert!(matches!(late.recv_timeout(PATIENCE).unwrap(), Err(ChangeError::Ended)));
    lu.mailbox.send(Message::Blocked);
    assert!(matches!(lu.end(), End::Stopped));
}

#[test]
fn the_order_to_write_through_holds_on_a_medium_with_a_cache() {
    const CACHING: [u8; 6] = [0x1a, 8, 0x08, 0, 0xff, 0];
    let lu = Lu::on("ram/");
    lu.mailbox.send(Message::SetWriteCache(false));
    for (order, enabled) in [(None, false), (Some(true), true)] {
        if let Some(order) = order {
            lu.mailbox.send(Message::SetWriteCache(order));
        }
        let folder = tempfile::tempdir().unwrap();
        let file = format!("file/{}/x.img", folder.path().display());
        let file = Media::new().open("test", &file, geometry(64), None).unwrap();
        change(&lu, file).recv_timeout(PATIENCE).unwrap().unwrap();
        while told(&lu).is_some() {}
        let caching = lu.execute(&CACHING, Data::In(64)).data_in;
        assert_eq!(caching[4 + 2] & 0x04 != 0, enabled);
        change(&lu, memory()).recv_timeout(PATIENCE).unwrap().unwrap();
        while told(&lu).is_some() {}
    }
}

/// Two images change places again and again while an initiator writes.
#[test]
fn nothing_is_lost_under_load() {
    const CHANGES: usize = 20;
    let folder = tempfile::tempdir().unwrap();
    let cfgstring = |name: &str| format!("file/{}/{name}", folder.path().display());
    let open = |name| Media::new().open("test", &cfgstring(name), geometry(64), None).unwrap();
    let lu = Lu::new(open("a.img"));
    let is_over = AtomicBool::new(false);
    let last = thread::scope(|scope| {
        let over = Over(&is_over);
        let initiator = scope.spawn(|| {
            let (mut last, mut written) = (BTreeMap::new(), 0_u32);
            while !is_over.load(Ordering::Relaxed) {
                let (lba, fill) =
                    ((written % 64).to_le_bytes()[0], (written % 251).to_le_bytes()[0]);
                let answer = lu.execute(&write(lba, 1), Data::Out(block(fill)));
                match answer.sense {
                    None => {
                        assert_eq!(answer.status, GOOD);
                        last.insert(usize::from(lba), fill);
                        written += 1;
                    }
                    Some(sense) => assert_eq!((sense[2], sense[12], sense[13]), (0x06, 0x3f, 0x03)),
                }
            }
            last
        });
        for nth in 0..CHANGES {
            let name = ["b.img", "a.img"][nth % 2];
            let old = change(&lu, open(name)).recv_timeout(PATIENCE).unwrap().unwrap();
            drop(old);
        }
        drop(over);
        initiator.join().unwrap()
    });
    assert!(matches!(lu.stop(), End::Stopped));
    let [a, b] = ["a.img", "b.img"].map(|name| fs::read(Path::join(folder.path(), name)).unwrap());
    for (lba, fill) in last {
        let at = lba * 512..(lba + 1) * 512;
        assert!(a[at.clone()] == block(fill) || b[at] == block(fill), "block {lba} is lost");
    }
}
