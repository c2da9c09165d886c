//! Stories of a conductor: a real thread, ring and device server; a simulated kernel; and media
//! from memory to misbehaving.

use std::iter;
use std::num::NonZeroU8;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, unbounded};
use pulsefield_backstore::{
    BackstoreError, Capabilities, Op, OpOutput, OpenError, Request, Workers,
};
use pulsefield_engine::{Identity, Lane, LuConfig, PortGroup};
use pulsefield_ring::simulated_kernel::{Data, Finished, Options, Submitted};
use pulsefield_ring::{Features, TmrKind};
use pulsefield_scsi::Asc;
use pulsefield_scsi::mode_page::ModeSettings;
use pulsefield_scsi::parameter::{AccessState, AccessStates};
use pulsefield_units::{Lba, LbaRange};

use super::*;
use crate::clock;
use crate::media::Media;
use crate::pool::{Pools, Share};
use crate::station::Mailbox;
use crate::testing::{
    Asked, FnMedium, Listening, Over, PATIENCE, STALE, SimulatedUio, block, geometry, held_medium,
    is_closed, joined, wait_until,
};

mod at_once;
mod changes;
mod copies;
mod fault_orders;
mod faults;
mod hostile;
mod hosts;
mod idle;
mod latency;
mod polling;
mod pools;
mod recording;
mod room;
mod sharing;

const GOOD: u8 = 0x00;
const CHECK_CONDITION: u8 = 0x02;
const BUSY: u8 = 0x08;
const TASK_ABORTED: u8 = 0x40;

fn read(lba: u8, blocks: u8) -> [u8; 10] {
    [0x28, 0, 0, 0, 0, lba, 0, 0, blocks, 0]
}

fn write(lba: u8, blocks: u8) -> [u8; 10] {
    [0x2a, 0, 0, 0, 0, lba, 0, 0, blocks, 0]
}

fn compare_and_write(lba: u8) -> [u8; 16] {
    [0x89, 0, 0, 0, 0, 0, 0, 0, 0, lba, 0, 0, 0, 1, 0, 0]
}

/// INQUIRY of the unit serial number page.
const SERIAL_NUMBER: [u8; 6] = [0x12, 1, 0x80, 0, 0xff, 0];

/// A conductor at work.
struct Lu {
    uio: Arc<SimulatedUio>,
    mailbox: Mailbox,
    counters: Arc<Counters>,
    asked: Receiver<Asked>,
    thread: JoinHandle<End>,
}

impl Lu {
    fn new(medium: Arc<dyn Backstore>) -> Self {
        Self::with_options(medium, Options::default())
    }

    fn with_options(medium: Arc<dyn Backstore>, options: Options) -> Self {
        Self::on_thread(thread::Builder::new(), medium, SimulatedUio::new(options))
    }

    fn on_thread(
        builder: thread::Builder,
        medium: Arc<dyn Backstore>,
        uio: Arc<SimulatedUio>,
    ) -> Self {
        let ring = uio.attach();
        Self::before(builder, medium, uio, ring)
    }

    fn before(
        builder: thread::Builder,
        mut medium: Arc<dyn Backstore>,
        uio: Arc<SimulatedUio>,
        ring: Ring,
    ) -> Self {
        let mut station = Station::new(uio.events(), LuConfig::default()).unwrap();
        let (mailbox, counters) = (station.mailbox(), Arc::new(Counters::default()));
        let (asked_for, asked) = unbounded();
        let conduct = {
            let (uio, counters) = (uio.clone(), counters.clone());
            let surroundings = Listening::new(asked_for, mailbox.clone());
            move || {
                let medium = &mut medium;
                Conductor::new(&mut station, &uio, &surroundings, ring, medium, counters).run()
            }
        };
        let thread = builder.spawn(conduct).unwrap();
        Self { uio, mailbox, counters, asked, thread }
    }

    fn on(cfgstring: &str) -> Self {
        Self::new(Media::new().open("test", cfgstring, geometry(64), None).unwrap())
    }

    fn submit(&self, cdb: &[u8], data: Data) -> Submitted {
        self.uio.submit(cdb, data)
    }

    fn execute(&self, cdb: &[u8], data: Data) -> Finished {
        self.uio.execute(cdb, data)
    }

    fn write(&self, lba: u8, fill: u8) {
        assert_eq!(self.execute(&write(lba, 1), Data::Out(block(fill))).status, GOOD);
    }

