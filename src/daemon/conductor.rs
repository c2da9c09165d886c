//! The conductor: moves commands between one ring, one device server and one medium.
//!
//! One thread, one owner of everything. It looks at the ring between any two actions, so that a
//! heartbeat that comes in while bulk is being started is started before the rest of that bulk; it
//! rings the doorbell at once for a heartbeat and in batches for everything else; and it sleeps only
//! after it has announced that and looked for work once more.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use pulsefield_backstore::{Backstore, Request};
use pulsefield_data::Buffer;
use pulsefield_engine::{
    Action, Answer, DeviceServer, Identity, Incoming, Lane, LuConfig, PortGroup, Query,
};
use pulsefield_kernel::{UioError, UioFile};
use pulsefield_ring::{self as ring, CommandToken, DataIn, Entry, Ring, RingCommand, RingError};
use pulsefield_scsi::{Asc, Sense, SenseKey, Status, opcode};
use pulsefield_units::{BlockCount, Cdb, Instant};
use tracing::{debug, error};

use crate::clock;
use crate::completions::Completions;
use crate::counters::{Counters, CountingObserver};

const UIO: Token = Token(0);
const WAKE: Token = Token(1);

/// Answers collected before the doorbell is rung for bulk.
const ANSWERS_PER_DOORBELL: usize = 32;

/// How long a stopping logical unit may take to answer what it has accepted.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// What a conductor is told by others.
pub(crate) enum Message {
    /// Answer what was accepted, and end.
    Stop,
    /// The kernel removes the device; nothing is in flight, and nothing may be asked of it.
    Removed,
    /// Use these settings from now on.
    Reconfigure(LuConfig),
    /// The medium has this many blocks; `done` hears of it once nothing is in flight beyond them.
    Resize { blocks: BlockCount, done: Sender<()> },
    /// WCE on or off.
    SetWriteCache(bool),
    /// Answer to [`Query::Identity`].
    Identity(Identity),
    /// Answer to [`Query::PortGroups`].
    PortGroups(Vec<PortGroup>),
    /// Prove that commands get through: one goes through the device server, then this is noted.
    Probe(u64),
}

/// Why a conductor ended.
#[derive(Debug)]
pub(crate) enum End {
    /// It was told to, and has answered everything.
    Stopped,
    /// It was told to, and so many commands did not end in time.
    StoppedBusy { in_flight: usize },
    /// The kernel removed the device.
    Gone,
    /// The ring holds something no kernel writes.
    Broken(RingError),
    /// The operating system refused something it never refuses.
    Failed(io::Error),
}

/// Tells a conductor something, from any thread.
#[derive(Clone)]
pub(crate) struct Mailbox {
    sender: Sender<Message>,
    completions: Arc<Completions>,
    probe_passed: Arc<AtomicU64>,
}

impl Mailbox {
    /// Leaves a message; a conductor that has ended never reads it.
    pub(crate) fn send(&self, message: Message) {
        if self.sender.send(message).is_ok() {
            self.completions.wake();
        }
    }

    /// The last probe that went through.
    pub(crate) fn probe_passed(&self) -> u64 {
        self.probe_passed.load(Ordering::Relaxed)
    }
}

/// What outlives a conductor that panics: where it waits, and what others know it by.
pub(crate) struct Station {
    poll: Poll,
    inbox: Receiver<Message>,
    mailbox: Mailbox,
}

impl Station {
    /// A place to wait for `uio`, for messages and for completions.
    ///
    /// # Errors
    /// If the operating system has no more descriptors.
    pub(crate) fn new(uio: &UioFile) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        // Edge-triggered: every event of the kernel is one wake-up, so the device's event counter
        // need not be read, which saves a system call per batch.
        let fd = uio.as_fd().as_raw_fd();
        poll.registry().register(&mut SourceFd(&fd), UIO, Interest::READABLE)?;
        let (sender, inbox) = crossbeam_channel::unbounded();
        let completions = Completions::new(waker);
        let mailbox = Mailbox { sender, completions, probe_passed: Arc::default() };
        Ok(Self { poll, inbox, mailbox })
    }

    pub(crate) fn mailbox(&self) -> Mailbox {
        self.mailbox.clone()
    }

    pub(crate) fn completions(&self) -> &Arc<Completions> {
        &self.mailbox.completions
    }
}

/// Where a command came from.
#[derive(Debug)]
pub(crate) enum Origin {
    /// The ring; it must be answered there.
    Ring(CommandToken),
    /// [`Message::Probe`].
    Probe(u64),
}

