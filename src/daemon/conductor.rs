//! The conductor: moves commands between one ring, one device server and one medium.
//!
//! One thread, one owner of everything. Between any two actions it looks at its messages, at the
//! medium's completions and at the ring, so that a heartbeat that comes in while bulk is being
//! started is started before the rest of that bulk, and nobody waits for a load to end. It rings
//! the doorbell at once for a heartbeat and in batches for everything else; and it sleeps only
//! after it has announced that and looked for work once more.

use std::collections::BTreeMap;
use std::hint;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;
use pulsefield_backstore::{Backstore, Completion, Geometry, Op, OpTag};
use pulsefield_data::Buffer;
use pulsefield_engine::{
    AccessStateChange, Action, Answer, CopyOp, CopyParty, DeviceServer, Incoming, Lane, Outcome,
    Query, SavedState, SpaceReport, UnitAttention,
};
use pulsefield_faults::SceneId;
use pulsefield_kernel::UioError;
use pulsefield_record::Reason;
use pulsefield_ring::{
    self as ring, CommandToken, DataIn, Entry, Ring, RingCommand, RingError, Tmr,
};
use pulsefield_scsi::{Asc, Sense, SenseKey, Status, opcode};
use pulsefield_units::{BlockCount, Cdb, Instant, LuId};
use tracing::{debug, error, info, trace};

use self::changing::{Changing, FLUSH_TAG};
use self::latency::Watch;
#[cfg(feature = "embedded")]
use crate::clock::Clock;
use crate::copying::{CopyEnd, CopyReply, CopyRequest, Reachable};
use crate::counters::{Counters, CountingObserver};
use crate::latency::InFlight;
use crate::pool::Share;
use crate::rate::Rate;
use crate::recording::RecordOrders;
use crate::station::{Awake, Mailbox, Message, Station};
use crate::uio::Uio;

mod changing;
mod fault_orders;
mod faults;
mod hosts;
mod latency;
mod recording;
mod room;

/// Answers collected before the doorbell is rung for bulk.
const ANSWERS_PER_DOORBELL: usize = 32;

/// How long an answer may wait for others to share a doorbell with.
const DOORBELL_DELAY_MAX: Duration = Duration::from_micros(200);

/// How long a stopping logical unit may take to answer what it has accepted.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// How often time is looked at while stopping or changing over, when nothing else happens.
const DRAIN_STEP: Duration = Duration::from_secs(1);

/// When to look again for the end of a buffer that a handler still had when it completed: nothing
/// tells of that, and the command's answer waits for it.
const HELD_STEP: Duration = Duration::from_millis(10);

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

/// Where a command came from.
#[derive(Debug)]
pub(crate) enum Origin {
    /// The ring; it must be answered there.
    Ring(CommandToken),
    /// [`Message::Probe`].
    Probe(u64),
    /// A part of a copy of this unit.
    Part(OpTag),
    /// A part of another unit's copy. Boxed, or whatever comes from the ring would be as long.
    PeerPart(Box<CopyReply>),
    /// A fault.
    Scene(SceneId),
}

impl From<SceneId> for Origin {
    fn from(id: SceneId) -> Self {
        Self::Scene(id)
    }
}

/// What the world outside does for a conductor. Nothing here may wait.
pub(crate) trait Surroundings {
    /// Finds something out; the answer comes as a [`Message`].
    fn ask(&self, query: Query);
    /// Changes the states of target port groups; [`Message::AccessStatesSet`] says how that went.
    fn set_access_states(&self, request: OpTag, changes: Vec<AccessStateChange>);
    /// Finds out what the unit has saved; [`Message::Restored`] says it, and [`Message::CommandTimeOut`]
    /// before it for how long the kernel waits, if not for ever.
    fn load(&self);
    /// Puts this on stable storage; [`Message::Saved`] with the same number says how that went.
    fn save(&self, number: u64, state: SavedState);
    /// A share of the pool of space `name`.
    fn join_pool(&self, name: &str) -> Share;
    /// Keeps new commands off the ring from now on; [`Message::Blocked`] says when that is so.
    fn block(&self);
    /// Goes on with the record of a unit of this shape; [`Message::Recorder`] brings it, if it can be had.
    fn open_record(&self, orders: RecordOrders, shape: Geometry);
    /// Copies the record to where it stays.
    fn dump_record(&self, orders: RecordOrders, reason: Reason);
}