    fn read(&self, lba: u8) -> Vec<u8> {
        let answer = self.execute(&read(lba, 1), Data::In(512));
        assert_eq!(answer.status, GOOD);
        answer.data_in
    }

    /// Sends a probe; the conductor has then read every message before it.
    fn probe(&self, number: u64) {
        self.mailbox.send(Message::Probe(number));
        wait_until(|| self.mailbox.probe_passed() == number);
    }

    /// What was asked for next, but for how many are to hear of a change.
    fn asked(&self) -> Asked {
        let mut all = iter::repeat_with(|| self.asked.recv_timeout(PATIENCE).unwrap());
        all.find(|asked| *asked != Asked::Query(Query::Initiators)).unwrap()
    }

    fn stop(self) -> End {
        self.mailbox.send(Message::Stop);
        assert_eq!(self.asked(), Asked::Block);
        self.mailbox.send(Message::Blocked);
        self.end()
    }

    fn end(self) -> End {
        joined(self.thread)
    }
}

/// MODE SELECT (6) of the Control page with D_SENSE, to be saved.
const SAVE_D_SENSE: [u8; 6] = [0x15, 0x11, 0, 0, 16, 0];
const D_SENSE: [u8; 16] = [0, 0, 0, 0, 0x0a, 0x0a, 0x06, 0x10, 0, 0x40, 0, 0, 0xff, 0xff, 0, 0];

#[test]
fn what_is_to_be_saved_is_answered_when_it_is() {
    let lu = Lu::on("ram/");
    for (number, on_stable_storage) in [(0, true), (1, false)] {
        let select = lu.submit(&SAVE_D_SENSE, Data::Out(D_SENSE.to_vec()));
        let Asked::Save(asked, state) = lu.asked() else { panic!() };
        assert_eq!(asked, number);
        assert!(state.modes.unwrap().descriptor_sense);
        lu.write(0, b'A');
        lu.mailbox.send(Message::Saved { number, on_stable_storage });
        let status = if on_stable_storage { GOOD } else { CHECK_CONDITION };
        assert_eq!(lu.uio.answer(select).status, status);
    }
}

#[test]
fn no_command_is_carried_out_before_the_unit_is_as_it_was_saved() {
    struct Slow(Sender<()>);
    impl Surroundings for Slow {
        fn ask(&self, _query: Query) {}
        fn load(&self) {
            self.0.send(()).unwrap();
        }
        fn save(&self, _number: u64, _state: SavedState) {}
        fn set_access_states(&self, _request: OpTag, _changes: Vec<AccessStateChange>) {}
        fn join_pool(&self, name: &str) -> Share {
            Pools::default().join(name)
        }
        fn block(&self) {}
        fn open_record(&self, _orders: RecordOrders, _shape: Geometry) {}
        fn dump_record(&self, _orders: RecordOrders, _reason: Reason) {}
    }
    let uio = SimulatedUio::new(Options::default());
    let ring = uio.attach();
    let mut station = Station::new(uio.events(), LuConfig::default()).unwrap();
    let mailbox = station.mailbox();
    let (loading, loads) = unbounded();
    let mut medium = Media::new().open("test", "ram/", geometry(64), None).unwrap();
    let thread = thread::spawn({
        let uio = uio.clone();
        move || {
            let (medium, counters) = (&mut medium, Arc::default());
            Conductor::new(&mut station, &uio, &Slow(loading), ring, medium, counters).run()
        }
    });
    let first = uio.submit(&write(0, 1), Data::Out(block(b'A')));
    let second = uio.submit(&read(0, 1), Data::In(512));
    loads.recv_timeout(PATIENCE).unwrap();
    assert!(!uio.has_answer());
    // A part of another unit's copy waits as well.
    let asker = crate::testing::station();
    let part = CopyRequest {
        op: CopyOp::Write(LbaRange::new(Lba::new(0), BlockCount::new(1)).unwrap()),
        buffer: Buffer::heap(512),
        reply: CopyReply::new(asker.mailbox(), 1, OpTag(1)),
    };
    mailbox.send(Message::CopyRequest(part));
    // SWP.
    let modes = Some(ModeSettings { software_write_protect: true, ..ModeSettings::default() });
    mailbox.send(Message::Restored(SavedState { modes, ..SavedState::default() }));
    assert_eq!(uio.answer(first).status, CHECK_CONDITION);
    assert_eq!(uio.answer(second).data_in, block(0));
    assert!(loads.is_empty(), "asked once");
    let Some(Message::CopyEnd(end)) = asker.message() else { panic!("answered before") };
    assert_eq!(end.outcome.sense.unwrap().asc, Asc::WRITE_PROTECTED);
    mailbox.send(Message::Stop);
    mailbox.send(Message::Blocked);
    assert!(matches!(joined(thread), End::Stopped));
}

