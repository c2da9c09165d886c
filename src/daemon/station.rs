//! The station of a unit's thread: where it waits, how others reach it, and what of their orders
//! holds on when a conductor breaks down and the next one takes over.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use pulsefield_backstore::{Backstore, OpTag};
use pulsefield_engine::{Identity, LuConfig, PortGroup, SavedState, limits};
use pulsefield_faults::{Disarm, FaultReport, Plan, PlanId, Saboteur};
use pulsefield_record::Recorder;
use pulsefield_scsi::parameter::Ascii;
use pulsefield_units::{BlockCount, Instant};

use crate::change_medium::MediumChange;
use crate::clock::Clock;
use crate::completions::Completions;
use crate::conductor::Origin;
use crate::copying::{CopyEnd, CopyRequest, Reachable};
use crate::hosts::{Host, Hosts};
use crate::latency::{Book, Deadlines, Latency};
use crate::polling::{Polling, SpareProcessors};
use crate::precedence::Precedence;
use crate::recording::RecordOrders;

const UIO: Token = Token(0);
const WAKE: Token = Token(1);
const MEDIUM: Token = Token(2);

/// What a conductor is told by others.
pub(crate) enum Message {
    /// Have the device blocked, answer what was accepted, and end.
    Stop,
    /// The device is blocked, or cannot be: no more commands are to be expected.
    Blocked,
    /// Use these settings from now on.
    Reconfigure(LuConfig),
    /// The medium has this many blocks; `done` hears of it once nothing is in flight beyond them.
    Resize { blocks: BlockCount, done: Sender<()> },
    /// Serve another medium.
    ChangeMedium(MediumChange),
    /// WCE on or off.
    SetWriteCache(bool),
    /// Answer to [`pulsefield_engine::Query::Identity`].
    Identity(Identity),
    /// Answer to [`pulsefield_engine::Query::PortGroups`].
    PortGroups(Vec<PortGroup>),
    /// Answer to [`pulsefield_engine::Query::Initiators`].
    Initiators(u32),
    /// How a [`pulsefield_engine::Action::SetAccessStates`] went.
    AccessStatesSet { request: OpTag, changed: bool },
    /// What the unit has saved, as asked for by [`Surroundings::load`](crate::conductor::Surroundings).
    Restored(SavedState),
    /// For how long the kernel waits for an answer.
    CommandTimeOut(Duration),
    /// How the saving with this number went.
    Saved { number: u64, on_stable_storage: bool },
    /// Answer to [`pulsefield_engine::Query::CopyPeers`].
    CopyPeers(Vec<Reachable>),
    /// Do this part of another unit's copy.
    CopyRequest(CopyRequest),
    /// A part of a copy that another unit was asked for has ended.
    CopyEnd(CopyEnd),
    /// Arm the rules of this plan that are for the unit, which is called `lun`.
    Arm { plan: Arc<Plan>, lun: String, done: Sender<PlanId> },
    /// These are the deadlines of commands.
    SetDeadlines(Deadlines),
    /// Look for work before sleeping, while there are spare processors, or never.
    SetPolling(Option<SpareProcessors>),
    /// Tell what is known of latencies, and forget it if `clear` says so.
    ReportLatency { clear: bool, reply: Sender<Book> },
    /// Tell which hosts pulse.
    ReportHosts { reply: Sender<Vec<Host>> },
    /// Record as these say.
    Record(RecordOrders),
    /// The record as it was asked for by [`Surroundings::open_record`](crate::conductor::Surroundings).
    Recorder { orders: RecordOrders, recorder: Box<Recorder> },
    /// Do about faults as the configuration says, instead of what it said before.
    ConfigureFaults(FaultOrders),
    /// Disarm rules; `done` hears how many there were.
    Disarm { which: Disarm, done: Sender<usize> },
    /// Tell what is armed, and the hits from this number on.
    ReportFaults { since: u64, reply: Sender<FaultReport> },
    /// Prove that commands get through: one goes through the device server, then this is noted.
    Probe(u64),
}

/// Tells a unit's thread something, from any thread.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox {
    sender: Sender<Message>,
    removed: Sender<()>,
    completions: Arc<Completions>,
    pulse: Arc<Pulse>,
}

/// What a unit's thread and those who reach it show each other.
#[derive(Debug, Default)]
struct Pulse {
    /// Whether something was sent that was not looked for yet.
    mail: AtomicBool,
    conducting: AtomicBool,
    probe_passed: AtomicU64,
    /// Since when the thread is inside its medium, in nanoseconds of the clock; 0 while it is not.
    in_medium_since: AtomicU64,
}

impl Mailbox {
    /// Leaves a message; a thread that has ended never reads it.
    pub(crate) fn send(&self, message: Message) {
        if self.sender.send(message).is_ok() {
            self.tell();
        }
    }

