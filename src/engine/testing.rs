//! The test bench: a device server on a medium whose ops end when the test says so.
//!
//! A test reads as a timeline: `send` a command, look at the `ops` that are with the medium, `finish`
//! or `fail` one, take the `answer`. The [`World`] itself watches what must hold at any time: no two
//! conflicting ops at the medium, every op inside the medium and with room for its data, every
//! command answered once and with the buffer it came with.

pub(crate) mod cdb;
mod shared;

use std::collections::{BTreeMap, HashMap, HashSet};

use pulsefield_backstore::{
    BackstoreError, Capabilities, Extent, Geometry, Mapping, Op, OpOutput, OpTag,
};
use pulsefield_data::Buffer;
use pulsefield_scsi::{Asc, Sense, SenseKey, Status};
use pulsefield_units::{BlockCount, BlockLength, Cdb, Instant, Lba, LbaRange, LuId};

use crate::{
    AccessStateChange, Action, Answer, CopyOp, CopyParty, DeviceServer, Event, Incoming, Lane,
    LuConfig, Medium, Observer, Outcome, Query, SavedState, UnitAttention,
};

pub(crate) use shared::SharedMemory;

/// What buffers for Data-In hold before anybody writes into them.
pub(crate) const STALE: u8 = 0xa5;

/// The most bytes a medium keeps; a larger one reads as zeros and forgets what is written.
const KEPT_BYTES: u64 = 64 << 20;

pub(crate) fn range(start: u64, blocks: u64) -> LbaRange {
    LbaRange::new(Lba::new(start), BlockCount::new(blocks)).unwrap()
}

/// Data-Out.
pub(crate) fn out(bytes: &[u8]) -> Buffer {
    let mut buffer = Buffer::heap(bytes.len());
    buffer.write_at(0, bytes);
    buffer
}

/// Room for Data-In, with what another command left there.
pub(crate) fn room(len: usize) -> Buffer {
    out(&vec![STALE; len])
}

/// No data in either direction.
pub(crate) fn none() -> Buffer {
    Buffer::empty()
}

/// `blocks` blocks of 512 bytes of `fill`.
pub(crate) fn filled(fill: u8, blocks: usize) -> Vec<u8> {
    vec![fill; blocks * 512]
}

/// All bytes of a buffer.
pub(crate) fn bytes_of(buffer: &Buffer) -> Vec<u8> {
    let mut bytes = vec![0; buffer.len()];
    buffer.read_at(0, &mut bytes);
    bytes
}

/// Whether `op` changes blocks that `other` touches.
fn writes_into(op: &Op, other: &Op) -> bool {
    let touched = [other.range(), other.reads()];
    let touches = |range: LbaRange| touched.into_iter().flatten().any(|it| it.overlaps(range));
    op.writes() && op.range().is_some_and(touches)
}

/// What a medium that keeps its contents in `medium` makes of `op`.
fn perform(medium: &mut [u8], block: usize, op: Op, buffer: &mut Buffer) -> OpOutput {
    let Some(range) = op.range() else { return OpOutput::Done };
    if medium.is_empty() {
        if matches!(op, Op::Read { .. }) {
            buffer.fill(0, buffer.len(), 0);
        }
        return OpOutput::Done;
    }
    let byte = |lba: Lba| usize::try_from(lba.as_u64()).unwrap() * block;
    if let Op::Copy { source, .. } = op {
        let source = byte(source.start())..byte(source.end());
        medium.copy_within(source, byte(range.start()));
        return OpOutput::Done;
    }
    let medium = &mut medium[byte(range.start())..byte(range.end())];
    match op {
        Op::Read { .. } => buffer.write_at(0, medium),
        Op::Write { .. } | Op::WriteAtomic { .. } => buffer.read_at(0, medium),
        Op::WriteZeroes { .. } | Op::Unmap { .. } => medium.fill(0),
        Op::CompareAndWrite { .. } => {
            if let Some(offset) = buffer.first_difference(0, medium) {
                return OpOutput::Miscompare { offset: u32::try_from(offset).unwrap() };
            }
            buffer.read_at(medium.len(), medium);
        }
        Op::Provisioning { .. } => {
            let of = |block: &[u8]| match block.iter().all(|byte| *byte == 0) {
                true => Mapping::Deallocated,
                false => Mapping::Mapped,
            };
            let mut blocks = medium.chunks(block).map(of);
            let mapping = blocks.next().unwrap();
            let more = blocks.take_while(|other| *other == mapping).count() as u64;
            return OpOutput::Extent(Extent { mapping, blocks: BlockCount::new(more + 1) });
        }
        Op::Copy { .. } | Op::Flush => {}
    }
    OpOutput::Done
}