#[test]
fn a_reset_allows_the_removal_that_was_prevented() {
    let lu = Lu::on("ram/");
    let removable = LuConfig { removable: true, ..LuConfig::default() };
    lu.mailbox.send(Message::Reconfigure(removable));
    lu.probe(1);
    // INQUIRY DATA HAS CHANGED.
    assert_eq!(lu.execute(&[0; 6], Data::None).status, CHECK_CONDITION);
    let [prevent, eject] = [[0x1e, 0, 0, 0, 1, 0], [0x1b, 0, 0, 0, 2, 0]];
    assert_eq!(lu.execute(&prevent, Data::None).status, GOOD);
    assert_eq!(lu.execute(&eject, Data::None).status, CHECK_CONDITION);
    lu.uio.manage_tasks(TmrKind::AbortTaskSet, &[]);
    assert_eq!(lu.execute(&eject, Data::None).status, CHECK_CONDITION);
    lu.uio.manage_tasks(TmrKind::LunReset, &[]);
    assert_eq!(lu.execute(&eject, Data::None).status, GOOD);
}

#[test]
fn what_is_written_is_read_back_on_memory_and_on_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("file/{}/ds1.img", folder.path().display());
    for cfgstring in ["ram/", &file] {
        let lu = Lu::on(cfgstring);
        assert_eq!(lu.read(7), block(0));
        lu.write(7, 0x77);
        assert_eq!(lu.read(7), block(0x77));
        assert_eq!(lu.counters.commands.load(), 3);
        assert!(matches!(lu.stop(), End::Stopped));
    }
}

#[test]
fn a_heartbeat_is_compared_and_written() {
    let lu = Lu::on("ram/");
    lu.write(3, 1);
    let pulse = |old, new| Data::Out([block(old), block(new)].concat());
    assert_eq!(lu.execute(&compare_and_write(3), pulse(1, 2)).status, GOOD);
    assert_eq!(lu.read(3), block(2));
    let stale = lu.execute(&compare_and_write(3), pulse(1, 3));
    assert_eq!(stale.status, CHECK_CONDITION);
    let sense = stale.sense.unwrap();
    assert_eq!((sense[2], sense[12]), (0x0e, 0x1d), "MISCOMPARE DURING VERIFY OPERATION");
    assert_eq!(lu.read(3), block(2));
    assert_eq!(lu.counters.compare_and_write_good.load(), 1);
    assert_eq!(lu.counters.compare_and_write_miscompare.load(), 1);
}

#[test]
fn a_batch_shares_doorbells_and_every_command_is_answered() {
    let lu = Lu::on("ram/");
    let commands: Vec<_> = lu.uio.act(|kernel| {
        let submit = |lba| kernel.submit(clock::now(), &read(lba, 1), Data::In(512)).unwrap();
        (0..64).map(submit).collect()
    });
    let mut answered: Vec<_> = commands.iter().map(|_| lu.uio.next_answer().handle).collect();
    answered.sort_unstable();
    assert_eq!(answered, commands);
    assert!(lu.uio.doorbells() < commands.len(), "{} doorbells", lu.uio.doorbells());
}

#[test]
fn short_data_in_leaves_a_residual_and_no_stale_byte() {
    for read_length in [true, false] {
        let features = Features { read_length, ..Options::default().features };
        let medium = Media::new().open("test", "ram/", geometry(64), None).unwrap();
        let lu = Lu::with_options(medium, Options { features, ..Options::default() });
        // One block asked for, two expected.
        let answer = lu.execute(&read(0, 1), Data::In(1024));
        assert_eq!(answer.status, GOOD);
        let (sent, residual) = if read_length { (512, 512) } else { (1024, 0) };
        assert_eq!((answer.data_in.len(), answer.residual), (sent, residual));
        assert!(!answer.data_in.contains(&STALE));
        // No Data-In at all, and room for some.
        let answer = lu.execute(&[0; 6], Data::In(512));
        assert_eq!(answer.status, GOOD);
        assert!(!answer.data_in.contains(&STALE));
    }
}