/// A logical unit at work.
pub(crate) struct Conductor<'a> {
    station: &'a mut Station,
    uio: &'a dyn Uio,
    surroundings: &'a dyn Surroundings,
    ring: Ring,
    server: DeviceServer<Origin, Watch>,
    /// The unit's thread keeps it when the conductor ends.
    backstore: &'a mut Arc<dyn Backstore>,
    counters: Arc<Counters>,
    /// When something last came in: the moment that all of it is said to have happened at. Time is
    /// read once a turn and not once a step, since reading it is a system call wherever the clock
    /// is not the processor's own.
    now: Instant,
    /// Whether that is when the doorbell was last rung, and nothing was done since: what is found on the
    /// ring then came at that moment.
    just_looked: bool,
    unannounced: Unannounced,
    /// Whether the unit is as it was saved. What it has saved is asked for when the first command
    /// comes, since LIO sets the serial number that it is kept under only after the unit is made;
    /// until then nothing more is taken from the ring.
    restored: bool,
    /// What came first, and waits for that.
    held: Option<Entry>,
    /// Parts of other units' copies that wait for it too.
    held_requests: Vec<CopyRequest>,
    /// The number of the first saving that this conductor asked for.
    first_save: u64,
    /// Resizes whose requester still waits.
    resizes: Vec<(BlockCount, Sender<()>)>,
    stopping: Option<Stopping>,
    /// The change to another medium that is under way: nothing is taken from the ring meanwhile.
    changing: Option<Changing>,
    /// Whether a flush of the conductor's own is with the medium.
    flushing: bool,
    /// Which of the unit's conductors this is.
    number: u64,
    /// What it takes of its pool of space, if it is in one.
    share: Option<Share>,
    /// How other units are reached that copies of this one may touch.
    peers: BTreeMap<LuId, Mailbox>,
    /// For how long the kernel waits for an answer.
    command_time_out: Duration,
    /// When a command in flight may become late.
    late_due: Option<Instant>,
    /// The most bytes of the data area and of the ring that were in use.
    fullest: (usize, usize),
    /// How often a lack of room is told of.
    room_rate: Rate,
    /// What is to be recorded, if anybody has said so.
    record_orders: Option<RecordOrders>,
    /// How often the record is copied for heartbeats that were answered late.
    dump_rate: Rate,
    /// How often for those that are not answered.
    unanswered_dump_rate: Rate,
}

/// Answers written since the doorbell was last rung.
#[derive(Default)]
struct Unannounced {
    count: usize,
    /// When the doorbell must be rung for the oldest of them.
    due: Option<Instant>,
}

#[derive(Clone, Copy)]
struct Stopping {
    since: Instant,
    /// Whether no more commands are to be expected.
    blocked: bool,
}

/// Why serving cannot go on.
enum Interruption {
    Ring(RingError),
    Uio(UioError),
    Io(io::Error),
    Gone,
}

impl From<Interruption> for End {
    fn from(interruption: Interruption) -> Self {
        match interruption {
            Interruption::Gone | Interruption::Uio(UioError::Gone(_)) => Self::Gone,
            Interruption::Ring(error) => Self::Broken(error),
            Interruption::Io(error) => Self::Failed(error),
            Interruption::Uio(error) => Self::Failed(io::Error::other(error)),
        }
    }
}

impl From<RingError> for Interruption {
    fn from(error: RingError) -> Self {
        Self::Ring(error)
    }
}

impl From<UioError> for Interruption {
    fn from(error: UioError) -> Self {
        Self::Uio(error)
    }
}

