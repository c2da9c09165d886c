use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};
use pulsefield_hosts::Io;
use pulsefield_scsi::{Asc, Sense, SenseKey, Status};
use pulsefield_units::{BlockCount, BlockLength, Lba, LbaRange};

use super::*;
use crate::command::{Command, Request};

/// Longer than anything here takes on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// A device that does what a test says.
struct Scripted<F>(F);

impl<F: Fn(&Request) -> Outcome + Send + Sync> Device for Scripted<F> {
    fn execute(&self, request: &Request, _: Duration) -> Outcome {
        (self.0)(request)
    }
}

fn device(script: impl Fn(&Request) -> Outcome + Send + Sync + 'static) -> Arc<dyn Device> {
    Arc::new(Scripted(script))
}

fn good() -> Outcome {
    Outcome::Good(Vec::new())
}

fn settings() -> Settings {
    let one = NonZeroUsize::MIN;
    Settings { metadata: one, bulk: one, probe_interval: Duration::from_millis(1) }
}

fn initiator(paths: Vec<Arc<dyn Device>>) -> (Initiator<u32>, Receiver<Event<u32>>) {
    let (events, heard) = unbounded();
    (Initiator::start("test", paths, settings(), events).unwrap(), heard)
}

fn read(tag: u32) -> Submission<u32> {
    let range = LbaRange::new(Lba::new(7), BlockCount::new(1)).unwrap();
    let request = Request::new(Io::Read(range), BlockLength::B512, None).unwrap();
    Submission { tag, request, timeout: SOON }
}

fn reset(tag: u32) -> Submission<u32> {
    Submission { tag, request: Request::LogicalUnitReset, timeout: SOON }
}

/// The next end of a request: which, by which path, and how.
fn done(heard: &Receiver<Event<u32>>) -> (u32, usize, Outcome) {
    loop {
        match heard.recv_timeout(SOON).unwrap() {
            Event::Done(done) => return (done.tag, done.path, done.outcome),
            Event::PathLost { .. } | Event::PathBack { .. } => {}
        }
    }
}

#[test]
fn a_request_is_carried_out_and_timed() {
    let (mut initiator, heard) = initiator(vec![device(|_| Outcome::Good(vec![1]))]);
    let before = clock::now();
    initiator.submit(Lane::Metadata, read(5)).unwrap();
    let Event::Done(done) = heard.recv_timeout(SOON).unwrap() else { panic!() };
    assert_eq!((done.tag, done.path, done.outcome), (5, 0, Outcome::Good(vec![1])));
    assert!(before <= done.invoked && done.invoked <= done.returned);
    assert!(done.returned <= clock::now());
}

#[test]
fn bulk_keeps_neither_a_heartbeat_nor_a_reset_waiting() {
    let (began, begins) = unbounded();
    let (release, held) = unbounded::<()>();
    let (mut initiator, heard) = initiator(vec![device(move |request| {
        let is_read = matches!(request, Request::Command(it) if it.cdb.opcode() == Some(0x88));
        if is_read {
            began.send(()).unwrap();
            let _ = held.recv();
        }
        good()
    })]);
    // Dropped before the initiator, also where an assertion fails: who is held could never be joined.
    let hold = release;
    initiator.submit(Lane::Bulk, read(0)).unwrap();
    begins.recv_timeout(SOON).unwrap();
    // The only thread of the lane is held: nothing leaves its queue from here on.
    let mut submitted = 1;
    while initiator.submit(Lane::Bulk, read(submitted)).is_ok() {
        submitted += 1;
    }
    let refused = initiator.submit(Lane::Bulk, read(submitted)).unwrap_err();
    assert_eq!(refused.tag, submitted, "it comes back");
    assert!(heard.is_empty());

    let pulse = Request::Command(Command::test_unit_ready());
    let pulse = Submission { tag: 1_000, request: pulse, timeout: SOON };
    initiator.submit(Lane::Heartbeat, pulse).unwrap();
    assert_eq!(done(&heard), (1_000, 0, good()));
    initiator.submit(Lane::Bulk, reset(1_001)).unwrap();
    assert_eq!(done(&heard), (1_001, 0, good()));

    drop(hold);
    let mut ended: Vec<_> = (0..submitted).map(|_| done(&heard).0).collect();
    ended.sort_unstable();
    assert!(ended.into_iter().eq(0..submitted), "each once");
}