    /// Says that the kernel removes the device: nothing is in flight, and nothing may be asked of
    /// it. Heard also between two conductors, and before any message.
    pub(crate) fn remove(&self) {
        // Full if it was said before.
        if self.removed.try_send(()).is_ok() {
            self.tell();
        }
    }

    /// Has the thread look for what was just sent.
    fn tell(&self) {
        // Release: whoever sees it finds what was sent before.
        self.pulse.mail.store(true, Ordering::Release);
        self.completions.wake();
    }

    /// Whether a conductor is at work, who alone answers probes. Otherwise the thread starts again
    /// or closes the medium; how long it may wait for that is bounded elsewhere.
    pub(crate) fn is_conducting(&self) -> bool {
        self.pulse.conducting.load(Ordering::Relaxed)
    }

    /// Whether the thread sleeps, or is about to: it had nothing to do when it last looked.
    pub(crate) fn is_asleep(&self) -> bool {
        self.completions.is_asleep()
    }

    /// The last probe that went through.
    pub(crate) fn probe_passed(&self) -> u64 {
        self.pulse.probe_passed.load(Ordering::Relaxed)
    }

    /// Since when the thread has been waiting for its medium, if it does that itself: a medium that expects
    /// not to wait does what it is asked for at once, and may be wrong.
    pub(crate) fn in_medium_since(&self) -> Option<Instant> {
        match self.pulse.in_medium_since.load(Ordering::Relaxed) {
            0 => None,
            since => Some(Instant::from_nanos(since)),
        }
    }
}

/// What was ordered and holds until something else is: a new conductor starts with it.
pub(crate) struct Orders {
    pub(crate) config: LuConfig,
    /// WCE, if it is not what the medium starts with.
    pub(crate) write_cache: Option<bool>,
    /// The number of blocks, if it is, or is about to be, another than when the medium was opened.
    pub(crate) blocks: Option<BlockCount>,
    pub(crate) stop: bool,
    /// PRODUCT IDENTIFICATION while faults are armed, if another than ever.
    pub(crate) faulty_product: Option<Ascii<16>>,
}

/// What the configuration says about the faults of a unit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FaultOrders {
    /// The unit's name, by which rules choose.
    pub(crate) lun: String,
    /// The plan to arm.
    pub(crate) plan: Option<Arc<Plan>>,
    /// PRODUCT IDENTIFICATION while faults are armed, if another than ever.
    pub(crate) product: Option<Ascii<16>>,
}

/// Where a unit's thread waits for its device, for messages and for completions.
pub(crate) struct Station {
    poll: Poll,
    events: Events,
    /// What becomes readable when the medium has something to be reaped.
    medium: Option<RawFd>,
    inbox: Receiver<Message>,
    removed: Receiver<()>,
    mailbox: Mailbox,
    /// How many conductors have worked here.
    conductors: u64,
    pub(crate) clock: Clock,
    pub(crate) orders: Orders,
    /// Faults, once any were armed. They go on when a conductor breaks down.
    pub(crate) saboteur: Option<Saboteur<Origin>>,
    /// The plan that the configuration has armed.
    pub(crate) configured: Option<(Arc<Plan>, PlanId)>,
    /// How often something was saved, by all conductors: their numbers are not used again.
    pub(crate) saves: u64,
    /// How long commands take; goes on when a conductor breaks down.
    pub(crate) latency: Latency,
    /// Whether to look for work before sleeping; goes on too.
    pub(crate) polling: Polling,
    /// Whether the thread goes before everybody; goes on too.
    pub(crate) precedence: Precedence,
    /// Which hosts pulse; goes on too.
    pub(crate) hosts: Hosts,
    /// The length of the data area, as long as it is known.
    pub(crate) data_area_bytes: u64,
}

/// What ended a wait.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Awake {
    /// Something may have come in.
    Look,
    /// So much time has passed.
    TimedOut,
    /// The device is gone.
    Gone,
}

impl Station {
    /// A place to wait for the device behind `uio`.
    ///
    /// # Errors
    /// If the operating system has no more descriptors.
    pub(crate) fn new(uio: BorrowedFd<'_>, config: LuConfig) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        // Edge-triggered: every event of the kernel is one wake-up, so the device's event counter
        // need not be read each time, which saves a system call per batch.
        let uio = uio.as_raw_fd();
        poll.registry().register(&mut SourceFd(&uio), UIO, Interest::READABLE)?;
        let (sender, inbox) = crossbeam_channel::unbounded();
        let (remove, removed) = crossbeam_channel::bounded(1);
        let completions = Completions::new(waker);
        let mailbox = Mailbox { sender, removed: remove, completions, pulse: Arc::default() };
        let orders =
            Orders { config, write_cache: None, blocks: None, stop: false, faulty_product: None };
        let events = Events::with_capacity(4);
        let conductors = 0;
        let (saboteur, saves) = (None, 0);
        let configured = None;
        Ok(Self {
            poll,
            events,
            medium: None,
            inbox,
            removed,
            mailbox,
            conductors,
            clock: Clock::Machine,
            orders,
            saboteur,
            configured,
            saves,
            latency: Latency::default(),
            polling: Polling::default(),
            precedence: Precedence::default(),
            hosts: Hosts::default(),
            data_area_bytes: u64::MAX,
        })
    }