impl From<io::Error> for Interruption {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl<'a> Conductor<'a> {
    /// A conductor that starts with the station's standing orders.
    pub(crate) fn new(
        station: &'a mut Station,
        uio: &'a dyn Uio,
        surroundings: &'a dyn Surroundings,
        ring: Ring,
        backstore: &'a mut Arc<dyn Backstore>,
        counters: Arc<Counters>,
    ) -> Self {
        let (number, now) = (station.number_conductor(), station.clock.now());
        let opened = backstore.geometry();
        let blocks = station.orders.blocks.unwrap_or(opened.blocks);
        let geometry = Geometry { blocks, ..opened };
        let counting = CountingObserver(counters.clone());
        let observer = Watch { counting, commands: InFlight::default(), recorder: None };
        station.data_area_bytes = ring.data_area_bytes() as u64;
        counters.set_data_area(station.data_area_bytes);
        let config = station.config();
        let mut server = DeviceServer::new(config, geometry, backstore.capabilities(), observer);
        if let Some(enabled) = station.orders.write_cache {
            server.set_write_cache(enabled);
        }
        let first_save = station.saves;
        if let Some(saboteur) = &mut station.saboteur {
            saboteur.forget_commands();
        }
        Self {
            station,
            uio,
            surroundings,
            ring,
            server,
            backstore,
            counters,
            now,
            just_looked: false,
            unannounced: Unannounced::default(),
            restored: false,
            held: None,
            held_requests: Vec::new(),
            first_save,
            resizes: Vec::new(),
            stopping: None,
            changing: None,
            flushing: false,
            number,
            share: None,
            peers: BTreeMap::new(),
            command_time_out: faults::COMMAND_TIME_OUT,
            late_due: None,
            fullest: (0, 0),
            room_rate: Rate::new(room::LINE_PERIOD),
            record_orders: None,
            dump_rate: Rate::new(recording::DUMP_PERIOD),
            unanswered_dump_rate: Rate::new(recording::DUMP_PERIOD),
        }
    }

    /// Says that this conductor follows one that broke down: what MODE SELECT had set is lost.
    pub(crate) fn after_breakdown(mut self) -> Self {
        self.server.raise(UnitAttention::ModeParametersChanged);
        self
    }

    /// Serves until there is a reason to end.
    pub(crate) fn run(mut self) -> End {
        let end = self.serve().unwrap_or_else(End::from);
        self.record_end(&end);
        end
    }

    fn serve(&mut self) -> Result<End, Interruption> {
        loop {
            match self.work()? {
                Some(end) => return Ok(end),
                None => self.rest()?,
            }
        }
    }

    /// Does what there is to do now, and announces it: for whoever has nothing to sleep on.
    ///
    /// # Errors
    /// The reason why this conductor has ended.
    #[cfg(feature = "embedded")]
    pub(crate) fn turn(&mut self) -> Result<(), End> {
        loop {
            if let Some(end) = self.work()? {
                return Err(end);
            }
            // What the surroundings were asked for meanwhile they may have told already.
            if self.station.is_quiet() {
                return Ok(self.ring_doorbell()?);
            }
        }
    }

    /// The same, at a time that it is told.
    ///
    /// # Errors
    /// As [`Self::turn`].
    #[cfg(feature = "embedded")]
    pub(crate) fn turn_at(&mut self, now: Instant) -> Result<(), End> {
        self.station.clock = Clock::Told(now);
        self.look_at_clock();
        loop {
            self.turn()?;
            // A plan of faults may have ended, which the device server has something to tell of.
            if !self.show_faults() {
                return Ok(());
            }
        }
    }

    /// When it has something to do again, even if nothing comes in.
    #[cfg(feature = "embedded")]
    pub(crate) fn wake_at(&mut self) -> Option<Instant> {
        let patience = self.patience()?;
        Some(self.station.clock.now().after(patience))
    }

    /// Works until there is nothing to do, or a reason to end.
    fn work(&mut self) -> Result<Option<End>, Interruption> {
        loop {
            self.read_messages()?;
            self.take_in()?;
            self.perform_deeds()?;
            self.answer_resizes();
            self.go_on_changing();
            if let Some(end) = self.end_if_stopped()? {
                return Ok(Some(end));
            }
            if self.unannounced.due.is_some_and(|due| due <= self.now) {
                self.ring_doorbell()?;
            }
            if self.late_due.is_some_and(|due| due <= self.now) {
                self.look_for_late();
            }
            if self.server.wants_space_report() {
                self.report_space();
            }
            match self.server.poll_action(self.now) {
                Some(action) => self.perform(action)?,
                None => return Ok(None),
            }
        }
    }