/// What the world outside does for a conductor.
pub(crate) trait Surroundings {
    /// Finds something out; the answer comes as a [`Message`].
    fn ask(&self, query: Query);
    /// Keeps new commands off the ring from now on.
    fn block(&self);
}

/// A logical unit at work.
pub(crate) struct Conductor<'a> {
    station: &'a mut Station,
    uio: &'a UioFile,
    surroundings: &'a dyn Surroundings,
    ring: Ring,
    server: DeviceServer<Origin, CountingObserver>,
    backstore: Arc<dyn Backstore>,
    counters: Arc<Counters>,
    /// Answers written since the doorbell was last rung.
    unannounced: usize,
    /// Resizes whose requester still waits.
    resizes: Vec<(BlockCount, Sender<()>)>,
    stopping_since: Option<Instant>,
}

/// Why serving cannot go on.
enum Interruption {
    Ring(RingError),
    Uio(UioError),
    Io(io::Error),
    Gone,
}

impl From<RingError> for Interruption {
    fn from(error: RingError) -> Self {
        Self::Ring(error)
    }
}

impl From<io::Error> for Interruption {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl<'a> Conductor<'a> {
    pub(crate) fn new(
        station: &'a mut Station,
        uio: &'a UioFile,
        surroundings: &'a dyn Surroundings,
        ring: Ring,
        backstore: Arc<dyn Backstore>,
        config: LuConfig,
        counters: Arc<Counters>,
    ) -> Self {
        let server = DeviceServer::new(
            config,
            backstore.geometry(),
            backstore.capabilities(),
            CountingObserver(counters.clone()),
        );
        Self {
            station,
            uio,
            surroundings,
            ring,
            server,
            backstore,
            counters,
            unannounced: 0,
            resizes: Vec::new(),
            stopping_since: None,
        }
    }

    /// Serves until there is a reason to end.
    pub(crate) fn run(mut self) -> End {
        match self.serve() {
            Ok(end) => end,
            Err(Interruption::Gone | Interruption::Uio(UioError::Gone(_))) => End::Gone,
            Err(Interruption::Ring(error)) => End::Broken(error),
            Err(Interruption::Io(error)) => End::Failed(error),
            Err(Interruption::Uio(error)) => End::Failed(io::Error::other(error)),
        }
    }

    fn serve(&mut self) -> Result<End, Interruption> {
        let mut events = Events::with_capacity(4);
        loop {
            self.read_messages()?;
            self.take_in()?;
            self.act()?;
            self.ring_doorbell()?;
            self.answer_resizes();
            if let Some(end) = self.end_if_stopped() {
                return Ok(end);
            }
            self.station.completions().announce_sleep();
            let idle = self.station.inbox.is_empty() && !self.take_in()?;
            if idle {
                // While stopping, time passes without an event; otherwise nothing does.
                let timeout = self.stopping_since.map(|_| DRAIN_TIMEOUT / 10);
                match self.station.poll.poll(&mut events, timeout) {
                    Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                        return Err(error.into());
                    }
                    _ if events.iter().any(|event| event.token() == UIO && event.is_error()) => {
                        return Err(Interruption::Gone);
                    }
                    _ => {}
                }
            }
            self.station.completions().announce_awake();
        }
    }

    fn read_messages(&mut self) -> Result<(), Interruption> {
        while let Ok(message) = self.station.inbox.try_recv() {
            match message {
                Message::Stop => {
                    self.surroundings.block();
                    self.stopping_since.get_or_insert_with(clock::now);
                }
                Message::Removed => return Err(Interruption::Gone),
                Message::Reconfigure(config) => self.server.reconfigure(config),
                Message::Resize { blocks, done } => {
                    self.server.resize(blocks);
                    self.resizes.push((blocks, done));
                }
                Message::SetWriteCache(enabled) => self.server.set_write_cache(enabled),
                Message::Identity(identity) => self.server.on_identity(identity),
                Message::PortGroups(groups) => self.server.on_port_groups(groups),
                Message::Probe(number) => self.probe(number),
            }
        }
        Ok(())
    }