    pub(crate) fn mailbox(&self) -> Mailbox {
        self.mailbox.clone()
    }

    pub(crate) fn completions(&self) -> &Arc<Completions> {
        &self.mailbox.completions
    }

    /// Becomes ready when [`Mailbox::remove`] is called.
    pub(crate) fn removed(&self) -> &Receiver<()> {
        &self.removed
    }

    /// Whether anything may have been sent since this was last asked: a look at a flag between any two
    /// actions, instead of one at each queue.
    pub(crate) fn has_mail(&self) -> bool {
        let mail = &self.mailbox.pulse.mail;
        // Acquire: see `Mailbox::tell`.
        mail.load(Ordering::Relaxed) && mail.swap(false, Ordering::Acquire)
    }

    /// The next message, if there is one.
    pub(crate) fn message(&self) -> Option<Message> {
        self.inbox.try_recv().ok()
    }

    /// How many rules of faults are armed.
    pub(crate) fn faults_armed(&self) -> u64 {
        self.saboteur.as_ref().map_or(0, Saboteur::armed_rules)
    }

    /// The settings of the unit as initiators see them.
    pub(crate) fn config(&self) -> LuConfig {
        let Orders { config, faulty_product, .. } = &self.orders;
        let product = match faulty_product {
            Some(product) if self.faults_armed() > 0 => *product,
            Some(_) | None => config.product,
        };
        let transfer_bytes_max = limits::transfer_bytes_max(self.data_area_bytes);
        LuConfig { product, transfer_bytes_max, ..config.clone() }
    }

    /// The number of a new conductor: what its predecessors still wait for is not for it, but what they
    /// have not read is.
    pub(crate) fn number_conductor(&mut self) -> u64 {
        self.mailbox.pulse.mail.store(true, Ordering::Relaxed);
        self.conductors += 1;
        self.conductors
    }

    /// Says whether a conductor is at work.
    pub(crate) fn set_conducting(&self, conducting: bool) {
        // One that has panicked inside the medium is there no longer.
        self.leave_medium();
        self.mailbox.pulse.conducting.store(conducting, Ordering::Relaxed);
    }

    /// Notes that a probe went through.
    pub(crate) fn pass_probe(&self, number: u64) {
        self.mailbox.pulse.probe_passed.store(number, Ordering::Relaxed);
    }

    /// Shows that the thread is inside its medium from `now` on, which may be when it last looked at the clock:
    /// whoever wonders about it thinks in seconds.
    pub(crate) fn enter_medium(&self, now: Instant) {
        self.mailbox.pulse.in_medium_since.store(now.as_nanos(), Ordering::Relaxed);
    }

    /// Shows that it has come back.
    pub(crate) fn leave_medium(&self) {
        self.mailbox.pulse.in_medium_since.store(0, Ordering::Relaxed);
    }

    /// Has the thread wake when `medium` has something to be reaped, and no longer for the medium before it,
    /// which must still be open.
    ///
    /// # Errors
    /// If the operating system refuses; it wakes for neither then.
    pub(crate) fn watch_medium(&mut self, medium: &dyn Backstore) -> io::Result<()> {
        if let Some(before) = self.medium.take() {
            self.poll.registry().deregister(&mut SourceFd(&before))?;
        }
        if let Some(ended) = medium.ended() {
            let ended = ended.as_raw_fd();
            self.poll.registry().register(&mut SourceFd(&ended), MEDIUM, Interest::READABLE)?;
            self.medium = Some(ended);
        }
        Ok(())
    }

    /// Whether nothing was sent since [`Self::has_mail`] was last asked.
    pub(crate) fn is_quiet(&self) -> bool {
        !self.mailbox.pulse.mail.load(Ordering::Relaxed)
    }

    /// Sleeps until something may have come in, at most for `timeout`. The caller has announced it
    /// ([`Completions::announce_sleep`]) and looked for work once more since.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub(crate) fn sleep(&mut self, timeout: Option<Duration>) -> io::Result<Awake> {
        self.events.clear();
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let gone = |event: &mio::event::Event| {
            event.token() == UIO && (event.is_error() || event.is_read_closed())
        };
        Ok(match self.events.is_empty() {
            true => Awake::TimedOut,
            false if self.events.iter().any(gone) => Awake::Gone,
            false => Awake::Look,
        })
    }
}