    /// Announces what there is, and sleeps unless something came in meanwhile.
    fn rest(&mut self) -> Result<(), Interruption> {
        self.ring_doorbell()?;
        if self.show_faults() {
            // The device server has something to tell.
            return Ok(());
        }
        if self.station.polling.is_wanted() && self.look_for_work()? {
            return Ok(());
        }
        self.station.completions().announce_sleep();
        if !self.take_in()? && self.station.is_quiet() {
            let patience = self.patience();
            match self.station.sleep(patience)? {
                Awake::Look => {}
                // Nothing that came in says what time it is.
                Awake::TimedOut => self.look_at_clock(),
                Awake::Gone => return Err(Interruption::Gone),
            }
        }
        self.station.completions().announce_awake();
        Ok(())
    }

    /// How long it may sleep; for ever if whatever must happen happens with an event.
    fn patience(&mut self) -> Option<Duration> {
        let held = self.ring.in_flight() > self.commands_in_hand();
        let step = match (&self.stopping, &self.changing) {
            _ if held => Some(HELD_STEP),
            (None, None) => None,
            (Some(_), _) | (_, Some(_)) => Some(DRAIN_STEP),
        };
        if self.ring.in_flight() == 0 {
            self.late_due = None;
        }
        step.into_iter().chain(self.until_deadline()).chain(self.until_late()).min()
    }

    /// Looks for something that comes in, as long as that pays; says whether something did.
    fn look_for_work(&mut self) -> Result<bool, Interruption> {
        let Some(until) = self.station.polling.rest(self.station.clock.now()) else {
            return Ok(false);
        };
        loop {
            if self.take_in()? || !self.station.is_quiet() {
                return Ok(true);
            }
            let now = self.station.clock.now();
            if now >= until {
                self.station.polling.look_in_vain(now);
                return Ok(false);
            }
            hint::spin_loop();
        }
    }

    fn read_messages(&mut self) -> Result<(), Interruption> {
        if !self.station.has_mail() {
            return Ok(());
        }
        if !self.station.removed().is_empty() {
            return Err(Interruption::Gone);
        }
        while let Some(message) = self.station.message() {
            match message {
                Message::Stop => {
                    self.station.orders.stop = true;
                    self.changing = None;
                    let now = self.station.clock.now();
                    self.stopping.get_or_insert(Stopping { since: now, blocked: false });
                    if let Some(saboteur) = &mut self.station.saboteur {
                        saboteur.stop(now);
                    }
                    self.surroundings.block();
                }
                Message::Blocked => {
                    if let Some(stopping) = &mut self.stopping {
                        stopping.blocked = true;
                    }
                }
                Message::Reconfigure(config) => {
                    if config.pool.is_none() {
                        self.share = None;
                    }
                    self.station.orders.config = config;
                    self.server.reconfigure(self.station.config());
                    self.update_saboteur();
                }
                Message::Resize { blocks, done } => {
                    self.station.orders.blocks = Some(blocks);
                    self.server.resize(blocks);
                    self.update_saboteur();
                    self.resizes.push((blocks, done));
                }
                Message::ChangeMedium(change) => self.begin_change(change),
                Message::SetWriteCache(enabled) => {
                    self.station.orders.write_cache = Some(enabled);
                    self.server.set_write_cache(enabled);
                }
                Message::Identity(identity) => self.server.on_identity(identity),
                Message::PortGroups(groups) => self.server.on_port_groups(groups),
                Message::Initiators(count) => self.server.on_initiators(count),
                Message::AccessStatesSet { request, changed } => {
                    self.server.on_access_states_set(self.station.clock.now(), request, changed);
                }
                Message::CommandTimeOut(time_out) => {
                    self.command_time_out = time_out;
                    self.update_saboteur();
                }
                Message::Restored(state) => self.restore(state),
                // One that an earlier conductor asked for concerns nobody any more.
                Message::Saved { number, on_stable_storage } if number >= self.first_save => {
                    self.server.on_saved(self.station.clock.now(), on_stable_storage);
                }
                Message::Saved { .. } => {}
                Message::CopyPeers(reachable) => {
                    let peer = |Reachable { peer, mailbox }| {
                        self.peers.insert(peer.unit, mailbox);
                        peer
                    };
                    let peers = reachable.into_iter().map(peer).collect();
                    self.server.on_copy_peers(peers);
                }
                Message::CopyRequest(request) => self.take_copy_request(request),
                Message::CopyEnd(CopyEnd { asker, tag, outcome, buffer }) => {
                    if asker == self.number {
                        self.server.on_copy_op_done(self.station.clock.now(), tag, outcome, buffer);
                    }
                }
                Message::SetDeadlines(deadlines) => self.station.latency.set_deadlines(deadlines),
                Message::SetPolling(spare) => self.station.polling.set(spare),
                Message::ReportLatency { clear, reply } => self.report_latency(clear, &reply),
                Message::Record(orders) => self.order_recording(orders),
                Message::Recorder { orders, recorder } => self.take_recorder(&orders, recorder),
                Message::ReportHosts { reply } => self.report_hosts(&reply),
                Message::ConfigureFaults(orders) => self.configure_faults(orders),
                // Whoever gave up waiting does not need to know.
                Message::Arm { plan, lun, done } => drop(done.send(self.arm(plan, &lun))),
                Message::Disarm { which, done } => drop(done.send(self.disarm(&which))),
                Message::ReportFaults { since, reply } => self.report_faults(since, &reply),
                Message::Probe(number) => self.probe(number)?,
            }
        }
        Ok(())
    }