/// What a device server is made of.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) config: LuConfig,
    pub(crate) geometry: Geometry,
    pub(crate) capabilities: Capabilities,
}

impl Default for Setup {
    /// 64 blocks of 512 bytes, thin, with a volatile cache.
    fn default() -> Self {
        Self {
            config: LuConfig::default(),
            geometry: Geometry { block_length: BlockLength::B512, blocks: BlockCount::new(64) },
            capabilities: Capabilities {
                write_cache: true,
                thin: true,
                atomic_write: true,
                ..Capabilities::default()
            },
        }
    }
}

/// An op that the medium has not answered.
#[derive(Debug)]
struct AtMedium {
    op: Op,
    tag: OpTag,
    buffer: Buffer,
    urgent: bool,
}

/// A part of a copy that concerns another logical unit.
#[derive(Debug)]
pub(crate) struct PeerOp {
    pub(crate) unit: LuId,
    pub(crate) op: CopyOp,
    pub(crate) tag: OpTag,
    pub(crate) buffer: Buffer,
}

/// The world's medium, as long as a command is being taken.
struct Willing<F> {
    medium: Vec<u8>,
    block: usize,
    /// What it has not answered.
    in_flight: Vec<Op>,
    willing: F,
}

impl<F: FnMut(Op) -> bool> Medium for Willing<F> {
    fn may_do(&self, _lane: Lane, _bytes: usize) -> bool {
        true
    }

    fn at_once(
        &mut self,
        op: Op,
        buffer: &mut Buffer,
        _lane: Lane,
    ) -> Option<Result<OpOutput, BackstoreError>> {
        for other in &self.in_flight {
            let conflict = writes_into(other, &op) || writes_into(&op, other);
            assert!(!conflict, "{op:?} while {other:?} is with the medium");
        }
        (self.willing)(op).then(|| Ok(perform(&mut self.medium, self.block, op, buffer)))
    }
}

/// Tokens of parts of copies, which the world itself hands on; commands have smaller ones.
const FIRST_PART: u16 = 0x8000;

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) lane: Option<Lane>,
    pub(crate) status: Status,
    pub(crate) sense: Option<Sense>,
    pub(crate) data_in: Option<usize>,
    pub(crate) bytes: Vec<u8>,
}

/// Arrivals and retirements, to see that they pair up.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    live: HashSet<u64>,
    /// What was found instead of what was expected, of the block or blocks, and where it differs first.
    pub(crate) found: Vec<(LbaRange, usize, Vec<u8>)>,
    /// Unit attention conditions that were raised.
    pub(crate) raised: Vec<UnitAttention>,
}