#[test]
fn an_aborted_read_is_answered_when_the_medium_has_given_its_buffer_back() {
    let (medium, requests) = held_medium(64);
    let lu = Lu::new(medium);
    let command = lu.submit(&read(0, 1), Data::In(512));
    let request = requests.recv_timeout(PATIENCE).unwrap();
    lu.uio.abort(&[command]);
    lu.probe(1);
    assert!(!lu.uio.has_answer());
    request.complete(Ok(OpOutput::Done));
    assert_eq!(lu.uio.answer(command).status, TASK_ABORTED);
}

#[test]
fn a_kernel_that_wants_answers_in_order_gets_them_in_order() {
    let features = Features { out_of_order: false, ..Options::default().features };
    let (medium, requests) = held_medium(64);
    let lu = Lu::with_options(medium, Options { features, ..Options::default() });
    let first = lu.submit(&write(0, 1), Data::Out(block(1)));
    let second = lu.submit(&write(1, 1), Data::Out(block(2)));
    let [held, done] = [(); 2].map(|()| requests.recv_timeout(PATIENCE).unwrap());
    done.complete(Ok(OpOutput::Done));
    lu.probe(1);
    assert!(!lu.uio.has_answer());
    held.complete(Ok(OpOutput::Done));
    assert_eq!(lu.uio.answer(first).status, GOOD);
    assert_eq!(lu.uio.answer(second).status, GOOD);
}

#[test]
fn an_abort_drops_what_waits_and_lets_a_write_run_to_its_end() {
    let (medium, requests) = held_medium(64);
    let lu = Lu::new(medium);
    let writing = lu.submit(&write(0, 2), Data::Out([block(1), block(2)].concat()));
    let request = requests.recv_timeout(PATIENCE).unwrap();
    let parked = lu.submit(&write(1, 1), Data::Out(block(3)));
    lu.uio.abort(&[writing, parked]);
    assert_eq!(lu.uio.answer(parked).status, TASK_ABORTED);
    lu.probe(1);
    assert!(!lu.uio.has_answer() && requests.is_empty());
    request.complete(Ok(OpOutput::Done));
    assert_eq!(lu.uio.answer(writing).status, GOOD);
    assert_eq!(lu.counters.aborted.load(), 2);
}

#[test]
fn stopping_blocks_first_and_answers_what_was_accepted() {
    let (medium, requests) = held_medium(64);
    let lu = Lu::new(medium);
    let command = lu.submit(&write(0, 1), Data::Out(block(1)));
    let request = requests.recv_timeout(PATIENCE).unwrap();
    lu.mailbox.send(Message::Stop);
    assert_eq!(lu.asked(), Asked::Block);
    // Not blocked yet: commands still come.
    let last = lu.submit(&[0; 6], Data::None);
    assert_eq!(lu.uio.answer(last).status, GOOD);
    lu.mailbox.send(Message::Blocked);
    lu.probe(1);
    request.complete(Ok(OpOutput::Done));
    assert_eq!(lu.uio.answer(command).status, GOOD);
    assert!(matches!(lu.end(), End::Stopped));
}

#[test]
fn a_medium_that_hangs_does_not_keep_a_unit_from_stopping() {
    let (medium, _requests) = held_medium(64);
    let lu = Lu::new(medium);
    lu.submit(&write(0, 1), Data::Out(block(1)));
    lu.mailbox.send(Message::Stop);
    assert!(matches!(lu.end(), End::StoppedBusy { in_flight: 1 }));
}

#[test]
fn a_removal_ends_it_at_once() {
    let (medium, _requests) = held_medium(64);
    let lu = Lu::new(medium);
    lu.submit(&write(0, 1), Data::Out(block(1)));
    lu.mailbox.remove();
    lu.mailbox.remove();
    assert!(matches!(lu.end(), End::Gone));
}

#[test]
fn a_device_that_vanishes_without_a_word_ends_it_too() {
    let lu = Lu::on("ram/");
    lu.write(0, 1);
    lu.uio.hang_up();
    assert!(matches!(lu.end(), End::Gone));
}

#[test]
fn a_probe_passes_while_the_medium_hangs_and_counts_as_no_command() {
    let (medium, _requests) = held_medium(64);
    let lu = Lu::new(medium);
    lu.submit(&write(0, 1), Data::Out(block(1)));
    lu.probe(1);
    lu.probe(2);
    wait_until(|| lu.counters.commands.load() == 1);
}