    /// Does a part of another unit's copy, once the unit is restored: it may be one that must not be
    /// written.
    fn take_copy_request(&mut self, request: CopyRequest) {
        if self.holds_copy_requests() {
            self.held_requests.push(request);
            return;
        }
        if !self.restored {
            if self.held.is_none() && self.held_requests.is_empty() {
                self.surroundings.load();
            }
            self.held_requests.push(request);
            return;
        }
        let CopyRequest { op, buffer, reply } = request;
        self.server.on_copy_op(
            self.station.clock.now(),
            Origin::PeerPart(Box::new(reply)),
            op,
            buffer,
        );
    }

    /// Gives the unit what it has saved; what was ordered since it was opened holds on.
    fn restore(&mut self, state: SavedState) {
        if !self.restored {
            self.server.restore(state);
            if let Some(enabled) = self.station.orders.write_cache {
                self.server.set_write_cache(enabled);
            }
            self.restored = true;
            for request in std::mem::take(&mut self.held_requests) {
                self.take_copy_request(request);
            }
        }
    }

    /// The next entry of the ring, if the unit is restored and is not about to change its medium.
    fn next_entry(&mut self) -> Result<Option<Entry>, RingError> {
        if self.changing.is_some() {
            return Ok(None);
        }
        if self.restored {
            if self.held.is_some() {
                return Ok(self.held.take());
            }
            return self.ring.next_entry();
        }
        if self.held.is_none() {
            self.held = self.ring.next_entry()?;
            if self.held.is_some() && self.held_requests.is_empty() {
                self.surroundings.load();
            }
        }
        Ok(None)
    }

    /// Hands the device server what came from the ring and from the medium; says whether anything
    /// did.
    fn take_in(&mut self) -> Result<bool, RingError> {
        let mut any = false;
        while let Some(completion) = self.station.completions().take(&**self.backstore) {
            self.note_time(&mut any);
            self.take_completion(completion);
        }
        loop {
            // Matched where it is: with `?` each command would be moved once more.
            match self.next_entry() {
                Ok(Some(Entry::Command(command))) => {
                    self.note_time(&mut any);
                    self.take_command(command);
                }
                Ok(Some(Entry::Tmr(tmr))) => {
                    self.note_time(&mut any);
                    self.take_tmr(&tmr);
                }
                Ok(None) => break,
                Err(error) => return Err(error),
            }
        }
        self.just_looked = false;
        Ok(any)
    }

    fn take_tmr(&mut self, tmr: &Tmr) {
        debug!(kind = ?tmr.kind, commands = ?tmr.command_ids, "task management");
        self.record_task_management(tmr);
        self.counters.task_management.count(tmr.kind);
        if let Some(saboteur) = &mut self.station.saboteur {
            saboteur.on_abort(self.now, &tmr.command_ids);
        }
        self.server.on_abort(self.now, &tmr.command_ids);
        if tmr.kind.is_reset() {
            self.server.on_reset();
        }
    }

