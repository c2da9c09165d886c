//! The test bench: a unit's thread between a simulated kernel and a medium.
//!
//! A test reads as a timeline: `submit` a command as LIO would, let the thread work, take the
//! `answer`. Whatever is waited for has a deadline far beyond what it can take, so that a wake-up
//! that is lost fails the test instead of hanging it.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use pulsefield_backstore::{
    Backstore, Capabilities, Cfgstring, Geometry, Handler, OpTag, OpenError, OpenSpec, Request,
};
use pulsefield_control::protocol::LunState;
use pulsefield_engine::{AccessStateChange, LuConfig, Query, SavedState};
use pulsefield_kernel::UioError;
use pulsefield_record::Reason;
use pulsefield_ring::simulated_kernel::{
    Data, Finished, Options, Reset, SimulatedKernel, Submitted,
};
use pulsefield_ring::{Mapping, Ring, TmrKind};
use pulsefield_units::{BlockCount, BlockLength};

use crate::clock::{self, Clock};
use crate::conductor::Surroundings;
use crate::lun::Arrival;
use crate::pool::{Pools, Share};
use crate::recording::RecordOrders;
use crate::station::{Mailbox, Message, Station};
use crate::table::{Service, Unit};
use crate::uio::{MapError, Uio};

/// Longer than anything takes that happens at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for a condition; fails rather than waits for ever.
#[track_caller]
pub(crate) fn wait_until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain");
        thread::yield_now();
    }
}

/// What a thread that is about to end came to.
#[track_caller]
pub(crate) fn joined<T>(thread: JoinHandle<T>) -> T {
    wait_until(|| thread.is_finished());
    thread.join().unwrap()
}

/// Whether nobody is left who could send anything, which is waited for.
pub(crate) fn is_closed<T>(receiver: &Receiver<T>) -> bool {
    matches!(receiver.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected))
}

/// Tells threads of a scope that it is over when this is dropped, also where an assertion fails: a scope waits for
/// its threads, and they would go on for ever.
pub(crate) struct Over<'a>(pub(crate) &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What Data-In blocks hold before anybody writes into them: what another command left there.
pub(crate) const STALE: u8 = 0xa5;

pub(crate) const BLOCK_LENGTH: BlockLength = BlockLength::B512;

pub(crate) fn geometry(blocks: u64) -> Geometry {
    Geometry { block_length: BLOCK_LENGTH, blocks: BlockCount::new(blocks) }
}

/// One block of `fill`.
pub(crate) fn block(fill: u8) -> Vec<u8> {
    vec![fill; 512]
}

/// The device of a simulated kernel: its initiators on one side, its UIO device on the other.
pub(crate) struct SimulatedUio {
    kernel: Mutex<SimulatedKernel>,
    /// Readable after each event, as the UIO device is.
    events: UnixStream,
    notify: UnixStream,
    finished: Sender<Finished>,
    answers: Receiver<Finished>,
    doorbells: AtomicUsize,
    /// Called before the ring is mapped again.
    on_map: OnMap,
}

type OnMap = Box<dyn Fn(&SimulatedUio, &mut SimulatedKernel) + Send + Sync>;

impl SimulatedUio {
    pub(crate) fn new(options: Options) -> Arc<Self> {
        Self::with_reset(options, |_, _| {})
    }

    /// With `on_map` standing in for what the kernel does when it is asked to reset the ring.
    pub(crate) fn with_reset(
        options: Options,
        on_map: impl Fn(&Self, &mut SimulatedKernel) + Send + Sync + 'static,
    ) -> Arc<Self> {
        let options = Options { tmr_notification: true, dirt: Some(STALE), ..options };
        let (events, notify) = UnixStream::pair().unwrap();
        events.set_nonblocking(true).unwrap();
        let (finished, answers) = unbounded();
        Arc::new(Self {
            kernel: Mutex::new(SimulatedKernel::new(options).unwrap()),
            events,
            notify,
            finished,
            answers,
            doorbells: AtomicUsize::new(0),
            on_map: Box::new(on_map),
        })
    }

    pub(crate) fn kernel(&self) -> MutexGuard<'_, SimulatedKernel> {
        self.kernel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What polls as readable when there are events.
    pub(crate) fn events(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }

    pub(crate) fn attach(&self) -> Ring {
        Ring::attach(self.kernel().mapping()).unwrap()
    }

    /// Does something as the kernel, and tells of it as the kernel would.
    pub(crate) fn act<T>(&self, act: impl FnOnce(&mut SimulatedKernel) -> T) -> T {
        let mut kernel = self.kernel();
        let before = kernel.event_count();
        let result = act(&mut kernel);
        if kernel.event_count() != before {
            // Nobody need have read the last one, and there is little room for more.
            self.forget_events();
            (&self.notify).write_all(&[1]).unwrap();
        }
        result
    }

    fn forget_events(&self) {
        let forgotten = (&self.events).read_exact(&mut [0]);
        assert!(
            forgotten.map_or_else(|error| error.kind() == io::ErrorKind::WouldBlock, |()| true)
        );
    }

    /// Sends a command as an initiator would.
    pub(crate) fn submit(&self, cdb: &[u8], data: Data) -> Submitted {
        self.act(|kernel| kernel.submit(clock::now(), cdb, data)).unwrap()
    }

    /// Aborts commands, as LIO would.
    pub(crate) fn abort(&self, commands: &[Submitted]) {
        self.manage_tasks(TmrKind::AbortTask, commands);
    }

    /// Carries out a task management function that aborts these commands.
    pub(crate) fn manage_tasks(&self, kind: TmrKind, commands: &[Submitted]) {
        let finished = self.act(|kernel| kernel.task_management(kind, commands));
        assert!(finished.is_empty(), "nothing waits for room");
    }

    /// The answer that comes next.
    pub(crate) fn next_answer(&self) -> Finished {
        self.answers.recv_timeout(PATIENCE).expect("no answer: a wake-up was lost")
    }

    /// The answer to a command that is the next to be answered.
    pub(crate) fn answer(&self, command: Submitted) -> Finished {
        let answer = self.next_answer();
        assert_eq!(answer.handle, command, "another command was answered");
        answer
    }

    pub(crate) fn execute(&self, cdb: &[u8], data: Data) -> Finished {
        let command = self.submit(cdb, data);
        self.answer(command)
    }

    /// Whether an answer is there already.
    pub(crate) fn has_answer(&self) -> bool {
        !self.answers.is_empty()
    }

    pub(crate) fn doorbells(&self) -> usize {
        self.doorbells.load(Ordering::Relaxed)
    }

    /// What `reset_ring` does.
    pub(crate) fn reset(&self, kernel: &mut SimulatedKernel) {
        for finished in kernel.reset_ring(clock::now(), Reset::Busy) {
            self.finished.send(finished).unwrap();
        }
    }

    /// The device is removed: its descriptor is no more than an error.
    pub(crate) fn hang_up(&self) {
        self.notify.shutdown(std::net::Shutdown::Both).unwrap();
    }
}

impl Uio for Arc<SimulatedUio> {
    fn map(&self) -> Result<Arc<Mapping>, MapError> {
        self.act(|kernel| {
            (self.on_map)(self, kernel);
            Ok(kernel.mapping())
        })
    }

    fn take_events(&self) -> Result<(), UioError> {
        self.forget_events();
        Ok(())
    }

    fn ring_doorbell(&self) -> Result<(), UioError> {
        self.doorbells.fetch_add(1, Ordering::Relaxed);
        for finished in self.act(|kernel| kernel.doorbell(clock::now())) {
            // The test may have ended.
            let _ = self.finished.send(finished);
        }
        Ok(())
    }
}

/// What a conductor asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Query(Query),
    SetAccessStates(OpTag, Vec<AccessStateChange>),
    Save(u64, SavedState),
    Block,
    Dump(Reason),
}

/// Surroundings that leave every answer to the test, but for what a unit has saved: that is nothing.
pub(crate) struct Listening {
    asked: Sender<Asked>,
    mailbox: Mailbox,
}

impl Listening {
    pub(crate) fn new(asked: Sender<Asked>, mailbox: Mailbox) -> Self {
        Self { asked, mailbox }
    }
}

impl Surroundings for Listening {
    fn ask(&self, query: Query) {
        let _ = self.asked.send(Asked::Query(query));
    }