#[test]
fn a_lost_path_is_left_until_it_answers() {
    let broken = Arc::new(AtomicBool::new(true));
    let is_broken = Arc::clone(&broken);
    let attentions = Mutex::new(2);
    let first = device(move |_| {
        if is_broken.load(Ordering::Relaxed) {
            return Outcome::Lost;
        }
        // It comes back with news, which do not keep it from being used.
        let mut attentions = attentions.lock().unwrap();
        if *attentions > 0 {
            *attentions -= 1;
            let reset = Asc::POWER_ON_RESET_OR_BUS_DEVICE_RESET_OCCURRED;
            let sense = Some(Sense::new(SenseKey::UnitAttention, reset));
            return Outcome::Failed { status: Status::CheckCondition, sense };
        }
        good()
    });
    let second_broken = Arc::new(AtomicBool::new(false));
    let is_broken = Arc::clone(&second_broken);
    let second = device(move |_| match is_broken.load(Ordering::Relaxed) {
        true => Outcome::Lost,
        false => good(),
    });
    let (mut initiator, heard) = initiator(vec![first, second]);

    initiator.submit(Lane::Heartbeat, read(1)).unwrap();
    assert_eq!(done(&heard), (1, 0, Outcome::Lost), "the host hears of it, and decides");
    let lost = heard.recv_timeout(SOON).unwrap();
    assert!(matches!(lost, Event::PathLost { path: 0, .. }), "{lost:?}");
    initiator.submit(Lane::Heartbeat, read(2)).unwrap();
    assert_eq!(done(&heard), (2, 1, good()));

    broken.store(false, Ordering::Relaxed);
    let back = heard.recv_timeout(SOON).unwrap();
    assert!(matches!(back, Event::PathBack { path: 0, .. }), "{back:?}");
    initiator.submit(Lane::Heartbeat, read(3)).unwrap();
    assert_eq!(done(&heard), (3, 1, good()), "the path that works is kept");

    second_broken.store(true, Ordering::Relaxed);
    initiator.submit(Lane::Heartbeat, read(4)).unwrap();
    assert_eq!(done(&heard), (4, 1, Outcome::Lost));
    let lost = heard.recv_timeout(SOON).unwrap();
    assert!(matches!(lost, Event::PathLost { path: 1, .. }), "{lost:?}");
    initiator.submit(Lane::Heartbeat, read(5)).unwrap();
    assert_eq!(done(&heard), (5, 0, good()));
}

/// Requests are lost when somebody resets the unit, too; that says nothing of the path.
#[test]
fn a_path_that_answers_at_once_is_not_left() {
    let resets = Mutex::new(1);
    let (asked, asks) = unbounded();
    let first = device(move |request| {
        if *request == Request::Command(Command::test_unit_ready()) {
            asked.send(()).unwrap();
            return good();
        }
        let mut resets = resets.lock().unwrap();
        match *resets {
            0 => good(),
            _ => {
                *resets -= 1;
                Outcome::Lost
            }
        }
    });
    let (mut initiator, heard) = initiator(vec![first, device(|_| good())]);
    initiator.submit(Lane::Metadata, read(1)).unwrap();
    assert_eq!(done(&heard), (1, 0, Outcome::Lost));
    asks.recv_timeout(SOON).unwrap();
    initiator.submit(Lane::Metadata, read(2)).unwrap();
    assert_eq!(done(&heard), (2, 0, good()));
    drop(initiator);
    assert!(heard.is_empty(), "nothing is said of the path");
}

#[test]
fn without_a_path_everything_is_lost_at_once() {
    let sent = Arc::new(Mutex::new(0));
    let count = Arc::clone(&sent);
    let (mut initiator, heard) = initiator(vec![device(move |request| {
        if *request != Request::Command(Command::test_unit_ready()) {
            *count.lock().unwrap() += 1;
        }
        Outcome::Lost
    })]);
    initiator.submit(Lane::Metadata, read(0)).unwrap();
    assert_eq!(done(&heard), (0, 0, Outcome::Lost));
    let lost = heard.recv_timeout(SOON).unwrap();
    assert!(matches!(lost, Event::PathLost { path: 0, .. }), "{lost:?}");
    for tag in 1..4 {
        initiator.submit(Lane::Metadata, read(tag)).unwrap();
        assert_eq!(done(&heard), (tag, 0, Outcome::Lost));
    }
    assert_eq!(*sent.lock().unwrap(), 1, "only the first was sent");
}