    /// Sends an op to the medium, whose answer may have come before this returns, and that may take as
    /// long as the medium wants.
    fn submit(&mut self, op: Op, tag: OpTag, buffer: Buffer, urgent: bool) {
        let completions = self.station.completions();
        self.station.enter_medium();
        let completed = completions.submit(&**self.backstore, op, tag, buffer, urgent);
        self.station.leave_medium();
        if let Some(completion) = completed {
            self.just_looked = false;
            self.server.observer_mut().commands.lose_sight_of_time();
            self.take_completion(completion);
        }
    }

    fn take_completion(&mut self, completion: Completion) {
        let Completion { tag, result, buffer } = completion;
        match tag {
            FLUSH_TAG => self.flushed(result),
            _ => self.server.on_op_done(self.now, tag, result, buffer),
        }
    }

    /// Looks at the clock for the first of several things that came in together.
    fn note_time(&mut self, any: &mut bool) {
        if !*any {
            if !self.just_looked {
                self.look_at_clock();
            }
            self.station.polling.end_rest(self.now);
            *any = true;
        }
    }

    fn take_command(&mut self, command: RingCommand) {
        let RingCommand { token, cdb, data, data_in: _, malformed } = command;
        self.counters.count_command();
        self.server.observer_mut().commands.take(self.now, token.cmd_id(), &cdb);
        if self.late_due.is_none() {
            self.late_due = self.station.latency.first_deadline(self.now);
        }
        if let Some(malformed) = malformed {
            error!(cmd_id = token.cmd_id(), %malformed, "a ring entry makes no sense");
            self.counters.count_malformed();
            let sense = Sense::new(SenseKey::HardwareError, Asc::INTERNAL_TARGET_FAILURE);
            let (status, sense) = (Status::CheckCondition, Some(sense));
            self.answer_ring(token, None, Outcome { status, sense, data_in: None }, data);
            return;
        }
        let tag = token.cmd_id();
        trace!(cmd_id = tag, command = opcode::name_of(&cdb), ?cdb, data_bytes = data.len());
        let incoming = Incoming { token: Origin::Ring(token), tag: Some(tag), cdb, data };
        let incoming = match &mut self.station.saboteur {
            None => Some(incoming),
            Some(saboteur) => {
                let hits = saboteur.next_hit();
                let incoming = saboteur.on_command(self.now, incoming, self.ring.in_flight());
                self.record_hits(hits, tag);
                incoming
            }
        };
        if let Some(incoming) = incoming {
            self.server.on_command(self.now, incoming);
        }
    }

    /// Does one thing that the device server asks for.
    fn perform(&mut self, action: Action<Origin>) -> Result<(), Interruption> {
        match action {
            Action::Submit { op, tag, buffer, urgent } => self.submit(op, tag, buffer, urgent),
            Action::Answer(answer) => self.answer(answer)?,
            Action::CopyOp { party: CopyParty::This, op, tag, buffer } => {
                self.server.on_copy_op(self.now, Origin::Part(tag), op, buffer);
            }
            Action::CopyOp { party: CopyParty::Peer(unit), op, tag, buffer } => {
                self.ask_peer(unit, op, tag, buffer);
            }
            Action::Ask(query) => self.surroundings.ask(query),
            Action::SetAccessStates { request, changes } => {
                self.surroundings.set_access_states(request, changes);
            }
            Action::Save(state) => {
                info!(unfinished = ?state.unfinished, "saving the state of the unit");
                self.surroundings.save(self.station.saves, state);
                self.station.saves += 1;
            }
        }
        Ok(())
    }

    /// Tells the device server what its medium and the whole pool take. A medium that cannot tell
    /// takes nothing of a pool.
    fn report_space(&mut self) {
        let pool = self.station.orders.config.pool.as_ref();
        let Some(name) = pool.map(|pool| pool.name.as_str()) else { return };
        let share = match self.share.take() {
            Some(share) if share.pool() == name => share,
            _ => self.surroundings.join_pool(name),
        };
        let allocated = self.backstore.allocated_bytes().unwrap_or(0);
        let used = self.share.insert(share).publish(allocated);
        self.server.on_space(SpaceReport { allocated, used });
    }

    fn ask_peer(&self, unit: LuId, op: CopyOp, tag: OpTag, buffer: Buffer) {
        let reply = CopyReply::new(self.station.mailbox(), self.number, tag);
        // A reply that is dropped says that the unit is gone.
        if let Some(mailbox) = self.peers.get(&unit) {
            mailbox.send(Message::CopyRequest(CopyRequest { op, buffer, reply }));
        }
    }