    fn load(&self) {
        self.mailbox.send(Message::Restored(SavedState::default()));
    }

    fn save(&self, number: u64, state: SavedState) {
        let _ = self.asked.send(Asked::Save(number, state));
    }

    fn set_access_states(&self, request: OpTag, changes: Vec<AccessStateChange>) {
        let _ = self.asked.send(Asked::SetAccessStates(request, changes));
    }

    fn join_pool(&self, name: &str) -> Share {
        Pools::default().join(name)
    }

    fn block(&self) {
        let _ = self.asked.send(Asked::Block);
    }

    fn open_record(&self, orders: RecordOrders, shape: Geometry) {
        if let Some(recorder) = orders.open(shape, false, Clock::Machine) {
            self.mailbox.send(Message::Recorder { orders, recorder });
        }
    }

    fn dump_record(&self, _orders: RecordOrders, reason: Reason) {
        let _ = self.asked.send(Asked::Dump(reason));
    }
}

/// A medium whose requests wait until the test completes them.
pub(crate) struct HeldMedium {
    blocks: AtomicU64,
    requests: Sender<Request>,
}

/// A [`HeldMedium`] with so many blocks, and its requests.
pub(crate) fn held_medium(blocks: u64) -> (Arc<HeldMedium>, Receiver<Request>) {
    let (sender, requests) = unbounded();
    (Arc::new(HeldMedium { blocks: AtomicU64::new(blocks), requests: sender }), requests)
}

impl Backstore for HeldMedium {
    fn geometry(&self) -> Geometry {
        geometry(self.blocks.load(Ordering::Relaxed))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { write_cache: true, ..Capabilities::default() }
    }

    fn submit(&self, request: Request) {
        // Comes back, is dropped and answers for itself if the test does not listen.
        drop(self.requests.send(request));
    }

    fn resize(&self, blocks: BlockCount) -> Result<(), OpenError> {
        self.blocks.store(blocks.as_u64(), Ordering::Relaxed);
        Ok(())
    }
}

/// A medium that answers as `submit` does.
pub(crate) struct FnMedium<F>(pub(crate) F);

impl<F: Fn(Request) + Send + Sync> Backstore for FnMedium<F> {
    fn geometry(&self) -> Geometry {
        geometry(64)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    fn submit(&self, request: Request) {
        (self.0)(request);
    }

    fn resize(&self, _blocks: BlockCount) -> Result<(), OpenError> {
        Err(OpenError::ReadOnly { path: "the test's medium".to_owned() })
    }
}

/// A handler that panics whenever it is asked for something.
pub(crate) struct BuggyHandler;

impl Handler for BuggyHandler {
    fn name(&self) -> &'static str {
        "buggy"
    }

    fn description(&self) -> &'static str {
        "buggy/ panics."
    }

    fn options(&self) -> &'static [&'static str] {
        &[]
    }

    fn check(&self, _config: &Cfgstring) -> Result<(), OpenError> {
        panic!("a bug of the handler")
    }

    fn open(&self, _spec: &OpenSpec) -> Result<Arc<dyn Backstore>, OpenError> {
        panic!("a bug of the handler")
    }
}

/// What reaches the unit whose thread waits at `station`.
pub(crate) fn service(station: &Station, medium: &Arc<dyn Backstore>) -> Service {
    Service {
        mailbox: station.mailbox(),
        medium: Arc::downgrade(medium),
        geometry: medium.geometry(),
        emulate_write_cache: false,
        probed: 0,
        heard: 0,
    }
}

/// A unit `name` that serves `medium`; what it is told lands at `station`.
pub(crate) fn serving_unit(name: &str, station: &Station, medium: &Arc<dyn Backstore>) -> Unit {
    Unit {
        name: format!("tcm-user/0/{name}/pulsefield/ram/").parse().unwrap(),
        arrival: Arrival::Announced,
        counters: Arc::default(),
        state: LunState::Serving,
        thread: None,
        service: Some(service(station, medium)),
        unanswered: None,
        doomed: false,
    }
}

/// A station at which no device ever calls.
pub(crate) fn station() -> Station {
    // The other end is closed, which nobody hears before waiting.
    let (events, _) = UnixStream::pair().unwrap();
    Station::new(events.as_fd(), LuConfig::default()).unwrap()
}