impl Observer for Watch {
    fn observe(&mut self, _now: Instant, event: &Event<'_>) {
        match event {
            Event::Arrived { task, .. } => assert!(self.live.insert(task.as_u64())),
            Event::Retired { task, .. } => assert!(self.live.remove(&task.as_u64())),
            Event::Miscompared { blocks, offset, found, .. } => {
                let mut bytes = vec![0; usize::try_from(512 * blocks.blocks().as_u64()).unwrap()];
                found.read_at(0, &mut bytes);
                self.found.push((*blocks, *offset, bytes));
            }
            Event::AttentionRaised { condition } => self.raised.push(*condition),
            Event::Admitted { task, .. }
            | Event::Parked { task, .. }
            | Event::Granted { task }
            | Event::Started { task, .. }
            | Event::OpSubmitted { task, .. }
            | Event::OpDone { task, .. }
            | Event::Aborted { task, .. } => assert!(self.live.contains(&task.as_u64())),
        }
    }
}

/// A device server, its medium, and whoever sends it commands.
pub(crate) struct World {
    pub(crate) server: DeviceServer<u16, Watch>,
    /// Empty if the medium forgets.
    pub(crate) medium: Vec<u8>,
    block: usize,
    at_medium: Vec<AtMedium>,
    /// What each unanswered command came with: place and length of its buffer.
    brought: HashMap<u16, (Option<usize>, usize)>,
    answers: BTreeMap<u16, Reply>,
    pub(crate) queries: Vec<Query>,
    /// The states of target port groups that are to be set, and the requests' names.
    pub(crate) access_states: Vec<(OpTag, Vec<AccessStateChange>)>,
    /// Whether the test says when something is saved; otherwise it is at once.
    pub(crate) holds_saves: bool,
    /// What is being saved, oldest first.
    pub(crate) saves: Vec<SavedState>,
    /// What was last saved at once.
    pub(crate) stored: SavedState,
    next_tag: u16,
    /// Who waits for the parts of copies that are tasks here: this unit, or somebody else.
    parts: HashMap<u16, OpTag>,
    next_part: u16,
    /// The parts of copies that others are to do.
    pub(crate) peer_ops: Vec<PeerOp>,
    /// The parts that were done for others.
    pub(crate) done_for_peers: Vec<(OpTag, Outcome, Buffer)>,
    peer_parts: HashSet<u16>,
}

impl Default for World {
    fn default() -> Self {
        Self::new(Setup::default())
    }
}

impl World {
    pub(crate) fn new(setup: Setup) -> Self {
        let Setup { config, geometry, capabilities } = setup;
        let bytes = geometry.bytes().unwrap();
        let kept = if bytes <= KEPT_BYTES { usize::try_from(bytes).unwrap() } else { 0 };
        Self {
            server: DeviceServer::new(config, geometry, capabilities, Watch::default()),
            medium: vec![0; kept],
            block: geometry.block_length.bytes() as usize,
            at_medium: Vec::new(),
            brought: HashMap::new(),
            answers: BTreeMap::new(),
            queries: Vec::new(),
            access_states: Vec::new(),
            holds_saves: false,
            saves: Vec::new(),
            stored: SavedState::default(),
            next_tag: 0,
            parts: HashMap::new(),
            next_part: FIRST_PART,
            peer_ops: Vec::new(),
            done_for_peers: Vec::new(),
            peer_parts: HashSet::new(),
        }
    }