#[test]
fn a_smaller_size_is_confirmed_when_nothing_is_in_flight_beyond() {
    let (medium, requests) = held_medium(64);
    let lu = Lu::new(medium);
    let beyond = lu.submit(&write(40, 1), Data::Out(block(1)));
    let request = requests.recv_timeout(PATIENCE).unwrap();
    let (done, settled) = unbounded();
    lu.mailbox.send(Message::Resize { blocks: BlockCount::new(32), done });
    lu.probe(1);
    assert!(settled.try_recv().is_err(), "a write is in flight at block 40");
    request.complete(Ok(OpOutput::Done));
    assert_eq!(lu.uio.answer(beyond).status, GOOD);
    settled.recv_timeout(PATIENCE).unwrap();

    let told = lu.execute(&[0; 6], Data::None);
    let sense = told.sense.unwrap();
    assert_eq!((sense[2], sense[12], sense[13]), (0x06, 0x2a, 0x09), "CAPACITY DATA HAS CHANGED");
    let refused = lu.execute(&read(40, 1), Data::In(512)).sense.unwrap();
    assert_eq!((refused[2], refused[12]), (0x05, 0x21), "LBA OUT OF RANGE");
}

#[test]
fn the_write_cache_can_be_switched() {
    const CACHING: [u8; 6] = [0x1a, 8, 0x08, 0, 0xff, 0];
    let (medium, _requests) = held_medium(64);
    let lu = Lu::new(medium);
    let enabled = || lu.execute(&CACHING, Data::In(64)).data_in[4 + 2] & 0x04 != 0;
    assert!(enabled());
    lu.mailbox.send(Message::SetWriteCache(false));
    lu.probe(1);
    let sense = lu.execute(&[0; 6], Data::None).sense.unwrap();
    assert_eq!((sense[2], sense[12], sense[13]), (0x06, 0x2a, 0x01), "MODE PARAMETERS CHANGED");
    assert!(!enabled());
}

#[test]
fn settings_change_while_it_serves() {
    let lu = Lu::on("ram/");
    let blocks_max = NonZeroU8::new(8).unwrap();
    let config = LuConfig { compare_and_write_blocks_max: blocks_max, ..LuConfig::default() };
    lu.mailbox.send(Message::Reconfigure(config));
    lu.probe(1);
    let told = lu.execute(&[0; 6], Data::None).sense.unwrap();
    assert_eq!((told[2], told[12], told[13]), (0x06, 0x3f, 0x03), "INQUIRY DATA HAS CHANGED");
    let limits = lu.execute(&[0x12, 1, 0xb0, 0, 64, 0], Data::In(64)).data_in;
    assert_eq!(limits[5], 8);
}

#[test]
fn the_unit_is_asked_for_its_name_once_and_only_when_somebody_wants_it() {
    let lu = Lu::on("ram/");
    lu.write(0, 1);
    assert!(lu.asked.is_empty());
    let first = lu.submit(&SERIAL_NUMBER, Data::In(255));
    assert_eq!(lu.asked(), Asked::Query(Query::Identity));
    lu.mailbox.send(Message::Identity(Identity::new("abc-1")));
    assert_eq!(&lu.uio.answer(first).data_in[4..9], b"abc-1");
    let again = lu.execute(&SERIAL_NUMBER, Data::In(255));
    assert_eq!(&again.data_in[4..9], b"abc-1");
    assert!(lu.asked.is_empty());
}

#[test]
fn a_host_sets_the_state_of_a_group_and_hears_how_that_went() {
    let lu = Lu::on("ram/");
    let group = PortGroup {
        id: 1,
        preferred: false,
        state: AccessState::ActiveOptimized,
        supported: AccessStates::NONE.with(AccessState::Standby),
        implicit: true,
        explicit: true,
        status_code: 0,
        ports: vec![1],
    };
    let list = vec![0, 0, 0, 0, 0x02, 0, 0, 1];
    let cdb = [0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0];
    for (changed, status) in [(true, GOOD), (false, CHECK_CONDITION)] {
        let command = lu.submit(&cdb, Data::Out(list.clone()));
        assert_eq!(lu.asked(), Asked::Query(Query::PortGroups));
        lu.mailbox.send(Message::PortGroups(vec![group.clone()]));
        let Asked::SetAccessStates(request, changes) = lu.asked() else {
            panic!("the states are not set")
        };
        assert_eq!(changes, [AccessStateChange { group: 1, state: AccessState::Standby }]);
        lu.mailbox.send(Message::AccessStatesSet { request, changed });
        assert_eq!(lu.uio.answer(command).status, status);
    }
}