    fn answer(&mut self, answer: Answer<Origin>) -> Result<(), Interruption> {
        let Answer { token, lane, status, sense, data_in, data } = answer;
        let outcome = Outcome { status, sense, data_in };
        match token {
            Origin::Scene(id) => {
                let saboteur = self.station.saboteur.as_mut().expect("whoever asked is there");
                saboteur.on_answer(self.now, id, outcome, data);
                return Ok(());
            }
            Origin::Ring(token) => self.answer_ring(token, lane, outcome, data),
            Origin::Probe(number) => self.station.pass_probe(number),
            Origin::Part(tag) => self.server.on_copy_op_done(self.now, tag, outcome, data),
            Origin::PeerPart(reply) => reply.tell(outcome, data),
        }
        if lane == Some(Lane::Heartbeat) || self.unannounced.count >= ANSWERS_PER_DOORBELL {
            self.ring_doorbell()?;
        }
        Ok(())
    }

    fn answer_ring(
        &mut self,
        token: CommandToken,
        lane: Option<Lane>,
        outcome: Outcome,
        data: Buffer,
    ) {
        let command_id = token.cmd_id();
        let Outcome { status, sense, data_in } = outcome;
        let exchanged = if status == Status::Good { data_in.unwrap_or(data.len()) } else { 0 };
        let commands = &mut self.server.observer_mut().commands;
        commands.answer(self.now, command_id, lane, exchanged as u64);
        self.record_answer(command_id, lane, &outcome, &data);
        self.counters.answers.count(status, sense.map(|sense| sense.key));
        if lane == Some(Lane::Heartbeat) && status == Status::Good && data_in.is_none() {
            self.look_for_pulse(command_id, &data);
        }
        let mut bytes = [0; 96];
        if let Some(sense) = &sense {
            sense.encode(self.server.sense_format(), &mut bytes);
        }
        let valid = outcome.valid_bytes(data.len());
        let data_in = if valid < data.len() {
            DataIn::Short(u32::try_from(valid).expect("shorter than a transfer"))
        } else {
            DataIn::All
        };
        let answer = ring::Answer { status: status.as_u8(), sense: sense.map(|_| &bytes), data_in };
        self.ring.complete(token, answer, data);
        self.unannounced.count += 1;
        self.unannounced.due.get_or_insert_with(|| self.now.after(DOORBELL_DELAY_MAX));
    }

    fn ring_doorbell(&mut self) -> Result<(), Interruption> {
        self.unannounced = Unannounced::default();
        if self.ring.publish() {
            self.look_if_out_of_time();
            self.uio.ring_doorbell()?;
            self.settle_latencies();
            self.tend_record();
            self.watch_room();
        }
        Ok(())
    }

    /// Sends a command through the device server that touches neither the medium nor a pending unit
    /// attention, and asks nobody anything: INQUIRY for the list of vital product data pages.
    fn probe(&mut self, number: u64) -> Result<(), Interruption> {
        // The kernel counts its events in 32 bits: were they never read, one in 2^32 would make the
        // count what it was when the device was opened, and not be seen.
        self.uio.take_events()?;
        let inquiry = Cdb::new(&[opcode::INQUIRY, 1, 0, 0, 36, 0]);
        let token = Origin::Probe(number);
        let incoming = Incoming { token, tag: None, cdb: inquiry, data: Buffer::heap(36) };
        self.server.on_command(self.station.clock.now(), incoming);
        Ok(())
    }

    /// Tells those who asked for a new size that nothing is in flight beyond it any more.
    fn answer_resizes(&mut self) {
        if self.resizes.is_empty() {
            return;
        }
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

    fn end_if_stopped(&mut self) -> Result<Option<End>, Interruption> {
        let Some(Stopping { since, blocked }) = self.stopping else { return Ok(None) };
        let late = self.station.clock.now().since(since) >= DRAIN_TIMEOUT;
        let end = match self.ring.in_flight() {
            0 if blocked || late => End::Stopped,
            in_flight if late => End::StoppedBusy { in_flight },
            _ => return Ok(None),
        };
        self.ring_doorbell()?;
        Ok(Some(end))
    }
}

#[cfg(test)]
mod tests;
