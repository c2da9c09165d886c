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
use std::thread;
use std::time::Duration;

use crossbeam_channel::Sender;
use pulsefield_backstore::{Backstore, Completion, Geometry, Op, OpTag};
use pulsefield_data::Buffer;
use pulsefield_engine::{
    AccessStateChange, Action, CopyOp, CopyParty, DeviceServer, Query, SavedState, SpaceReport,
    UnitAttention,
};
use pulsefield_faults::SceneId;
use pulsefield_kernel::UioError;
use pulsefield_record::Reason;
use pulsefield_ring::{CommandToken, Entry, Ring, RingError};
use pulsefield_units::{BlockCount, Instant, LuId};
use tracing::info;

use self::answering::Unannounced;
use self::changing::Changing;
use self::intake::Intake;
use self::latency::Watch;
#[cfg(feature = "embedded")]
use crate::clock::Clock;
use crate::copying::{CopyReply, CopyRequest};
use crate::counters::{Counters, CountingObserver};
use crate::latency::InFlight;
use crate::pool::Share;
use crate::rate::Rate;
use crate::recording::RecordOrders;
use crate::sharing::Sharing;
use crate::station::{Awake, Mailbox, Message, Station};
use crate::uio::Uio;

mod answering;
mod at_once;
mod changing;
mod fault_orders;
mod faults;
mod hosts;
mod intake;
mod latency;
mod messages;
mod recording;
mod room;

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
    /// Whether those wait for others.
    sharing: Sharing,
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
            sharing: Sharing::default(),
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
            let intake = self.take_in()?;
            self.perform_deeds()?;
            self.answer_resizes();
            self.go_on_changing();
            if let Some(end) = self.end_if_stopped()? {
                return Ok(Some(end));
            }
            if self.unannounced.wants_doorbell(self.now) {
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
                None if intake == Intake::Part => {}
                None => return Ok(None),
            }
        }
    }

    /// Announces what there is, and sleeps unless something came in meanwhile.
    fn rest(&mut self) -> Result<(), Interruption> {
        let any = self.unannounced.count > 0;
        // Who looks for work instead of sleeping has a processor that nobody misses.
        if any && !self.station.polling.is_looking() && self.wait_for_others()? {
            return Ok(());
        }
        let before = self.station.clock.now();
        self.ring_doorbell()?;
        if any {
            self.sharing.ring(self.now.since(before));
        }
        if self.show_faults() {
            // The device server has something to tell.
            return Ok(());
        }
        if self.station.polling.is_wanted() && self.look_for_work()? {
            return Ok(());
        }
        self.station.completions().announce_sleep();
        if self.take_in()? == Intake::Nothing && self.station.is_quiet() {
            let patience = self.patience();
            self.station.precedence.sleep(self.now);
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

    /// Lets answers wait for others to share their doorbell with, as long as that pays; says whether something came in.
    fn wait_for_others(&mut self) -> Result<bool, Interruption> {
        let Some(wait) = self.sharing.wait(self.unannounced.count) else { return Ok(false) };
        // They are ready now, and not when it has waited.
        self.look_at_clock();
        self.station.precedence.sleep(self.now);
        thread::sleep(wait);
        self.look_at_clock();
        self.station.precedence.work(self.now);
        let paid = self.take_in()? != Intake::Nothing;
        self.sharing.end_wait(paid);
        Ok(paid)
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
            if self.take_in()? != Intake::Nothing || !self.station.is_quiet() {
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

    /// Has the medium do an op at once, or later.
    fn submit(&mut self, op: Op, tag: OpTag, mut buffer: Buffer, urgent: bool) {
        self.station.enter_medium(self.now);
        let done = self.backstore.at_once(op, &mut buffer, urgent);
        if let Some(result) = done {
            self.station.leave_medium();
            self.lose_sight_of_time();
            self.take_completion(Completion { tag, result, buffer });
            return;
        }
        let completions = self.station.completions();
        completions.submit(&**self.backstore, op, tag, buffer, urgent);
        self.station.leave_medium();
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
