//! Answers that wait for others to share their doorbell with. No thread: every turn is the test's.

use super::*;
use crate::clock::Clock;
use crate::sharing::RINGS_A_TRY;

/// A unit that has commands in flight beside each other.
struct Shared<'a> {
    uio: &'a Arc<SimulatedUio>,
    mailbox: Mailbox,
    conductor: Conductor<'a>,
}

impl Shared<'_> {
    fn send(&self, commands: u32) {
        for _ in 0..commands {
            self.uio.submit(&read(0, 1), Data::In(512));
        }
    }

    /// So many commands come in and are answered, and so many more while the answers wait, if they do; how
    /// often the doorbell has rung before it would sleep.
    fn turn(&mut self, commands: u32, meanwhile: u32) -> usize {
        let before = self.uio.doorbells();
        self.send(commands);
        assert!(matches!(self.conductor.work(), Ok(None)));
        self.send(meanwhile);
        // Nobody sleeps who has mail.
        self.mailbox.send(Message::Probe(1));
        assert!(self.conductor.rest().is_ok());
        self.uio.doorbells() - before
    }
}

/// Tells a story of a unit that serves two commands at a time, and has done so for a while.
fn with_shared(story: impl FnOnce(Shared<'_>)) {
    let uio = SimulatedUio::new(Options::default());
    let ring = uio.attach();
    let mut station = Station::new(uio.events(), LuConfig::default()).unwrap();
    // Time stands still, or answers become due while they wait on a busy machine.
    station.clock = Clock::Told(Instant::from_nanos(1));
    let mailbox = station.mailbox();
    let surroundings = Listening::new(unbounded().0, mailbox.clone());
    let mut medium = Media::new().open("test", "null/", geometry(64), None).unwrap();
    let conductor =
        Conductor::new(&mut station, &uio, &surroundings, ring, &mut medium, Arc::default());
    let mut shared = Shared { uio: &uio, mailbox, conductor };
    // The first command has what the unit has saved asked for.
    shared.send(1);
    while !uio.has_answer() {
        shared.turn(0, 0);
    }
    // The doorbell has rung once for that.
    for _ in 1..RINGS_A_TRY {
        assert_eq!(shared.turn(2, 0), 1);
    }
    while uio.has_answer() {
        uio.next_answer();
    }
    story(shared);
}

#[test]
fn what_comes_in_while_answers_wait_shares_their_doorbell() {
    with_shared(|mut shared| {
        assert_eq!(shared.turn(2, 1), 0, "something came");
        assert_eq!(shared.turn(0, 1), 0, "and once more");
        assert_eq!(shared.turn(0, 1), 1, "four are enough");
        assert_eq!(shared.turn(0, 0), 1, "nothing came");
        for _ in 0..5 {
            assert_eq!(shared.uio.next_answer().status, GOOD);
        }
        assert!(!shared.uio.has_answer());
    });
}

#[test]
fn after_a_wait_in_vain_no_answer_waits_for_a_while() {
    with_shared(|mut shared| {
        assert_eq!(shared.turn(2, 0), 1, "the wait in vain");
        assert_eq!(shared.turn(2, 1), 1, "announced at once");
    });
}

#[test]
fn a_heartbeat_is_announced_before_anybody_waits() {
    with_shared(|mut shared| {
        let before = shared.uio.doorbells();
        shared.send(2);
        shared.uio.submit(&compare_and_write(3), Data::Out(vec![0; 1024]));
        assert!(matches!(shared.conductor.work(), Ok(None)));
        assert_eq!(shared.uio.doorbells() - before, 1);
    });
}