    /// The default setup with a change.
    pub(crate) fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup::default();
        change(&mut setup);
        Self::new(setup)
    }

    /// A medium of three pieces and a half (`limits::PIECE_BYTES`), without two blocks alike.
    pub(crate) fn in_pieces() -> Self {
        let mut world = Self::with(|setup| setup.geometry.blocks = BlockCount::new(1792));
        world.medium = (0..251).cycle().take(world.medium.len()).collect();
        world
    }

    /// Sends a command and lets the device server act; returns the command's tag. Tags count up
    /// from 0, as the device server's tasks do.
    pub(crate) fn send(&mut self, cdb: &[u8], data: Buffer) -> u16 {
        let tag = self.queue(cdb, data);
        self.poll();
        tag
    }

    /// Sends a command that finds the device server too busy to act at once.
    pub(crate) fn queue(&mut self, cdb: &[u8], data: Buffer) -> u16 {
        let incoming = self.incoming(cdb, data);
        let tag = incoming.token;
        self.server.on_command(Instant::default(), incoming);
        tag
    }

    /// A command with the next tag, whose answer is to come.
    fn incoming(&mut self, cdb: &[u8], data: Buffer) -> Incoming<u16> {
        let tag = self.next_tag;
        self.next_tag += 1;
        self.brought.insert(tag, shape(&data));
        Incoming { token: tag, tag: Some(tag), cdb: Cdb::new(cdb), data }
    }

    /// Sends a command before the medium, which does at once what `willing` says yes to; nothing else happens.
    pub(crate) fn queue_before(
        &mut self,
        cdb: &[u8],
        data: Buffer,
        willing: impl FnMut(Op) -> bool,
    ) -> u16 {
        let incoming = self.incoming(cdb, data);
        let tag = incoming.token;
        let (medium, block) = (std::mem::take(&mut self.medium), self.block);
        let in_flight = self.at_medium.iter().map(|it| it.op).collect();
        let mut willing = Willing { medium, block, in_flight, willing };
        let answer = self.server.on_command_before(Instant::default(), incoming, &mut willing);
        self.medium = willing.medium;
        if let Some(answer) = answer {
            self.keep(answer);
        }
        tag
    }

    pub(crate) fn abort(&mut self, tags: &[u16]) {
        self.server.on_abort(Instant::default(), tags);
        self.poll();
    }

    /// Lets the device server do all it can.
    pub(crate) fn poll(&mut self) {
        while let Some(action) = self.server.poll_action(Instant::default()) {
            match action {
                Action::Submit { op, tag, buffer, urgent } => {
                    let op = AtMedium { op, tag, buffer, urgent };
                    self.check(&op);
                    self.at_medium.push(op);
                }
                Action::Answer(answer) => self.keep(answer),
                Action::CopyOp { party: CopyParty::This, op, tag, buffer } => {
                    self.do_part(op, tag, buffer);
                }
                Action::CopyOp { party: CopyParty::Peer(unit), op, tag, buffer } => {
                    self.peer_ops.push(PeerOp { unit, op, tag, buffer });
                }
                Action::Ask(query) => self.queries.push(query),
                Action::SetAccessStates { request, changes } => {
                    self.access_states.push((request, changes));
                }
                Action::Save(state) if self.holds_saves => self.saves.push(state),
                Action::Save(state) => {
                    self.stored = state;
                    self.server.on_saved(Instant::default(), true);
                }
            }
        }
    }

    fn do_part(&mut self, op: CopyOp, tag: OpTag, buffer: Buffer) -> u16 {
        let token = self.next_part;
        self.next_part += 1;
        self.parts.insert(token, tag);
        self.server.on_copy_op(Instant::default(), token, op, buffer);
        token
    }

    /// Takes a part of a copy of another logical unit.
    pub(crate) fn do_for_peer(&mut self, op: CopyOp, tag: OpTag, buffer: Buffer) {
        let token = self.do_part(op, tag, buffer);
        self.peer_parts.insert(token);
        self.poll();
    }

    /// Takes the end of a part that another logical unit did.
    pub(crate) fn peer_did(&mut self, tag: OpTag, outcome: Outcome, buffer: Buffer) {
        self.server.on_copy_op_done(Instant::default(), tag, outcome, buffer);
        self.poll();
    }

    fn keep(&mut self, answer: Answer<u16>) {
        let Answer { token, lane, status, sense, data_in, data } = answer;
        if let Some(tag) = self.parts.remove(&token) {
            let outcome = Outcome { status, sense, data_in };
            if self.peer_parts.remove(&token) {
                self.done_for_peers.push((tag, outcome, data));
            } else {
                self.server.on_copy_op_done(Instant::default(), tag, outcome, data);
            }
            return;
        }
        let brought = self.brought.remove(&token).expect("answered once");
        assert_eq!(shape(&data), brought, "an answer brings its command's own buffer back");
        assert!(data_in.is_none_or(|valid| valid <= data.len()));
        assert_eq!(sense.is_some(), status == Status::CheckCondition);
        assert!(data_in.is_none() || status == Status::Good);
        let bytes = bytes_of(&data);
        self.answers.insert(token, Reply { lane, status, sense, data_in, bytes });
    }

    /// What the engine promises a medium about every op.
    fn check(&self, new: &AtMedium) {
        let geometry = self.server.geometry();
        let Some(range) = new.op.range() else { return };
        assert!(range.fits(geometry.blocks), "{:?} reaches past the medium", new.op);
        let blocks = usize::try_from(range.blocks().as_u64()).unwrap_or(usize::MAX);
        let needed = match new.op {
            Op::Read { .. } | Op::Write { .. } | Op::WriteAtomic { .. } => blocks * self.block,
            Op::CompareAndWrite { .. } => 2 * blocks * self.block,
            Op::WriteZeroes { .. }
            | Op::Unmap { .. }
            | Op::Copy { .. }
            | Op::Flush
            | Op::Provisioning { .. } => 0,
        };
        assert!(new.buffer.len() >= needed, "{:?} with {:?}", new.op, new.buffer);
        let claims = |op: &Op| !matches!(op, Op::Flush | Op::Provisioning { .. });
        for other in self.at_medium.iter().filter(|_| claims(&new.op)).map(|other| &other.op) {
            let conflict =
                claims(other) && (writes_into(other, &new.op) || writes_into(&new.op, other));
            assert!(!conflict, "{:?} while {other:?} is with the medium", new.op);
        }
    }

    /// The ops that are with the medium, oldest first.
    pub(crate) fn ops(&self) -> Vec<Op> {
        self.at_medium.iter().map(|at_medium| at_medium.op).collect()
    }

    /// Which of them are urgent.
    pub(crate) fn urgent(&self) -> Vec<bool> {
        self.at_medium.iter().map(|at_medium| at_medium.urgent).collect()
    }

    /// Whose op is the `nth` at the medium.
    pub(crate) fn tag_of(&self, nth: usize) -> u16 {
        u16::try_from(self.at_medium[nth].tag.0 >> 32).unwrap()
    }

    /// The bytes that the `nth` op at the medium brought.
    pub(crate) fn bytes_at(&self, nth: usize) -> Vec<u8> {
        bytes_of(&self.at_medium[nth].buffer)
    }

    /// The medium does the `nth` op and answers.
    pub(crate) fn finish(&mut self, nth: usize) {
        self.finish_unseen(nth);
        self.poll();
    }

    /// The same, and the device server has had no time for what follows.
    pub(crate) fn finish_unseen(&mut self, nth: usize) {
        let AtMedium { op, tag, mut buffer, .. } = self.at_medium.remove(nth);
        let output = self.perform(op, &mut buffer);
        self.server.on_op_done(Instant::default(), tag, Ok(output), buffer);
    }

    /// The medium does every op, in the order in which they came, until nothing is left to do.
    pub(crate) fn finish_all(&mut self) {
        while !self.at_medium.is_empty() {
            self.finish(0);
        }
    }

    /// The medium answers the `nth` op without having done it.
    pub(crate) fn finish_with(&mut self, nth: usize, result: Result<OpOutput, BackstoreError>) {
        let AtMedium { tag, buffer, .. } = self.at_medium.remove(nth);
        self.done(tag, result, buffer);
    }

    /// The medium fails the `nth` op, having done nothing.
    pub(crate) fn fail(&mut self, nth: usize, error: BackstoreError) {
        self.finish_with(nth, Err(error));
    }

    fn done(&mut self, tag: OpTag, result: Result<OpOutput, BackstoreError>, buffer: Buffer) {
        self.server.on_op_done(Instant::default(), tag, result, buffer);
        self.poll();
    }

    fn perform(&mut self, op: Op, buffer: &mut Buffer) -> OpOutput {
        perform(&mut self.medium, self.block, op, buffer)
    }

    /// The oldest state that is being saved is on stable storage, or cannot be put there.
    pub(crate) fn finish_save(&mut self, on_stable_storage: bool) -> SavedState {
        let state = self.saves.remove(0);
        self.server.on_saved(Instant::default(), on_stable_storage);
        self.poll();
        state
    }

    /// Takes the answer to a command.
    #[track_caller]
    pub(crate) fn answer(&mut self, tag: u16) -> Reply {
        self.answers.remove(&tag).unwrap_or_else(|| panic!("command {tag} is not answered"))
    }

    /// Whether a command still waits for its answer.
    pub(crate) fn waits(&self, tag: u16) -> bool {
        self.brought.contains_key(&tag)
    }

    /// Sends a command, lets the medium do whatever follows, and takes the answer.
    #[track_caller]
    pub(crate) fn execute(&mut self, cdb: &[u8], data: Buffer) -> Reply {
        let tag = self.send(cdb, data);
        self.finish_all();
        self.answer(tag)
    }

    /// Sends a command that is answered without the medium, and takes the answer.
    #[track_caller]
    pub(crate) fn execute_at_once(&mut self, cdb: &[u8], data: Buffer) -> Reply {
        let tag = self.send(cdb, data);
        self.answer(tag)
    }

    /// One block of the medium.
    pub(crate) fn block(&self, lba: usize) -> &[u8] {
        &self.medium[lba * self.block..(lba + 1) * self.block]
    }

    /// Puts `bytes` on the medium, from the start of block `lba` on.
    pub(crate) fn put(&mut self, lba: usize, bytes: &[u8]) {
        let at = lba * self.block;
        self.medium[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Nothing is left over: no task, no op, no unanswered command.
    #[track_caller]
    pub(crate) fn assert_idle(&self) {
        assert_eq!(self.server.in_flight(), 0);
        assert!(self.server.locks.is_empty());
        assert!(self.at_medium.is_empty() && self.brought.is_empty());
        assert!(self.parts.is_empty() && self.peer_ops.is_empty());
        assert!(self.server.observer().live.is_empty());
    }
}

/// Where a buffer begins and how long it is.
fn shape(buffer: &Buffer) -> (Option<usize>, usize) {
    let start = buffer.segments().first().map(|segment| segment.start().as_ptr().addr());
    (start, buffer.len())
}

impl Reply {
    #[track_caller]
    pub(crate) fn good(&self) {
        assert_eq!((self.status, self.sense), (Status::Good, None));
    }

    /// GOOD with this Data-In, and nothing of a former command's bytes counted as valid.
    #[track_caller]
    pub(crate) fn good_with(&self, data_in: &[u8]) {
        self.good();
        assert_eq!(self.data_in, Some(data_in.len()));
        assert!(self.bytes[..data_in.len()] == *data_in, "Data-In is {:02x?}", self.bytes);
    }

    /// CHECK CONDITION with exactly this sense data.
    #[track_caller]
    pub(crate) fn check(&self, sense: Sense) {
        assert_eq!((self.status, self.sense), (Status::CheckCondition, Some(sense)));
    }

    /// CHECK CONDITION with these codes, and neither INFORMATION nor a field pointer.
    #[track_caller]
    pub(crate) fn check_codes(&self, key: SenseKey, asc: Asc) {
        self.check(Sense::new(key, asc));
    }

    #[track_caller]
    pub(crate) fn miscompare(&self, offset: u64) {
        let sense = Sense::new(SenseKey::Miscompare, Asc::new(0x1d, 0x00));
        self.check(sense.with_information(offset));
    }

    #[track_caller]
    pub(crate) fn aborted(&self) {
        assert_eq!(self.status, Status::TaskAborted);
    }
}