    /// Hands the device server what came from the ring and from the medium; says whether anything
    /// did.
    fn take_in(&mut self) -> Result<bool, RingError> {
        let mut any = false;
        while let Some(completion) = self.station.completions().take() {
            any = true;
            let now = clock::now();
            self.server.on_op_done(now, completion.tag, completion.result, completion.buffer);
        }
        while let Some(entry) = self.ring.next_entry()? {
            any = true;
            match entry {
                Entry::Command(command) => self.take_command(command),
                Entry::Tmr(tmr) => {
                    debug!(kind = ?tmr.kind, commands = ?tmr.command_ids, "task management");
                    self.server.on_abort(clock::now(), &tmr.command_ids);
                }
            }
        }
        Ok(any)
    }

    fn take_command(&mut self, command: RingCommand) {
        let RingCommand { token, cdb, data, data_in: _, malformed } = command;
        if let Some(malformed) = malformed {
            error!(cmd_id = token.cmd_id(), %malformed, "a ring entry makes no sense");
            self.counters.count_malformed();
            let sense = Sense::new(SenseKey::HardwareError, Asc::INTERNAL_TARGET_FAILURE);
            self.answer_ring(token, Status::CheckCondition, Some(sense), None, data);
            return;
        }
        let tag = token.cmd_id();
        let incoming = Incoming { token: Origin::Ring(token), tag, cdb, data };
        self.server.on_command(clock::now(), incoming);
    }

    /// Does what the device server asks for, until it asks for nothing more.
    fn act(&mut self) -> Result<(), Interruption> {
        while let Some(action) = self.server.poll_action(clock::now()) {
            match action {
                Action::Submit { op, tag, buffer, urgent } => {
                    let completions = self.station.completions();
                    completions.expect_one();
                    let sink = completions.clone();
                    self.backstore.submit(Request::new(op, tag, buffer, urgent, sink));
                }
                Action::Answer(answer) => self.answer(answer)?,
                Action::Ask(query) => self.surroundings.ask(query),
            }
            self.take_in()?;
        }
        Ok(())
    }

    fn answer(&mut self, answer: Answer<Origin>) -> Result<(), Interruption> {
        let Answer { token, lane, status, sense, data_in, data } = answer;
        match token {
            Origin::Ring(token) => self.answer_ring(token, status, sense, data_in, data),
            Origin::Probe(number) => {
                self.station.mailbox.probe_passed.store(number, Ordering::Relaxed);
            }
        }
        if lane == Some(Lane::Heartbeat) || self.unannounced >= ANSWERS_PER_DOORBELL {
            self.ring_doorbell()?;
        }
        Ok(())
    }

    fn answer_ring(
        &mut self,
        token: CommandToken,
        status: Status,
        sense: Option<Sense>,
        data_in: Option<usize>,
        data: Buffer,
    ) {
        let mut bytes = [0; 96];
        if let Some(sense) = &sense {
            sense.encode(self.server.sense_format(), &mut bytes);
        }
        let data_in = match data_in {
            Some(valid) if valid < data.len() => {
                DataIn::Short(u32::try_from(valid).expect("shorter than a transfer"))
            }
            _ => DataIn::All,
        };
        let answer = ring::Answer { status: status.as_u8(), sense: sense.map(|_| &bytes), data_in };
        self.ring.complete(token, answer, data);
        self.unannounced += 1;
    }

    fn ring_doorbell(&mut self) -> Result<(), Interruption> {
        self.unannounced = 0;
        if self.ring.publish() {
            self.uio.doorbell().map_err(Interruption::Uio)?;
        }
        Ok(())
    }

    /// Sends a command through the device server that touches neither the medium nor a pending unit
    /// attention.
    fn probe(&mut self, number: u64) {
        let inquiry = Cdb::new(&[opcode::INQUIRY, 0, 0, 0, 36, 0]);
        let token = Origin::Probe(number);
        let incoming = Incoming { token, tag: 0, cdb: inquiry, data: Buffer::heap(36) };
        self.server.on_command(clock::now(), incoming);
    }

    /// Tells those who asked for a new size that nothing is in flight beyond it any more.
    fn answer_resizes(&mut self) {
        let server = &self.server;
        self.resizes.retain(|(blocks, done)| {
            let pending = server.touches_beyond(*blocks);
            if !pending {
                // Whoever gave up waiting does not need to know.
                let _ = done.send(());
            }
            pending
        });
    }

    fn end_if_stopped(&self) -> Option<End> {
        let waited = clock::now().since(self.stopping_since?);
        match self.ring.in_flight() {
            0 => Some(End::Stopped),
            in_flight if waited >= DRAIN_TIMEOUT => Some(End::StoppedBusy { in_flight }),
            _ => None,
        }
    }
}