#[test]
fn an_answer_waits_for_a_buffer_that_a_handler_keeps_and_no_longer() {
    let kept: Arc<Mutex<Option<Buffer>>> = Arc::default();
    let medium = FnMedium({
        let kept = kept.clone();
        move |mut request: Request| {
            *kept.lock().unwrap() = Some(std::mem::take(request.buffer_mut()));
            request.complete(Ok(OpOutput::Done));
        }
    });
    let lu = Lu::new(Arc::new(medium));
    let command = lu.submit(&write(0, 1), Data::Out(block(1)));
    wait_until(|| kept.lock().unwrap().is_some());
    lu.probe(1);
    assert!(!lu.uio.has_answer(), "the kernel would reuse the blocks");
    // No event, no message, no completion: only the conductor's own patience.
    drop(kept.lock().unwrap().take());
    assert_eq!(lu.uio.answer(command).status, GOOD);
}

#[test]
fn a_backstore_that_drops_requests_fails_them() {
    let lu = Lu::new(Arc::new(FnMedium(drop::<Request>)));
    for _ in 0..3 {
        let sense = lu.execute(&write(0, 1), Data::Out(block(1))).sense.unwrap();
        assert_eq!((sense[2], sense[12]), (0x04, 0x44), "INTERNAL TARGET FAILURE");
    }
    assert_eq!(lu.counters.errors.load(), 3);
}

#[test]
fn a_worker_that_panics_fails_its_request_alone() {
    let workers = Workers::start("test", std::num::NonZeroUsize::MIN, |request: Request| {
        let unlucky = Op::Write { range: range(13), durable: true };
        assert!(request.op() != unlucky, "unlucky");
        request.complete(Ok(OpOutput::Done));
    });
    let workers = workers.unwrap();
    let lu = Lu::new(Arc::new(FnMedium(move |request| workers.submit(request))));
    lu.write(12, 1);
    let sense = lu.execute(&write(13, 1), Data::Out(block(1))).sense.unwrap();
    assert_eq!((sense[2], sense[12]), (0x04, 0x44), "INTERNAL TARGET FAILURE");
    lu.write(14, 1);
}

fn range(lba: u64) -> pulsefield_units::LbaRange {
    LbaRange::new(Lba::new(lba), BlockCount::new(1)).unwrap()
}

#[test]
fn bulk_without_end_keeps_nobody_from_being_heard() {
    // Every answered read is followed by the next at once: there is always something to do.
    let lu = Lu::on("null/");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let over = Over(&is_over);
        let initiator = scope.spawn(|| {
            for lba in 0..64 {
                lu.submit(&read(lba, 1), Data::In(512));
            }
            let mut answered = 0_u32;
            while !is_over.load(Ordering::Relaxed) {
                lu.uio.next_answer();
                lu.submit(&read(0, 1), Data::In(512));
                answered += 1;
            }
            for _ in 0..64 {
                lu.uio.next_answer();
            }
            answered
        });
        for number in 1..=50 {
            lu.probe(number);
            let (done, settled) = unbounded();
            lu.mailbox.send(Message::Resize { blocks: BlockCount::new(64), done });
            settled.recv_timeout(PATIENCE).unwrap();
        }
        drop(over);
        initiator.join().unwrap();
    });
    assert!(matches!(lu.stop(), End::Stopped));
}

#[test]
fn no_wake_up_is_lost() {
    const ROUNDS: usize = 4_000;
    // One request at a time, completed by another thread sooner or later around the moment at which
    // the conductor goes to sleep.
    let (medium, requests) = held_medium(64);
    let lu = Lu::new(medium);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let _over = Over(&is_over);
        scope.spawn(|| {
            for round in 0..ROUNDS {
                let request = loop {
                    match requests.try_recv() {
                        Ok(request) => break request,
                        Err(_) if is_over.load(Ordering::Relaxed) => return,
                        Err(_) => std::hint::spin_loop(),
                    }
                };
                for _ in 0..round % 400 {
                    std::hint::spin_loop();
                }
                request.complete(Ok(OpOutput::Done));
            }
        });
        for _ in 0..ROUNDS {
            lu.write(0, 1);
        }
    });
}
